# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of the dialect kernfs say."""

from __future__ import annotations

from .support import RuleCase, both, fact, layout, nothing

KERNFS = fact("dialect", "name", "kernfs")
PLACELESS = both(KERNFS, layout("pool", "memory", 0, "base", None), layout("instances", "rt", "memory", "base", None))
AT_REST = both(layout("instances", "web", "state", "defined"), layout("instances", "rt", "state", "defined"))
BARE = both(PLACELESS, AT_REST, fact("dialect", "provider", "kernel"))
GATE = ("instances", "web", "health", "console")
CONSOLE = ("instances", "web", "console")

CASES = [
    RuleCase("mem-base-observed", nothing),
    RuleCase(
        "mem-base-observed",
        both(KERNFS, AT_REST, layout("instances", "rt", "memory", "base", None)),
        "pool chunk 1 is to be at 0x40000000, but this host's kernel picks where it lies.",
    ),
    RuleCase(
        "con-mktty",
        both(fact("dialect", "strict", True), layout(*CONSOLE, {"device": "mktty0"})),
        "web has the console mktty0, and the kernel of this host has no /dev/mktty behind it.",
    ),
    RuleCase("con-mktty", layout(*CONSOLE, {"device": "mktty0"})),
    RuleCase("con-mktty", both(KERNFS, layout(*CONSOLE, {"device": "mktty0"}))),
    RuleCase("con-gate", both(layout(*GATE, "ready"), layout(*CONSOLE, {"device": "mktty0"})), facts=False),
    RuleCase(
        "con-gate",
        both(layout(*GATE, "ready"), layout(*CONSOLE, {"device": "ttyS1"})),
        "the health of web asks for a line on its console, and web has the console ttyS1, which the host cannot read.",
        facts=False,
    ),
    RuleCase("con-gate", nothing, facts=False),
    RuleCase(
        "con-gate",
        both(layout(*GATE, "ready"), layout(*CONSOLE, None)),
        "the health of web asks for a line on its console, and web has no console.",
        facts=False,
    ),
    RuleCase(
        "cmd-mktty",
        layout("instances", "web", "cmdline", "console=mktty0"),
        "web has 'console=mktty0' on its command line, but the layout gives it another console or none.",
        facts=False,
    ),
    RuleCase(
        "cmd-mktty", both(layout("instances", "web", "cmdline", "console=mktty0"), layout(*CONSOLE, {"device": "mktty0"})), facts=False
    ),
    RuleCase(
        "chan-kernfs",
        BARE,
        "channel beat cannot be: the kernel of this host offers channels neither to itself nor to its instances.",
    ),
    RuleCase("chan-kernfs", KERNFS),
    RuleCase("chan-kernfs", both(BARE, layout("channels", {}), layout("instances", "web", "health", None))),
    RuleCase(
        "life-id",
        both(layout("instances", "rt", "id", 7), layout("instances", "web", "id", 7)),
        "rt and web both have the id 7.",
        facts=False,
    ),
    RuleCase("life-id", both(layout("instances", "rt", "id", 7), layout("instances", "web", "id", 8)), facts=False),
    RuleCase("life-reboot-blocked", PLACELESS, "this host may refuse to reboot while instances are there (2 of this layout)."),
    RuleCase("life-reboot-blocked", nothing),
]
