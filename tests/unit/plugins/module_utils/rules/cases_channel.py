# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on channels, health and consoles of communication."""

from __future__ import annotations

from .support import MIB, RuleCase, fact, layout, nothing

BEAT = ("channels", "beat")
FEED = ("channels", "feed")


def renamed(old, new):
    def change(found, _facts):
        found["channels"][new] = found["channels"].pop(old)

    return change


CASES = [
    RuleCase("chan-name", renamed("feed", "a/b"), "the channel name 'a/b' cannot be a device node.", facts=False),
    RuleCase("chan-name", renamed("feed", "a..b"), "the channel name 'a..b' cannot be a device node.", facts=False),
    RuleCase(
        "chan-ends",
        layout(*FEED, "between", ["web", "db"]),
        "channel feed ends at db, which is no instance of this layout (there are host, rt, web).",
        facts=False,
    ),
    RuleCase("chan-ends", layout(*FEED, "between", ["web", "gone"]), "channel feed ends at gone, whose state is absent.", facts=False),
    RuleCase("chan-self", layout(*FEED, "between", ["web", "web"]), "channel feed connects web with itself.", facts=False),
    RuleCase(
        "chan-msg-size", layout(*BEAT, "message_size", 257), "channel beat has messages of 257 bytes; 1 to 256 are possible.", facts=False
    ),
    RuleCase(
        "chan-msg-size", layout(*BEAT, "message_size", 0), "channel beat has messages of 0 bytes; 1 to 256 are possible.", facts=False
    ),
    RuleCase(
        "chan-shm-size", layout(*BEAT, "slots", 48), "channel beat has 48 slots; a power of two from 1 to 65536 is needed.", facts=False
    ),
    RuleCase("chan-shm-size", layout(*BEAT, "slots", 1), facts=False),
    RuleCase(
        "chan-shm-size",
        layout(*FEED, "size", 5000),
        "channel feed shares 5000 bytes; a multiple of 4096 above zero is needed.",
        facts=False,
    ),
    RuleCase(
        "chan-shm-size", layout(*FEED, "size", None), "channel feed shares 0 bytes; a multiple of 4096 above zero is needed.", facts=False
    ),
    RuleCase(
        "chan-shm-private",
        nothing,
        "the area of channel feed (0x57f00000-0x580fffff, 2MiB) lies in the memory of rt (0x58000000-0x58ffffff, 16MiB).",
        placed=True,
        after=layout(*FEED, "placed", "address", 0x57F00000),
    ),
    RuleCase(
        "chan-shm-private",
        nothing,
        "the area of channel feed (0x3ff00000-0x400fffff, 2MiB) lies in the memory of web (0x40000000-0x4fffffff, 256MiB).",
        placed=True,
        after=layout(*FEED, "placed", "address", 0x40000000 - MIB),
    ),
    RuleCase("chan-shm-private", nothing, placed=True, after=layout(*FEED, "placed", "address", 0x59000000)),
    RuleCase(
        "chan-shm-private", nothing, "where channels lie is known only once the layout is placed on a machine.", "unknown", facts=False
    ),
    RuleCase(
        "chan-rw-matrix", layout(*FEED, "writer", "host"), "channel feed is to be written by host, but connects web and rt.", facts=False
    ),
    RuleCase(
        "chan-rw-matrix",
        layout(*FEED, "writer", None),
        "channel feed shares memory between web and rt without naming the writer.",
        severity="warning",
        facts=False,
    ),
    RuleCase(
        "chan-doorbell",
        nothing,
        "channel beat rings web at APIC id 1, which is no CPU of web.",
        placed=True,
        after=layout(*BEAT, "placed", "ends", [0, 1]),
    ),
    RuleCase(
        "chan-doorbell",
        nothing,
        "channel beat rings the host at APIC id 3, which is no CPU of the host.",
        placed=True,
        after=layout(*BEAT, "placed", "ends", [3, 2]),
    ),
    RuleCase("chan-support", nothing, "channel beat ends at the host, whose kernel offers no channels to user space.", machine="memmap"),
    RuleCase("chan-support", layout("channels", {}), machine="memmap"),
    RuleCase(
        "life-health",
        layout("instances", "web", "health", "channel", "pulse"),
        "the health of web is watched through channel pulse, which the layout does not declare.",
        facts=False,
    ),
    RuleCase(
        "life-health",
        layout("instances", "web", "health", "channel", "feed"),
        "the health of web is watched through channel feed, which connects web and rt.",
        facts=False,
    ),
    RuleCase("life-health", layout("instances", "web", "health", "within", 0.0), "the health of web has a deadline of zero.", facts=False),
    RuleCase("life-health", layout("instances", "web", "health", "channel", None), facts=False),
    RuleCase("chan-support", fact("dialect", "channels", True), machine="memmap"),
]
