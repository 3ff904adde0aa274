# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What placement promises holds for random layouts on random machines, the fixtures' machines among them."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._host import facts as host_facts
from ansible_collections.multikernel.core.plugins.module_utils._plan import ranges, spec
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import LOW_SIZE, PlacementError, place
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.plan.test_place import facts, layout
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, instance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIXTURES = pathlib.Path(__file__).parents[3] / "fixtures" / "hosts"
POOL = [(0x40000000, 512 * MIB, 0), (0x100000000, 512 * MIB, 1)]


@st.composite
def machines(draw):
    """Sockets of caches of cores of threads; APIC ids with holes; a few CPUs that cannot be taken offline."""
    sockets, caches, cores, threads = (draw(st.integers(1, most)) for most in (2, 3, 3, 2))
    adjacent = draw(st.booleans())  # siblings next to each other, or all first threads before all second ones
    count = sockets * caches * cores * threads
    each = {}
    for number in range(count):
        core, thread = (number // threads, number % threads) if adjacent else (number % (count // threads), number // (count // threads))
        cache = core // cores
        each[str(number)] = {"core": core, "package": cache // caches, "node": cache // caches, "cache": cache, "thread": thread}
    bundle = facts()
    for number, one in each.items():
        one.update(
            dict(bundle["cpus"]["each"]["1"], **one),
            apic_id=one["core"] * 4 + one["thread"],
            siblings=[int(other) for other, two in each.items() if two["core"] == one["core"]],
            llc=[int(other) for other, two in each.items() if two["cache"] == one["cache"]],
            offlinable=number != "0" and draw(st.integers(0, 9)) > 0,
        )
    bundle["cpus"].update(present=list(range(count)), online=list(range(count)), possible=list(range(count)), each=each)
    bundle["memory"]["low"] = [[0x10000, draw(st.integers(0, 5)) * LOW_SIZE]]
    return bundle


@pytest.mark.parametrize("name", sorted(one.name for one in FIXTURES.iterdir() if one.is_dir()))
def test_the_machines_of_the_fixtures_carry_what_is_placed_on_them(name):
    bundle = host_facts.collect(root=str(FIXTURES / name), images=[])
    chosen = layout(a=instance(image="tiny"), b=instance(image="tiny", cpus={"pick": "spread"}))
    chosen["images"]["tiny"]["format"] = "flat"
    chosen["host"]["cpus"] = [0]
    chosen["pool"]["memory"] = [{"base": None, "size": 64 * MIB, "node": None}]
    chosen["instances"]["a"]["memory"]["size"] = chosen["instances"]["b"]["memory"]["size"] = 16 * MIB
    try:
        check(chosen, bundle, place(chosen, bundle))
    except PlacementError as error:
        assert name in ("unprivileged", "offlined"), error
        assert all(one.message and one.hint and one.path for one in error.findings)


WISHES = st.lists(
    st.tuples(
        st.sampled_from(["tiny", "tiny", "debian"]),
        st.fixed_dictionaries(
            {
                "count": st.integers(1, 4),
                "whole_cores": st.booleans(),
                "llc": st.sampled_from([None, None, "own"]),
                "near": st.sampled_from([None, "memory"]),
                "pick": st.sampled_from(["packed", "spread"]),
            }
        ),
        st.integers(1, 200),
        st.sampled_from([None, None, 0, 1]),
    ),
    min_size=1,
    max_size=5,
)


def wished(wishes):
    chosen = layout(
        **{
            "i%d" % number: instance(image=image, cpus=wish, memory={"size": size * MIB, "node": node})
            for number, (image, wish, size, node) in enumerate(wishes)
        }
    )
    chosen["host"]["cpus"] = None
    chosen["pool"]["memory"] = [{"base": base, "size": size, "node": node} for base, size, node in POOL]
    chosen["channels"] = {"beat": dict(simulated.layout()["channels"]["beat"], between=["host", "i0"])}
    return chosen


def check(chosen, bundle, placed):
    """No CPU and no byte has two owners, and every instance has what it asks for."""
    each = {int(number): one for number, one in bundle["cpus"]["each"].items()}
    owner = {}
    memory = []
    for name, one in placed["instances"].items():
        mine, wish, asked = one["placed"], one["cpus"], one["memory"]
        assert len(mine["cpus"]) == wish["count"] == len(set(mine["cpus"]))
        assert mine["apic_ids"] == [each[cpu]["apic_id"] for cpu in mine["cpus"]]
        for cpu in mine["cpus"]:
            assert cpu not in owner and cpu != bundle["cpus"]["boot"] and each[cpu]["offlinable"] is not False
            owner[cpu] = name
        assert mine["base"] % (2 * MIB) == 0 and mine["size"] >= asked["size"]
        memory.append((mine["base"], mine["base"] + mine["size"]))
        chunks = [part for part in placed["pool"]["memory"] if asked["node"] in (None, part["node"])]
        assert any(part["base"] <= mine["base"] and memory[-1][1] <= part["base"] + part["size"] for part in chunks)
        if mine["low"] is not None:
            memory.append((mine["low"], mine["low"] + LOW_SIZE))
            assert ranges.contains(ranges.sized(bundle["memory"]["low"]), memory[-1])
    memory += [(one["placed"]["address"], one["placed"]["address"] + one["placed"]["size"]) for one in placed["channels"].values()]
    assert sum(end - start for start, end in ranges.merge(memory)) == sum(end - start for start, end in memory)
    for cpu, name in owner.items():
        wish = placed["instances"][name]["cpus"]
        if wish["whole_cores"]:
            assert all(owner.get(other) == name for other in each[cpu]["siblings"])
        if wish["llc"] == "own":
            assert all(owner.get(other, name) == name and other != bundle["cpus"]["boot"] for other in each[cpu]["llc"])


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(machines(), WISHES, st.randoms(use_true_random=False))
def test_nothing_has_two_owners_and_everybody_has_what_is_asked_for(bundle, wishes, order):
    chosen = wished(wishes)
    names = list(chosen["instances"])
    order.shuffle(names)
    shuffled = dict(reversed(list(chosen.items())), instances={name: chosen["instances"][name] for name in names})
    try:
        placed = place(chosen, bundle)
    except PlacementError as error:
        with pytest.raises(PlacementError) as again:
            place(shuffled, bundle)
        assert again.value.findings == error.findings
        assert again.value.conflicts == error.conflicts
        return
    assert place(shuffled, bundle) == placed
    check(chosen, bundle, placed)
    kept = {name: {"state": "running", "spec": spec.of(name, placed, bundle)} for name in names}
    areas = {name: dict(one["placed"]) for name, one in placed["channels"].items()}
    state = {"instances": kept, "made": {"channels": areas}}
    assert place(chosen, bundle, state) == placed, "what runs stays"
    newcomer = instance(image="tiny", memory={"size": 2 * MIB})
    more = dict(chosen, instances=dict(chosen["instances"], a0=newcomer))
    try:
        grown = place(more, bundle, state)
    except PlacementError:
        return
    check(more, bundle, grown)
    assert {name: grown["instances"][name] for name in names} == placed["instances"], "even when one comes that is first by name"


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 60)), max_size=3),
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 60)), max_size=3),
    st.sampled_from([None, 0x40000000]),
    st.booleans(),
)
def test_a_plan_leaves_nothing_to_do_and_its_inverse_leads_back(tmp_path_factory, before, after, base, reserved):
    machine = Machine(tmp_path_factory.mktemp("host"), reserved=reserved)

    def wanted(some):
        names = {"i%d" % number: instance(cpus={"count": count}, memory={"size": size * MIB}) for number, (count, size) in enumerate(some)}
        allow = {"isolation": {"minimum_grade": None}, "disruption": "allow"}
        pool = {"memory": [{"base": base, "size": 256 * MIB, "node": None}]}
        return simulated.layout(instances=names, channels={}, policy=allow, pool=pool, host={"cpus": None, "memory_min": None})

    def seen():
        places = sorted((one["name"], tuple(one["cpus"]), tuple(map(tuple, one["memory"]))) for one in machine.instances.values())
        return sorted(machine.online), dict(machine.blocks), sorted(map(tuple, machine.pool)), places

    try:
        run.apply(wanted(before), system=machine)
    except run.ApplyError:
        return
    assert run.apply(wanted(before), system=machine)["changed"] is False
    start = seen()
    doomed = wanted(after)
    doomed["instances"]["zzz"] = instance(cpus={"count": 1}, memory={"size": 2 * MIB})
    machine.mute = {"zzz"}
    with pytest.raises(run.ApplyError):
        run.apply(doomed, system=machine)
    assert seen() == start
    assert machine.harm == []
