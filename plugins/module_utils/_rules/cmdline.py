# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on command lines: words that would reach for the host's hardware, or contradict what the instance is given."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Tuple

from .._boot import assemble, cmdline
from .._layout import canonical
from .case import Case
from .registry import Outcome, fail, rule, unknown

PARAMETERS = "Documentation/admin-guide/kernel-parameters.txt"

# The longest that the loader's own words can be before addresses are known.
_ANY_ADDRESS = (1 << 52) - 1
_ANY_TSC_KHZ = 9999999
_PORTS = {"ttyS0": 0x3F8, "ttyS1": 0x2F8, "ttyS2": 0x3E8, "ttyS3": 0x2E8}

# Parameters of which the kernel takes the last one, and of which two are a contradiction.
_SINGLE = ("root", "init", "rdinit", "nr_cpus", "maxcpus", "panic", "loglevel", "clocksource", "tsc", "tsc_early_khz", "ip", "lpj")


@rule("cmd-charset", "error", "Command lines hold what the kernel can read", "A newline or NUL ends the command line early.")
def cmd_charset(case: Case) -> Iterator[Outcome]:
    for name in case.instances:
        problem = _unreadable(canonical.command_line(case.layout, name))
        if problem:
            message = "the command line of {0} cannot be read: {1}.".format(name, problem)
            yield fail(message, _at(name), "use printable ASCII without newlines, and close every double quote")


@rule(
    "cmd-length",
    "error",
    "Command lines fit",
    "The kernel takes cmdline_size characters (2047 on x86); the loader's own words count.",
    source="Documentation/arch/x86/boot.rst, cmdline_size",
)
def cmd_length(case: Case) -> Iterator[Outcome]:
    for name in case.instances:
        user = canonical.command_line(case.layout, name)
        facts = case.kernel_file(name) or {}
        limit = (facts.get("header") or {}).get("cmdline_size") or assemble.DEFAULT_CMDLINE_SIZE
        length = len(user) + _own_length(case, name)
        if length > limit:
            message = "the command line of {0} has {1} characters and the loader adds {2}, but its kernel takes {3}.".format(
                name, len(user), length - len(user), limit
            )
            yield fail(message, _at(name), "shorten it by {0} characters".format(length - limit))


@rule(
    "cmd-reserved-words",
    "error",
    "Words that begin with multikernel. belong to the loader",
    "By them an instance learns its name, its mailbox and its channels; a second value would win.",
)
def cmd_reserved_words(case: Case) -> Iterator[Outcome]:
    for name, word in _words(case):
        if _key(word).startswith(cmdline.PREFIX):
            message = "{0} has {1!r} on its command line, which the loader writes itself.".format(name, word)
            yield fail(message, _at(name), "remove it")


@rule("cmd-dup-single", "warning", "No parameter is given twice", "The last one wins, which is seldom what was meant.", source=PARAMETERS)
def cmd_dup_single(case: Case) -> Iterator[Outcome]:
    for name in case.instances:
        values: Dict[str, List[str]] = {}
        for word in case.words[name]:
            if _key(word) in _SINGLE:
                values.setdefault(_key(word), []).append(word)
        for words in values.values():
            if len(words) > 1:
                message = "{0} has {1} on its command line; the last one wins.".format(name, " and ".join(words))
                yield fail(message, _at(name), "keep {0}".format(words[-1]))


@rule(
    "cmd-contradict-mem",
    "error",
    "Command lines leave the memory map alone",
    "The loader gives an instance exactly its own memory; mem= and memmap= would cut it or reach beyond it.",
    source=PARAMETERS,
)
def cmd_contradict_mem(case: Case) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        if _key(word) in ("mem", "memmap", "add_efi_memmap"):
            message = "{0} has {1!r} on its command line, which contradicts the memory that the layout gives it.".format(name, word)
            yield fail(message, _at(name), "remove it and set instances.{0}.memory".format(name))


@rule(
    "cmd-contradict-cpu",
    "error",
    "Command lines allow all CPUs of the instance",
    "CPUs above nr_cpus or maxcpus never start, and nobody else can use them.",
    source=PARAMETERS,
)
def cmd_contradict_cpu(case: Case) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        cpus = case.instances[name]["cpus"]
        wanted = len(set(cpus["ids"])) if cpus["ids"] is not None else cpus["count"] or 0
        key, value = _key(word), word.partition("=")[2]
        limit = None
        if key in ("nr_cpus", "maxcpus", "possible_cpus"):
            limit = int(value) if value.isdigit() else None
        elif key == "nosmp":
            limit = 1
        if limit is not None and limit < wanted:
            message = "{0} has {1!r} on its command line, but the layout gives it {2} CPUs.".format(name, word, wanted)
            yield fail(message, _at(name), "remove it, or give the instance fewer CPUs")


@rule(
    "cmd-console-any",
    "warning",
    "Every Linux instance has a console",
    "Without one, a kernel that fails to boot fails in silence.",
)
def cmd_console_any(case: Case) -> Iterator[Outcome]:
    for name, instance in case.instances.items():
        if case.is_linux(name) and instance["console"] is None and not any(_key(word) == "console" for word in case.words[name]):
            yield fail("{0} has no console.".format(name), ("instances", name, "console"), "give it one: console: {device: ttyS1}")


@rule(
    "cmd-console-owned",
    "error",
    "Instances print to their own UART",
    "Two kernels that drive one UART garble both outputs and lose input.",
)
def cmd_console_owned(case: Case) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        if _key(word) != "console":
            continue
        device = word.partition("=")[2].split(",")[0]
        own = case.instances[name]["console"]
        if re.fullmatch(r"ttyS[0-9]+", device) and (own is None or own["device"] != device):
            has = "the layout gives it no UART" if own is None else "the layout gives it {0}".format(own["device"])
            message = "{0} has {1!r} on its command line, but {2}.".format(name, word, has)
            hint = "say console: {{device: {0}}} at the instance, or change the word".format(device)
            yield fail(message, _at(name), hint)


@rule(
    "con-one-owner",
    "error",
    "Every UART has one owner",
    "Two kernels that drive one UART garble both outputs and lose input.",
)
def con_one_owner(case: Case) -> Iterator[Outcome]:
    owners: Dict[str, str] = {}
    for word in (case.fact("kernel.cmdline") or "").split():
        match = re.match(r"console=(ttyS[0-9]+)", word)
        if match:
            owners[match.group(1)] = "the host"
    for name, instance in case.instances.items():
        if instance["console"] is None:
            continue
        device = instance["console"]["device"]
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
    for name, instance in case.instances.items():
        if instance["console"] is None:
            continue
        if uarts is None:
            message = "whether this machine has the UART {0} of {1} is not known.".format(instance["console"]["device"], name)
            yield unknown(message, ("instances", name, "console"), "collect the facts as root: /proc/tty/driver/serial tells")
        elif instance["console"]["device"] not in known:
            message = "{0} wants the UART {1}, but this machine has {2}.".format(
                name, instance["console"]["device"], ", ".join(known) or "none"
            )
            yield fail(message, ("instances", name, "console"), "choose one of those, or leave the console out")


@rule(
    "cmd-earlycon-foreign",
    "error",
    "Early consoles use the instance's own UART",
    "earlycon and earlyprintk write to I/O ports at once, whoever owns them; earlyprintk=serial,ttyS2 writes to ttyS0.",
    source=PARAMETERS,
    waivable=True,
)
def cmd_earlycon_foreign(case: Case) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        key, value = _key(word), word.partition("=")[2]
        if key not in ("earlycon", "earlyprintk") or not value:
            continue
        own = _port(case, name)
        reason = _foreign(key, value, own)
        if reason:
            message = "{0} has {1!r} on its command line, but {2}.".format(name, word, reason)
            hint = "earlycon=uart8250,io,0x{0:x}".format(own) if own else "give it a console, or remove the word"
            yield fail(message, _at(name), hint)


@rule(
    "cmd-legacy-clock",
    "error",
    "Instances use no clock of the host",
    "HPET, PM timer and PIT belong to the host; an instance has the TSC and its local APIC timer.",
    source=PARAMETERS,
)
def cmd_legacy_clock(case: Case) -> Iterator[Outcome]:
    exact = ("hpet=force", "acpi=force", "acpi=off", "notsc", "tsc=unstable", "nolapic", "noapic", "nolapic_timer", "lapic=notscdeadline")
    for name, word in _linux_words(case):
        clock = re.fullmatch(r"clocksource=(hpet|acpi_pm|pit|jiffies|refined-jiffies)", word)
        if clock or word in exact:
            message = "{0} has {1!r} on its command line, but an instance has only the TSC and its local APIC.".format(name, word)
            yield fail(message, _at(name), "remove it; the loader says tsc=reliable")


@rule(
    "cmd-panic-reboot",
    "warning",
    "Instances do not reset the machine",
    "A kernel that reboots after a panic, or by a forced method, resets the whole machine with the host and all instances.",
    source=PARAMETERS,
)
def cmd_panic_reboot(case: Case) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        key, value = _key(word), word.partition("=")[2]
        resets = key == "panic" and value not in ("0", "") and re.fullmatch(r"-?[0-9]+", value)
        if resets or key == "reboot":
            message = "{0} has {1!r} on its command line, with which it can reset the whole machine.".format(name, word)
            yield fail(message, _at(name), "remove it and say restart: on-failure at the instance")


@rule(
    "cmd-crashkernel-spawn",
    "error",
    "Instances reserve no crash kernel",
    "A crash kernel inside an instance would start with the host's devices.",
    source=PARAMETERS,
    waivable=True,
)
def cmd_crashkernel_spawn(case: Case) -> Iterator[Outcome]:
    return _forbidden(case, ("crashkernel",), "a crash kernel belongs to the host")


@rule(
    "cmd-iommu-spawn",
    "error",
    "Instances leave the IOMMU alone",
    "The IOMMU's registers belong to the host, and protect it.",
    source=PARAMETERS,
)
def cmd_iommu_spawn(case: Case) -> Iterator[Outcome]:
    keys = ("intel_iommu", "amd_iommu", "amd_iommu_dump", "iommu", "intremap", "iommu.passthrough", "iommu.strict")
    return _forbidden(case, keys, "the IOMMU belongs to the host")


@rule(
    "cmd-resctrl-spawn",
    "error",
    "Instances leave cache allocation alone",
    "The registers of resource control are shared by all kernels of a socket.",
    source="Documentation/arch/x86/resctrl.rst",
)
def cmd_resctrl_spawn(case: Case) -> Iterator[Outcome]:
    return _forbidden(case, ("rdt", "resctrl"), "resource control belongs to the host")


@rule(
    "cmd-host-ipi",
    "warning",
    "The host does not broadcast interrupts to instances",
    "An IPI to all CPUs but the sender's reaches CPUs that the host has given away.",
    needs=("kernel.cmdline", "dialect.name"),
    source=PARAMETERS + ", no_ipi_broadcast",
)
def cmd_host_ipi(case: Case) -> Iterator[Outcome]:
    # mkstock switches the shorthand off by itself.
    words = case.fact("kernel.cmdline").split()
    if case.instances and case.fact("dialect.provider") == "kernel" and "no_ipi_broadcast=1" not in words:
        message = "the host was booted without no_ipi_broadcast=1, so that its interrupts to all CPUs reach instances, too."
        yield fail(message, ("instances",), "add no_ipi_broadcast=1 to the host's command line")


@rule("cmd-secret", "warning", "Command lines hold no secrets", "Every user of the instance and every other kernel can read them.")
def cmd_secret(case: Case) -> Iterator[Outcome]:
    for name, word in _words(case):
        key, equals, value = word.partition("=")
        if equals and value and re.search(r"(?i)passw|secret|token|api[-_]?key|private[-_]?key", key):
            message = "{0} has {1!r} on its command line, whose value everybody can read.".format(name, key + "=...")
            yield fail(message, _at(name), "put it into the initrd")


def _unreadable(text: str) -> Optional[str]:
    try:
        cmdline.split(text)
    except cmdline.CommandLineError as error:
        return str(error)
    return None


def _forbidden(case: Case, keys: Tuple[str, ...], reason: str) -> Iterator[Outcome]:
    for name, word in _linux_words(case):
        if _key(word) in keys:
            yield fail("{0} has {1!r} on its command line, but {2}.".format(name, word, reason), _at(name), "remove it")


def _words(case: Case) -> Iterator[Tuple[str, str]]:
    for name, words in case.words.items():
        for word in words:
            yield name, word


def _linux_words(case: Case) -> Iterator[Tuple[str, str]]:
    for name, words in case.words.items():
        if case.is_linux(name):
            for word in words:
                if word == "--":  # what follows is for init
                    break
                yield name, word


def _key(word: str) -> str:
    # The kernel takes - and _ in names for the same.
    return word.strip('"').partition("=")[0].replace("-", "_")


def _own_length(case: Case, name: str) -> int:
    """Return how many characters the loader adds at most."""
    instance = case.instances[name]
    channels = [cmdline.Channel(channel, _ANY_ADDRESS, 0) for channel in case.channels_of.get(name, [])]
    own = cmdline.own_words(name, _ANY_ADDRESS, channels)
    console = cmdline.Uart(instance["console"]["device"], _port(case, name) or 0x3F8) if instance["console"] else None
    image = case.image(name)
    cpus = instance["cpus"]
    others = [cmdline.Uart(device, port) for device, port in _PORTS.items() if not console or device != console.device]
    if case.is_linux(name):
        count = len(cpus["ids"]) if cpus["ids"] is not None else cpus["count"] or 1
        initrd = bool(image and image["initrd"])
        return len(cmdline.linux(own, "", _ANY_TSC_KHZ, count, console, others, initrd, 1 << 20)) + 1
    return len(cmdline.flat(own, "", _ANY_TSC_KHZ, console, 1 << 20)) + 1


def _port(case: Case, name: str) -> Optional[int]:
    console = case.instances[name]["console"]
    if console is None:
        return None
    for uart in case.fact("uarts") or []:
        if uart["device"] == console["device"]:
            port: Optional[int] = uart["port"]
            return port
    return _PORTS.get(console["device"])


def _foreign(key: str, value: str, own: Optional[int]) -> Optional[str]:
    if key == "earlyprintk":
        if value.startswith(("vga", "efi", "dbgp", "xdbc")):
            return "an instance has neither a screen nor EFI"
        return "earlyprintk drives the port of ttyS0 whatever it is told"
    port = re.match(r"(?:uart8250|uart),io,(0x[0-9a-fA-F]+|[0-9]+)", value)
    if port and int(port.group(1), 0) != own:
        return "the port {0} is not that of its own UART ({1})".format(port.group(1), "none" if own is None else "0x{0:x}".format(own))
    return None


def _at(name: str) -> Tuple[str, ...]:
    return ("instances", name, "cmdline")
