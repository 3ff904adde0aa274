# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on consoles: every UART has one owner, and every kernel a voice."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Optional

from .._boot import cmdline
from .case import Case
from .lines import key_of
from .registry import Outcome, fail, rule, unknown
from .words import at_cmdline

PARAMETERS = "Documentation/admin-guide/kernel-parameters.txt"
PORTS = {"ttyS0": 0x3F8, "ttyS1": 0x2F8, "ttyS2": 0x3E8, "ttyS3": 0x2E8}


@rule(
    "cmd-console-any",
    "warning",
    "Every Linux instance has a console",
    "Without one, a kernel that fails to boot fails in silence.",
    anchor="ACRN (debug builds)",
)
def cmd_console_any(case: Case) -> Iterator[Outcome]:
    mute = [name for name in case.linux if case.instances[name]["console"] is None and case.image(name) is not None]
    speaking = {name for name, _word in case.lines.having("console")} if mute else set()
    for name in mute:
        if name not in speaking:
            yield fail("{0} has no console.".format(name), ("instances", name, "console"), "give it one: console: {device: ttyS1}")


@rule(
    "cmd-console-owned",
    "error",
    "Instances print to their own UART",
    "Two kernels that drive one UART garble both outputs and lose input.",
)
def cmd_console_owned(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("console"):
        device = word.partition("=")[2].split(",")[0]
        own = case.instances[name]["console"]
        if re.fullmatch(r"ttyS[0-9]+", device) and (own is None or own["device"] != device):
            has = "the layout gives it no UART" if own is None else "the layout gives it {0}".format(own["device"])
            message = "{0} has {1!r} on its command line, but {2}.".format(name, word, has)
            hint = "say console: {{device: {0}}} at the instance, or change the word".format(device)
            yield fail(message, at_cmdline(name), hint)


@rule(
    "con-one-owner",
    "error",
    "Every UART has one owner",
    "Two kernels that drive one UART garble both outputs and lose input.",
    anchor="ACRN (vUARTs)",
)
def con_one_owner(case: Case) -> Iterator[Outcome]:
    owners: Dict[str, str] = {}
    for word in (case.fact("kernel.cmdline") or "").split():
        match = re.match(r"console=(ttyS[0-9]+)", word)
        if match:
            owners[match.group(1)] = "the host"
    for name, device in case.consoles:
        other = owners.setdefault(device, name)
        if other != name:
            message = "{0} and {1} both own the UART {2}; give each UART to one kernel only.".format(other, name, device)
            yield fail(message, ("instances", name, "console"), "choose another device, or leave the console out")


@rule(
    "con-present",
    "error",
    "Every UART that is given away exists",
    "A kernel that prints to a missing UART prints nowhere.",
)
def con_present(case: Case) -> Iterator[Outcome]:
    uarts = case.fact("uarts")
    known = [uart["device"] for uart in uarts or []]
    for name, device in case.consoles:
        if uarts is None:
            message = "whether this machine has the UART {0} of {1} is not known.".format(device, name)
            yield unknown(message, ("instances", name, "console"), "collect the facts as root: /proc/tty/driver/serial tells")
        elif device not in known:
            message = "{0} wants the UART {1}, but this machine has {2}.".format(name, device, ", ".join(known) or "none")
            yield fail(message, ("instances", name, "console"), "choose one of those, or leave the console out")


@rule(
    "con-port",
    "error",
    "UARTs of instances have an I/O port",
    "An instance gets no interrupt and no mapping of a memory-mapped UART; the loader's earlycon speaks to ports only.",
    needs=("uarts",),
)
def con_port(case: Case) -> Iterator[Outcome]:
    mapped = {uart["device"] for uart in case.fact("uarts") if uart["port"] is None}
    for name, device in case.consoles:
        if device in mapped:
            message = "{0} wants the UART {1}, which has no I/O port.".format(name, device)
            yield fail(message, ("instances", name, "console"), "choose a UART of ISA kind, such as ttyS1")


@rule(
    "con-reserve",
    "error",
    "The UARTs of others can be kept from every instance",
    "reserve= holds four ranges, one of them for the ports of PCI in an instance with devices; it probes any UART beyond those.",
    needs=("uarts",),
    source=PARAMETERS + ", reserve=; kernel/resource.c, MAXRESERVE",
)
def con_reserve(case: Case) -> Iterator[Outcome]:
    ports = {uart["device"] for uart in case.fact("uarts") if uart["port"] is not None}
    own = dict(case.consoles)
    words: Dict[str, int] = {}
    for name, word in case.lines.linux("reserve"):
        words[name] = words.get(name, 0) + len(word.partition("=")[2].split(",")) // 2
    owning = case.devices_of
    for name in case.linux if len(ports) > cmdline.MAX_RESERVE else sorted({*words, *(one for one in owning if case.is_linux(one))}):
        others = len(ports - {own.get(name)})
        needed = others + words.get(name, 0) + (name in owning)
        if needed > cmdline.MAX_RESERVE:
            of_pci = ", 1 for PCI" if name in owning else ""
            message = "{0} needs {1} ranges in reserve= ({2} UARTs of others{3}, {4} of its own words), and the kernel takes {5}.".format(
                name, needed, others, of_pci, words.get(name, 0), cmdline.MAX_RESERVE
            )
            yield fail(message, at_cmdline(name), "remove reserve= from its command line, or UARTs from the machine")


@rule(
    "cmd-earlycon-foreign",
    "error",
    "Early consoles use the instance's own UART",
    "earlycon and earlyprintk write to I/O ports at once, whoever owns them; earlyprintk=serial,ttyS2 writes to ttyS0.",
    source=PARAMETERS,
    waivable=True,
)
def cmd_earlycon_foreign(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("earlycon", "earlyprintk"):
        value = word.partition("=")[2]
        own = port_of(case, name)
        reason = _foreign(key_of(word), value, own) if value else None
        if reason:
            message = "{0} has {1!r} on its command line, but {2}.".format(name, word, reason)
            hint = "earlycon=uart8250,io,0x{0:x}".format(own) if own else "give it a console, or remove the word"
            yield fail(message, at_cmdline(name), hint)


@rule(
    "con-gate",
    "error",
    "A console that is a gate can be read by the host",
    "The host reads what an instance says on mktty0; of a UART, only the machine at the other end of the cable knows.",
)
def con_gate(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: (one["health"] or {}).get("console") is not None):
        console = case.instances[name]["console"]
        device = console["device"] if console is not None else None
        if device != "mktty0":
            has = "has no console" if device is None else "has the console {0}, which the host cannot read".format(device)
            message = "the health of {0} asks for a line on its console, and {0} {1}.".format(name, has)
            yield fail(message, ("instances", name, "health", "console"), "say console: mktty0 at the instance, or leave the gate out")


def port_of(case: Case, name: str) -> Optional[int]:
    """Return the I/O port of an instance's UART: what the machine says, else the usual one; None without a console."""
    console = case.instances[name]["console"]
    if console is None:
        return None
    for uart in case.fact("uarts") or []:
        if uart["device"] == console["device"]:
            port: Optional[int] = uart["port"]
            return port
    return PORTS.get(console["device"])


def _foreign(key: str, value: str, own: Optional[int]) -> Optional[str]:
    if key == "earlyprintk":
        if value.startswith(("vga", "efi", "dbgp", "xdbc")):
            return "an instance has neither a screen nor EFI"
        return "earlyprintk drives the port of ttyS0 whatever it is told"
    port = re.match(r"(?:uart8250|uart),io,(0x[0-9a-fA-F]{1,16}|[0-9]{1,9})", value)
    if port and int(port.group(1), 16 if port.group(1).startswith("0x") else 10) != own:
        return "the port {0} is not that of its own UART ({1})".format(port.group(1), "none" if own is None else "0x{0:x}".format(own))
    return None
