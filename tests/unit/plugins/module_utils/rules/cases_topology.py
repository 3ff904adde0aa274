# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on what CPUs share."""

from __future__ import annotations

from .support import RuleCase, both, fact, layout, nothing

WEB = ("instances", "web", "cpus")
RT = ("instances", "rt", "cpus")
ALONE = layout("host", "cpus", None)
# The sibling of CPU 3 is CPU 7, and offline.
HALF = both(ALONE, fact("cpus", "online", [0, 1, 2, 4, 5, 6]))

CASES = [
    RuleCase("cpu-smt-waste", HALF, "CPU 7 shares a core with CPUs of rt, is offline and belongs to nobody.", machine="smt"),
    RuleCase("cpu-smt-waste", both(ALONE, layout(*RT, "ids", [3, 7])), machine="smt"),
    RuleCase(
        "cpu-whole-cores",
        both(HALF, layout(*RT, "whole_cores", True)),
        "rt is to have whole cores, but not CPU 7, which shares one with its CPUs.",
        machine="smt",
    ),
    RuleCase("cpu-whole-cores", both(ALONE, layout(*RT, "ids", [3, 7]), layout(*RT, "whole_cores", True)), machine="smt"),
    RuleCase(
        "cpu-llc-own",
        layout(*RT, "llc", "own"),
        "rt is to have a last-level cache of its own, but shares it with CPU 0-2 of the host.",
    ),
    RuleCase(
        "cpu-llc-own",
        both(layout(*RT, "llc", "own"), fact("cpus", "each", "3", "llc", None)),
        "which CPUs share the last-level cache of rt is not known.",
        "unknown",
    ),
    RuleCase("cpu-llc-own", both(layout(*RT, "llc", "own"), layout(*RT, "ids", [3, 4, 5])), machine="two-sockets"),
    RuleCase(
        "cpu-hybrid",
        both(layout(*RT, "ids", [2, 3]), fact("cpus", "kinds", {"core": [0, 1, 2], "atom": [3]})),
        "rt mixes CPU 3 of kind atom and CPU 2 of kind core.",
    ),
    RuleCase("cpu-hybrid", fact("cpus", "kinds", {"core": [0, 1, 2], "atom": [3]})),
    RuleCase(
        "cpu-ucode-skew",
        fact("cpus", "each", "3", "microcode", "0x1000001"),
        "the kernels would run on different microcode: rt on 0x1000001; the host on 0x1000065.",
    ),
    RuleCase("cpu-ucode-skew", nothing),
    RuleCase(
        "cpu-vulnerable",
        fact("cpus", "vulnerabilities", "mds", "Vulnerable: Clear CPU buffers attempted, no microcode"),
        "the host's kernel calls this machine vulnerable: mds.",
    ),
    RuleCase("cpu-vulnerable", fact("cpus", "vulnerabilities", "mds", "Mitigation: Clear CPU buffers; SMT vulnerable")),
    RuleCase(
        "cpu-node-empty",
        both(layout("host", "cpus", [0]), layout(*RT, "ids", [3, 4, 5])),
        "the host would keep memory of node 1, but no CPU of it.",
        machine="two-sockets",
    ),
    RuleCase("cpu-node-empty", layout(*RT, "ids", [4, 5]), machine="two-sockets"),
]
