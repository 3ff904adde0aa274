# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on memory."""

from __future__ import annotations

from .support import MIB, RuleCase, both, fact, layout, nothing

WEB = ("instances", "web", "memory")
RT = ("instances", "rt", "memory")


def pool(base, size):
    return layout("pool", "memory", [{"base": base, "size": size, "node": None}])


CASES = [
    RuleCase("mem-positive", layout(*RT, "size", 0), "the memory of rt has size 0."),
    RuleCase("mem-positive", layout("pool", "memory", 0, "size", 0), "pool chunk 1 has size 0."),
    RuleCase(
        "mem-page",
        layout(*RT, "size", 16 * MIB + 1),
        "the size of the memory of rt, 16777217 bytes, is not a multiple of the page size 4096.",
    ),
    RuleCase(
        "mem-page", layout(*RT, "base", 0x58000800), "the base of the memory of rt, 0x58000800, is not a multiple of the page size 4096."
    ),
    RuleCase("mem-2m", layout(*RT, "base", 0x58100000), "the base of rt, 0x58100000, is not a multiple of 2 MiB."),
    RuleCase("mem-2m", layout(*RT, "size", 17 * MIB), "the size of rt, 17MiB, is not a multiple of 2 MiB.", severity="warning"),
    RuleCase(
        "mem-overlap",
        both(layout(*WEB, "base", 0x50000000), layout(*RT, "base", 0x5F000000)),
        "the memory of web (0x50000000-0x5fffffff, 256MiB) and the memory of rt (0x5f000000-0x5fffffff, 16MiB) overlap "
        "in 0x5f000000-0x5fffffff, 16MiB.",
        facts=False,
    ),
    RuleCase("mem-overlap", both(layout(*WEB, "base", 0x48000000), layout(*RT, "base", 0x58000000)), facts=False),
    RuleCase(
        "mem-overlap",
        nothing,
        "the memory of web (0x40000000-0x4fffffff, 256MiB) and the memory of rt (0x41000000-0x41ffffff, 16MiB) overlap "
        "in 0x41000000-0x41ffffff, 16MiB.",
        placed=True,
        after=layout("instances", "rt", "placed", "base", 0x41000000),
    ),
    RuleCase(
        "mem-overlap",
        nothing,
        "the area of channel beat (0x5c000000-0x5c009fff, 40KiB) and the area of channel feed (0x5c000000-0x5c1fffff, 2MiB) "
        "overlap in 0x5c000000-0x5c009fff, 40KiB.",
        placed=True,
        after=layout("channels", "feed", "placed", "address", 0x5C000000),
    ),
    RuleCase(
        "mem-overlap",
        layout(
            "pool", "memory", [{"base": 0x40000000, "size": 64 * MIB, "node": None}, {"base": 0x42000000, "size": 64 * MIB, "node": None}]
        ),
        "the pool chunk 0x40000000 (0x40000000-0x43ffffff, 64MiB) and the pool chunk 0x42000000 "
        "(0x42000000-0x45ffffff, 64MiB) overlap in 0x42000000-0x43ffffff, 32MiB.",
    ),
    RuleCase(
        "mem-in-pool",
        layout(*RT, "base", 0x60000000),
        "the memory of rt (0x60000000-0x60ffffff, 16MiB) is not inside the pool (0x40000000-0x5fffffff, 512MiB).",
    ),
    RuleCase(
        "mem-in-pool",
        layout(*RT, "base", 0x5F800000),
        "the memory of rt (0x5f800000-0x607fffff, 16MiB) is not inside the pool (0x40000000-0x5fffffff, 512MiB).",
    ),
    RuleCase("mem-in-pool", layout("pool", "memory", []), "the layout declares no pool, so its instances have nothing to be made of."),
    RuleCase(
        "mem-in-pool",
        pool(None, 512 * MIB),
        "the memory of rt (0x58000000-0x58ffffff, 16MiB) is not inside the pool (no chunk with an address). A pool "
        "chunk without an address is not placed yet.",
        "unknown",
    ),
    RuleCase(
        "mem-in-pool",
        both(
            layout(
                "pool",
                "memory",
                [{"base": 0x40000000, "size": 256 * MIB, "node": None}, {"base": 0x50000000, "size": 256 * MIB, "node": None}],
            ),
            layout(*WEB, "base", 0x48000000),
        ),
    ),
    RuleCase("mem-sum", layout(*WEB, "size", 500 * MIB), "instances ask for 516MiB and channels for 2088KiB, but the pool has 512MiB."),
    RuleCase(
        "mem-sum",
        layout(
            "pool", "memory", [{"base": 0x40000000, "size": 200 * MIB, "node": None}, {"base": 0x50000000, "size": 200 * MIB, "node": None}]
        ),
        "web asks for 256MiB in one piece, but the largest piece of the pool is 200MiB.",
    ),
    RuleCase(
        "mem-host-unused",
        pool(0x3C000000, 512 * MIB),
        "The pool chunk 0x3c000000 is not free for instances: 0x3c000000-0x3fffffff, 64MiB is System RAM of the host.",
    ),
    RuleCase("mem-host-unused", pool(0x38000000, 640 * MIB)),
    RuleCase(
        "mem-host-unused",
        nothing,
        "The chunk of web below 1 MiB is not free for instances: 0x90000-0x9ffff, 64KiB is not in a chunk below 1 MiB "
        "that the host leaves free (known: none).",
        machine="lab-plain",
        placed=True,
        after=layout("instances", "web", "placed", "low", 0x90000),
    ),
    # Whole memory blocks that are online can be taken offline first.
    RuleCase("mem-host-unused", nothing, machine="lab-plain"),
    RuleCase(
        "mem-host-unused",
        pool(0x41000000, 100 * MIB),
        "The pool chunk 0x41000000 is not free for instances: 0x41000000-0x473fffff, 100MiB is System RAM of the host.",
        machine="lab-plain",
    ),
    RuleCase("mem-host-unused", nothing, machine="offlined"),
    RuleCase("mem-host-unused", nothing, machine="memmap"),
    RuleCase(
        "mem-host-unused",
        pool(0x10000000, 128 * MIB),
        "The pool chunk 0x10000000 is not free for instances: 0x12000000-0x12e02aa7, 14690984 bytes is Kernel code of the host.",
    ),
    RuleCase(
        "mem-host-unused",
        pool(0x140000000, 512 * MIB),
        "The pool chunk 0x140000000 is not free for instances: 0x140000000-0x15fffffff, 512MiB is nothing that /proc/iomem lists.",
    ),
    RuleCase(
        "mem-host-unused",
        both(pool(0x68000000, 2 * MIB), layout(*RT, "base", None)),
        "The pool chunk 0x68000000 is not free for instances: 0x68000000-0x681fffff, 2MiB is ACPI Non-volatile Storage of the host.",
        machine="smt",
    ),
    RuleCase("mem-host-unused", both(pool(0x200000000, 4096 * MIB), layout(*RT, "base", None)), machine="smt"),
    RuleCase(
        "mem-host-unused",
        nothing,
        "The chunk of web below 1 MiB is not free for instances: 0x1000-0x10fff, 64KiB is not in a chunk below 1 MiB "
        "that the host leaves free (known: 0x11000-0x3ffff, 188KiB).",
        placed=True,
        after=layout("instances", "web", "placed", "low", 0x1000),
    ),
    RuleCase(
        "mem-mmio",
        pool(0xFEC00000, 4 * MIB),
        "The pool chunk 0xfec00000 (0xfec00000-0xfeffffff, 4MiB) contains the registers of the Local APIC at 0xfee00000.",
        facts=False,
    ),
    RuleCase(
        "mem-mmio",
        both(pool(None, 512 * MIB), layout(*RT, "base", 0xFEE00000)),
        "The memory of rt (0xfee00000-0xffdfffff, 16MiB) contains the registers of the Local APIC at 0xfee00000.",
        facts=False,
    ),
    RuleCase(
        "mem-mmio",
        both(pool(None, 512 * MIB), layout(*RT, "base", 0x80000)),
        "The memory of rt (0x80000-0x107ffff, 16MiB) begins below 1 MiB, where firmware, video memory and the host's start code lie.",
        facts=False,
    ),
    RuleCase(
        "mem-mmio",
        pool(0xB0000000, 64 * MIB),
        "The pool chunk 0xb0000000 contains device registers: 0xb0000000-0xb3ffffff is pnp 00:04 of the host.",
    ),
    RuleCase("mem-mmio", nothing, "where the machine's device registers lie needs its memory map, read as root.", "unknown", facts=False),
    RuleCase(
        "mem-mmio",
        nothing,
        "where the machine's device registers lie needs its memory map, read as root.",
        "unknown",
        machine="unprivileged",
    ),
    RuleCase(
        "mem-crash-overlap",
        nothing,
        "The pool chunk 0x40000000 overlaps the memory of the host's crash kernel at 0x45000000-0x54ffffff.",
        machine="smt",
    ),
    RuleCase(
        "mem-host-min",
        layout("host", "memory_min", 1500 * MIB),
        "the host would keep 1438 MiB of memory, but 1500MiB is the least that host.memory_min allows.",
    ),
    RuleCase(
        "mem-host-min",
        layout("host", "memory_min", 1024 * MIB),
        "the host would keep 926 MiB of memory, but 1GiB is the least that host.memory_min allows.",
        machine="lab-plain",
    ),
    RuleCase(
        "mem-host-min",
        both(layout("host", "memory_min", None), fact("memory", "total", 200 * MIB)),
        "the host would keep 200 MiB of memory, but 256MiB is the least that a host can work with.",
        severity="warning",
    ),
    RuleCase("mem-kernel-min", layout(*WEB, "size", 74 * MIB), "web has 74MiB, but its kernel and initrd need 75 MiB."),
    RuleCase(
        "mem-kernel-min",
        layout(*WEB, "size", 128 * MIB),
        "web has 128MiB; its kernel and initrd need 75 MiB of it, which leaves less than 64 MiB to boot with.",
        severity="warning",
    ),
    RuleCase("mem-kernel-min", layout(*WEB, "size", 140 * MIB)),
    RuleCase("mem-kernel-min", fact("images", {}), "how much memory /boot/vmlinuz needs is not known.", "unknown"),
    RuleCase(
        "mem-low-chunk",
        nothing,
        "web run Linux and need 64 KiB below 1 MiB each, but this host leaves room for 0 (nothing is reserved there).",
        machine="lab-plain",
    ),
    RuleCase(
        "mem-low-chunk",
        fact("memory", "low", [[0x10800, 0x10000]]),
        "web run Linux and need 64 KiB below 1 MiB each, but this host leaves room for 0 (0x10800-0x207ff, 64KiB).",
    ),
    RuleCase("mem-low-chunk", fact("memory", "low", [[0x11000, 0x10000]])),
    RuleCase(
        "mem-low-chunk",
        nothing,
        "web runs Linux but has no chunk below 1 MiB.",
        placed=True,
        after=layout("instances", "web", "placed", "low", None),
    ),
]
