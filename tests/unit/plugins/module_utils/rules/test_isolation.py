# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every ordered pair gets one verdict for each way, each stands on named evidence, and nothing that is not known counts as shut."""

from __future__ import annotations

import itertools
import json

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._isolation import fate, vector, verdict
from ansible_collections.multikernel.core.plugins.module_utils._isolation.ground import Ground
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine

from .machine_pci import CARD
from .support import good_facts, good_layout, place

RULES = {one["id"] for one in engine.rules()}


def ground(machine="lab-mkstock", change=None):
    layout, facts = good_layout(), good_facts(machine)
    if change:
        change(layout, facts)
    return Ground(place(layout, facts), facts)


def set_iommu(**values):
    def change(_layout, facts):
        facts["iommu"] = values

    return change


def words(text):
    return lambda layout, _facts: layout["instances"]["web"].update(cmdline=text)


def one(found, source, target, way):
    return verdict.judge(found, source, target)[way]


def test_every_ordered_pair_has_one_verdict_for_every_way():
    found = ground()
    pairs = verdict.pairs(found)
    assert pairs == [("host", "rt"), ("host", "web"), ("rt", "host"), ("rt", "web"), ("web", "host"), ("web", "rt")]
    for pair in pairs:
        assert list(verdict.judge(found, *pair)) == [each.id for each in vector.VECTORS]


@pytest.mark.parametrize("facts", [None, "lab-mkstock", "smt", "two-sockets"])
def test_every_verdict_names_its_evidence_and_every_rule_in_it_exists(facts):
    found = ground(facts) if facts else Ground(good_layout(), None)
    for pair, (way, cell) in itertools.product(verdict.pairs(found), [*verdict.judge(found, "host", "web").items()]):
        cell = one(found, *pair, way)
        assert cell.verdict in vector.VERDICTS
        assert cell.why
        assert not cell.why.endswith(".")
        assert cell.evidence
        for evidence in cell.evidence:
            kind, _colon, rest = evidence.partition(":")
            assert kind in ("fact", "layout", "rule", "nature")
            assert kind != "rule" or rest in RULES


def test_without_facts_nothing_that_depends_on_the_machine_is_told():
    found = Ground(good_layout(), None)
    for pair in verdict.pairs(found):
        for way in ("dma", "irq", "core", "llc", "dram", "starvation"):
            assert one(found, *pair, way).verdict == "unknown"
    assert one(found, "web", "rt", "ram").verdict == "unknown"  # nobody looked into /boot/vmlinuz
    assert one(found, "host", "rt", "ipi").verdict == "unknown"


def test_memory_is_kept_by_the_kernel_itself_and_by_nothing_in_a_payload():
    found = ground()
    assert one(found, "web", "rt", "ram").verdict == "prevented-by-own-software"
    assert one(found, "rt", "web", "ram").verdict == "open"


def test_memory_that_two_kernels_are_given_is_open_whoever_they_are():
    found = ground()
    found.layout["instances"]["rt"]["placed"]["base"] = found.layout["instances"]["web"]["placed"]["base"]
    assert one(found, "web", "rt", "ram").verdict == "open"


def test_no_pair_is_ever_told_that_hardware_keeps_memory_interrupts_or_reset():
    found = ground(change=set_iommu(translating=True, interrupt_remapping=True))
    for pair in verdict.pairs(found):
        for way in ("ram", "registers", "ipi", "msr", "reset", "crash", "channel"):
            assert one(found, *pair, way).verdict != "prevented-by-hardware"


@pytest.mark.parametrize(
    ("value", "of_web", "of_rt"),
    [(None, "unknown", "unknown"), (True, "prevented-by-hardware", "prevented-by-hardware"), (False, "prevented-by-own-software", "open")],
)
def test_devices_are_judged_by_the_iommu_and_what_is_not_known_is_not_passed(value, of_web, of_rt):
    found = ground(change=set_iommu(translating=value, interrupt_remapping=value))
    for way in ("dma", "irq"):
        assert one(found, "web", "rt", way).verdict == of_web
        assert one(found, "rt", "web", way).verdict == of_rt


def with_card(kind, group):
    def change(layout, facts):
        layout["instances"]["web"]["devices"] = [{"pci": CARD, "vendor": None, "device": None, "alias": None}]
        facts["iommu"] = {"translating": True, "interrupt_remapping": False}
        facts["pci"]["functions"][CARD].update(iommu_group=group, iommu_type=kind)

    return change


@pytest.mark.parametrize(
    ("kind", "group", "expected"),
    [("DMA", 3, "prevented-by-hardware"), ("identity", 3, "open"), (None, 3, "unknown"), (None, None, "open")],
)
def test_dma_of_a_kernel_with_devices_is_judged_by_what_confines_those(kind, group, expected):
    found = ground(change=with_card(kind, group))
    cell = one(found, "web", "host", "dma")
    assert cell.verdict == expected
    assert CARD in cell.why
    assert one(found, "rt", "web", "dma").verdict == "prevented-by-hardware"


def test_interrupts_of_a_kernel_with_devices_are_open_without_remapping():
    cell = one(ground(change=with_card("DMA", 3)), "web", "rt", "irq")
    assert cell.verdict == "open"
    assert CARD in cell.why


def test_device_that_the_facts_do_not_know_is_not_passed():
    def change(layout, facts):
        with_card("DMA", 3)(layout, facts)
        facts["pci"] = None

    assert one(ground(change=change), "web", "host", "dma").verdict == "unknown"


def test_interrupts_of_a_payload_are_noticed_where_heartbeats_are_watched():
    found = ground()
    cell = one(found, "rt", "web", "ipi")
    assert cell.verdict == "detected"
    assert "after 30 s" in cell.why
    assert "layout:instances.web.health" in cell.evidence
    assert one(found, "rt", "host", "ipi").verdict == "open"


@pytest.mark.parametrize(
    ("text", "way", "expected"),
    [
        ("no_ipi_broadcast=0", "ipi", "open"),
        ("pci=nomsi", "registers", "open"),
        ("pci=nomsi", "dma", "open"),
        ("panic=10", "crash", "open"),
        ("panic=0", "crash", "prevented-by-own-software"),
        ("quiet", "ipi", "prevented-by-own-software"),
        ("quiet", "registers", "prevented-by-own-software"),
    ],
)
def test_words_on_its_command_line_open_what_a_kernel_would_keep_shut(text, way, expected):
    assert one(ground(change=words(text)), "web", "rt", way).verdict == expected


@pytest.mark.parametrize(
    ("provider", "cmdline", "expected"),
    [
        ("mkstock", "quiet", "prevented-by-own-software"),
        ("kernel", "quiet", "open"),
        ("kernel", "quiet no_ipi_broadcast=1", "prevented-by-own-software"),
        (None, None, "unknown"),
    ],
)
def test_broadcasts_of_the_host(provider, cmdline, expected):
    def change(_layout, facts):
        facts["dialect"]["provider"], facts["kernel"]["cmdline"] = provider, cmdline

    assert one(ground(change=change), "host", "rt", "ipi").verdict == expected


def test_threads_of_one_core_are_open_and_cores_of_their_own_are_kept_by_hardware():
    def siblings(_layout, facts):
        facts["cpus"]["each"]["3"]["siblings"] = [2, 3]  # CPU 2 has forgotten: it is offline

    assert one(ground(), "web", "rt", "core").verdict == "prevented-by-hardware"
    assert one(ground(change=siblings), "web", "rt", "core").verdict == "open"
    assert one(ground(change=siblings), "rt", "web", "core").verdict == "open"


def test_kernels_on_two_sockets_share_no_cache_but_still_the_machine():
    def far(layout, _facts):
        layout["instances"]["rt"]["cpus"] = {**layout["instances"]["rt"]["cpus"], "ids": [4], "count": None}
        layout["instances"]["web"]["cpus"] = {**layout["instances"]["web"]["cpus"], "ids": [1], "count": None}

    found = ground("two-sockets", far)
    assert one(found, "web", "rt", "llc").verdict == "prevented-by-hardware"
    assert [one(found, "web", "rt", way).verdict for way in ("msr", "reset")] == ["open", "open"]
    assert {each.name for each in fate.fates(found) if set(each.kernels) >= {"web", "rt"}} >= {"the machine", "the host kernel"}
    assert not [each for each in fate.fates(found) if each.kind == "package" and set(each.kernels) >= {"web", "rt"}]


def test_declared_channels_are_told_as_open_between_their_ends_alone():
    found = ground()
    assert one(found, "web", "rt", "channel").evidence == ("layout:channels.feed",)
    assert one(found, "host", "rt", "channel").verdict == "prevented-by-own-software"


@pytest.mark.parametrize("part", ["cpus", "memory", "iommu", "kernel", "dialect", "images"])
@pytest.mark.parametrize("lie", [None, "text", 7, [], {}, {"each": {"x": 1, "1": {"siblings": "0-3", "llc": [None], "node": "a"}}}])
def test_lies_in_the_facts_never_raise_and_never_shut_a_way(part, lie):
    layout, facts = good_layout(), good_facts()
    placed = place(layout, facts)
    facts[part] = lie
    found = Ground(placed, facts)
    for pair in verdict.pairs(found):
        verdict.judge(found, *pair)
    fate.fates(found)
    if part == "iommu":
        assert one(found, "web", "rt", "dma").verdict == "unknown"


def test_the_order_of_names_in_the_layout_changes_nothing():
    layout, facts = place(good_layout(), good_facts()), good_facts()
    turned = json.loads(json.dumps(layout))
    turned["instances"] = dict(reversed(turned["instances"].items()))
    left, right = Ground(layout, facts), Ground(turned, facts)
    assert verdict.pairs(left) == verdict.pairs(right)
    assert all(verdict.judge(left, *pair) == verdict.judge(right, *pair) for pair in verdict.pairs(left))
