# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The isolation report names every way by name, says what it stands on, and promises nothing."""

from __future__ import annotations

import copy
import itertools
import json
import typing as t

import jsonschema
import pytest
from ansible_collections.multikernel.core.plugins.module_utils._isolation import vector
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._report import difference, isolation, shape

Plain = dict[str, t.Any]


@pytest.fixture
def machine(machine: Plain) -> Plain:
    machine["images"] = {"/boot/vmlinuz": {"kind": "bzimage"}}
    machine["iommu"] = {"present": False, "translating": False, "interrupt_remapping": False, "groups": 0}
    return machine


@pytest.fixture
def placed(good: Plain, machine: Plain) -> Plain:
    return place(load_layout(good), machine, None)


def test_summary_of_a_machine_letter_by_letter(placed: Plain, machine: Plain) -> None:
    assert isolation.summary(placed, machine) == (
        """\
Isolation grade D: no IOMMU confines all devices. No hypervisor stands between host, rt and web.
  open, each to each: MSRs and WBINVD; machine reset; side channels of the cache; side channels of
    DRAM; starvation
  open, at worst: RAM; device registers; device DMA; device interrupts; IPI, NMI, INIT; crash;
    declared channels
  prevented by hardware, each to each: side channels of a core
mkl report tells what stands in each way, for each ordered pair, and what a hypervisor would do."""
    )


def test_summary_without_a_machine_says_what_is_not_known(good: Plain) -> None:
    text = isolation.summary(load_layout(good))
    assert text.startswith("Isolation grade D, at best C: whether an IOMMU confines devices is not known;")
    assert "not known, each to each: device DMA; device interrupts; side channels of a core" in text


@pytest.mark.parametrize("facts", [True, False])
def test_report_follows_its_published_schema_and_is_plain_json(good: Plain, placed: Plain, machine: Plain, facts: bool) -> None:
    found = isolation.report(placed, machine) if facts else isolation.report(load_layout(good))
    assert json.loads(json.dumps(found)) == found
    validator = jsonschema.Draft202012Validator(shape.SCHEMA)
    assert [error.message for error in validator.iter_errors(found)] == []


@pytest.mark.parametrize("change", [("grade", "proven", "E"), ("version", 2), ("pairs", 0, "ways", "ram", "evidence", [])])
def test_schema_refuses_what_is_no_report(placed: Plain, machine: Plain, change: tuple[t.Any, ...]) -> None:
    found = isolation.report(placed, machine)
    *path, last, value = change
    target: t.Any = found
    for step in path:
        target = target[step]
    target[last] = value
    assert list(jsonschema.Draft202012Validator(shape.SCHEMA).iter_errors(found))


def test_published_schemas_are_those_in_the_code(top: t.Any) -> None:
    assert (top / "schemas/isolation.schema.json").read_text() == shape.schema_text()
    assert (top / "schemas/isolation-difference.schema.json").read_text() == shape.schema_text(shape.DIFFERENCE)


@pytest.mark.parametrize("way", ["back", "forth", "none"])
def test_a_difference_follows_its_published_schema(good: Plain, placed: Plain, machine: Plain, way: str) -> None:
    fewer = load_layout({**good, "instances": {"web": {**good["instances"]["web"], "cmdline": "panic=10", "health": None}}, "channels": {}})
    one, two = isolation.report(placed, machine), isolation.report(fewer, machine)
    given = {"back": (one, two), "forth": (two, one), "none": (one, one)}[way]
    found = difference.compare(*given)
    assert {change["kind"] for change in found["changes"]} >= {"back": {"gone"}, "forth": {"new"}, "none": set()}[way]
    jsonschema.Draft202012Validator.check_schema(shape.DIFFERENCE)
    assert [error.message for error in jsonschema.Draft202012Validator(shape.DIFFERENCE).iter_errors(found)] == []


@pytest.mark.parametrize(
    ("key", "value"), [("version", 2), ("worse", None), ("changes", [{"kind": "new", "before": "open"}]), ("grade", {"before": "C"})]
)
def test_the_schema_refuses_what_is_no_difference(placed: Plain, machine: Plain, key: str, value: t.Any) -> None:
    found = difference.compare(isolation.report(placed, machine), isolation.report(placed, machine))
    assert list(jsonschema.Draft202012Validator(shape.DIFFERENCE).iter_errors({**found, key: value}))


def test_digest_names_the_declared_layout_whatever_its_places(good: Plain, placed: Plain, machine: Plain) -> None:
    assert isolation.report(placed, machine)["layout"] == isolation.report(load_layout(good))["layout"]


def test_every_way_stands_beside_what_a_hypervisor_would_do(placed: Plain, machine: Plain) -> None:
    text = isolation.text(isolation.report(placed, machine))
    for way in vector.VECTORS:
        (row,) = [line for line in text.splitlines() if line.startswith(f"{way.title}  ")]
        assert isolation.SHORT[way.hypervisor] in row
        assert f"{way.title.upper()}: {way.what}" in text


def test_text_tells_who_reaches_whom_and_what_that_stands_on(placed: Plain, machine: Plain) -> None:
    text = isolation.text(isolation.report(placed, machine))
    assert "  open: rt → all others\n    it is no Linux: it starts with the first 4 GiB mapped" in text
    assert "  detected: rt → web\n" in text
    assert "  open: host → web; web → host\n    beat: both can read and change all of it" in text
    assert "[fact:iommu.translating]" in text


def test_text_names_the_minimum_grade_and_whether_it_is_reached(good: Plain, machine: Plain) -> None:
    good["policy"] = {"isolation": {"minimum_grade": "C"}}
    layout = load_layout(good)
    assert "The layout asks for grade C, which is NOT reached." in isolation.text(isolation.report(place(layout, machine, None), machine))
    assert "The layout asks for grade C, which is not known to be reached." in isolation.text(isolation.report(layout))


def test_the_word_isolated_is_never_used_and_no_line_is_too_long(placed: Plain, machine: Plain) -> None:
    for text in (isolation.summary(placed, machine), isolation.text(isolation.report(placed, machine))):
        assert "isolated" not in text
        assert max(map(len, text.splitlines())) <= 102


def test_ascii_text_has_nothing_but_ascii(placed: Plain, machine: Plain) -> None:
    isolation.summary(placed, machine, True).encode("ascii")
    isolation.text(isolation.report(placed, machine), True).encode("ascii")


def test_named_kernels_narrow_the_pairs_and_too_many_pairs_are_refused(good: Plain) -> None:
    layout = load_layout(good)
    found = isolation.report(layout, None, ["rt"])
    assert [(one["from"], one["to"]) for one in found["pairs"]] == [("host", "rt"), ("rt", "host"), ("rt", "web"), ("web", "rt")]
    one = layout["instances"]["rt"]
    layout["instances"] = {f"i{number}": one for number in range(200)}
    with pytest.raises(isolation.TooManyPairsError, match="201 kernels make 40200 ordered pairs"):
        isolation.report(layout)
    assert len(isolation.report(layout, None, ["i7"])["pairs"]) == 400


def test_nothing_changed_between_a_layout_and_itself(placed: Plain, machine: Plain) -> None:
    found = difference.compare(isolation.report(placed, machine), isolation.report(copy.deepcopy(placed), machine))
    assert found == {
        "format": "multikernel-isolation-difference",
        "version": 1,
        "worse": False,
        "grade": {"before": "D", "after": "D"},
        "changes": [],
    }
    assert difference.text(found) == "isolation grade: D, as before\nno way opened and none closed"


def test_what_opened_one_way_closed_the_other(good: Plain, placed: Plain, machine: Plain) -> None:
    good["instances"]["web"]["cmdline"] = "panic=10"
    other = place(load_layout(good), machine, None)
    one, two = isolation.report(placed, machine), isolation.report(other, machine)
    there, back = difference.compare(one, two), difference.compare(two, one)
    assert [(each["kind"], each["from"], each["to"], each["vector"]) for each in there["changes"]] == [
        ("opened", "web", "host", "crash"),
        ("opened", "web", "rt", "crash"),
    ]
    assert (there["worse"], back["worse"]) == (True, False)
    assert {each["kind"] for each in back["changes"]} == {"closed"}
    assert "opened  crash  web → host  own software → open  its panic=10 resets the machine" in difference.text(there)


def test_a_fact_that_is_lost_counts_as_opened(placed: Plain, machine: Plain) -> None:
    before = isolation.report(placed, machine)
    machine["iommu"] = None
    found = difference.compare(before, isolation.report(placed, machine))
    assert found["worse"] is True
    assert {each["vector"] for each in found["changes"]} == {"dma", "irq"}


def test_a_new_kernel_is_worse_only_where_it_brings_what_was_not_there_before(good: Plain, placed: Plain, machine: Plain) -> None:
    without = copy.deepcopy(good)
    without["channels"].pop("feed")
    without["instances"].pop("rt")
    small = isolation.report(place(load_layout(without), machine, None), machine)
    large = isolation.report(placed, machine)
    grown, shrunk = difference.compare(small, large), difference.compare(large, small)
    assert (grown["worse"], shrunk["worse"]) == (True, False)
    assert {each["kind"] for each in shrunk["changes"]} == {"gone"}
    assert "new: rt → host: " in difference.text(grown)
    assert grown["changes"] == [each for each in grown["changes"] if "rt" in (each["from"], each["to"])]


def test_worst_comes_first_in_the_order_of_verdicts() -> None:
    for better, worse in itertools.pairwise(vector.VERDICTS):
        pair = {"from": "a", "to": "b"}
        one, two = (
            {"grade": {"proven": "D"}, "pairs": [{**pair, "ways": {"ram": {"verdict": verdict, "why": "w"}}}]}
            for verdict in (better, worse)
        )
        assert difference.compare(one, two)["worse"] is True
        assert difference.compare(two, one)["worse"] is False
