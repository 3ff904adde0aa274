# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on devices: web owns the network card behind the root port of the lab's machine."""

from __future__ import annotations

from typing import Any

from .machine_pci import BESIDE, BRIDGE, CARD, PORT, UPPER, function, memory
from .support import RuleCase, both, fact, layout

# The base of all cases below: the good layout, and a card for web.
given = both(
    layout("instances", "web", "devices", [{"pci": CARD, "vendor": 0x8086, "device": 0x10D3, "alias": "eth0"}]),
    fact("iommu", "interrupt_remapping", False),
)


def owns(name: str, *addresses: str, alias: Any = None):
    return layout("instances", name, "devices", [{"pci": one, "vendor": None, "device": None, "alias": alias} for one in addresses])


def of(address: str, key: str, value: Any):
    return fact("pci", "functions", address, key, value)


def put(address: str, **changes: Any):
    return fact("pci", "functions", address, function(**changes))


def case(rule: str, change: Any, sentence: Any = None, **more: Any) -> RuleCase:
    return RuleCase(rule, both(given, change), sentence, **more)


def without_pci(rule: str, title: str) -> RuleCase:
    sentence = "{0}: what is on the PCI buses is not known, and web is to own 0000:01:00.0.".format(title)
    return case(rule, fact("pci", None), sentence, verdict="unknown", severity="warning" if rule == "dev-mapped" else None)


SECOND = "0000:01:00.1"
CASES = [
    case("dev-once", owns("rt", CARD), "rt and web are both given the PCI device 0000:01:00.0."),
    case("dev-once", owns("web", CARD, CARD), "web is given the PCI device 0000:01:00.0 twice."),
    case(
        "dev-alias",
        both(put(SECOND), owns("web", CARD, SECOND, alias="eth0")),
        "web is to call both 0000:01:00.0 and 0000:01:00.1 eth0.",
    ),
    case("dev-alias", both(put(SECOND), owns("web", CARD, SECOND))),
    case(
        "dev-present",
        owns("web", "0000:05:00.0"),
        "web is to own the PCI device 0000:05:00.0, and this machine has none there.",
    ),
    case("dev-present", of(CARD, "device", 0x1521), "the PCI device 0000:01:00.0 of web has the device id 0x1521, not 0x10d3."),
    case("dev-present", of(CARD, "vendor", None), "which vendor the PCI device 0000:01:00.0 has is not known.", verdict="unknown"),
    without_pci("dev-present", "Devices are where the layout says, and are what it says"),
    case(
        "dev-host-critical",
        of(CARD, "uses", [{"kind": "root", "name": "sda1"}]),
        "web is to own the PCI device 0000:01:00.0, on which the host has its root file system (sda1).",
    ),
    case(
        "dev-host-critical",
        of(CARD, "uses", [{"kind": "route", "name": "eth0"}]),
        "web is to own the PCI device 0000:01:00.0, on which the host has its default route (eth0).",
    ),
    case(
        "dev-host-critical",
        owns("web", PORT),
        "web is to own 0000:00:03.0, which is a bridge: what lies behind it can be given, not the bridge.",
    ),
    case(
        "dev-host-critical",
        of(CARD, "uses", None),
        "whether the host needs the PCI device 0000:01:00.0 of web is not known.",
        verdict="unknown",
    ),
    case(
        "dev-unbound",
        of(CARD, "uses", [{"kind": "address", "name": "eth1"}]),
        "web is to own the PCI device 0000:01:00.0, and the host has an address or a route (eth1).",
    ),
    case(
        "dev-unbound",
        of(CARD, "uses", [{"kind": "upper", "name": "br0"}]),
        "web is to own the PCI device 0000:01:00.0, and the host has a bridge, bond or VLAN on top of it (br0).",
    ),
    case(
        "dev-unbound",
        of(CARD, "virtual_functions", 4),
        "web is to own the PCI device 0000:01:00.0, of which the host uses 4 virtual functions.",
    ),
    case("dev-unbound", both(of(CARD, "driver", None), of(CARD, "driver_override", "multikernel"), of(CARD, "uses", None))),
    case(
        "dev-group",
        both(put(SECOND, iommu_group=7, iommu_type="identity"), of(CARD, "iommu_group", 7), of(CARD, "iommu_type", "identity")),
        "web owns 0000:01:00.0 of IOMMU group 7, but not 0000:01:00.1.",
    ),
    case(
        "dev-group",
        both(put("0000:02:01.0", path=[BRIDGE]), put("0000:02:02.0", path=[BRIDGE]), owns("web", "0000:02:02.0")),
        "web owns 0000:02:02.0 of the conventional bus behind 0000:00:1e.0, but not 0000:02:01.0.",
    ),
    case("dev-group", both(of(PORT, "iommu_group", 7), of(CARD, "iommu_group", 7), of(CARD, "iommu_type", "identity"))),
    case("dev-bus", put(SECOND), "web owns 0000:01:00.0 of PCI bus 0000:01, but not 0000:01:00.1."),
    case("dev-bus", both(put(SECOND), owns("web", SECOND, CARD))),
    case(
        "dev-bus",
        both(of(BESIDE, "uses", []), owns("web", BESIDE)),
        "web is to own 0000:00:02.0, which is on a root bus of the machine, among the host's devices.",
    ),
    case("dev-bus", of(CARD, "path", None), "which bridges lead to the PCI device 0000:01:00.0 of web is not known.", verdict="unknown"),
    case(
        "dev-iommu",
        fact("iommu", "present", False),
        "the PCI device 0000:01:00.0 of web reaches all memory of the machine: no IOMMU translates it.",
    ),
    case(
        "dev-iommu",
        both(of(CARD, "iommu_group", 7), of(CARD, "iommu_type", "identity")),
        "the PCI device 0000:01:00.0 of web reaches all memory of the machine: its IOMMU domain lets everything through.",
    ),
    case(
        "dev-iommu",
        of(CARD, "iommu_group", 7),
        "whether an IOMMU confines the PCI device 0000:01:00.0 of web is not known.",
        verdict="unknown",
    ),
    case("dev-iommu", both(of(CARD, "iommu_group", 7), of(CARD, "iommu_type", "DMA-FQ"))),
    case(
        "dev-mapped",
        both(of(CARD, "iommu_group", 7), of(CARD, "iommu_type", "DMA"), fact("iommu", "interrupt_remapping", True)),
        "the host's IOMMU would refuse every access of the PCI device 0000:01:00.0 to the memory of web.",
    ),
    case(
        "dev-mapped",
        fact("iommu", "interrupt_remapping", True),
        "the host remaps interrupts, and would refuse those of the PCI device 0000:01:00.0 of web.",
    ),
    case(
        "dev-mapped",
        fact("iommu", "interrupt_remapping", None),
        "whether interrupts of the PCI device 0000:01:00.0 reach web is not known.",
        verdict="unknown",
        severity="warning",
    ),
    without_pci("dev-mapped", "What a device does reaches its instance"),
    case(
        "dev-irq-remap",
        both(
            of(CARD, "iommu_group", 7),
            of(CARD, "iommu_type", "DMA"),
        ),
        "the PCI device 0000:01:00.0 of web can interrupt every CPU of the machine.",
    ),
    case("dev-msi", both(of(CARD, "msi", 0), of(CARD, "msix", 0)), "the PCI device 0000:01:00.0 of web has neither MSI nor MSI-X."),
    case(
        "dev-msi",
        both(of(CARD, "msi", None), of(CARD, "msix", None)),
        "whether the PCI device 0000:01:00.0 of web has MSI or MSI-X is not known.",
        verdict="unknown",
    ),
    case("dev-msi", of(CARD, "msix", 0)),
    case(
        "dev-bar",
        of(CARD, "bars", [memory(0xFD000000, 0x20000)]),
        "the PCI device 0000:01:00.0 of web has memory 0xfd000000-0xfd01ffff, outside what its bridge 0000:00:03.0 passes on.",
    ),
    case(
        "dev-bar",
        of(CARD, "bars", [memory(0, 0x20000, assigned=False)]),
        "the PCI device 0000:01:00.0 of web has memory without a place, outside what its bridge 0000:00:03.0 passes on.",
    ),
    case("dev-bar", of(CARD, "bars", None), "which addresses the PCI device 0000:01:00.0 of web has is not known.", verdict="unknown"),
    case("dev-ecam", fact("pci", "ecam", []), "the configuration space of the PCI device 0000:01:00.0 of web is reached by ports only."),
    case(
        "dev-ecam",
        fact("pci", "ecam", None),
        "where the configuration space of the PCI device 0000:01:00.0 of web lies is not known.",
        verdict="unknown",
    ),
    case("dev-reset", of(CARD, "reset", []), "the host knows no way to reset the PCI device 0000:01:00.0 of web."),
    case("dev-reset", of(CARD, "reset", None), "whether the PCI device 0000:01:00.0 of web can be reset is not known.", verdict="unknown"),
    case(
        "dev-numa",
        both(layout("instances", "web", "memory", "node", 0), of(CARD, "numa_node", 1)),
        "the PCI device 0000:01:00.0 is on node 1, the memory of web on node 0.",
    ),
    case("dev-numa", both(layout("instances", "web", "memory", "node", 1), of(CARD, "numa_node", 1))),
    case(
        "dev-bridge-path",
        both(of(CARD, "path", [UPPER, PORT]), put("0000:04:00.0", path=[UPPER])),
        "the PCI device 0000:01:00.0 of web shares the bridge 0000:00:04.0 with 0000:04:00.0.",
    ),
    case("dev-bridge-path", put("0000:04:00.0", path=[UPPER])),
    case(
        "con-reserve",
        layout("instances", "web", "cmdline", "reserve=0x100,8"),
        "web needs 5 ranges in reserve= (3 UARTs of others, 1 for PCI, 1 of its own words), and the kernel takes 4.",
    ),
    case(
        "cmd-pci",
        layout("instances", "web", "cmdline", "pci=off"),
        "web has 'pci=off' on its command line, which takes its own devices away from it.",
    ),
    case("cmd-pci", layout("instances", "web", "cmdline", "pci=noaer")),
]
