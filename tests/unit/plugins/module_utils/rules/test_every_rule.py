# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule passes what is right, refuses what is wrong in the words written down here, and says when it does not know."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine

from . import (
    cases_channel,
    cases_cmdline,
    cases_cpu,
    cases_device,
    cases_host,
    cases_image,
    cases_kernfs,
    cases_memory,
    cases_ram,
    cases_topology,
    cases_words,
    examples,
)
from .support import good_facts, good_layout, place

MODULES = (
    cases_cpu,
    cases_topology,
    cases_memory,
    cases_ram,
    cases_image,
    cases_cmdline,
    cases_words,
    cases_channel,
    cases_device,
    cases_host,
    cases_kernfs,
)
CASES = [case for module in MODULES for case in module.CASES]
RULES = {one["id"]: one for one in engine.rules()}
# What fails besides in the cases of a rule, and why that is another thing and not the same one told twice.
BESIDES = {
    "con-gate": ({"cmd-console-any"}, "who has no console lacks it for both"),
    "cpu-overlap": ({"cpu-id-kind"}, "the case needs both kinds of CPU numbers"),
    "cpu-bsp-host": ({"cpu-enough"}, "host.cpus without the boot CPU keeps one CPU more from the instances"),
    "cpu-flags-equal": ({"cpu-enough"}, "the case gives rt one CPU more than the host can spare"),
    "cpu-hybrid": ({"cpu-enough"}, "the case gives rt one CPU more than the host can spare"),
    "cpu-mem-local": ({"mem-in-pool"}, "the memory of the other node is outside the pool"),
    "mem-positive": ({"mem-in-pool", "mem-sum"}, "in a pool of size zero nothing lies and nothing fits"),
    "mem-overlap": ({"mem-in-pool", "mem-sum"}, "the chunks that overlap leave no room for rt"),
    "mem-host-unused": ({"mem-in-pool", "mem-sum", "mem-movable"}, "rt keeps its address when the pool moves away; the new pool is small"),
    "mem-mmio": ({"mem-in-pool", "mem-sum", "mem-2m"}, "rt keeps its address when the pool moves away; the new pool is small"),
    "mem-guard": ({"chan-trust", "sec-one-trust"}, "kernels of two labels are also on one machine, and talk"),
    "cmd-host-ipi": ({"mem-host-unused"}, "the command line of the case reserves no memory"),
    "host-memmap": ({"mem-host-unused"}, "the word that is no size and address reserves nothing"),
    "img-unused": ({"cmd-console-any", "mem-head"}, "rt boots Linux then, in 16 MiB and without a console"),
    "cmd-ip-unique": ({"cmd-console-any", "img-unused", "mem-in-pool", "mem-sum"}, "rt boots Linux then, and asks for more memory"),
    "chan-shm-private": ({"mem-in-pool"}, "the area of the case begins before the pool"),
    "chan-trust": ({"sec-one-trust"}, "kernels of two labels are also on one machine"),
    "sec-one-trust": ({"chan-trust"}, "the two kernels also talk"),
    "sec-grade": ({"chan-trust", "sec-one-trust"}, "the grade falls because of two labels, which also talk"),
    "chan-numa": ({"chan-doorbell"}, "the ends of the case are put on one node by hand"),
}
# No machine of the tests has an IOMMU in the cases of devices.
BESIDES.update({rule: ({"dev-iommu"}, "no IOMMU confines the card of the case") for rule in RULES if rule.startswith("dev-")})
BESIDES["dev-iommu"] = (set(), "")
BESIDES["dev-irq-remap"] = ({"dev-mapped"}, "the card of the case is confined, and mkstock cannot use that")
BESIDES["con-reserve"] = BESIDES["cmd-pci"] = BESIDES["dev-msi"]
NEEDS = [(one["id"], need) for one in engine.rules() for need in one["needs"]]


def findings(case):
    layout, facts = good_layout(), good_facts(case.machine)
    case.change(layout, facts)
    placed = None
    if case.placed:
        placed = place(layout, facts)
        if case.after is not None:
            case.after(placed, facts)
    found = engine.judge(layout, facts if case.facts else None, placed)
    return [finding for finding in found if finding.rule == case.rule]


def failing(case):
    """The rules that fail in a case and do not on the machine as it is."""
    facts = good_facts(case.machine)
    before = engine.judge(good_layout(), facts if case.facts else None, place(good_layout(), facts) if case.placed else None)
    layout, facts = good_layout(), good_facts(case.machine)
    case.change(layout, facts)
    placed = None
    if case.placed:
        placed = place(layout, facts)
        if case.after is not None:
            case.after(placed, facts)
    after = engine.judge(layout, facts if case.facts else None, placed)
    usual = {finding.rule for finding in before if finding.verdict == "fail"}
    return {finding.rule for finding in after if finding.verdict == "fail"} - usual


def name_of(case):
    return "{0}-{1}".format(case.rule, case.verdict if case.sentence else "pass")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_rule_says_what_is_wrong_and_nothing_when_all_is_right(case):
    found = findings(case)
    if case.sentence is None:
        assert found == []
        return
    matching = [finding for finding in found if finding.verdict == case.verdict]
    assert [finding.message for finding in matching][:1] == [case.sentence]
    assert matching[0].severity == (case.severity or RULES[case.rule]["severity"])


@pytest.mark.parametrize("case", [case for case in CASES if case.sentence], ids=name_of)
def test_a_finding_leads_to_a_place_in_the_layout_and_is_a_sentence(case):
    layout, facts = good_layout(), good_facts(case.machine)
    case.change(layout, facts)
    for finding in findings(case):
        assert finding.message.endswith(".")
        assert "{" not in finding.message.replace("{device", "")
        value = layout
        for step in finding.path:
            assert isinstance(value, (dict, list)), finding
            assert step in value if isinstance(value, dict) else step < len(value), finding
            value = value[step]


def test_the_good_layout_breaks_no_rule_on_the_lab_machine():
    layout, facts = good_layout(), good_facts()
    canonical.check_shape(layout)
    placed = place(layout, facts)
    canonical.check_shape(placed)
    assert engine.judge(layout, facts, placed) == []


def test_every_rule_has_a_case_that_fails():
    failing = {case.rule for case in CASES if case.sentence and case.verdict == "fail"}
    assert failing == set(RULES)


def test_every_case_is_of_a_rule():
    assert {case.rule for case in CASES} == set(RULES)


@pytest.mark.parametrize(("rule", "need"), NEEDS, ids=["{0}-without-{1}".format(*pair) for pair in NEEDS])
def test_a_missing_fact_makes_a_rule_unknown_and_never_passed(rule, need):
    layout, facts = good_layout(), good_facts()
    placed = place(layout, facts)
    *parents, last = need.split(".")
    target = facts
    for parent in parents:
        target = target[parent]
    target[last] = None
    found = [finding for finding in engine.judge(layout, facts, placed) if finding.rule == rule]
    assert [finding.verdict for finding in found] == ["unknown"]
    assert need in found[0].message


@pytest.mark.parametrize("rule", sorted({pair[0] for pair in NEEDS}))
def test_without_facts_a_rule_that_needs_them_says_once_that_it_does_not_know(rule):
    found = [finding for finding in engine.judge(good_layout()) if finding.rule == rule]
    assert [finding.verdict for finding in found] == ["unknown"]
    assert found[0].message.startswith(RULES[rule]["title"])


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_explains_itself(rule):
    one = RULES[rule]
    assert one["severity"] in ("error", "warning", "info")
    assert one["title"]
    assert one["title"][0].isupper()
    assert not one["title"].endswith(".")
    assert one["why"].endswith(".")
    assert one["anchor"]
    assert one["group"] in [group.__name__.rsplit(".", 1)[-1] for group in engine.GROUPS]


FAILING = [case for case in CASES if case.sentence and case.verdict == "fail"]


@pytest.mark.parametrize("case", FAILING, ids=name_of)
def test_what_is_wrong_is_told_by_one_rule(case):
    besides, _why = BESIDES.get(case.rule, (set(), ""))
    assert failing(case) - {case.rule} <= besides


def test_no_rule_fails_only_together_with_another():
    """Two rules that never fail without each other say the same thing."""
    alone = {case.rule for case in FAILING if not failing(case) - {case.rule}}
    together = {rule: set.intersection(*(failing(case) for case in FAILING if case.rule == rule)) for rule in set(RULES) - alone}
    pairs = [(rule, other) for rule, others in together.items() for other in others - {rule} if rule in together.get(other, ())]
    assert pairs == []


def test_what_fails_besides_is_no_stale_excuse():
    told = {rule: set().union(*(failing(case) for case in FAILING if case.rule == rule)) for rule in BESIDES}
    assert {rule: others - told[rule] for rule, (others, _why) in BESIDES.items() if others - told[rule]} == {}


def test_every_rule_has_a_layout_that_passes_it_when_the_facts_are_known():
    # The good layout on the lab's machine is that layout (see above), and here is that the rule was really asked.
    layout, facts = good_layout(), good_facts()
    verdicts = {finding.rule for finding in engine.judge(layout, facts, place(layout, facts))}
    assert verdicts == set()


def test_the_examples_of_mkl_explain_are_those_of_the_cases():
    if not examples.FILE.exists():
        pytest.skip("only the target ring is here")
    assert examples.FILE.read_text() == examples.text(examples.made(CASES)), "run the module examples.py beside this file"
