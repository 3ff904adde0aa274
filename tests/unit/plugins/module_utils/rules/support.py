# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout and a machine that break no rule, and how a case changes them."""

from __future__ import annotations

import copy
import json
import pathlib
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.multikernel.core.plugins.module_utils._boot import channel as channel_area
from ansible_collections.multikernel.core.plugins.module_utils._host import facts as host_facts
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical

from . import machine_pci

HOSTS = pathlib.Path(__file__).parents[3] / "fixtures" / "hosts"
MIB = 1 << 20
DIGEST = "5" * 64

Layout = Dict[str, Any]
Facts = Dict[str, Any]
Change = Callable[[Layout, Facts], None]


class RuleCase(NamedTuple):
    """What a rule says when something is changed in a layout and on a machine that break no rule.

    sentence: the whole message of its first finding, None when it passes. verdict: fail or unknown. severity: None means that of
    the rule. placed: judged with a placement; after: changes that. facts: judged with the facts of machine.
    """

    rule: str
    change: Change
    sentence: Optional[str] = None
    verdict: str = "fail"
    severity: Optional[str] = None
    placed: bool = False
    after: Optional[Change] = None
    facts: bool = True
    machine: str = "lab-mkstock"


def layout(*path_and_value: Any) -> Change:
    """A change that sets one value in the layout."""
    return lambda found, _facts: _put(found, path_and_value)


def fact(*path_and_value: Any) -> Change:
    """A change that sets one value in the facts."""
    return lambda _layout, found: _put(found, path_and_value)


def both(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(found: Layout, facts: Facts) -> None:
        for one in changes:
            one(found, facts)

    return change


def nothing(_layout: Layout, _facts: Facts) -> None:
    """No change."""


def _put(target: Any, path_and_value: Any) -> None:
    *path, last, value = path_and_value
    for step in path:
        target = target[step]
    target[last] = copy.deepcopy(value)


def header(**changes: Any) -> Dict[str, Any]:
    """The setup header of Debian's 6.1 kernel, as far as rules look at it."""
    fields = {
        "setup_sects": 39,
        "setup_size": 40 * 512,
        "syssize": 8 * MIB // 16,
        "boot_flag": 0xAA55,
        "header": 0x53726448,
        "version": 0x020F,
        "loadflags": 1,
        "initrd_addr_max": 0x7FFFFFFF,
        "kernel_alignment": 2 * MIB,
        "relocatable_kernel": 1,
        "min_alignment": 21,
        "xloadflags": 0x7F,
        "cmdline_size": 2047,
        "payload_offset": 0x400,
        "payload_length": 7 * MIB,
        "payload": "xz",
        "pref_address": 16 * MIB,
        "init_size": 56 * MIB,
        "kernel_version": "6.1.0-56-amd64",
    }
    fields.update(changes)
    return fields


def image_facts(kind: str, length: int, **changes: Any) -> Dict[str, Any]:
    found = {"exists": True, "regular": True, "size": length, "sha256": DIGEST, "kind": kind, "error": None, "header": None, "elf": None}
    found.update(changes)
    return found


IMAGES = {
    "/boot/vmlinuz": image_facts("bzimage", 8 * MIB + 40 * 512, header=header()),
    "/srv/web.cpio": image_facts("initrd", 3 * MIB),
    "/srv/vmlinux": image_facts(
        "vmlinux", 40 * MIB, elf={"entry": 0x1000000, "loads": [], "start": 0x1000000, "end": 0x1000000 + 40 * MIB}
    ),
    "/srv/tiny": image_facts("flat", 4096),
}


def good_layout() -> Layout:
    """Two Linux instances and a payload that is no Linux, on the lab's machine."""
    return canonical.fill_defaults(
        {
            "name": "edge-box",
            "host": {"cpus": [0, 1], "memory_min": 512 * MIB},
            "pool": {"memory": [{"base": 0x40000000, "size": 512 * MIB}]},
            "images": {
                "debian": {
                    "kernel": {"path": "/boot/vmlinuz", "sha256": DIGEST},
                    "initrd": {"path": "/srv/web.cpio"},
                    "cmdline": "quiet",
                },
                "tiny": {"kernel": {"path": "/srv/tiny"}, "format": "flat"},
            },
            "instances": {
                "web": {
                    "image": "debian",
                    "cpus": {"count": 1},
                    "memory": {"size": 256 * MIB},
                    "cmdline": "role=web",
                    "console": {"device": "ttyS1"},
                    "health": {"channel": "beat", "within": 30.0},
                    "trust": "public",
                },
                "rt": {"image": "tiny", "cpus": {"ids": [3]}, "memory": {"size": 16 * MIB, "base": 0x58000000}},
                "gone": {"image": "debian", "cpus": {"ids": [0]}, "memory": {"size": 1}, "state": "absent"},
            },
            "channels": {
                "beat": {"between": ["host", "web"]},
                "feed": {"between": ["web", "rt"], "kind": "shared_memory", "size": 2 * MIB, "writer": "web"},
            },
        }
    )


_FACTS: Dict[str, str] = {}


def good_facts(machine: str = "lab-mkstock") -> Facts:
    """The facts of one of the constructed machines, with images and, on virtual ones, an invariant TSC."""
    if machine not in _FACTS:
        _FACTS[machine] = json.dumps(host_facts.collect(root=str(HOSTS / machine)))
    found: Facts = json.loads(_FACTS[machine])
    found["tsc"]["nonstop"] = True
    found["images"] = copy.deepcopy(IMAGES)
    found["pci"] = machine_pci.machine()
    return found


def place(layout: Layout, facts: Facts) -> Layout:
    """A plain placement, independent of the real one: in the order of names, lowest first, everything behind each other."""
    placed = copy.deepcopy(layout)
    taken = {number for one in layout["instances"].values() if one["state"] != "absent" for number in one["cpus"]["ids"] or []}
    free = [number for number in sorted(int(each) for each in facts["cpus"]["each"]) if number not in taken and number != 0]
    base = layout["pool"]["memory"][0]["base"] if layout["pool"]["memory"] else 0x40000000
    low = facts["memory"]["low"][0][0] if facts["memory"]["low"] else 0
    by_apic = {one["apic_id"]: int(number) for number, one in facts["cpus"]["each"].items()}
    for _name, instance in sorted(placed["instances"].items()):
        if instance["state"] == "absent":
            continue
        cpus = instance["cpus"]["ids"]
        if cpus is None:
            cpus = [free.pop() for _one in range(instance["cpus"]["count"] or 0)]
        elif instance["cpus"]["space"] == "apic":
            cpus = [by_apic[one] for one in cpus]
        start = instance["memory"]["base"]
        if start is None:
            start, base = base, base + instance["memory"]["size"]
        linux = placed["images"].get(instance["image"], {}).get("format") != "flat"
        instance["placed"] = {
            "cpus": cpus,
            "apic_ids": [(facts["cpus"]["each"].get(str(number)) or {}).get("apic_id") or 0 for number in cpus],
            "base": start,
            "size": instance["memory"]["size"],
            "low": low if linux else None,
            "entry": start + 0x3000,
        }
        low += 0x10000 if linux else 0
    address = 0x5C000000
    for _name, channel in sorted(placed["channels"].items()):
        ends = []
        for end in channel["between"]:
            one = placed["instances"].get(end, {}).get("placed")
            ends.append(one["apic_ids"][0] if one and one["apic_ids"] else 0)
        size = channel["size"] or channel_area.area_size(64, 256)
        channel["placed"] = {"address": address, "size": size, "ends": ends}
        address += -(-size // 4096) * 4096
    return placed
