# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on command lines and consoles."""

from __future__ import annotations

from .support import RuleCase, both, fact, layout, nothing


def line(text):
    return layout("instances", "web", "cmdline", text)


CASES = [
    RuleCase(
        "cmd-charset",
        line("quiet\nrole=web"),
        "the command line of web cannot be read: the command line has the character '\\n', which the kernel would not read as written.",
        facts=False,
    ),
    RuleCase(
        "cmd-charset",
        line("name=\u00fc"),
        "the command line of web cannot be read: the command line has the character '\u00fc', which the kernel would not read as written.",
        facts=False,
    ),
    RuleCase(
        "cmd-charset",
        line('name="open'),
        'the command line of web cannot be read: the command line has a double quote that is not closed: ...name="open.',
        facts=False,
    ),
    RuleCase(
        "cmd-length",
        line("x" * 1900),
        "the command line of web has 1906 characters and the loader adds 346, but its kernel takes 2047.",
        facts=False,
    ),
    RuleCase("cmd-length", line("x" * 1200), facts=False),
    RuleCase(
        "cmd-length",
        both(line("x" * 100), fact("images", "/boot/vmlinuz", "header", "cmdline_size", 255)),
        "the command line of web has 106 characters and the loader adds 346, but its kernel takes 255.",
    ),
    RuleCase(
        "cmd-reserved-words",
        line("multikernel.name=rt"),
        "web has 'multikernel.name=rt' on its command line, which the loader writes itself.",
        facts=False,
    ),
    RuleCase(
        "cmd-dup-single",
        line("loglevel=3 loglevel=7"),
        "web has loglevel=3 and loglevel=7 on its command line; the last one wins.",
        facts=False,
    ),
    RuleCase("cmd-dup-single", line("console=ttyS1 console=hvc0"), facts=False),
    RuleCase(
        "cmd-contradict-mem",
        line("mem=128M"),
        "web has 'mem=128M' on its command line, which contradicts the memory that the layout gives it.",
        facts=False,
    ),
    RuleCase(
        "cmd-contradict-mem",
        line("memmap=1G$0x40000000"),
        "web has 'memmap=1G$0x40000000' on its command line, which contradicts the memory that the layout gives it.",
        facts=False,
    ),
    RuleCase("cmd-contradict-mem", line("memtest=1"), facts=False),
    RuleCase(
        "cmd-contradict-cpu",
        both(line("nr_cpus=1"), layout("instances", "web", "cpus", "count", 2)),
        "web has 'nr_cpus=1' on its command line, but the layout gives it 2 CPUs.",
        facts=False,
    ),
    RuleCase(
        "cmd-contradict-cpu",
        both(line("nosmp"), layout("instances", "web", "cpus", "count", 2)),
        "web has 'nosmp' on its command line, but the layout gives it 2 CPUs.",
        facts=False,
    ),
    RuleCase("cmd-contradict-cpu", line("nr-cpus=1"), facts=False),
    RuleCase("cmd-console-any", layout("instances", "web", "console", None), "web has no console.", facts=False),
    RuleCase("cmd-console-any", both(layout("instances", "web", "console", None), line("console=hvc0")), facts=False),
    RuleCase(
        "cmd-console-owned",
        line("console=ttyS2,115200"),
        "web has 'console=ttyS2,115200' on its command line, but the layout gives it ttyS1.",
        facts=False,
    ),
    RuleCase(
        "cmd-console-owned",
        both(line("console=ttyS1"), layout("instances", "web", "console", None)),
        "web has 'console=ttyS1' on its command line, but the layout gives it no UART.",
        facts=False,
    ),
    RuleCase("cmd-console-owned", line("console=ttyS1,9600 console=tty0"), facts=False),
    RuleCase(
        "con-one-owner",
        layout("instances", "rt", "console", {"device": "ttyS1"}),
        "rt and web both own the UART ttyS1; give each UART to one kernel only.",
        facts=False,
    ),
    RuleCase(
        "con-one-owner",
        layout("instances", "web", "console", {"device": "ttyS0"}),
        "the host and web both own the UART ttyS0; give each UART to one kernel only.",
    ),
    RuleCase("con-one-owner", layout("instances", "rt", "console", {"device": "ttyS2"})),
    RuleCase(
        "con-present",
        layout("instances", "web", "console", {"device": "ttyS7"}),
        "web wants the UART ttyS7, but this machine has ttyS0, ttyS1, ttyS2, ttyS3.",
    ),
    RuleCase(
        "cmd-earlycon-foreign",
        line("earlycon=uart8250,io,0x3f8,115200"),
        "web has 'earlycon=uart8250,io,0x3f8,115200' on its command line, but the port 0x3f8 is not that of its own UART (0x2f8).",
        facts=False,
    ),
    RuleCase("con-present", fact("uarts", None), "whether this machine has the UART ttyS1 of web is not known.", "unknown"),
    RuleCase("con-present", both(fact("uarts", None), layout("instances", "web", "console", None))),
    RuleCase("cmd-earlycon-foreign", line("earlycon=uart8250,io,0x2f8,115200"), facts=False),
    RuleCase(
        "cmd-earlycon-foreign",
        line("earlyprintk=serial,ttyS1"),
        "web has 'earlyprintk=serial,ttyS1' on its command line, but earlyprintk drives the port of ttyS0 whatever it is told.",
        facts=False,
    ),
    RuleCase(
        "cmd-earlycon-foreign",
        line("earlyprintk=vga"),
        "web has 'earlyprintk=vga' on its command line, but an instance has neither a screen nor EFI.",
        facts=False,
    ),
    RuleCase(
        "cmd-legacy-clock",
        line("clocksource=hpet"),
        "web has 'clocksource=hpet' on its command line, but an instance has only the TSC and its local APIC.",
        facts=False,
    ),
    RuleCase(
        "cmd-legacy-clock",
        line("acpi=off"),
        "web has 'acpi=off' on its command line, but an instance has only the TSC and its local APIC.",
        facts=False,
    ),
    RuleCase("cmd-legacy-clock", line("clocksource=tsc"), facts=False),
    RuleCase(
        "cmd-panic-reboot",
        line("panic=10"),
        "web has 'panic=10' on its command line, with which it can reset the whole machine.",
        facts=False,
    ),
    RuleCase(
        "cmd-panic-reboot",
        line("reboot=k"),
        "web has 'reboot=k' on its command line, with which it can reset the whole machine.",
        facts=False,
    ),
    RuleCase("cmd-panic-reboot", line("panic=0 panic_on_oops=1"), facts=False),
    RuleCase("cmd-panic-reboot", line("quiet -- panic=10"), facts=False),
    RuleCase(
        "cmd-crashkernel-spawn",
        line("crashkernel=64M"),
        "web has 'crashkernel=64M' on its command line, but a crash kernel belongs to the host.",
        facts=False,
    ),
    RuleCase(
        "cmd-iommu-spawn",
        line("intel_iommu=on"),
        "web has 'intel_iommu=on' on its command line, but the IOMMU belongs to the host.",
        facts=False,
    ),
    RuleCase(
        "cmd-resctrl-spawn",
        line("rdt=cmt"),
        "web has 'rdt=cmt' on its command line, but resource control belongs to the host.",
        facts=False,
    ),
    RuleCase(
        "cmd-host-ipi",
        fact("kernel", "cmdline", "console=ttyS0"),
        "the host was booted without no_ipi_broadcast=1, so that its interrupts to all CPUs reach instances, too.",
        machine="memmap",
    ),
    RuleCase("cmd-host-ipi", fact("kernel", "cmdline", "console=ttyS0")),
    RuleCase("cmd-host-ipi", nothing, machine="memmap"),
    RuleCase(
        "cmd-secret",
        line("db.password=hunter2"),
        "web has 'db.password=...' on its command line, whose value everybody can read.",
        facts=False,
    ),
]
