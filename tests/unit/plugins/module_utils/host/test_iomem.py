# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory is free for instances only where the map proves that the host does not use it."""

from __future__ import annotations

import time

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import iomem
from hypothesis import given
from hypothesis import strategies as st

MIB = 1 << 20


def kinds(ranges, facts, **options):
    return [conflict.kind for conflict in iomem.host_use(ranges, facts, **options)]


def test_the_map_is_read_with_its_nesting():
    text = "00000000-00000fff : Reserved\n00100000-3fffffff : System RAM\n  01000000-01ffffff : Kernel code\n"
    assert iomem.parse(text) == [
        {"start": 0, "end": 0xFFF, "name": "Reserved", "depth": 0},
        {"start": 0x100000, "end": 0x3FFFFFFF, "name": "System RAM", "depth": 0},
        {"start": 0x1000000, "end": 0x1FFFFFF, "name": "Kernel code", "depth": 1},
    ]


@pytest.mark.parametrize("text", [None, "", "garbage\n", "00000000-00000000 : Reserved\n  00000000-00000000 : System RAM\n"])
def test_zeros_and_nothing_are_not_a_map(text):
    assert iomem.parse(text) is None


@pytest.mark.parametrize(
    ("cmdline", "ranges"),
    [
        ("memmap=512M$0x40000000", [(0x40000000, 512 * MIB)]),
        ("quiet memmap=192K$0x10000 memmap=0x20000000$1024M ro", [(0x10000, 192 << 10), (0x40000000, 512 * MIB)]),
        ("memmap=64K$0x20000,1G$4G", [(0x20000, 64 << 10), (4 << 30, 1 << 30)]),
        ("memmap=1m$16m", [(16 * MIB, MIB)]),
        ("memmap=010$0x1000", [(0x1000, 8)]),
        ("memmap=64M!4G memmap=64M#4G memmap=64M@4G memmap=exactmap xmemmap=1M$0x1000 memmap=1M 0x1000", []),
        ("memmap=512M\\$0x40000000", []),
        ("memmap=512M", []),
        (None, []),
    ],
)
def test_only_memory_that_memmap_really_reserves_counts(cmdline, ranges):
    assert iomem.memmap_reserved(cmdline) == ranges


def test_low_chunks_are_what_is_reserved_below_one_mebibyte():
    assert iomem.low_chunks("memmap=192K$0x10000 memmap=512M$0x40000000") == [[0x10000, 0x30000]]
    assert iomem.low_chunks("memmap=1M$0xf0000") == [[0xF0000, 0x10000]]
    assert iomem.low_chunks("") == []


@pytest.mark.parametrize(
    ("machine_name", "base", "size"),
    [
        ("lab-mkstock", 0x40000000, 512 * MIB),
        ("lab-mkstock", 0x40000000, 4096),
        ("lab-mkstock", 0x5FFFF000, 4096),
        ("lab-mkstock", 0x11000, 0x10000),
        ("lab-mkstock", 0x3F000, 0x1000),
        ("memmap", 0x40000000, 512 * MIB),
        ("memmap", 0x10000, 0x30000),
        ("smt", 0x200000000, 4096 * MIB),
        ("offlined", 0x40000000, 512 * MIB),
        ("two-sockets", 0x50000000, 256 * MIB),
    ],
)
def test_reserved_and_offlined_memory_is_free(collect, machine_name, base, size):
    facts = collect(machine_name)
    assert iomem.host_use([(base, size)], facts) == []
    assert iomem.free_of_host([(base, size)], facts) is None


@pytest.mark.parametrize(
    ("machine_name", "base", "size", "kind", "words"),
    [
        ("lab-plain", 0x40000000, 512 * MIB, "ram", "System RAM of the host"),
        ("lab-mkstock", 0x3FFFF000, 8192, "ram", "System RAM of the host"),
        ("lab-mkstock", 0x12000000, 4096, "ram", "Kernel code of the host"),
        ("lab-mkstock", 0x14275000, 4096, "ram", "Kernel bss of the host"),
        ("lab-mkstock", 0x7FFDC000, 4096, "firmware", "reserved by the firmware"),
        ("lab-mkstock", 0x80000000, 4096, "device", "PCI Bus 0000:00 of the host"),
        ("lab-mkstock", 0xFEBD0000, 4096, "device", "ahci of the host"),
        ("lab-mkstock", 0xB0000000, 4096, "device", "pnp 00:04 of the host"),
        ("lab-mkstock", 0xFEE00000, 4096, "device", "Local APIC of the host"),
        ("lab-mkstock", 0xFEC00000, 4096, "device", "IO-APIC of the host"),
        ("lab-mkstock", 0xFED00000, 4096, "device", None),
        ("lab-mkstock", 0x200000000, 4096, "hole", "nothing that /proc/iomem lists"),
        ("lab-mkstock", 0xFED10000, 4096, "hole", "nothing that /proc/iomem lists"),
        ("smt", 0x45000000, 4096, "crash", "Crash kernel of the host"),
        ("smt", 0x68000000, 4096, "firmware", "ACPI Non-volatile Storage of the host"),
        ("smt", 0x69000000, 4096, "firmware", "ACPI Tables of the host"),
        ("smt", 0x66000000, 4096, "firmware", "reserved by the firmware"),
        ("smt", 0x300000000, 4096, "ram", "System RAM of the host"),
        ("lab-mkstock", 0x10000, 0x10000, "low", "not in a chunk below 1 MiB that the host leaves free (known: 0x11000-0x3ffff, 188KiB)"),
        ("lab-mkstock", 0xA0000, 0x10000, "low", None),
        ("lab-mkstock", 0xF0000, 0x20000, "low", "partly below 1 MiB; a range must lie below or above it"),
    ],
)
def test_everything_else_is_the_host_s(collect, machine_name, base, size, kind, words):
    facts = collect(machine_name)
    first = iomem.host_use([(base, size)], facts)[0]
    assert first.kind == kind
    if words is not None:
        assert first.used_by == words
    assert iomem.free_of_host([(base, size)], facts).startswith("0x{0:x}-0x{1:x}, ".format(base, base + size - 1))


def test_the_apic_pages_are_the_host_s_even_where_the_map_forgets_them(collect):
    facts = collect("lab-mkstock")
    facts["memory"]["iomem"] = [{"start": 0, "end": (1 << 36) - 1, "name": "Reserved", "depth": 0}]
    facts["kernel"]["cmdline"] = "memmap=4G$0"
    assert kinds([(0xFEC00000, 4 * MIB)], facts, within_pool=False) == ["device", "device"]


def test_every_part_of_a_range_that_is_used_is_named_once(collect):
    found = iomem.host_use([(0x3FFFF000, 512 * MIB + 8192)], collect("lab-mkstock"), within_pool=False)
    assert [(one.start, one.end, one.used_by) for one in found] == [
        (0x3FFFF000, 0x3FFFFFFF, "System RAM of the host"),
        (0x60000000, 0x60000FFF, "System RAM of the host"),
    ]
    assert found[0].sentence() == ("0x3ffff000-0x60000fff, 524296KiB cannot be given away: 0x3ffff000-0x3fffffff is System RAM of the host")


def test_reserved_memory_is_free_only_where_the_command_line_reserved_it(collect):
    facts = collect("lab-mkstock")
    facts["kernel"]["cmdline"] = "memmap=256M$0x40000000"
    assert kinds([(0x40000000, 512 * MIB)], facts) == ["firmware"]


def test_a_reservation_that_the_kernel_did_not_make_frees_nothing(collect):
    facts = collect("lab-plain")
    facts["kernel"]["cmdline"] = "memmap=512M$0x40000000"
    assert kinds([(0x40000000, 512 * MIB)], facts) == ["ram"]


def test_memory_in_a_block_that_is_on_its_way_is_still_used(machine):
    from ansible_collections.multikernel.core.plugins.module_utils._host import facts as host_facts

    root = machine("offlined")
    (root / "sys" / "devices" / "system" / "memory" / "memory9" / "state").write_text("going-offline\n")
    found = iomem.host_use([(0x40000000, 512 * MIB)], host_facts.collect(root=str(root)))
    assert [(one.start, one.end) for one in found] == [(0x48000000, 0x4FFFFFFF)]


def test_the_declared_pool_is_the_limit_unless_it_is_about_to_grow(collect):
    facts = collect("lab-mkstock")
    facts["dialect"]["pool"] = [[0x40000000, 64 * MIB], [0x44000000, 64 * MIB]]
    assert iomem.host_use([(0x42000000, 64 * MIB)], facts) == []
    assert kinds([(0x47000000, 64 * MIB)], facts) == ["pool"]
    assert iomem.host_use([(0x47000000, 64 * MIB)], facts, within_pool=False) == []


def test_without_a_map_nothing_is_free(collect):
    facts = collect("unprivileged")
    assert iomem.host_use([(0x40000000, 4096)], facts) is None
    assert "cannot be read" in iomem.free_of_host([(0x40000000, 4096)], facts)


def test_without_known_chunks_nothing_below_one_mebibyte_is_free(collect):
    facts = collect("lab-mkstock")
    facts["memory"]["low"] = None
    assert kinds([(0x11000, 4096)], facts) == ["low"]


def test_several_ranges_are_told_apart(collect):
    found = iomem.host_use([(0x40000000, MIB), (0x60000000, MIB), (0x11000, 4096), (0x1000, 4096)], collect("lab-mkstock"))
    assert [(one.base, one.kind) for one in found if one.kind != "pool"] == [(0x60000000, "ram"), (0x1000, "low")]


def test_memory_that_a_driver_added_is_system_ram_too(collect):
    facts = collect("offlined")
    for entry in facts["memory"]["iomem"]:
        entry["name"] = entry["name"].replace("System RAM", "System RAM (virtio_mem)")
    assert kinds([(0x40000000, 512 * MIB)], facts) == []
    assert kinds([(0x60000000, 4096)], facts, within_pool=False) == ["ram"]


def test_an_empty_range_uses_nothing(collect):
    assert iomem.host_use([(0x12000000, 0)], collect("lab-mkstock")) == []


@given(st.lists(st.tuples(st.integers(0, 64), st.integers(1, 8)), max_size=12), st.integers(0, 70), st.integers(1, 8))
def test_merged_ranges_contain_exactly_what_the_ranges_contain(ranges, base, size):
    merged = iomem.merge(ranges)
    covered = {byte for start, length in ranges for byte in range(start, start + length)}
    assert {byte for start, length in merged for byte in range(start, start + length)} == covered
    assert iomem.inside(base, size, merged) == set(range(base, base + size)).issubset(covered)


@pytest.mark.parametrize(
    "option",
    ["memmap=089$0x1000", "memmap=" + "9" * 5000 + "$1", "memmap=0x" + "f" * 5000 + "$0x1000", "memmap=1M$09"],
    ids=lambda option: option[:12],
)
def test_reservation_with_a_number_that_the_kernel_cannot_read_reserves_nothing(option):
    assert iomem.memmap_reserved("quiet " + option + " memmap=010$0x1000") == [(0x1000, 8)]


def test_address_of_more_than_64_bits_is_no_line_of_the_map():
    line = "00001000-00001fff : Reserved\n"
    assert iomem.parse("0-" + "f" * 5000 + " : Reserved\n" + line) == iomem.parse(line)


def test_map_that_is_no_tree_is_judged_in_bounded_time_and_trusted_nowhere():
    """20000 entries that all overlap: whatever they say, the memory under them is not proven free."""
    base, count = 0x40000000, 20000
    entries = [{"start": base + n, "end": base + (1 << 30) - n, "name": "Reserved", "depth": 0} for n in range(count)]
    facts = {"memory": {"iomem": entries, "low": []}, "kernel": {"cmdline": "memmap=2G$0x40000000"}, "dialect": {"pool": None}}
    began = time.process_time()
    found = iomem.host_use([(base + (1 << 29), 1 << 21)], facts)
    assert [conflict.used_by for conflict in found] == ["claimed by more than 256 entries of /proc/iomem at once"]
    assert time.process_time() - began < 5


NAMES = st.sampled_from(["System RAM", "Reserved", "ACPI Tables", ""])


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(0, 9), NAMES)))
def test_map_that_lies_is_judged(lines):
    text = "".join("{0}{1:x}-{2:x} : {3}\n".format("  " * depth, start << 20, end << 20, name) for start, end, depth, name in lines)
    facts = {"memory": {"iomem": iomem.parse(text), "low": []}, "kernel": {"cmdline": "memmap=64M$16M"}, "dialect": {"pool": None}}
    for base in (1 << 20, 16 << 20, 80 << 20):
        conflicts = iomem.host_use([(base, 1 << 20)], facts)
        assert bool(iomem.free_of_host([(base, 1 << 20)], facts)) == (conflicts is None or bool(conflicts))
