# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refusal names no request too many, and every way out that it offers is one."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan import conflict
from ansible_collections.multikernel.core.plugins.module_utils._plan.cores import Chooser
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import PlacementError, place
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.plan.test_place import facts, layout
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, instance
from hypothesis import given, settings
from hypothesis import strategies as st


class Knapsack(conflict.Problem):
    """Numbers that must not exceed a sum; a few pairs never go together."""

    def __init__(self, numbers, room, pairs=()):
        self.requests, self.room, self.pairs = [[one] for one in numbers], room, pairs

    def solve(self, requests):
        values = [one[0] for one in requests]
        if sum(values) > self.room or any(low in values and high in values for low, high in self.pairs):
            return conflict.Refusal(requests[-1], "too much", "less")
        return None

    def ways(self, request, fits):
        way = conflict.Way(9, "without", (request[0],), request, None)
        return [way] if fits(way) else []


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 30), max_size=24), st.integers(5, 60), st.lists(st.tuples(st.integers(0, 15), st.integers(16, 30)), max_size=3)
)
def test_every_request_of_a_conflict_is_needed_for_it(numbers, room, pairs):
    problem = Knapsack(numbers, room, pairs)
    refusal = problem.solve(problem.requests) if numbers else None
    if refusal is None:
        return
    seen = set()
    for found in conflict.explain(problem, refusal):
        assert found.minimal
        assert problem.solve(found.requests) is not None
        for one in found.requests:
            rest = [other for other in found.requests if other is not one]
            assert not rest or problem.solve(rest) is None
        assert seen.isdisjoint(map(id, found.requests))
        seen |= set(map(id, found.requests))
    left = [one for one in problem.requests if id(one) not in seen]
    assert len(seen) and (not left or problem.solve(left) is None or len(seen) >= conflict.MOST_CONFLICTS)


def without(chosen, path):
    """The layout without one request."""
    less = copy.deepcopy(chosen)
    if path == ["host", "cpus"]:
        less["host"]["cpus"] = None
    else:
        del less[path[0]][path[1]]
    return less


def only(chosen, paths):
    """The layout with nothing but what a conflict names."""
    names = {path[1] for path in paths if path[0] == "instances"}
    less = copy.deepcopy(chosen)
    less["instances"] = {name: one for name, one in less["instances"].items() if name in names}
    less["channels"] = {name: one for name, one in less["channels"].items() if ["channels", name] in paths}
    if ["host", "cpus"] not in paths:
        less["host"]["cpus"] = None
    return less


WISH = st.fixed_dictionaries(
    {
        "count": st.integers(1, 5),
        "whole_cores": st.booleans(),
        "llc": st.sampled_from([None, None, "own"]),
        "pick": st.sampled_from(["packed", "spread"]),
    }
)
INSTANCE = st.builds(
    lambda wish, ids, size, base: instance(
        image="tiny",
        cpus=wish if ids is None else {"ids": ids, "count": None},
        memory={"size": size * 2 * MIB, "base": None if base is None else 0x40000000 + base * 2 * MIB},
    ),
    WISH,
    st.none() | st.lists(st.integers(1, 11), min_size=1, max_size=3, unique=True),
    st.integers(1, 150),
    st.none() | st.integers(0, 100),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(INSTANCE, min_size=2, max_size=6), st.lists(st.integers(1, 11), max_size=2))
def test_a_layout_of_nothing_but_a_conflict_fits_without_any_one_of_its_requests(some, host):
    bundle = facts(threads=2, cpus=12, caches=[[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]])
    chosen = layout(**{"i%d" % number: one for number, one in enumerate(some)})
    chosen["host"]["cpus"] = [0] + sorted(set(host))
    try:
        place(chosen, bundle)
    except PlacementError as error:
        for one in error.conflicts:
            paths = [request["path"] for request in one["requests"]]
            kind = {path[-1] for path in paths if path[0] == "instances"} | {path[1] for path in paths if path[0] == "host"}
            assert one["minimal"] and len(kind) == 1
            for path in paths:
                rest = [other for other in paths if other != path]
                assert not clashes(only(chosen, rest), bundle, kind), (paths, path)
            if len(paths) > 1:
                assert clashes(only(chosen, paths), bundle, kind)
            assert {finding.rule for finding in error.findings} <= {"placement.cpus", "placement.memory", "placement.channels"}
        assert all(part in [finding.path for finding in error.findings] for part in map(tuple, paths))


def clashes(chosen, bundle, kind):
    """Whether a layout has a conflict of a kind (cpus or memory)."""
    try:
        place(chosen, bundle)
    except PlacementError as error:
        return any(request["path"][-1] in kind for one in error.conflicts for request in one["requests"])
    return False


def ways(chosen, bundle, state=None):
    with pytest.raises(PlacementError) as caught:
        place(chosen, bundle, state)
    (one,) = caught.value.conflicts
    return [(way["do"], way["path"]) for way in one["ways"] if way["enough"]], chosen


def test_the_cheapest_way_comes_first_and_is_enough():
    chosen = layout(db=instance(cpus={"count": 2}), web=instance(cpus={"count": 2}))
    (first, path), *_rest = ways(chosen, facts())[0]
    assert (first, path) == ("give db 1 CPU instead of 2", ["instances", "db", "cpus"])
    chosen["instances"]["db"]["cpus"]["count"] = 1
    place(chosen, facts())


def test_whole_cores_are_given_up_before_cpus_are():
    chosen = layout(a=instance(cpus={"count": 3, "whole_cores": True}), b=instance(cpus={"count": 1}))
    assert ways(chosen, facts(threads=2, cpus=8))[0][0] == ("drop whole_cores of a", ["instances", "a", "cpus"])
    chosen["instances"]["a"]["cpus"]["whole_cores"] = False
    place(chosen, facts(threads=2, cpus=8))


def test_so_much_is_to_be_added_to_the_pool_and_no_less():
    chosen = layout(a=instance(memory={"size": 300 * MIB}), b=instance(memory={"size": 300 * MIB}), c=instance(memory={"size": 100 * MIB}))
    found = dict(ways(chosen, facts())[0])
    assert found["add 300 MiB to the pool"] == ["pool", "memory"]
    chosen["pool"]["memory"].append({"base": 0x80000000, "size": 298 * MIB, "node": None})
    with pytest.raises(PlacementError):
        place(chosen, facts())
    chosen["pool"]["memory"][1]["size"] = 300 * MIB
    place(chosen, facts())


def test_what_runs_is_offered_to_move_but_not_moved():
    spec = {"cpus": [2], "apic_ids": [4], "base": 0x4C000000, "size": 64 * MIB, "low": None}
    state = {"instances": {"web": {"state": "running", "spec": spec}}, "made": {}}
    chosen = layout(web=instance(image="tiny"), new=instance(image="tiny", memory={"size": 400 * MIB}))
    found, _chosen = ways(chosen, facts(), state)
    assert ("let web, which is at 0x4c000000, move (it is restarted)", ["instances", "web", "memory"]) in found
    place(chosen, facts())


def test_two_conflicts_are_both_told():
    chosen = layout(
        a=instance(cpus={"ids": [1], "count": None}, memory={"size": 300 * MIB}),
        b=instance(cpus={"ids": [1], "count": None}, memory={"size": 300 * MIB}),
        c=instance(cpus={"ids": [2], "count": None}, memory={"size": 2 * MIB}),
        d=instance(cpus={"ids": [2], "count": None}, memory={"size": 2 * MIB}),
    )
    with pytest.raises(PlacementError) as caught:
        place(chosen, facts())
    told = [[request["path"][1:] for request in one["requests"]] for one in caught.value.conflicts]
    assert {finding.rule for finding in caught.value.findings} == {"placement.cpus", "placement.memory"}
    assert sorted(told) == [[["a", "cpus"], ["b", "cpus"]], [["a", "memory"], ["b", "memory"]], [["c", "cpus"], ["d", "cpus"]]]


def test_a_thousand_instances_that_do_not_fit_are_explained_all_the_same():
    chosen = layout(**{"i%04d" % number: instance(image="tiny", memory={"size": 2 * MIB}) for number in range(1000)})
    bundle = facts(cpus=900)
    with pytest.raises(PlacementError) as caught:
        place(chosen, bundle)
    assert all(len(one.message) < 2000 and len(one.hint) < 2000 for one in caught.value.findings)
    assert len(caught.value.findings) < 100


def thousand(short, named=0):
    """A thousand instances of one CPU each on a machine that lacks `short` of them; some name their CPU."""
    some = {
        "i%04d" % number: instance(
            image="tiny", memory={"size": 2 * MIB}, cpus={"ids": [number + 1], "count": None} if number < named else {"count": 1}
        )
        for number in range(1000)
    }
    chosen = layout(**some)
    chosen["pool"]["memory"][0]["size"] = 4096 * MIB
    return chosen, facts(cpus=1001 - short)


@pytest.mark.parametrize(("short", "named"), [(1, 0), (7, 0), (3, 60)])
def test_a_pure_shortage_among_a_thousand_is_told_as_a_minimal_set_with_the_fewest_to_leave_out(short, named):
    chosen, bundle = thousand(short, named)
    with pytest.raises(PlacementError) as caught:
        place(chosen, bundle)
    (one,) = caught.value.conflicts
    assert one["minimal"] is True
    assert len(one["requests"]) == 1001 - short
    paths = [request["path"] for request in one["requests"]]
    alone = only(chosen, paths)
    assert clashes(alone, bundle, ("cpus",))
    for path in paths[:: len(paths) // 5]:
        assert not clashes(without(alone, path), bundle, ("cpus",))
    first = one["ways"][0]
    assert first["enough"] is True
    assert first["cost"] == 9 * short
    if short > 1:
        assert first["do"].startswith("leave %d of the %d that ask for the same as " % (short, 1000 - named))
    for name in sorted(name for name, wish in chosen["instances"].items() if wish["cpus"]["count"])[-short:]:
        chosen["instances"][name]["state"] = "absent"
    place(chosen, bundle)


def test_a_shortage_is_explained_in_calls_that_do_not_grow_with_the_number_of_like_requests(monkeypatch):
    calls = []
    tried = Chooser._attempt
    monkeypatch.setattr(Chooser, "_attempt", lambda self, wishes: calls.append(len(wishes)) or tried(self, wishes))
    chosen, bundle = thousand(5)
    with pytest.raises(PlacementError):
        place(chosen, bundle)
    assert len(calls) < 120


def test_where_first_fit_fails_the_largest_go_first():
    sizes = [100, 156, 200, 56]  # of 2 x 256 MiB
    chosen = layout(**{"i%d" % number: instance(image="tiny", memory={"size": size * MIB}) for number, size in enumerate(sizes)})
    chosen["pool"]["memory"] = [{"base": 0x40000000 + number * 512 * MIB, "size": 256 * MIB, "node": None} for number in range(2)]
    bundle = facts(cpus=6)
    assert len(place(chosen, bundle)["instances"]) == 4


def test_findings_are_named_by_what_has_no_place():
    chosen = simulated.layout(instances={"web": instance(memory={"size": 512 * MIB})})
    with pytest.raises(PlacementError) as caught:
        place(chosen, facts())
    assert [finding.rule for finding in caught.value.findings] == ["placement.channels", "placement.memory"]
