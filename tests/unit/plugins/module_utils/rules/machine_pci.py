# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI functions of the lab's machine: a network card of the host, one behind a root port, a bridge to conventional PCI."""

from __future__ import annotations

from typing import Any, Dict

CARD, PORT, UPPER, BRIDGE, BESIDE = "0000:01:00.0", "0000:00:03.0", "0000:00:04.0", "0000:00:1e.0", "0000:00:02.0"


def function(**changes: Any) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "vendor": 0x8086,
        "device": 0x10D3,
        "class": 0x020000,
        "driver": "e1000e",
        "driver_override": None,
        "power": "on",
        "numa_node": None,
        "iommu_group": None,
        "iommu_type": None,
        "msi": 1,
        "msix": 5,
        "bars": [memory(0xFE840000, 0x20000), memory(0xFE860000, 0x20000), port(0xC000, 0x20)],
        "path": [PORT],
        "reset": ["flr", "bus"],
        "physical_function": None,
        "virtual_functions": None,
        "bridge": None,
        "uses": [],
    }
    return dict(found, **changes)


def memory(start: int, size: int, **changes: Any) -> Dict[str, Any]:
    found = {"kind": "memory", "start": start, "end": start + size - 1, "prefetch": False, "wide": False, "assigned": True}
    return dict(found, **changes)


def port(start: int, size: int) -> Dict[str, Any]:
    return memory(start, size, kind="io")


def bridge(secondary: int, conventional: bool, **changes: Any) -> Dict[str, Any]:
    windows = [port(0xC000, 0x1000), memory(0xFE800000, 0x200000), memory(0xFE000000, 0x200000, prefetch=True, wide=True)]
    leads = {"secondary": secondary, "subordinate": secondary, "conventional": conventional, "windows": windows}
    wiring = {"msix": 0, "bars": [], "path": [], "device": 0x000C, "vendor": 0x1B36, "driver": "pcieport", **changes}
    return function(**{"class": 0x060400}, bridge=leads, **wiring)


def machine() -> Dict[str, Any]:
    """The PCI functions of the lab's machine."""
    return {
        "ecam": [{"base": 0xB0000000, "segment": 0, "first_bus": 0, "last_bus": 255}],
        "functions": {
            "0000:00:00.0": function(**{"class": 0x060000}, path=[], msi=0, msix=0, bars=[], driver=None),
            BESIDE: function(vendor=0x1AF4, device=0x1000, path=[], uses=[{"kind": "route", "name": "eth0"}]),
            PORT: bridge(1, False),
            UPPER: bridge(4, False),
            BRIDGE: bridge(2, True),
            CARD: function(),
        },
    }
