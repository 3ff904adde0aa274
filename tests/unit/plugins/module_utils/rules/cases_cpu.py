# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on CPUs."""

from __future__ import annotations

from .support import RuleCase, both, fact, layout

WEB = ("instances", "web", "cpus")
RT = ("instances", "rt", "cpus")


def apic(*ids):
    return {"space": "apic", "ids": list(ids), "count": None, "near": None, "whole_cores": False, "llc": None}


CASES = [
    RuleCase("cpu-some", layout(*WEB, "count", 0), "web has no CPU; an instance needs at least one."),
    RuleCase("cpu-some", layout(*RT, "ids", []), "rt has no CPU; an instance needs at least one."),
    RuleCase("cpu-id-kind", layout(*RT, apic(9)), "rt names APIC id 9, which no known CPU of this machine has (known: 0-3)."),
    RuleCase("cpu-id-kind", layout(*RT, apic(3))),
    RuleCase(
        "cpu-id-kind",
        both(layout(*WEB, "count", None), layout(*WEB, "ids", [2]), layout(*RT, apic(3))),
        "web names logical CPU numbers and rt names APIC ids; the two differ on many machines.",
        severity="warning",
    ),
    RuleCase(
        "cpu-id-kind",
        both(layout(*RT, apic(9)), fact("cpus", "each", "2", "apic_id", None)),
        "rt names APIC id 9, which no known CPU of this machine has (known: 0-1,3).",
        "unknown",
    ),
    RuleCase(
        "cpu-id-kind",
        both(layout(*RT, "ids", [2])),
        "the APIC id of CPU 2 of rt is not known, because the kernel forgets it while the CPU is offline.",
        "unknown",
        machine="offlined",
    ),
    RuleCase("cpu-dup", layout(*RT, "ids", [3, 3]), "rt names CPU 3 more than once."),
    RuleCase(
        "cpu-overlap",
        both(layout(*WEB, "count", None), layout(*WEB, "ids", [2, 3])),
        "rt and web both claim CPU 3; give each CPU to one kernel only.",
    ),
    RuleCase(
        "cpu-overlap",
        both(layout(*WEB, "count", None), layout(*WEB, "ids", [2, 3])),
        "rt and web both claim CPU 3; give each CPU to one kernel only.",
        facts=False,
    ),
    RuleCase("cpu-overlap", layout(*RT, "ids", [1, 3]), "the host and rt both claim CPU 1; give each CPU to one kernel only."),
    RuleCase(
        "cpu-overlap",
        both(layout(*WEB, apic(5)), layout(*RT, "ids", [4])),
        "rt and web both claim CPU 4; give each CPU to one kernel only.",
        machine="two-sockets",
    ),
    RuleCase("cpu-overlap", both(layout(*WEB, apic(4)), layout(*RT, "ids", [4])), machine="two-sockets"),
    RuleCase(
        "cpu-overlap",
        both(layout("host", "cpus", None), layout(*WEB, apic(5)), layout(*RT, apic(5, 6))),
        "rt and web both claim APIC id 5; give each CPU to one kernel only.",
        facts=False,
    ),
    RuleCase(
        "cpu-overlap",
        both(layout(*WEB, apic(5)), layout(*RT, "ids", [4])),
        "the APIC ids of web cannot be compared with the logical CPU numbers of others without the APIC ids of this machine.",
        "unknown",
        facts=False,
    ),
    RuleCase("cpu-present", layout(*RT, "ids", [4]), "rt names CPU 4, but this machine has CPUs 0-3."),
    RuleCase("cpu-present", layout(*RT, "ids", [5]), machine="two-sockets"),
    RuleCase("cpu-present", layout(*RT, "ids", [6]), "rt names CPU 6, but this machine has CPUs 0-5.", machine="two-sockets"),
    RuleCase("cpu-present", layout("host", "cpus", [0, 7]), "host.cpus names CPU 7, but this machine has CPUs 0-3."),
    RuleCase(
        "cpu-enough",
        layout(*WEB, "count", 4),
        "the instances ask for 5 CPUs (rt: 1, web: 4), but this machine has 4 and the host keeps 2, which leaves 2.",
    ),
    RuleCase("cpu-enough", both(layout(*WEB, "count", 2), layout("host", "cpus", None))),
    RuleCase("cpu-bsp-host", layout(*RT, "ids", [0]), "rt claims CPU 0, which booted the host and stays with it."),
    RuleCase("cpu-bsp-host", layout(*RT, "ids", [0]), "rt claims CPU 0, which booted the host and stays with it.", facts=False),
    RuleCase("cpu-bsp-host", layout(*RT, apic(0)), "rt claims CPU 0, which booted the host and stays with it."),
    RuleCase(
        "cpu-bsp-host",
        layout(*RT, apic(0)),
        "whether rt claims the boot CPU by its APIC id needs the facts of a machine.",
        "unknown",
        facts=False,
    ),
    RuleCase("cpu-bsp-host", layout("host", "cpus", [1, 2]), "host.cpus is 1-2, but CPU 0 booted the host and stays with it."),
    RuleCase(
        "cpu-host-min",
        both(layout(*WEB, "count", 2), layout("host", "cpus", None)),
        "3 of 4 CPUs go to instances, which leaves 1 for the host.",
    ),
    RuleCase("cpu-host-min", both(layout(*WEB, "count", 1), layout("host", "cpus", None))),
    RuleCase(
        "cpu-smt-split",
        both(layout("host", "cpus", None), layout(*RT, "ids", [3])),
        "CPU 3 of rt and CPU 7 of the host are threads of one core.",
        machine="smt",
    ),
    RuleCase("cpu-smt-split", both(layout("host", "cpus", None), layout(*RT, "ids", [3, 7])), machine="smt"),
    RuleCase(
        "cpu-smt-split",
        both(layout(*WEB, "count", None), layout(*WEB, "ids", [2, 7]), layout(*RT, "ids", [3, 6])),
        "CPU 2 of web and CPU 6 of rt are threads of one core.",
        machine="smt",
    ),
    RuleCase(
        "cpu-smt-split",
        both(layout("host", "cpus", None), layout(*RT, "ids", [3]), fact("cpus", "online", [0, 1, 2, 4, 5, 6])),
        machine="smt",
    ),
    RuleCase(
        "cpu-smt-split", fact("cpus", "each", "3", "siblings", None), "which CPUs share a core with CPU 3 of rt is not known.", "unknown"
    ),
    RuleCase("cpu-offlinable", fact("cpus", "each", "3", "offlinable", False), "rt claims CPU 3, which this kernel cannot take offline."),
    RuleCase(
        "cpu-offlinable",
        fact("cpus", "each", "3", "offlinable", None),
        "whether the host can take CPU 3 of rt offline is not known.",
        "unknown",
    ),
    RuleCase("cpu-x2apic", fact("cpus", "each", "3", "apic_id", 255), "CPU 3 of rt has APIC id 255; instances can use ids up to 254."),
    RuleCase("cpu-x2apic", fact("cpus", "each", "3", "apic_id", 254)),
    RuleCase(
        "cpu-flags-equal",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "each", "3", "flags", "other")),
        "rt would have CPUs 2 and 3, which differ in model and feature flags.",
    ),
    RuleCase(
        "cpu-flags-equal",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "each", "3", "microcode", "0x2")),
        "rt would have CPUs 2 and 3, which differ in microcode revision.",
    ),
    RuleCase(
        "cpu-flags-equal",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "each", "3", "flags", None)),
        "whether CPU 3 of rt has the same model and feature flags as the others is not known.",
        "unknown",
    ),
    RuleCase("cpu-flags-equal", layout(*RT, "ids", [2, 3])),
    RuleCase(
        "cpu-flags-equal",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "each", "0", "microcode", None), fact("cpus", "each", "3", "microcode", None)),
    ),
    RuleCase("cpu-numa-span", layout(*RT, "ids", [2, 3]), "rt spans 2 nodes: CPU 2 on node 0, CPU 3 on node 1.", machine="two-sockets"),
    RuleCase("cpu-numa-span", layout(*RT, "ids", [3, 4]), machine="two-sockets"),
    RuleCase(
        "cpu-numa-span",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "each", "3", "node", None)),
        "the node of CPU 3 of rt is not known.",
        "unknown",
    ),
    RuleCase(
        "cpu-mem-local",
        both(layout(*RT, "ids", [2]), layout("pool", "memory", 0, "node", 1)),
        "rt has its memory on node 1 and its CPUs on node 0.",
        machine="two-sockets",
    ),
    RuleCase("cpu-mem-local", both(layout(*RT, "ids", [4]), layout("pool", "memory", 0, "node", 1)), machine="two-sockets"),
    RuleCase(
        "cpu-mem-local",
        both(layout(*RT, "ids", [2]), layout("instances", "rt", "memory", "base", 0x60000000)),
        "rt has its memory on node 1 and its CPUs on node 0.",
        machine="two-sockets",
    ),
    RuleCase("cpu-mem-local", layout(*RT, "ids", [2]), "the node of the memory of rt is not known.", "unknown", machine="two-sockets"),
    RuleCase("cpu-mem-local", both(layout(*RT, "ids", [2]), layout("instances", "rt", "memory", "node", 0)), machine="two-sockets"),
]
