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
        ({}, "C", "C"),
        ({"translating": None}, "D", "C"),
        ({"translating": False}, "D", "D"),
        ({"remapping": False}, "C", "C"),
        ({"siblings": [2, 3]}, "D", "D"),
        ({"trust": "other"}, "F", "F"),
        ({"trust": "other", "waiver": "a test machine"}, "C", "C"),
    ],
)
def test_grades(given, proven, possible):
    one = found(**given)
    assert (one.proven, one.possible) == (proven, possible)


RELEASE = "6.1.0-56-amd64"
LOCKING = {"SECURITY_LOCKDOWN_LSM_EARLY": "y", "LOCK_DOWN_KERNEL_FORCE_INTEGRITY": None, "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY": None}


def best(**changes):
    """A layout and a machine that reach grade B by facts alone, but for what is changed."""
    given = {
        "words": " lockdown=integrity",
        "llc": None,
        "supported": True,
        "config": LOCKING,
        "release": RELEASE,
        "flat": False,
        **changes,
    }
    layout, facts = good_layout(), good_facts()
    facts["iommu"] = {"translating": True, "interrupt_remapping": True}
    for number, one in facts["cpus"]["each"].items():
        one["llc"] = [int(number)] if given["llc"] is None else given["llc"]
    facts["cache_allocation"] = {"supported": given["supported"]}
    facts["kernel"].update(release=given["release"], config=given["config"])
    for one in layout["images"].values():
        one["cmdline"] += given["words"]
        one["format"] = "flat" if given["flat"] else "bzimage"
        file = facts["images"][one["kernel"]["path"]]
        file["header"] = {**(file["header"] or {}), "kernel_version": RELEASE + " (debian-kernel@lists.debian.org) #1 SMP"}
    return grades.grade(Ground(place(layout, facts), facts))


def told(one):
    return "; ".join(condition.sentence for condition in one.against("B"))


def test_grade_b_is_proven_by_facts_alone():
    one = best()
    assert (one.proven, one.possible, told(one)) == ("B", "B", "")


@pytest.mark.parametrize(
    ("changes", "possible", "sentence"),
    [
        ({"llc": [0, 1, 2, 3], "supported": False}, "C", "share a last-level cache, and these CPUs cannot partition it"),
        ({"llc": [0, 1, 2, 3]}, "B", "(these CPUs could) cannot be read from outside their CPUs"),
        ({"llc": []}, "B", "is not known"),
        ({"words": ""}, "C", "not locked down"),
        ({"flat": True}, "C", "not locked down"),
        ({"config": None}, "B", "was built to lock itself down is not known"),
        ({"release": "6.12.0"}, "B", "was built to lock itself down is not known"),
        ({"config": {"KEXEC": "y"}}, "B", "was built to lock itself down is not known"),
        ({"config": {**LOCKING, "SECURITY_LOCKDOWN_LSM_EARLY": None}}, "C", "not locked down"),
    ],
)
def test_what_is_missing_for_grade_b_is_said_and_what_is_not_known_never_counts(changes, possible, sentence):
    one = best(**changes)
    assert (one.proven, one.possible) == ("C", possible)
    assert sentence in told(one)


def test_a_kernel_that_was_built_to_lock_itself_needs_no_word():
    assert best(words="", config={**LOCKING, "LOCK_DOWN_KERNEL_FORCE_INTEGRITY": "y"}).proven == "B"


def test_grade_a_is_never_possible():
    assert found().reaches("A") is False
    assert [one.sentence for one in best().against("A")] == ["no hypervisor stands between the kernels of a multikernel machine"]
    assert best().reaches("A") is False


@pytest.mark.parametrize(("wanted", "reached"), [("F", True), ("D", True), ("C", None), ("B", False), ("A", False)])
def test_what_is_not_known_is_neither_reached_nor_refused(wanted, reached):
    assert found(translating=None).reaches(wanted) is reached


def test_without_facts_grade_d_is_proven_and_c_possible():
    one = grades.grade(Ground(good_layout(), None))
    assert (one.proven, one.possible) == ("D", "C")


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
