# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules of the dialect kernfs: what its kernel decides by itself, and what it does not offer."""

from __future__ import annotations

from typing import Dict, Iterator

from .case import Case
from .registry import Outcome, fail, rule
from .words import at_cmdline

FACTS = "docs/kernfs.md"


@rule(
    "mem-base-observed",
    "warning",
    "Addresses are left to the kernel where it picks them",
    "A kernfs host takes memory for the pool at run time, wherever it is free; an address in the layout is a wish that it cannot honour.",
    needs=("dialect.name",),
    source=FACTS,
)
def mem_base_observed(case: Case) -> Iterator[Outcome]:
    if not case.picks:
        return
    for index, chunk in enumerate(case.given_layout["pool"]["memory"]):
        if chunk["base"] is not None:
            message = "pool chunk {0} is to be at 0x{1:x}, but this host's kernel picks where it lies.".format(index + 1, chunk["base"])
            yield fail(
                message, ("pool", "memory", index, "base"), "nothing has to be done; leave the address out if the layout is only for it"
            )
    for name in case.instances:
        base = case.given_layout["instances"][name]["memory"]["base"]
        if base is not None:
            message = "the memory of {0} is to be at 0x{1:x}, but this host's kernel picks where it lies.".format(name, base)
            yield fail(
                message, ("instances", name, "memory", "base"), "nothing has to be done; leave the address out if the layout is only for it"
            )


@rule(
    "con-mktty",
    "error",
    "The multikernel console is asked for where there is one",
    "mktty0 is read through /dev/mktty of the host, which mkstock and kernels with /sys/fs/multikernel have, the RFC's kernel not.",
    needs=("dialect.name",),
    source=FACTS,
)
def con_mktty(case: Case) -> Iterator[Outcome]:
    there = case.picks or (case.fact("dialect.provider") == "mkstock" and not case.fact("dialect.strict"))
    for name, one in case.instances.items() if not there else ():
        if one["console"] is not None and one["console"]["device"] == "mktty0":
            message = "{0} has the console mktty0, and the kernel of this host has no /dev/mktty behind it.".format(name)
            yield fail(message, ("instances", name, "console"), "give it a serial port: console: ttyS1")


@rule(
    "cmd-mktty",
    "error",
    "Words for the multikernel console have one behind them",
    "A kernel whose only console is one that the layout does not give it is silent.",
)
def cmd_mktty(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("console"):
        device = word.partition("=")[2].split(",")[0]
        own = case.instances[name]["console"]
        if device == "mktty0" and (own is None or own["device"] != device):
            message = "{0} has {1!r} on its command line, but the layout gives it another console or none.".format(name, word)
            yield fail(message, at_cmdline(name), "say console: mktty0 at the instance, or remove the word")


@rule(
    "chan-kernfs",
    "error",
    "Channels on a kernfs host are mkstock's",
    "The kernel's own rings between instances are not reached from user space; mkstock adds the channels of this collection.",
    needs=("dialect.name", "dialect.provider"),
    source=FACTS,
)
def chan_kernfs(case: Case) -> Iterator[Outcome]:
    for name, _channel in case.channels if case.picks and case.fact("dialect.provider") != "mkstock" else ():
        message = "channel {0} cannot be: the kernel of this host offers channels neither to itself nor to its instances.".format(name)
        yield fail(message, ("channels", name), "use mkstock on the host, or leave the channel out")


@rule(
    "life-id",
    "error",
    "No two instances have one id",
    "The kernel knows instances by their number.",
    anchor="kernel (EEXIST)",
)
def life_id(case: Case) -> Iterator[Outcome]:
    owners: Dict[int, str] = {}
    for name, number in [(name, one["id"]) for name, one in case.instances.items() if one.get("id") is not None]:
        other = owners.setdefault(number, name)
        if other != name:
            yield fail(
                "{0} and {1} both have the id {2}.".format(other, name, number), ("instances", name, "id"), "leave the id out of one"
            )


@rule(
    "life-reboot-blocked",
    "info",
    "The host can be rebooted at any time",
    "While an instance is loaded or runs, the kernel of the interface blocks an emergency restart of the host.",
    needs=("dialect.name",),
    source=FACTS,
)
def life_reboot_blocked(case: Case) -> Iterator[Outcome]:
    held = case.those(lambda one: one["state"] in ("running", "loaded")) if case.picks else []
    if held:
        message = "this host may refuse to reboot while instances are there ({0} of this layout).".format(len(held))
        yield fail(message, (), "before a reboot: state: absent, or stop the instances")
