# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on the host: that it can do what is asked, and keeps being able to."""

from __future__ import annotations

import re
from typing import Iterator

from .case import Case
from .registry import Outcome, fail, rule
from .words import is_plain

RESERVED = ("host", "pool", "all", "none")

# memmap= as arch/x86/kernel/e820.c reads it.
MEMMAP = r"exactmap|((0[xX][0-9a-fA-F]+|[0-9]+)[KMGTPE]?)([$@#!](0[xX][0-9a-fA-F]+|[0-9]+)[KMGTPE]?)?(%.*)?"

# A load, one more after a failed start, and the unload that empties the list.
CALLS_PER_LOAD = 3


@rule(
    "life-name",
    "error",
    "Instances have plain names",
    "The name becomes part of file names and of the instance's command line.",
    anchor="kernel (a slash); kerf 0.4.0 accepts anything",
)
def life_name(case: Case) -> Iterator[Outcome]:
    every = sorted(case.layout["instances"])
    for name in [name for name in every if not is_plain(name) or name in RESERVED]:
        path = ("instances", name)
        if not is_plain(name):
            message = "the instance name {0!r} is no plain name.".format(name)
            yield fail(message, path, "use letters, digits, _, - and ., at most 63 of them, a letter or digit first, and no ..")
        elif name in RESERVED:
            yield fail("the name {0} is reserved; an instance cannot have it.".format(name), path, "choose another name")


@rule(
    "life-support",
    "error",
    "The host speaks a multikernel dialect",
    "Without /proc/multikernel or /sys/fs/multikernel there is nothing to load an instance with.",
    needs=("dialect.name",),
)
def life_support(case: Case) -> Iterator[Outcome]:
    name = case.fact("dialect.name")
    if name == "none":
        message = "this host's kernel ({0}) has no multikernel support: there is no /proc/multikernel.".format(
            case.fact("kernel.release") or "release not known"
        )
        yield fail(message, (), "boot a kernel with multikernel, or load mkstock with the role stock_kernel")


@rule(
    "life-kexec-allowed",
    "error",
    "The host allows loading kernels",
    "kexec_load_disabled is one-way until the next boot, and loading needs CAP_SYS_BOOT.",
    needs=("kexec.load_disabled", "privileged"),
    anchor="kernel (EPERM)",
    source="Documentation/admin-guide/sysctl/kernel.rst",
)
def life_kexec_allowed(case: Case) -> Iterator[Outcome]:
    if case.fact("kexec.load_disabled"):
        message = "this host has kernel.kexec_load_disabled=1, which forbids loading kernels until it is rebooted."
        yield fail(message, (), "remove the setting (look in /etc/sysctl.d) and reboot the host")
    if not case.fact("privileged"):
        message = "the facts were collected without root, so that nothing can be loaded (CAP_SYS_BOOT is missing)."
        yield fail(message, (), "run as root: become: true")


@rule(
    "life-kexec-quota",
    "error",
    "The host allows enough loads",
    "kexec_load_limit_reboot counts down with every load and unload, and can only be lowered until the next boot.",
    needs=("kexec.limit_reboot",),
    source="Documentation/admin-guide/sysctl/kernel.rst",
)
def life_kexec_quota(case: Case) -> Iterator[Outcome]:
    limit = case.fact("kexec.limit_reboot")
    loads = sum(len(names) for one, names in case.alike if one["state"] in ("running", "loaded"))
    if 0 <= limit < loads * CALLS_PER_LOAD:
        message = "{0} instances need up to {1} loads and unloads, but kernel.kexec_load_limit_reboot allows {2} more.".format(
            loads, loads * CALLS_PER_LOAD, limit
        )
        yield fail(message, ("instances",), "raise the limit at boot, and reboot the host")


@rule(
    "sec-lockdown",
    "error",
    "The host is not locked down",
    "kexec_load(2) takes no signatures, so that lockdown forbids it; only kexec_file_load is left, which has no multikernel.",
    needs=("lockdown",),
    anchor="kernel (EPERM)",
    source="kernel_lockdown(7)",
)
def sec_lockdown(case: Case) -> Iterator[Outcome]:
    mode = case.fact("lockdown")
    if mode != "none":
        message = "this host is in lockdown mode {0}, which forbids kexec_load.".format(mode)
        yield fail(message, (), "boot it without lockdown= and without secure boot")


@rule(
    "time-tsc",
    "error",
    "The time stamp counter is a clock",
    "An instance has no other clock: the counter must not stop or change its pace, and its frequency must be told.",
    needs=("tsc.khz", "tsc.constant", "tsc.nonstop"),
    waivable=True,
)
def time_tsc(case: Case) -> Iterator[Outcome]:
    if not case.linux:
        return
    lacks = [flag for flag, key in (("constant_tsc", "constant"), ("nonstop_tsc", "nonstop")) if not case.fact("tsc." + key)]
    # A virtual machine hides the flags although its counter is steady.
    severity = "warning" if case.fact("virtualization") not in (None, "none") else None
    if lacks:
        message = "this machine's time stamp counter is not invariant: its CPUs lack {0}.".format(" and ".join(lacks))
        hint = "in QEMU, add invtsc to -cpu" if severity else "use a machine with an invariant counter, or waive the rule with a reason"
        yield fail(message, (), hint, severity)
    if case.fact("tsc.clocksource") not in (None, "tsc", "kvm-clock", "hyperv_clocksource_tsc_page"):
        message = "the host itself does not trust the time stamp counter: its clock source is {0}.".format(case.fact("tsc.clocksource"))
        yield fail(message, (), "look for 'tsc: Marking TSC unstable' in the host's log", severity)


@rule(
    "cmd-host-ipi",
    "warning",
    "The host does not broadcast interrupts to instances",
    "An IPI to all CPUs but the sender's reaches CPUs that the host has given away.",
    needs=("kernel.cmdline", "dialect.name"),
    source="Documentation/admin-guide/kernel-parameters.txt, no_ipi_broadcast",
)
def cmd_host_ipi(case: Case) -> Iterator[Outcome]:
    # mkstock switches the shorthand off by itself.
    words = case.fact("kernel.cmdline").split()
    if case.instances and case.fact("dialect.provider") == "kernel" and "no_ipi_broadcast=1" not in words:
        message = "the host was booted without no_ipi_broadcast=1, so that its interrupts to all CPUs reach instances, too."
        yield fail(message, ("instances",), "add no_ipi_broadcast=1 to the host's command line")


@rule(
    "host-config",
    "error",
    "The host's kernel was built with what is needed",
    "Without kexec_load(2) nothing can be loaded, and without hotplug no CPU and no memory can be given away.",
    needs=("kernel.config",),
    anchor="Kconfig of the RFC",
    unsure="warning",
)
def host_config(case: Case) -> Iterator[Outcome]:
    config = case.fact("kernel.config")
    wanted = ["KEXEC", "HOTPLUG_CPU"] + (["MEMORY_HOTREMOVE"] if case.pool_blocks else [])
    lacks = [option for option in wanted if config.get(option) != "y"]
    if lacks and case.instances:
        message = "this host's kernel was built without {0}.".format(" and ".join("CONFIG_" + option for option in lacks))
        hint = "boot a kernel that has them" + (", or reserve the pool with memmap=" if lacks == ["MEMORY_HOTREMOVE"] else "")
        yield fail(message, (), hint)


@rule(
    "host-memmap",
    "error",
    "The host's memmap= is what was meant",
    "GRUB expands $ in its configuration, so that memmap=512M$0x40000000 arrives without the address and reserves nothing.",
    needs=("kernel.cmdline",),
    source="Documentation/admin-guide/kernel-parameters.txt, memmap=",
    anchor="Jailhouse (a word in its README)",
)
def host_memmap(case: Case) -> Iterator[Outcome]:
    for word in case.fact("kernel.cmdline").split():
        parts = word[len("memmap=") :].strip('"').split(",") if word.startswith("memmap=") else []
        if not all(re.fullmatch(MEMMAP, part, re.IGNORECASE) for part in parts):
            message = "the host was booted with {0}, which is no size and address.".format(word)
            yield fail(message, ("pool", "memory"), "write \\\\\\$ for $ in /etc/default/grub, run update-grub, and reboot the host")


@rule(
    "host-panic",
    "warning",
    "The host does not reboot by itself after a panic",
    "Instances go on after a panic of the host; its automatic reboot is what takes them all down.",
    needs=("kernel.panic",),
    source="Documentation/admin-guide/sysctl/kernel.rst, panic",
)
def host_panic(case: Case) -> Iterator[Outcome]:
    seconds = case.fact("kernel.panic")
    if seconds and case.instances:
        when = "at once" if seconds < 0 else "{0} s later".format(seconds)
        message = "the host reboots {0} when it panics (kernel.panic={1}), and with it the whole machine.".format(when, seconds)
        yield fail(message, (), "set kernel.panic=0, unless a machine that is back soon matters more than its instances")


@rule(
    "life-kdump",
    "info",
    "The host's crash kernel knows of instances",
    "After a host panic the crash kernel starts while instances go on running on their CPUs and memory.",
    needs=("kexec.crash_loaded",),
)
def life_kdump(case: Case) -> Iterator[Outcome]:
    if case.fact("kexec.crash_loaded") and case.instances:
        message = "a crash kernel is loaded; after a host panic it does not stop the instances, and its dump holds their memory, too."
        yield fail(message, ())


@rule(
    "life-restart",
    "info",
    "Instances that restart are watched",
    "Only what is watched can be found dead.",
)
def life_restart(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: one["restart"] == "always" and one["health"] is None and one["state"] == "running"):
        message = "{0} is to be restarted always, but its health is not watched: a hang goes unnoticed.".format(name)
        yield fail(message, ("instances", name, "restart"), "add health: {within: 30s}")
