# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the PCI buses is what sysfs says; what sysfs hides is null, and what the host uses is seen through all layers."""

from __future__ import annotations

import json
import os
import struct

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import pci, pci_use

PORT, CARD, DISK = "0000:00:02.0", "0000:01:00.0", "0000:00:03.0"
PLACES = {PORT: PORT, CARD: PORT + "/" + CARD, DISK: DISK}
IOMEM = """\
00000000-00000fff : Reserved
80000000-afffffff : PCI Bus 0000:00
b0000000-bfffffff : {0} 0000 [bus 00-ff]
  b0000000-bfffffff : Reserved
"""


def config(header=0, capabilities=()):
    """Configuration space with a list of capabilities (id, control word)."""
    data = bytearray(256)
    data[0x0E] = header
    at = 0x40
    if capabilities:
        data[0x06], data[0x34] = 0x10, at
    for number, (kind, control) in enumerate(capabilities):
        following = at + 0x10 if number + 1 < len(capabilities) else 0
        struct.pack_into("<BBH", data, at, kind, following, control)
        at += 0x10
    return bytes(data)


@pytest.fixture
def tree(tmp_path):
    """A root folder with a port, a card behind it and a disk, linked as sysfs links them."""

    def put(path, content):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content)

    def link(path, target):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(os.path.relpath(tmp_path / target, file.parent))

    for address, place in PLACES.items():
        folder = "sys/devices/pci0000:00/" + place
        put(folder + "/vendor", "0x8086\n")
        put(folder + "/device", "0x10d3\n")
        put(folder + "/class", "0x060400\n" if address == PORT else "0x020000\n")
        put(folder + "/numa_node", "-1\n")
        put(folder + "/driver_override", "(null)\n")
        put(folder + "/power/control", "on\n")
        put(folder + "/config", config())
        link("sys/bus/pci/devices/" + address, folder)
    card, port = "sys/devices/pci0000:00/" + PLACES[CARD], "sys/devices/pci0000:00/" + PORT
    put(card + "/config", config(0, [(0x01, 0), (0x05, 0x0088), (0x10, 0x0002), (0x11, 0x0004)]))
    rows = ["0xfe840000 0xfe85ffff 0x40200", "0x0 0x0 0x0", "0xc000 0xc01f 0x40101", "0x0 0x1ffff 0x20040200"]
    put(card + "/resource", "".join("0x%016x 0x%016x 0x%016x\n" % tuple(int(word, 16) for word in row.split()) for row in rows))
    put(card + "/reset_method", "flr bus\n")
    put(port + "/config", config(1, [(0x10, 0x0042)]))
    blank = "0x%016x 0x%016x 0x%016x\n" % (0, 0, 0)
    windows = "".join("0x%016x 0x%016x 0x%016x\n" % one for one in [(0xC000, 0xCFFF, 0x101), (0xFE800000, 0xFE9FFFFF, 0x200)])
    put(port + "/resource", blank * 13 + windows + "0x%016x 0x%016x 0x%016x\n" % (0xFE000000, 0xFE1FFFFF, 0x102201))
    put(port + "/secondary_bus_number", "1\n")
    put(port + "/subordinate_bus_number", "1\n")
    link(card + "/driver", "sys/bus/pci/drivers/e1000e")
    put("sys/bus/pci/drivers/e1000e/bind", "")
    put("proc/iomem", IOMEM.format("PCI MMCONFIG"))
    return Tree(tmp_path, put, link)


class Tree:
    """The folder, ways to change it, and what is read from it."""

    def __init__(self, path, put, link):
        self.path, self.put, self.link = path, put, link

    def pci(self):
        return pci.pci(str(self.path))

    def function(self, address):
        return self.pci()["functions"][address]

    def uses(self, address):
        return [(one["kind"], one["name"]) for one in pci_use.uses(str(self.path)).get(address, [])]

    def interface(self, name, address):
        self.put("sys/devices/pci0000:00/%s/net/%s/address" % (PLACES[address], name), "52:54:00:00:00:01\n")
        self.link("sys/class/net/" + name, "sys/devices/pci0000:00/%s/net/%s" % (PLACES[address], name))

    def disk(self, name, number, address):
        self.put("sys/devices/pci0000:00/%s/block/%s/dev" % (PLACES[address], name), number + "\n")
        self.link("sys/class/block/" + name, "sys/devices/pci0000:00/%s/block/%s" % (PLACES[address], name))


def test_machine_without_pci_tells_nothing(tmp_path):
    assert pci.pci(str(tmp_path)) is None


def test_function_is_told_whole(tree):
    found = tree.function(CARD)
    assert (found["vendor"], found["device"], found["class"]) == (0x8086, 0x10D3, 0x020000)
    assert (found["driver"], found["driver_override"], found["power"]) == ("e1000e", None, "on")
    assert (found["msi"], found["msix"]) == (16, 5)
    assert found["path"] == [PORT]
    assert found["reset"] == ["flr", "bus"]
    assert (found["numa_node"], found["iommu_group"], found["bridge"]) == (None, None, None)
    assert [(one["kind"], one["start"], one["end"], one["assigned"]) for one in found["bars"]] == [
        ("memory", 0xFE840000, 0xFE85FFFF, True),
        ("io", 0xC000, 0xC01F, True),
        ("memory", 0, 0x1FFFF, False),
    ]
    assert json.loads(json.dumps(tree.pci())) == tree.pci()


def test_bridge_tells_its_bus_and_windows(tree):
    found = tree.function(PORT)
    assert (found["bridge"]["secondary"], found["bridge"]["conventional"], found["path"]) == (1, False, [])
    assert [(one["kind"], one["start"], one["prefetch"], one["wide"]) for one in found["bridge"]["windows"]] == [
        ("io", 0xC000, False, False),
        ("memory", 0xFE800000, False, False),
        ("memory", 0xFE000000, True, True),
    ]


@pytest.mark.parametrize(("capabilities", "conventional"), [([], True), ([(0x10, 0x0042)], False), ([(0x10, 0x0072)], True)])
def test_bridge_to_conventional_pci_is_told_apart(tree, capabilities, conventional):
    tree.put("sys/devices/pci0000:00/%s/config" % PORT, config(1, capabilities))
    assert tree.function(PORT)["bridge"]["conventional"] is conventional


def test_capabilities_are_not_known_without_privilege(tree):
    path = "sys/devices/pci0000:00/%s/config" % PLACES[CARD]
    tree.put(path, config(0, [(0x05, 0)])[:64])
    found = tree.function(CARD)
    assert (found["msi"], found["msix"]) == (None, None)
    tree.put(path, b"\xff" * 10)
    assert tree.function(CARD)["msi"] is None


def test_list_of_capabilities_that_bites_its_tail_ends(tree):
    data = bytearray(config(0, [(0x05, 0)]))
    data[0x41] = 0x40
    tree.put("sys/devices/pci0000:00/%s/config" % PLACES[CARD], bytes(data))
    assert tree.function(CARD)["msi"] == 1


@pytest.mark.parametrize("name", ["PCI MMCONFIG", "PCI ECAM"])
def test_configuration_space_is_found_under_both_names(name):
    window = {"base": 0xB0000000, "segment": 0, "first_bus": 0, "last_bus": 255}
    assert pci.ecam(IOMEM.format(name)) == [window]


def test_configuration_space_is_not_known_without_privilege():
    hidden = "00000000-00000000 : Reserved\n00000000-00000000 : PCI ECAM 0000 [bus 00-ff]\n"
    assert pci.ecam(hidden) is None
    assert pci.ecam(None) is None
    assert pci.ecam("00001000-00001fff : System RAM\n") == []


def test_group_of_the_iommu_is_told_with_its_domain(tree):
    tree.put("sys/kernel/iommu_groups/7/type", "DMA-FQ\n")
    tree.link("sys/devices/pci0000:00/%s/iommu_group" % PLACES[CARD], "sys/kernel/iommu_groups/7")
    assert (tree.function(CARD)["iommu_group"], tree.function(CARD)["iommu_type"]) == (7, "DMA-FQ")


def test_reset_of_older_kernels_has_no_name(tree):
    folder = "sys/devices/pci0000:00/" + DISK
    assert tree.function(DISK)["reset"] == []
    tree.put(folder + "/reset", "")
    assert tree.function(DISK)["reset"] == ["unnamed"]
    tree.put(folder + "/reset_method", "\n")
    assert tree.function(DISK)["reset"] == []


def test_odd_files_give_nulls_and_no_exception(tree):
    folder = tree.path / "sys/devices/pci0000:00" / PLACES[CARD]
    for file in folder.iterdir():
        if file.is_file() and not file.is_symlink():
            file.write_bytes(b"\xff\x00garbage\n" * 3)
    found = tree.function(CARD)
    assert (found["vendor"], found["class"], found["bars"]) == (None, None, [])


def test_root_disk_is_seen_through_layers(tree):
    tree.disk("vda", "254:0", DISK)
    tree.disk("vda1", "254:1", DISK)
    tree.put("sys/devices/virtual/block/dm-0/dev", "253:0\n")
    tree.link("sys/devices/virtual/block/dm-0/slaves/vda1", "sys/class/block/vda1")
    tree.link("sys/class/block/dm-0", "sys/devices/virtual/block/dm-0")
    tree.put("proc/self/mountinfo", "21 1 253:0 / / rw - ext4 /dev/mapper/root rw\n22 1 254:0 / /srv rw - xfs /dev/vda rw\n")
    tree.put("proc/swaps", "Filename Type Size Used Priority\n/dev/dm-0 partition 1 0 -2\n")
    assert tree.uses(DISK) == [("mount", "vda"), ("root", "dm-0"), ("swap", "dm-0")]
    assert tree.uses(CARD) == []


def test_mount_without_a_device_number_is_found_by_its_source(tree):
    tree.disk("vda", "254:0", DISK)
    tree.put("proc/self/mountinfo", "21 1 0:30 / / rw - btrfs /dev/vda rw\n22 1 0:31 / /tmp rw - tmpfs tmpfs rw\nshort\n")
    assert tree.uses(DISK) == [("root", "vda")]


def test_default_route_is_seen_through_a_bridge(tree):
    tree.interface("eth0", CARD)
    tree.link("sys/devices/pci0000:00/%s/net/eth0/upper_br0" % PLACES[CARD], "sys/devices/virtual/net/br0")
    tree.put("sys/devices/virtual/net/br0/address", "")
    tree.link("sys/class/net/br0", "sys/devices/virtual/net/br0")
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    tree.put("proc/net/route", head + "br0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
    assert tree.uses(CARD) == [("route", "br0"), ("upper", "br0")]


def test_addresses_count_and_those_of_the_link_alone_do_not(tree):
    tree.interface("eth1", CARD)
    inet6 = "fe800000000000000000000000000001 02 40 {0} 80 eth1\n"
    tree.put("proc/net/if_inet6", inet6.format("20"))
    assert tree.uses(CARD) == []
    tree.put("proc/net/if_inet6", inet6.format("00"))
    assert tree.uses(CARD) == [("address", "eth1")]


def test_default_route_of_ipv6_counts(tree):
    tree.interface("eth1", CARD)
    row = "{0} 00 {0} 00 fe800000000000000000000000000002 00000400 00000001 00000000 00000003 {1}\n"
    tree.put("proc/net/ipv6_route", row.format("0" * 32, "lo") + row.format("0" * 32, "eth1"))
    assert tree.uses(CARD) == [("route", "eth1")]
