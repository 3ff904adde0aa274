# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""A facts bundle as a file that leaves the machine: its version, its text, and what can be taken out of it before.

What is redacted is replaced on the machine itself. Everything that rules, placement and plans read stays, so that a redacted bundle
is judged like the other one.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

VERSION = 1

# What redact() takes out, by name.
PARTS = ("boot_id", "cmdline", "hostname", "uuids")

HIDDEN = "***"

_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")

# Words of a host's command line that say how the machine is divided or clocked. All others may hold anything: disks, addresses,
# names, passwords of network shares. A list of what is harmless cannot miss a secret; a list of secrets would.
_HARMLESS = frozenset(
    [
        "acpi",
        "amd_iommu",
        "apic",
        "clocksource",
        "console",
        "crashkernel",
        "default_hugepagesz",
        "earlyprintk",
        "hpet",
        "hugepages",
        "hugepagesz",
        "idle",
        "intel_idle.max_cstate",
        "intel_iommu",
        "iommu",
        "irqaffinity",
        "isolcpus",
        "kaslr",
        "kho",
        "la57",
        "lapic",
        "liveupdate",
        "lockdown",
        "maxcpus",
        "mce",
        "mem",
        "memmap",
        "memory_hotplug.online_policy",
        "mitigations",
        "movable_node",
        "movablecore",
        "nmi_watchdog",
        "no5lvl",
        "no_ipi_broadcast",
        "no_timer_check",
        "noapic",
        "nohz",
        "nohz_full",
        "nokaslr",
        "nolapic",
        "nopti",
        "nosmt",
        "notsc",
        "nowatchdog",
        "nox2apic",
        "nr_cpus",
        "numa",
        "numa_balancing",
        "panic",
        "possible_cpus",
        "processor.max_cstate",
        "pti",
        "quiet",
        "rcu_nocbs",
        "reboot",
        "ro",
        "rw",
        "skew_tick",
        "tsc",
        "x2apic_phys",
    ]
)


def redact(facts: Dict[str, Any]) -> Dict[str, Any]:
    """Return a copy of a bundle without what tells whose machine it is.

    Host name and boot id become null; of the command line the words that matter here stay, others lose their values; UUIDs
    anywhere become zeros. The copy names what was taken out in its key `redacted`.
    """
    found: Dict[str, Any] = _without_uuids(facts)
    found["hostname"] = None
    found["boot_id"] = None
    kernel = found.get("kernel")
    if isinstance(kernel, dict) and isinstance(kernel.get("cmdline"), str):
        kernel["cmdline"] = redact_cmdline(kernel["cmdline"])
    found["redacted"] = list(PARTS)
    return found


def redact_cmdline(cmdline: str) -> str:
    """Return a command line in which only harmless words are whole: ``root=UUID=1-2 quiet`` becomes ``root=*** quiet``."""
    return " ".join(_word(word) for word in cmdline.split())


def text(facts: Dict[str, Any]) -> str:
    """Return a bundle as JSON for a file: one line for each CPU, memory block, region and image, so that two can be compared."""
    return "".join(_lines(facts, 0)) + "\n"


def _word(word: str) -> str:
    key, equals, _value = word.partition("=")
    if key in _HARMLESS or key.startswith("multikernel."):
        return word
    return key + equals + HIDDEN if equals and re.match(r"[A-Za-z][A-Za-z0-9_.-]{0,63}$", key) else HIDDEN


def _without_uuids(value: Any) -> Any:
    """Copy plain data without UUIDs in texts; keys stay, because images are found by their paths."""
    if isinstance(value, str):
        return _UUID.sub("00000000-0000-0000-0000-000000000000", value)
    if isinstance(value, dict):
        return {key: _without_uuids(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_uuids(item) for item in value]
    return value


def _lines(value: Any, depth: int) -> List[str]:
    """JSON with one line for each item down to the third level; what lies deeper stands in one line."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    nested = any(isinstance(item, (dict, list)) for item in inner)
    if (depth and not nested) or depth > 2 or not value:
        return [json.dumps(value, ensure_ascii=False)]
    indent = "  " * (depth + 1)
    if isinstance(value, dict):
        items = [json.dumps(key, ensure_ascii=False) + ": " + "".join(_lines(item, depth + 1)) for key, item in value.items()]
    else:
        items = ["".join(_lines(item, depth + 1)) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return [opening, "\n" + indent, (",\n" + indent).join(items), "\n" + "  " * depth, closing]
