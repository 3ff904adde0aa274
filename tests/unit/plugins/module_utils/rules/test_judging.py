# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging: three truth values, three situations, waivers, order, and time that grows with the layout and not with its square."""

from __future__ import annotations

import copy
import sys

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine, registry
from ansible_collections.multikernel.core.plugins.module_utils._rules.case import Case
from ansible_collections.multikernel.core.plugins.module_utils._rules.finding import Finding

from .support import MIB, good_facts, good_layout, place


def by_rule(found, rule):
    return [finding for finding in found if finding.rule == rule]


def split_core():
    layout, facts = good_layout(), good_facts("smt")
    layout["host"]["cpus"] = None
    return layout, facts


def test_a_waiver_turns_an_error_into_an_info_that_carries_the_reason():
    layout, facts = split_core()
    assert [one.severity for one in by_rule(engine.judge(layout, facts), "cpu-smt-split")] == ["error"]
    layout["waivers"] = {"cpu-smt-split": "a test machine of one team"}
    (finding,) = by_rule(engine.judge(layout, facts), "cpu-smt-split")
    assert (finding.severity, finding.verdict, finding.waived) == ("info", "fail", "a test machine of one team")
    assert finding.message.endswith("(waived: a test machine of one team)")
    assert not finding.blocks


def test_a_waiver_of_a_rule_that_guards_the_machine_changes_nothing():
    layout = good_layout()
    layout["instances"]["rt"]["cpus"]["ids"] = [1, 3]
    layout["waivers"] = {"cpu-overlap": "I know what I do"}
    found = engine.judge(layout)
    (finding,) = by_rule(found, "cpu-overlap")
    assert (finding.severity, finding.waived) == ("error", None)
    assert finding.blocks
    assert by_rule(found, "sec-waiver")


def test_a_waiver_does_not_make_unknown_known():
    layout, facts = split_core()
    facts["cpus"]["each"] = None
    (finding,) = by_rule(engine.judge(layout, facts, None, {"cpu-smt-split": "a test machine"}), "cpu-smt-split")
    assert (finding.verdict, finding.severity) == ("unknown", "error")
    assert finding.blocks


def test_a_warning_can_be_waived_with_the_argument_instead_of_the_layout():
    layout = good_layout()
    layout["instances"]["web"]["console"] = None
    (finding,) = by_rule(engine.judge(layout, None, None, {"cmd-console-any": "watched by its channel"}), "cmd-console-any")
    assert finding.severity == "info"


def test_counts_add_up_to_all_rules_and_unknown_is_not_passed():
    layout, facts = good_layout(), good_facts()
    everything = len(engine.rules())
    alone = engine.count(engine.judge(layout))
    placed = engine.count(engine.judge(layout, facts, place(layout, facts)))
    assert sum(alone.values()) == sum(placed.values()) == everything
    assert placed == {"pass": everything, "fail": 0, "unknown": 0}
    assert alone["unknown"] > 30
    assert alone["fail"] == 0
    layout, facts = split_core()
    failed = engine.count(engine.judge(layout, facts))["fail"]
    assert engine.count(engine.judge(layout, facts, None, {"cpu-smt-split": "a test machine"}))["fail"] == failed - 1


def test_judging_changes_neither_layout_nor_facts():
    layout, facts = good_layout(), good_facts()
    placed = place(layout, facts)
    before = copy.deepcopy((layout, facts, placed))
    engine.judge(layout, facts, placed)
    assert (layout, facts, placed) == before


def test_judging_is_deterministic_and_follows_the_groups():
    layout, facts = good_layout(), good_facts("unprivileged")
    layout["instances"]["web"]["cpus"] = {"space": "logical", "ids": [0, 3], "count": None, "near": None, "whole_cores": False, "llc": None}
    first = engine.judge(layout, facts)
    assert first == engine.judge(copy.deepcopy(layout), copy.deepcopy(facts))
    group = {one["id"]: one["group"] for one in engine.rules()}
    groups = [group[finding.rule] for finding in first]
    order = [one.__name__.rsplit(".", 1)[-1] for one in engine.GROUPS]
    assert [order.index(one) for one in groups] == sorted(order.index(one) for one in groups)


def test_an_absent_instance_is_judged_by_its_name_only():
    layout = good_layout()
    layout["instances"]["gone"].update({"image": "none", "cmdline": "mem=1G\n", "console": {"device": "ttyS1"}})
    assert not [finding for finding in engine.judge(layout) if finding.verdict == "fail"]


def test_two_rules_cannot_have_one_id():
    with pytest.raises(ValueError, match="'cpu-some' is defined twice"):
        registry.rule("cpu-some", "error", "Title", "Why.")(lambda case: [])


def test_a_finding_becomes_plain_data():
    finding = Finding("cpu-some", "error", "fail", "web has no CPU.", ("instances", "web"), "give it one")
    assert finding.to_dict() == {
        "rule": "cpu-some",
        "severity": "error",
        "verdict": "fail",
        "message": "web has no CPU.",
        "path": ["instances", "web"],
        "hint": "give it one",
        "waived": None,
    }


@pytest.mark.parametrize(
    ("severity", "verdict", "blocks"), [("error", "fail", True), ("error", "unknown", True), ("warning", "fail", False)]
)
def test_errors_that_failed_or_are_unknown_block(severity, verdict, blocks):
    assert Finding("cpu-some", severity, verdict, "").blocks is blocks


def test_a_sibling_that_went_offline_is_still_of_the_same_core():
    facts = good_facts("smt")
    facts["cpus"]["each"]["3"]["siblings"] = [3]
    assert Case(good_layout(), facts, None).cores[3] == {3, 7}
    assert Case(good_layout(), facts, None).cores[7] == {3, 7}


def large(number):
    """A layout of that many instances with a CPU, memory and a channel each, and its machine."""
    layout = canonical.fill_defaults(
        {
            "name": "large",
            "pool": {"memory": [{"base": 1 << 40, "size": number * 64 * MIB}]},
            "images": {"debian": {"kernel": {"path": "/boot/vmlinuz"}}},
            "instances": {
                "i{0}".format(one): {
                    "image": "debian",
                    "cpus": {"ids": [one + 1]},
                    "memory": {"size": 32 * MIB, "base": (1 << 40) + one * 64 * MIB},
                    "cmdline": "quiet loglevel=3 role=worker",
                }
                for one in range(number)
            },
            "channels": {"c{0}".format(one): {"between": ["host", "i{0}".format(one)]} for one in range(number)},
        }
    )
    facts = good_facts()
    pattern = facts["cpus"]["each"]["1"]
    numbers = range(number + 1)
    facts["cpus"].update({"present": list(numbers), "online": list(numbers)})
    facts["cpus"]["each"] = {str(one): dict(pattern, apic_id=2 * one, siblings=[one]) for one in numbers}
    return layout, facts


def work(number):
    """Return how many bytecodes of the rules run for a layout of that many instances: no busy machine disturbs that."""
    layout, facts = large(number)
    placed = place(layout, facts)
    codes = 0

    def count(frame, event, _argument):
        nonlocal codes
        if "module_utils" not in frame.f_code.co_filename:
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        codes += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        engine.judge(layout, facts, placed)
    finally:
        sys.settrace(before)
    return codes


def test_the_work_grows_with_the_layout_and_not_with_its_square():
    # work(n) = a + b*n + c*n*n, and c is what one pairwise loop over instances would cost for each pair.
    first, second, third = work(16), work(32), work(64)
    pairwise = ((third - second) / 32 - (second - first) / 16) / 48
    assert pairwise < 1
