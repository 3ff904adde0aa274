# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays say what was asked, in order, in blobs that the kernel takes whole, and in as few of them as fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_overlay as overlay
from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1 << 20
FILES = Path(__file__).resolve().parents[4] / "unit/fixtures/trees"
DEVICE = "0000:09:00.0"

names = st.text("abcxyz019.-", min_size=1, max_size=12)
cpu_lists = st.lists(st.integers(0, 4095), min_size=1, max_size=130, unique=True)
sizes = st.integers(1, 64).map(lambda count: count * 2 * MIB)
ids = st.one_of(st.none(), st.integers(1, 511))
nodes = st.one_of(st.none(), st.integers(0, 3))
operations = st.lists(
    st.one_of(
        st.builds(overlay.create, names, ids, st.lists(st.integers(0, 900), max_size=200, unique=True), sizes, nodes),
        st.builds(overlay.remove, names),
        st.builds(overlay.pool_cpus_add, cpu_lists),
        st.builds(overlay.pool_cpus_remove, cpu_lists),
        st.builds(overlay.pool_memory_add, sizes, nodes),
        st.builds(overlay.pool_memory_remove, sizes, sizes),
        st.builds(overlay.pool_device_add, st.just(DEVICE), st.one_of(st.none(), st.just("eth0"))),
        st.builds(overlay.pool_device_remove, st.just(DEVICE)),
        st.builds(overlay.instance_cpus_add, names, cpu_lists),
        st.builds(overlay.instance_cpus_remove, names, cpu_lists),
        st.builds(overlay.instance_memory_add, names, sizes, sizes),
        st.builds(overlay.instance_memory_remove, names, sizes, sizes),
        st.builds(overlay.instance_device_add, names, st.just(DEVICE), st.one_of(st.none(), st.just("e1000e"))),
        st.builds(overlay.instance_device_remove, names, st.just(DEVICE)),
    ),
    max_size=40,
)  # fmt: skip


def device(pci_id):
    return {"pci_id": pci_id, "vendor": 1, "device": 1, "alias": "e"}


# The order of the kernel inside a fragment, from the facts once more: the test must not believe the code's own.
RESOURCES = ["cpu-remove", "device-remove", "memory-remove", "memory-add", "cpu-add", "device-add"]
INSTANCES = ["instance-create", "memory-remove", "memory-add", "cpu-remove", "cpu-add", "device-remove", "device-add", "instance-remove"]


def done(blob):
    """What the kernel does with a blob, one (target, verb, item) after the other in its own order."""
    fragments = fdt.parse(blob).children
    found = []
    for node in sorted(fragments, key=lambda one: int(one.name.split("@")[1], 16)):
        target = node.string("target-path")
        for verb in RESOURCES if target == "/resources" else INSTANCES:
            chosen = node.child("__overlay__").child(verb)
            if chosen is not None:
                found += [(target, verb, as_text(item)) for item in (chosen.children if "instance" not in verb else [chosen])]
    return found


def as_text(item):
    """An item without its unit, which is only a label."""
    return [(path.split("@")[0], sorted(node.properties.items())) for path, node in item.walk()], item.name.split("@")[0]


def atoms(operation):
    """An operation cut as far as it goes."""
    if isinstance(operation, overlay.Change):
        return [operation._replace(items=(item,)) for item in operation.items]
    return [operation]


@given(operations)
@settings(max_examples=150)
def test_every_overlay_fits_and_nothing_is_lost_or_moved(given_operations):
    blobs = overlay.batch(given_operations)
    assert all(len(blob) <= 4096 and fdt.complete(blob) for blob in blobs)
    alone = [overlay.batch([one]) for operation in given_operations for one in atoms(operation)]
    assert [one for blob in blobs for one in done(blob)] == [one for (blob,) in alone for one in done(blob)]


@given(operations)
@settings(max_examples=100)
def test_the_overlays_are_as_few_as_their_order_allows(given_operations):
    """Each is as full as it gets: with the first part of its successor it would not fit. In a fixed order, no other cut is better."""
    parts = [one for operation in given_operations for one in atoms(operation)]
    counts = []
    for blob in overlay.batch(given_operations):
        taken = next(count for count in range(len(parts), 0, -1) if overlay.batch(parts[:count], limit=1 << 20) == [blob])
        counts.append(taken)
        parts = parts[taken:]
        if parts:
            last = given_parts(given_operations)[sum(counts) - taken : sum(counts) + 1]
            assert len(overlay.batch(last, limit=1 << 20)[0]) > 4096
    assert not parts


def given_parts(given_operations):
    return [one for operation in given_operations for one in atoms(operation)]


def test_what_another_tool_writes_for_the_same_is_the_same_tree():
    blobs = overlay.batch(
        [
            overlay.create("web", None, [2, 3], 256 * MIB),
            overlay.create("db", 7, [256], 256 * MIB, 1),
            overlay.instance_device_add("db", DEVICE),
        ]
    )
    assert [fdt.parse(blob) for blob in blobs] == [fdt.parse((FILES / "create_two.dtb").read_bytes())]


def test_a_baseline_says_the_same_as_that_of_another_tool():
    theirs = fdt.parse((FILES / "baseline.dtb").read_bytes())
    theirs.find("/resources/devices").children[0].properties.pop("compatible")  # of no meaning to the kernel
    device = {"pci_id": DEVICE, "vendor": 0x8086, "device": 0x10D3, "alias": "enp9s0"}
    assert fdt.parse(overlay.baseline([2, 3, 256], [(1 << 30, 0), (512 * MIB, 1)], [device])) == theirs


def test_a_thousand_instances_are_few_transactions():
    blobs = overlay.batch([overlay.create("i%d" % number, number + 1, [number + 2], 16 * MIB) for number in range(1000)])
    assert len(blobs) <= 50 and max(len(blob) for blob in blobs) <= 4096


def test_fragment_units_are_hexadecimal():
    (blob,) = overlay.batch([overlay.remove("i%d" % number) for number in range(12)])
    assert [one.name for one in fdt.parse(blob).children][9:] == ["fragment@9", "fragment@a", "fragment@b"]


def test_each_creation_has_a_fragment_of_its_own():
    (blob,) = overlay.batch([overlay.create("a", None, [2], MIB), overlay.create("b", None, [3], MIB)])
    assert [len(one.child("__overlay__").children) for one in fdt.parse(blob).children] == [1, 1]


def test_a_pool_change_is_one_fragment_where_the_kernels_order_is_the_wanted_one():
    wanted = [
        overlay.pool_cpus_remove([4]),
        overlay.pool_memory_add(128 * MIB, 0),
        overlay.pool_memory_add(256 * MIB),
        overlay.pool_cpus_add([6, 8]),
    ]
    (blob,) = overlay.batch(wanted)
    (fragment,) = fdt.parse(blob).children
    assert [(one.name, len(one.children)) for one in fragment.child("__overlay__").children] == [
        ("cpu-remove", 1),
        ("memory-add", 2),
        ("cpu-add", 2),
    ]
    (blob,) = overlay.batch(wanted[::-1])
    assert len(fdt.parse(blob).children) == 3


def test_more_cpus_than_one_overlay_holds_are_spread():
    blobs = overlay.batch([overlay.pool_cpus_add(range(1, 301))])
    assert len(blobs) == 3
    assert sorted(int.from_bytes(item[0][0][1][0][1], "big") for blob in blobs for _target, _verb, item in done(blob)) == list(
        range(1, 301)
    )


def test_an_instance_that_no_overlay_holds_is_refused():
    overlay.batch([overlay.create("big", None, range(468), MIB)])
    with pytest.raises(
        overlay.OverlayError, match=r"^creating instance big with 600 CPUs takes 5\d\d\d bytes as an overlay, and the kernel takes 4096$"
    ):
        overlay.batch([overlay.remove("a"), overlay.create("big", None, range(600), MIB)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: overlay.create("a/b", None, [1], MIB), "no name of an instance"),
        (lambda: overlay.create("", None, [1], MIB), "no name of an instance"),
        (lambda: overlay.create("x" * 256, None, [1], MIB), "no name of an instance"),
        (lambda: overlay.create("a\n", None, [1], MIB), "no name of an instance"),
        (lambda: overlay.create("a", 0, [1], MIB), "ids are 1 to 2047"),
        (lambda: overlay.create("a", None, [1, 1], MIB), "names a CPU twice"),
        (lambda: overlay.create("a", None, [-1], MIB), "no physical id"),
        (lambda: overlay.create("a", None, [1], 0), "whole pages"),
        (lambda: overlay.create("a", None, [1], 102), "whole pages"),
        (lambda: overlay.create("a", None, [1], MIB, -1), "no number of 32 bits"),
        (lambda: overlay.pool_cpus_add([]), "names no CPU"),
        (lambda: overlay.pool_memory_remove(1, MIB), "whole pages"),
        (lambda: overlay.pool_memory_remove((1 << 64) - 4096, MIB), "below 2\\^64"),
        (lambda: overlay.pool_device_add("09:00.0"), "no address of a PCI function"),
        (lambda: overlay.pool_device_add("0000:09:20.0"), "no address of a PCI function"),
        (lambda: overlay.pool_device_add(DEVICE, "a b"), "no alias"),
        (lambda: overlay.instance_device_add("a", DEVICE, ""), "no name of a driver"),
        (lambda: overlay.baseline([], [(MIB, None)]), "at least one CPU"),
        (lambda: overlay.baseline([1], []), "at least one chunk"),
        (lambda: overlay.baseline([1], [(MIB, None)], [{"pci_id": DEVICE, "vendor": 1 << 32, "device": 1}]), "no number of 32 bits"),
        (lambda: overlay.baseline([1], [(MIB, None)], [device("0000:01:00.0"), device("0000:02:00.0")]), "have the alias e"),
    ],
)  # fmt: skip
def test_what_the_kernel_would_misread_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_operations_are_told_in_words():
    given_operations = [
        overlay.create("a", None, [1], MIB),
        overlay.remove("a"),
        overlay.pool_cpus_add([2, 4]),
        overlay.instance_memory_remove("a", 1 << 30, MIB),
        overlay.pool_memory_add(MIB),
        overlay.instance_device_add("a", DEVICE),
    ]
    assert [overlay.describe(one) for one in given_operations] == [
        "creating instance a with 1 CPUs",
        "removing instance a",
        "adding cpu 2, 4 to the pool",
        "taking memory of 1048576 bytes at 0x40000000 from instance a",
        "adding memory of 1048576 bytes to the pool",
        "adding device 0000:09:00.0 to instance a",
    ]


def test_a_cpu_is_told_with_its_node():
    (blob,) = overlay.batch([overlay.pool_cpus_add([overlay.Cpu(4, 1)])])
    (cpu,) = [node for _path, node in fdt.parse(blob).walk() if node.name.startswith("cpu@")]
    assert (cpu.properties["reg"], cpu.u32("numa-node-id")) == (fdt.u64(4), 1)
