# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chunk of the pool without a base: what is ours, what is offered, else blocks that hold nothing of the host's kernel."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.pool import Pool
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import BLOCK, MIB

GIB = 1 << 30


def row(start, end, name, depth=0):
    return {"start": start, "end": end - 1, "name": name, "depth": depth}


def host(kernel=0x12000000, top=3 * GIB, offline=(), nodes=None):
    """A machine of 128 MiB blocks; its kernel lies at an address of KASLR's choice."""
    return {
        "memory": {
            "block_size": BLOCK,
            "blocks": [
                {"number": number, "state": "offline" if number in offline else "online", "node": nodes(number) if nodes else 0}
                for number in range(top // BLOCK)
            ],
            "iomem": [
                row(0x1000, 0x9FC00, "System RAM"),
                row(MIB, top, "System RAM"),
                row(kernel, kernel + 0x1000000, "Kernel code", 1),
                row(kernel + 0x1000000, kernel + 0x3000000, "Kernel bss", 1),
            ],
        },
        "dialect": {"pool": None},
    }


def bases(facts, *sizes, state=None, node=None):
    told = []
    pool = Pool(facts, state or {}, lambda number, message, hint: told.append((number, message, hint)))
    chunks, _regions = pool.place([{"base": None, "size": size, "node": node} for size in sizes])
    return told or [(one["base"], one["size"]) for one in chunks]


@pytest.mark.parametrize(
    ("kernel", "base"), [(0x1000000, BLOCK), (0x12000000, 0x18000000), (0x47000000, 0x50000000), (0x9F000000, 0xA8000000)]
)
def test_blocks_above_the_kernel_and_free_of_it_come_first(kernel, base):
    assert bases(host(kernel), 2 * BLOCK) == [(base, 2 * BLOCK)]


def test_below_the_kernel_when_there_is_no_room_above_but_never_the_lowest_block():
    assert bases(host(0xB8000000), 512 * MIB) == [(BLOCK, 512 * MIB)]


def test_below_four_gibibytes_first():
    assert bases(host(0xB0000000, top=8 * GIB), 2 * BLOCK) == [(0xB8000000, 2 * BLOCK)]
    assert bases(host(0xF0000000, top=8 * GIB), 1 * BLOCK) == [(0xF8000000, BLOCK)]
    assert bases(host(0xF0000000, top=8 * GIB), 5 * GIB)[0][1].startswith("pool memory number 1 (5 GiB) has no base, and of the memory")
    assert bases(host(0xF8000000, top=8 * GIB), 4 * GIB) == [(4 * GIB, 4 * GIB)]


def test_a_size_that_is_no_whole_block_is_rounded_up():
    assert bases(host(), 130 * MIB) == [(0x18000000, 2 * BLOCK)]


def test_a_block_with_a_crash_kernel_or_a_hole_or_offline_is_left_alone():
    facts = host(0x1000000)
    facts["memory"]["iomem"] += [row(0x10000000, 0x18000000, "Crash kernel", 1), row(0x2F000000, 0x2F001000, "Reserved", 0)]
    facts["memory"]["blocks"][4]["state"] = "offline"
    assert bases(facts, 2 * BLOCK) == [(0x30000000, 2 * BLOCK)]


def test_of_one_node():
    facts = host(nodes=lambda number: number // 8)
    assert bases(facts, 2 * BLOCK, node=1) == [(0x40000000, 2 * BLOCK)]
    assert bases(facts, 6 * BLOCK) == [(0x40000000, 6 * BLOCK)], "a chunk does not span nodes"
    assert "at most 1 GiB lie side by side" in bases(facts, 9 * BLOCK, node=2)[0][1]


def test_what_is_ours_stays_when_other_blocks_would_be_chosen_now():
    state = {"made": {"pool": [[0x60000000, 2 * BLOCK]], "blocks": [12, 13]}}
    facts = host(offline=(12, 13))
    assert bases(facts, 2 * BLOCK, state=state) == [(0x60000000, 2 * BLOCK)]
    assert bases(facts, BLOCK, state=state) == [(0x60000000, BLOCK)], "smaller: the rest goes back"
    assert bases(facts, 4 * BLOCK, state=state) == [(0x60000000, 4 * BLOCK)], "larger: the blocks next to it"
    assert bases(facts, BLOCK, 2 * BLOCK, state=state) == [(0x18000000, BLOCK), (0x60000000, 2 * BLOCK)]
    without_pool = {"made": {"pool": [], "blocks": [12, 13]}}
    assert bases(facts, 2 * BLOCK, state=without_pool) == [(0x60000000, 2 * BLOCK)], "a kernel without a pool of its own"


def test_what_the_module_offers_comes_before_blocks_of_the_host():
    facts = host()
    facts["dialect"]["pool"] = [[0x80000000, 512 * MIB]]
    assert bases(facts, 200 * MIB, 300 * MIB) == [(0x80000000, 200 * MIB), (0x8C800000, 300 * MIB)]


def test_without_facts_about_blocks_the_layout_must_say():
    for missing in ("blocks", "iomem", "block_size"):
        facts = host()
        facts["memory"][missing] = None
        ((number, message, hint),) = bases(facts, BLOCK)
        assert (number, message) == (0, "pool memory number 1 (128 MiB) has no base, and this kernel offers no pool to choose it from")
        assert hint.startswith("give its base")


def test_the_plan_takes_the_blocks_and_is_empty_afterwards(tmp_path):
    from ansible_collections.multikernel.core.plugins.module_utils._converge import run

    machine = simulated.Machine(tmp_path, reserved=False)
    rows = [row(0x100000, 0xC0000000, "System RAM"), row(0x50000000, 0x52000000, "Kernel code", 1)]
    machine._iomem = lambda: rows
    chosen = simulated.layout(pool={"memory": [{"base": None, "size": 512 * MIB, "node": None}]})
    result = run.apply(chosen, system=machine)
    assert [step["say"] for step in result["steps"] if step["do"] == "pool_add"] == ["put 0x58000000 (512 MiB) into the pool"]
    assert sorted(number for number, state in machine.blocks.items() if state == "offline") == [11, 12, 13, 14]
    assert run.apply(chosen, system=machine)["changed"] is False
    run.apply(None, state="absent", system=machine)
    assert set(machine.blocks.values()) == {"online"}
    assert machine.harm == []
