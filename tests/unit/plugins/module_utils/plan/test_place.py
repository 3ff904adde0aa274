# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement takes what is given, keeps what is there, chooses the rest in the same way every time, and says what does not fit."""

from __future__ import annotations

import copy
import random
import time

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan import ranges
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import LOW_SIZE, PlacementError, place
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, image, instance
from hypothesis import given
from hypothesis import strategies as st

IMAGES = ("/boot/vmlinuz", "/srv/initrd", "/srv/tiny")


def facts(threads=1, cpus=4, caches=None, **changes):
    """A host with `cpus` logical CPUs; with two threads per core, CPU n and n + cpus/2 share a core, as Linux numbers them."""
    machine = Machine("/nowhere")
    machine.kinds["/srv/tiny"] = "flat"
    bundle = machine.facts(IMAGES)
    cores = cpus // threads
    each = {}
    for cpu in range(cpus):
        siblings = [one for one in range(cpus) if one % cores == cpu % cores]
        each[str(cpu)] = dict(
            bundle["cpus"]["each"]["1"], apic_id=cpu * 2, core=cpu % cores, siblings=siblings, llc=list(range(cpus)), offlinable=cpu != 0
        )
        if caches:
            each[str(cpu)]["llc"] = next(group for group in caches if cpu in group)
    bundle["cpus"].update(present=list(range(cpus)), online=list(range(cpus)), each=each)
    bundle["memory"]["low"] = [[0x20000, 0x60000]]
    bundle.update(changes)
    return bundle


def layout(**instances):
    return simulated.layout(
        instances=instances,
        channels={},
        images={"debian": image("/boot/vmlinuz"), "tiny": image("/srv/tiny", initrd=None)},
        host={"cpus": [0], "memory_min": None},
    )


def cpus(layout_, bundle, state=None):
    placed = place(layout_, bundle, state)
    return {name: one["placed"]["cpus"] for name, one in placed["instances"].items() if "placed" in one}


def refusal(layout_, bundle):
    with pytest.raises(PlacementError) as caught:
        place(layout_, bundle)
    return [(one.path, one.message, one.hint) for one in caught.value.findings]


def test_the_boot_cpu_and_the_hosts_cpus_are_never_given():
    chosen = layout(a=instance(cpus={"count": 2}))
    chosen["host"]["cpus"] = [0, 2]
    assert cpus(chosen, facts()) == {"a": [1, 3]}
    chosen["host"]["cpus"] = None
    assert cpus(chosen, facts()) == {"a": [1, 2]}


def test_whole_cores_come_first():
    bundle = facts(threads=2, cpus=8)  # cores 0+4, 1+5, 2+6, 3+7; CPU 4 shares the host's core
    assert cpus(layout(a=instance(cpus={"count": 2})), bundle) == {"a": [1, 5]}
    assert cpus(layout(a=instance(cpus={"count": 1})), bundle) == {"a": [4]}
    assert cpus(layout(a=instance(cpus={"count": 3})), bundle) == {"a": [1, 4, 5]}
    assert cpus(layout(a=instance(cpus={"count": 2}), b=instance(cpus={"count": 2})), bundle) == {"a": [1, 5], "b": [2, 6]}


def test_whole_cores_on_demand_are_kept_to():
    bundle = facts(threads=2, cpus=8)
    assert cpus(layout(a=instance(cpus={"count": 4, "whole_cores": True})), bundle) == {"a": [1, 2, 5, 6]}
    ((path, message, _hint),) = refusal(layout(a=instance(cpus={"count": 3, "whole_cores": True})), bundle)
    assert path == ("instances", "a", "cpus")
    assert message == "a asks for 3 CPUs in whole cores, only 2 are free (CPUs 1, 5)"


def test_a_cache_of_its_own():
    bundle = facts(cpus=8, caches=[[0, 1], [2, 3], [4, 5], [6, 7]])
    both = layout(a=instance(cpus={"count": 1, "llc": "own"}), b=instance(cpus={"count": 2, "llc": "own"}))
    assert cpus(both, bundle) == {"a": [2], "b": [4, 5]}
    ((_path, message, _hint),) = refusal(layout(a=instance(cpus={"count": 7, "llc": "own"})), bundle)
    assert message == "a asks for 7 CPUs with a last level cache of their own, only 6 are free (CPUs 2, 3, 4, 5, 6, 7)"


def test_near_memory_means_the_same_node():
    bundle = facts()
    for cpu in ("2", "3"):
        bundle["cpus"]["each"][cpu]["node"] = 1
    chosen = layout(a=instance(cpus={"count": 1, "near": "memory"}))
    chosen["pool"]["memory"][0]["node"] = 1
    assert cpus(chosen, bundle) == {"a": [2]}
    chosen["instances"]["a"]["cpus"]["near"] = None
    assert cpus(chosen, bundle) == {"a": [1]}


def test_numbers_may_be_apic_ids():
    placed = place(layout(a=instance(cpus={"ids": [6, 4], "count": None, "space": "apic"})), facts())
    assert placed["instances"]["a"]["placed"]["cpus"] == [3, 2]
    assert placed["instances"]["a"]["placed"]["apic_ids"] == [6, 4]
    ((_path, message, hint),) = refusal(layout(a=instance(cpus={"ids": [5], "count": None, "space": "apic"})), facts())
    assert message == "a names APIC id 5, and no CPU of this host is known to have it"
    assert hint == "known APIC ids: 0, 2, 4, 6"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([9], "a names CPU 9, but this host has no such CPU"),
        ([0], "a names CPU 0, but it is the boot CPU, which stays with the host"),
        ([1], "a names CPU 1, but host.cpus keeps it for the host"),
        ([3], "a names CPU 3, but the host cannot take it offline"),
    ],
)
def test_a_cpu_that_cannot_be_given_is_named_with_the_reason(ids, message):
    bundle = facts()
    bundle["cpus"]["each"]["3"]["offlinable"] = False
    chosen = layout(a=instance(cpus={"ids": ids, "count": None}))
    chosen["host"]["cpus"] = [0, 1]
    (path, said, hint), *others = refusal(chosen, bundle)
    assert (path, said) == (("instances", "a", "cpus"), message)
    if ids == [1]:
        assert hint.startswith("cheapest first: let the CPU of a be chosen (cpus: {count: 1}); or take CPU 1 out of host.cpus; or ")
        assert [one[:2] for one in others] == [(("host", "cpus"), "host.cpus (CPUs 0, 1) is in the way of a (CPU 1)")]
    else:
        assert (hint, others) == ("free here: CPU 2", [])


def test_a_cpu_asked_for_twice_names_the_owner():
    both = layout(a=instance(cpus={"ids": [2], "count": None}), b=instance(cpus={"ids": [2], "count": None}))
    (path, message, _hint), other = refusal(both, facts())
    assert path == ("instances", "b", "cpus")
    assert message == "b names CPU 2, but it belongs to a"
    assert other[:2] == (("instances", "a", "cpus"), "a (CPU 2) is in the way of b (CPU 2)")


def test_too_few_cpus_says_what_is_free_and_who_has_the_rest():
    chosen = layout(db=instance(cpus={"ids": [2], "count": None}), web=instance(cpus={"count": 2}))
    chosen["host"]["cpus"] = [0, 1]
    (path, message, hint), *others = refusal(chosen, facts())
    assert path == ("instances", "web", "cpus")
    assert message == "web asks for 2 CPUs, only 1 is free (CPU 3), beside host.cpus (CPUs 0, 1), db (CPU 2)"
    assert [one[0] for one in others] == [("host", "cpus"), ("instances", "db", "cpus")]
    assert hint == (
        "cheapest first: give web 1 CPU instead of 2; or take CPU 1 out of host.cpus; or leave db out (state: absent); "
        "or leave web out (state: absent)"
    )


def test_one_request_that_cannot_be_had_says_who_has_the_rest():
    (_path, _message, hint), *_others = refusal(layout(web=instance(cpus={"count": 1})), facts(cpus=1))
    assert hint == "free a CPU (CPU 0: it is the boot CPU, which stays with the host)"


def test_an_offline_cpu_without_a_known_apic_id_is_refused():
    bundle = facts()
    bundle["cpus"]["each"]["1"]["apic_id"] = None
    ((_path, message, hint),) = refusal(layout(a=instance(cpus={"count": 1})), bundle)
    assert message == "the APIC id of CPU 1, which a is to have, is not known while it is offline"
    assert hint == "bring CPU 1 online in the host once: echo 1 > /sys/devices/system/cpu/cpu1/online"


def test_memory_is_first_fit_by_name_and_two_megabytes_aligned():
    odd = layout(
        a=instance(memory={"size": 5 * MIB}), b=instance(memory={"size": 3 * MIB}), c=instance(memory={"base": 0x40000000, "size": MIB})
    )
    odd["instances"]["c"]["cpus"]["count"] = 1
    placed = place(odd, facts())["instances"]
    assert [placed[name]["placed"]["base"] for name in "abc"] == [0x40200000, 0x40800000, 0x40000000]
    assert placed["a"]["placed"]["entry"] == 0x40203000


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ({"base": 0x40100000, "size": MIB}, "a has its base at 0x40100000, which is not a multiple of 2 MiB"),
        (
            {"base": 0x3FE00000, "size": 4 * MIB},
            "the memory of a (0x3fe00000-0x401fffff) is not wholly inside the pool (0x40000000-0x5fffffff)",
        ),
        ({"size": 1 << 30}, "a asks for 1 GiB of memory, the largest free piece of the pool is 512 MiB"),
        ({"size": MIB, "node": 3}, "a asks for 1 MiB of memory, the largest free piece of the pool of node 3 is 0 bytes"),
    ],
)
def test_memory_that_does_not_fit(memory, message):
    assert [said for _path, said, _hint in refusal(layout(a=instance(memory=memory)), facts())] == [message]


def test_two_given_bases_that_collide_name_both():
    both = layout(a=instance(memory={"base": 0x40000000, "size": 4 * MIB}), b=instance(memory={"base": 0x40200000, "size": 4 * MIB}))
    (_path, message, _hint), _other = refusal(both, facts())
    assert message == "the memory of b (0x40200000-0x405fffff) overlaps that of a (0x40000000-0x403fffff)"


def test_a_pool_without_base_is_what_the_module_offers():
    chosen = layout(a=instance())
    chosen["pool"]["memory"] = [{"base": None, "size": 128 * MIB, "node": None}]
    placed = place(chosen, facts())
    assert placed["pool"]["memory"][0]["base"] == 0x40000000
    bundle = facts()
    bundle["dialect"]["pool"] = None
    assert refusal(chosen, bundle)[0][1] == ("pool memory number 1 (128 MiB) has no base, and this kernel offers no pool to choose it from")


def test_only_linux_gets_memory_below_one_megabyte():
    placed = place(layout(a=instance(), b=instance(image="tiny"), c=instance()), facts())["instances"]
    assert (placed["a"]["placed"]["low"], placed["b"]["placed"]["low"], placed["c"]["placed"]["low"]) == (0x20000, None, 0x30000)


def test_too_little_low_memory_says_how_to_reserve_it():
    bundle = facts()
    bundle["memory"]["low"] = [[0x20000, LOW_SIZE]]
    (path, message, hint), _other = refusal(layout(a=instance(), b=instance()), bundle)
    assert path == ("instances", "b", "memory")
    assert message == "b runs Linux and needs 64 KiB below 1 MiB; of the reserved 64 KiB nothing that large is free, beside a (64 KiB)"
    assert "for example memmap=192K$0x10000; or leave a out" in hint
    bundle["memory"]["low"] = None
    assert "is not known on this host" in refusal(layout(a=instance()), bundle)[0][1]


def test_a_channel_lies_at_the_end_of_the_pool_outside_all_private_memory():
    chosen = simulated.layout()
    chosen["channels"]["feed"] = {
        "between": ["web", "host"],
        "kind": "shared_memory",
        "slots": None,
        "message_size": None,
        "size": 2 * MIB,
        "writer": "web",
    }
    placed = place(chosen, facts())
    beat, feed = placed["channels"]["beat"]["placed"], placed["channels"]["feed"]["placed"]
    assert beat["address"] + beat["size"] == 0x60000000
    assert feed["address"] + feed["size"] == beat["address"]
    assert beat["ends"] == [0, 2]  # the host's boot CPU and CPU 1, by APIC id
    assert feed["ends"] == [2, 0]


def test_a_channel_without_room_says_how_much_is_missing():
    full = simulated.layout(instances={"web": instance(memory={"size": 512 * MIB})})
    (path, message, hint), other = refusal(full, facts())
    assert path == ("channels", "beat")
    assert message == (
        "the channel beat needs 40 KiB of the pool outside every instance's memory, and no piece is that large, beside web (512 MiB)"
    )
    assert other[0] == ("instances", "web", "memory")
    assert hint.startswith("cheapest first: give web 510 MiB instead of 512 MiB; or add 2 MiB to the pool; or ")


def test_a_channel_to_nobody_is_refused():
    lost = simulated.layout(instances={"web": instance(state="absent")})
    assert refusal(lost, facts())[0][1] == "the channel beat ends at web, which is no instance that is to exist"


def kept(name, **spec):
    one = {"cpus": [3], "apic_ids": [6], "base": 0x48000000, "size": 64 * MIB, "low": 0x40000}
    one.update(spec)
    return {"instances": {name: {"state": "running", "spec": one}}, "made": {"channels": {"beat": {"address": 0x50000000, "size": 40960}}}}


def test_what_runs_keeps_its_place():
    chosen = simulated.layout(instances={"aaa": instance(), "web": instance()})
    placed = place(chosen, facts(), kept("web"))
    web = placed["instances"]["web"]["placed"]
    assert (web["cpus"], web["base"], web["low"]) == ([3], 0x48000000, 0x40000)
    assert placed["channels"]["beat"]["placed"]["address"] == 0x50000000
    assert placed["instances"]["aaa"]["placed"]["cpus"] == [1]


def test_nothing_is_kept_of_what_is_defined_only():
    """What was loaded and is to be defined only is placed as it will be when it is gone, so that its channels do not move then."""
    chosen = simulated.layout(instances={"aaa": instance(), "web": instance(state="defined")})
    assert place(chosen, facts(), kept("web"))["instances"] == place(chosen, facts())["instances"]


def test_what_the_layout_asks_for_beats_what_is_there():
    placed = place(layout(web=instance(memory={"size": 32 * MIB}, cpus={"count": 2})), facts(), kept("web"))
    web = placed["instances"]["web"]["placed"]
    assert (web["cpus"], web["base"]) == ([1, 2], 0x40000000)
    given_ = layout(new=instance(memory={"base": 0x48000000, "size": 64 * MIB}, cpus={"ids": [3], "count": None}), web=instance())
    web = place(given_, facts(), kept("web"))["instances"]["web"]["placed"]
    assert (web["cpus"], web["base"]) == ([1], 0x40000000)


def test_absent_instances_get_nothing():
    placed = place(layout(a=instance(state="absent"), b=instance(state="defined")), facts())
    assert "placed" not in placed["instances"]["a"]
    assert placed["instances"]["b"]["placed"]["cpus"] == [1]


def test_the_layout_that_is_given_is_not_changed():
    chosen = simulated.layout()
    before = copy.deepcopy(chosen)
    place(chosen, facts())
    assert chosen == before


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40), st.booleans()), min_size=1, max_size=6), st.integers(0, 1 << 30))
def test_no_byte_and_no_cpu_is_given_twice(wishes, seed):
    bundle = facts(threads=2, cpus=16)
    instances = {
        "i%d" % number: instance(cpus={"count": count}, memory={"size": mebibytes * MIB}, image="tiny" if flat else "debian")
        for number, (count, mebibytes, flat) in enumerate(wishes)
    }
    names = list(instances)
    random.Random(seed).shuffle(names)
    try:
        placed = place(layout(**instances), bundle)
    except PlacementError as error:
        assert all(one.message and one.hint for one in error.findings)
        return
    assert place(layout(**{name: instances[name] for name in names}), bundle) == placed
    owned = [cpu for one in placed["instances"].values() for cpu in one["placed"]["cpus"]]
    assert len(owned) == len(set(owned))
    assert 0 not in owned
    memory = [(one["placed"]["base"], one["placed"]["base"] + one["placed"]["size"]) for one in placed["instances"].values()]
    memory += [(one["placed"]["low"], one["placed"]["low"] + LOW_SIZE) for one in placed["instances"].values() if one["placed"]["low"]]
    assert sum(end - start for start, end in ranges.merge(memory)) == sum(end - start for start, end in memory)


def test_a_large_machine_is_placed_in_seconds():
    count = 256
    bundle = facts(threads=2, cpus=2 * count)
    bundle["dialect"]["pool"] = None
    many = layout(**{"i%03d" % number: instance(memory={"size": 2 * MIB}, image="tiny") for number in range(count)})
    many["pool"]["memory"] = [{"base": 1 << 32, "size": 1 << 40, "node": None}]
    began = time.process_time()
    placed = place(many, bundle)
    assert time.process_time() - began < 10  # it was a minute when every CPU was compared with every other
    assert len({cpu for one in placed["instances"].values() for cpu in one["placed"]["cpus"]}) == count


CACHES = [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]  # of a machine with six cores of two threads each


def test_packed_stays_below_one_cache_where_it_fits():
    bundle = facts(threads=2, cpus=12, caches=CACHES)
    assert cpus(layout(a=instance(cpus={"count": 4})), bundle) == {"a": [2, 3, 8, 9]}
    assert cpus(layout(a=instance(cpus={"count": 2}), b=instance(cpus={"count": 3})), bundle) == {"a": [1, 7], "b": [2, 3, 8]}


def test_spread_takes_a_core_below_each_cache_in_turn():
    bundle = facts(threads=2, cpus=12, caches=CACHES)
    assert cpus(layout(a=instance(cpus={"count": 3, "pick": "spread"})), bundle) == {"a": [1, 2, 4]}
    assert cpus(layout(a=instance(cpus={"count": 4, "pick": "spread", "whole_cores": True})), bundle) == {"a": [2, 4, 8, 10]}


def test_a_cache_of_its_own_is_closed_to_later_ones():
    bundle = facts(cpus=6, caches=[[0, 1], [2, 3], [4, 5]])
    chosen = layout(a=instance(cpus={"count": 1, "llc": "own"}), b=instance(cpus={"count": 2}), c=instance(cpus={"count": 1}))
    assert cpus(chosen, bundle) == {"a": [2], "b": [4, 5], "c": [1]}


def test_a_named_cpu_below_a_cache_of_ones_own_is_a_conflict():
    bundle = facts(cpus=6, caches=[[0, 1], [2, 3], [4, 5]])
    chosen = layout(
        a=instance(cpus={"ids": [2], "count": None, "llc": "own"}, image="tiny"), b=instance(cpus={"ids": [3], "count": None}, image="tiny")
    )
    (path, message, hint), other = refusal(chosen, bundle)
    assert path == ("instances", "a", "cpus")
    assert message == "a is to have a last level cache of its own, but CPU 3 of b shares that of CPU 2"
    assert other[0] == ("instances", "b", "cpus")
    assert hint.startswith("cheapest first: let the CPU of a be chosen (cpus: {count: 1}); or let the CPU of b be chosen")
