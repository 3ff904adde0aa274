# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A grade is proven by facts alone; a missing fact leaves it possible and no more."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._isolation import grade as grades
from ansible_collections.multikernel.core.plugins.module_utils._isolation.ground import Ground

from .support import good_facts, good_layout, place


def found(translating=True, remapping=True, siblings=None, trust=None, waiver=None):
    layout, facts = good_layout(), good_facts()
    facts["iommu"] = {"translating": translating, "interrupt_remapping": remapping}
    if siblings is not None:
        for number in siblings:
            facts["cpus"]["each"][str(number)]["siblings"] = siblings
    layout["instances"]["rt"]["trust"] = trust
    layout["waivers"] = {"sec-one-trust": waiver} if waiver else {}
    return grades.grade(Ground(place(layout, facts), facts))


@pytest.mark.parametrize(
    ("given", "proven", "possible"),
    [
        ({}, "C", "B"),
        ({"translating": None}, "D", "B"),
        ({"translating": False}, "D", "D"),
        ({"remapping": False}, "C", "C"),
        ({"siblings": [2, 3]}, "D", "D"),
        ({"trust": "other"}, "F", "F"),
        ({"trust": "other", "waiver": "a test machine"}, "C", "B"),
    ],
)
def test_grades(given, proven, possible):
    one = found(**given)
    assert (one.proven, one.possible) == (proven, possible)


def test_grade_a_is_never_possible():
    assert found().reaches("A") is False
    assert next(one.sentence for one in found().against("A")).startswith("no hypervisor")


@pytest.mark.parametrize(("wanted", "reached"), [("F", True), ("D", True), ("C", None), ("B", None), ("A", False)])
def test_what_is_not_known_is_neither_reached_nor_refused(wanted, reached):
    assert found(translating=None).reaches(wanted) is reached


def test_without_facts_grade_d_is_proven_and_b_possible():
    one = grades.grade(Ground(good_layout(), None))
    assert (one.proven, one.possible) == ("D", "B")


def test_a_grade_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="substring not found"):
        found().reaches("E")


@pytest.mark.parametrize("kernels", [10, 1000])
def test_cores_of_many_instances_are_looked_at_once(kernels):
    layout, facts = good_layout(), good_facts()
    one = layout["instances"]["rt"]
    layout["instances"] = {str(number): {**one, "cpus": {**one["cpus"], "ids": [number]}} for number in range(2, kernels)}
    layout["channels"] = {}
    each = facts["cpus"]["each"]["1"]
    facts["cpus"]["each"] = {str(number): {**each, "siblings": [number]} for number in range(kernels)}
    facts["iommu"] = {"translating": True}
    assert grades.grade(Ground(layout, facts)).proven == "C"
