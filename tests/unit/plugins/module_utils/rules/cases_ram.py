# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on the machine's memory, and on nodes."""

from __future__ import annotations

from .support import MIB, RuleCase, both, fact, layout, nothing

WEB = ("instances", "web")
RT = ("instances", "rt")
CHUNK = ("pool", "memory", 0)


def trusts(web, rt):
    return both(layout(*WEB, "trust", web), layout(*RT, "trust", rt), layout(*RT, "memory", "base", 0x50000000))


CASES = [
    RuleCase("mem-head", layout(*RT, "memory", "size", 2 * MIB), "rt has 2MiB, but its payload is put 2MiB above its base.", facts=False),
    RuleCase("mem-head", layout(*WEB, "memory", "size", 16 * MIB), "web has 16MiB, but its kernel is put 16MiB above its base."),
    RuleCase("mem-head", layout(*RT, "memory", "size", 4 * MIB), facts=False),
    RuleCase(
        "mem-node-sum",
        both(layout(*CHUNK, "node", 0), layout(*RT, "memory", "node", 1)),
        "rt ask for 16MiB of node 1, but the pool has 0 of it.",
        facts=False,
    ),
    RuleCase("mem-node-sum", both(layout(*CHUNK, "node", 0), layout(*RT, "memory", "node", 0)), facts=False),
    RuleCase("mem-node-sum", layout(*RT, "memory", "node", 1), facts=False),
    RuleCase(
        "mem-guard",
        both(trusts("public", "secret"), layout(*WEB, "memory", "base", 0x40000000)),
        "the memory of web (public) ends right before that of rt (secret).",
        facts=False,
    ),
    RuleCase("mem-guard", both(trusts("public", "public"), layout(*WEB, "memory", "base", 0x40000000)), facts=False),
    RuleCase(
        "mem-usable-ram",
        fact("memory", "firmware", [{"start": 0, "end": 0x4FFFFFFF, "type": "System RAM"}]),
        "The pool chunk 0x40000000 (0x40000000-0x5fffffff, 512MiB) is not all RAM: the firmware's map has nothing that exists in it.",
    ),
    RuleCase(
        "mem-usable-ram",
        fact(
            "memory",
            "firmware",
            [{"start": 0, "end": 0x4FFFFFFF, "type": "System RAM"}, {"start": 0x50000000, "end": 0x500FFFFF, "type": "ACPI Tables"}],
        ),
        "The pool chunk 0x40000000 (0x40000000-0x5fffffff, 512MiB) is not all RAM: the firmware's map has ACPI Tables at 0x50000000 in it.",
    ),
    RuleCase("mem-usable-ram", nothing),
    RuleCase(
        "mem-huge",
        fact("memory", "hugetlb", 1024 * MIB),
        "the host would keep 1438 MiB of memory, of which 1024 MiB are huge pages: less than 512MiB is left for the rest.",
    ),
    RuleCase("mem-huge", fact("memory", "hugetlb", 256 * MIB)),
    RuleCase(
        "mem-movable",
        fact("memory", "blocks", 8, "zone", "Normal"),
        "1 memory block of the pool, the first at 0x40000000, is in zone Normal of the host, which the kernel may be unable to empty.",
        machine="lab-plain",
    ),
    RuleCase("mem-movable", nothing, machine="lab-plain"),
    RuleCase(
        "mem-poison",
        fact("memory", "corrupted", 8192),
        "the host has set 8 KiB of broken memory aside, and an instance would not know of it.",
    ),
    RuleCase("mem-poison", nothing),
    RuleCase(
        "mem-encryption",
        fact("memory", "encrypted", True),
        "this host's memory is encrypted, so that an instance would find noise where its kernel was written.",
    ),
    RuleCase("mem-encryption", nothing),
    RuleCase("mem-node-online", layout(*CHUNK, "node", 3), "pool chunk 1 names node 3, but this machine has node 0."),
    RuleCase("mem-node-online", layout(*RT, "memory", "node", 1), "rt names node 1, but this machine has node 0."),
    RuleCase("mem-node-online", layout(*RT, "memory", "node", 1), machine="two-sockets"),
    RuleCase(
        "mem-node-claim",
        both(fact("memory", "blocks", 8, "node", 1), layout(*CHUNK, "node", 0)),
        "The pool chunk 0x40000000 is said to be on node 0, but its first block is on node 1.",
        machine="lab-plain",
    ),
    RuleCase("mem-node-claim", layout(*CHUNK, "node", 0), machine="lab-plain"),
]
