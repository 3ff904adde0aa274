# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's trees become plain data, each generation is told apart, and a tree that contradicts itself is refused in a sentence."""

from __future__ import annotations

import json

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_tree as trees
from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1 << 20


def root(resources=None, children=(), aliases=None, **properties):
    made = {"#address-cells": fdt.u32(2), "#size-cells": fdt.u32(2), "id": fdt.u32(0)}
    made.update(properties)
    below = [fdt.Node("resources", resources or {}, children)]
    if aliases:
        below.append(fdt.Node("aliases", {alias: fdt.string(path) for alias, path in aliases.items()}))
    return fdt.Node("", made, below)


def chunk(base, size, node=0):
    return fdt.Node("memory@%x" % base, {"reg": fdt.u64(base, size), "numa-node-id": fdt.u32(node)})


def function(slot, bus=9, **properties):
    told = {"reg": fdt.u32(bus << 16 | slot << 11, 0, 0, 0, 0), "vendor-id": fdt.u32(0x8086), "device-id": fdt.u32(0x10D3)}
    told.update(properties)
    return fdt.Node("pci@%x,0" % slot, told)


FULL = root(
    {"cpus": fdt.u64(2, 4, 256), "cpus-available": fdt.u64(4)},
    [chunk(2 << 30, 128 * MIB, 1), chunk(1 << 30, 256 * MIB)],
    {"eth": "/pci@9/pci@1,0/pci@0,0"},
    **{"memory-granule": fdt.u64(128 * MIB)},
)
BRIDGE = fdt.Node("pci@1,0", {"bus-range": fdt.u32(10, 10), "vendor-id": fdt.u32(1), "device-id": fdt.u32(2)}, [function(0, 10)])
FULL.children.append(
    fdt.Node("pci@9", {"linux,pci-domain": fdt.u32(1), "compatible": fdt.string("multikernel,pci-host-bridge")}, [BRIDGE, function(3)])
)
INSTANCE = fdt.Node(
    "",
    {"model": fdt.string("web"), "id": fdt.u32(7)},
    [fdt.Node("resources", {"cpus": fdt.u64(256, 2), "memory-base": fdt.u64(1 << 30), "memory-bytes": fdt.u64(64 * MIB)})],
)


def test_a_host_with_a_pool():
    assert trees.host(fdt.build(FULL)) == {
        "generation": "G2",
        "live": True,
        "cpus": [2, 4, 256],
        "available": [4],
        "memory": [{"base": 1 << 30, "size": 256 * MIB, "node": 0}, {"base": 2 << 30, "size": 128 * MIB, "node": 1}],
        "granule": 128 * MIB,
        "devices": [
            {
                "name": "pci@0,0",
                "type": "pci",
                "pci_id": "0001:0a:00.0",
                "vendor": 0x8086,
                "device": 0x10D3,
                "alias": "eth",
                "acpi_hid": None,
            },
            {
                "name": "pci@3,0",
                "type": "pci",
                "pci_id": "0001:09:03.0",
                "vendor": 0x8086,
                "device": 0x10D3,
                "alias": None,
                "acpi_hid": None,
            },
        ],
        "aliases": {"eth": "/pci@9/pci@1,0/pci@0,0"},
    }


def test_a_host_without_a_pool_shows_its_own_cpus():
    found = trees.host(root({"cpus": fdt.u64(0, 2)}))
    assert (found["live"], found["cpus"], found["available"], found["memory"], found["granule"]) == (False, [0, 2], [], [], None)


def test_a_pool_whose_cpus_are_all_lent_is_a_pool():
    """cpus-available is absent then: only the memory tells."""
    found = trees.host(root({"cpus": fdt.u64(2)}, [chunk(1 << 30, MIB)]))
    assert found["live"] and found["available"] == []


def test_a_platform_device_of_the_pool():
    device = fdt.Node(
        "uart", {"device-type": fdt.string("platform"), "device-name": fdt.string("PNP0501:01"), "acpi-hid": fdt.string("PNP0501")}
    )
    found = trees.host(root({"cpus": fdt.u64(2)}, [fdt.Node("devices", {}, [device])], {"com": "/resources/devices/uart"}))
    assert found["live"]
    assert found["devices"] == [
        {"name": "PNP0501:01", "type": "platform", "pci_id": None, "vendor": None, "device": None, "alias": "com", "acpi_hid": "PNP0501"}
    ]


@pytest.mark.parametrize(
    ("blob", "generation"),
    [
        (b"/dts-v1/;\n/ {\n\tcompatible = \"multikernel-v1\";\n};\n", "G0"),
        (fdt.build(fdt.Node("", {}, [fdt.Node("resources", {"memory-base": fdt.u64(1), "cpus": fdt.u32(1)})])), "G1"),
        (fdt.build(root({"cpus": fdt.u64(0)})), "G2"),
    ],
)  # fmt: skip
def test_the_generation_is_told_by_the_root_tree_alone(blob, generation):
    assert trees.generation(blob) == generation
    found = trees.host(blob)
    assert found["generation"] == generation
    if generation != "G2":
        assert found["cpus"] == [] and not found["live"]


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "empty"),
        (b"\0\1\2", "neither a device tree nor text"),
        (b"\xff\xfe", "neither a device tree nor text"),
        (fdt.build(fdt.Node()), "no known generation"),
        (fdt.build(FULL)[:-1], "incomplete"),
    ],
)
def test_a_root_file_of_no_generation_is_refused(blob, words):
    with pytest.raises(trees.TreeError, match=words):
        trees.generation(blob)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (root({"cpus": fdt.u32(1)}), "property 'cpus' of node 'resources' has 4 bytes"),
        (root({"cpus": fdt.u64(1, 2, 1)}), "names CPU 1 twice"),
        (root({"cpus": fdt.u64(1), "cpus-available": fdt.u64(1, 3)}), "CPU 3 is free, yet not in the pool"),
        (root({}, [fdt.Node("memory@1", {"reg": fdt.u64(1)})]), "has 1 numbers of 64 bits instead of 2"),
        (root({}, [chunk((1 << 64) - 4096, MIB)]), "whole pages below 2\\^64"),
        (root({}, [chunk(1 << 30, MIB), chunk((1 << 30) + 4096, MIB)]), "overlaps"),
        (root({}, [fdt.Node("memory@1", {"reg": fdt.u64(0, MIB), "numa-node-id": b"1"})]), "numa-node-id"),
        (root(**{"memory-granule": fdt.u64(3 * MIB)}), "no power of two"),
        (root(aliases={"a": "x"}, **{"memory-granule": fdt.u32(1)}), "memory-granule"),
    ],
)
def test_a_root_tree_that_contradicts_itself_is_refused(tree, words):
    with pytest.raises(trees.TreeError, match=words):
        trees.host(tree)
    with pytest.raises(trees.TreeError, match=words):
        trees.host(fdt.build(tree))


def test_an_instance_is_what_it_was_granted():
    assert trees.instance(fdt.build(INSTANCE)) == {
        "name": "web",
        "id": 7,
        "cpus": [256, 2],
        "base": 1 << 30,
        "size": 64 * MIB,
        "devices": [],
    }


def test_an_instance_that_was_granted_nothing():
    bare = fdt.Node("", {"model": fdt.string("web"), "id": fdt.u32(7)}, [fdt.Node("resources")])
    assert trees.instance(bare) == {"name": "web", "id": 7, "cpus": [], "base": None, "size": 0, "devices": []}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (fdt.Node("web", {"id": fdt.u32(1)}), "has no model"),
        (fdt.Node("", {"model": fdt.string("web")}), "has no id"),
        (fdt.Node("", {"model": b"web", "id": fdt.u32(1)}), "property 'model'"),
        (fdt.Node("", {"model": fdt.string("w"), "id": fdt.u64(1)}), "property 'id'"),
    ],
)
def test_a_tree_that_is_no_instance_is_refused(tree, words):
    with pytest.raises(trees.TreeError, match=words):
        trees.instance(tree)


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_tree_is_data_or_a_sentence(data):
    blob = bytearray(fdt.build(data.draw(st.sampled_from([FULL, INSTANCE]))))
    for _change in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(8, len(blob) - 1))] = data.draw(st.one_of(st.integers(0, 9), st.integers(0, 255)))
    for read in (trees.generation, trees.host, trees.instance):
        assert data_or_sentence(read, bytes(blob))


def data_or_sentence(read, blob):
    try:
        return json.dumps(read(blob), allow_nan=False)
    except trees.TreeError as refused:
        return 10 < len(str(refused)) < 400


@pytest.mark.parametrize("text", ["0000:09:00.0", "0001:FF:1f.7"])
def test_pci_addresses_are_read(text):
    assert trees.pci_numbers(text) == tuple(int(part, 16) for part in text.replace(".", ":").split(":"))


@pytest.mark.parametrize("text", ["", "09:00.0", "0000:09:20.0", "0000:09:00.8", "0000:09:00.0\n", "0000:09:00,0"])
def test_other_words_are_no_pci_address(text):
    assert trees.pci_numbers(text) is None


def bus(*functions):
    made = root()
    made.children.append(fdt.Node("pci@9", {"linux,pci-domain": fdt.u32(0)}, list(functions)))
    return fdt.build(made)


def test_a_bridge_with_nothing_behind_it_is_no_device():
    empty = fdt.Node("pci@1,0", {"bus-range": fdt.u32(10, 10), "vendor-id": fdt.u32(1), "device-id": fdt.u32(2)})
    assert [one["pci_id"] for one in trees.host(bus(empty, function(3)))["devices"]] == ["0000:09:03.0"]


def test_a_function_without_a_whole_address_is_refused():
    with pytest.raises(trees.TreeError, match=r"reg of PCI device 'pci@3,0' has 1 cells instead of 5"):
        trees.host(bus(function(3, reg=fdt.u32(9))))
