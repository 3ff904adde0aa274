# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on words of command lines, on images and on the host that came later."""

from __future__ import annotations

from .support import MIB, RuleCase, both, fact, layout, nothing

WEB = ("instances", "web")
RT = ("instances", "rt")
TINY = ("images", "tiny")


def line(text):
    return layout(*WEB, "cmdline", text)


def linux_too(ours, theirs):
    """rt boots Linux as well."""
    return both(layout(*RT, "image", "debian"), layout(*RT, "memory", "size", 256 * MIB), line(ours), layout(*RT, "cmdline", theirs))


def channels(number):
    def change(found, _facts):
        for one in range(number):
            found["channels"]["c{0:02}".format(one)] = dict(found["channels"]["beat"])

    return change


CASES = [
    RuleCase("img-unused", layout("instances", "rt", "image", "debian"), "no instance boots the image tiny.", facts=False),
    RuleCase("img-unused", layout("instances", "gone", "image", "tiny"), facts=False),
    RuleCase(
        "img-flat-initrd",
        layout(*TINY, "initrd", {"path": "/srv/web.cpio", "sha256": None}),
        "the image tiny is a flat payload and has an initrd.",
        facts=False,
    ),
    RuleCase("img-flat-initrd", nothing, facts=False),
    RuleCase(
        "img-root-source",
        layout("images", "debian", "initrd", None),
        "web has neither an initrd nor root= on its command line.",
        facts=False,
    ),
    RuleCase("img-root-source", both(layout("images", "debian", "initrd", None), line("root=/dev/ram0")), facts=False),
    RuleCase(
        "cmd-cpu-lists",
        line("isolcpus=domain,2-3"),
        "web has 'isolcpus=domain,2-3' on its command line, but its CPUs are numbered 0.",
        facts=False,
    ),
    RuleCase("cmd-cpu-lists", both(line("nohz_full=1-3"), layout(*WEB, "cpus", "count", 4)), facts=False),
    RuleCase(
        "cmd-hugepages",
        line("hugepagesz=1G hugepages=2"),
        "web is to set 2GiB of huge pages aside, but has 256MiB of memory.",
        facts=False,
    ),
    RuleCase("cmd-hugepages", line("hugepages=16"), facts=False),
    RuleCase(
        "cmd-tsc-khz",
        line("tsc_early_khz=2400000"),
        "web has 'tsc_early_khz=2400000' on its command line, but the counter of this machine runs at 2596136 kHz.",
    ),
    RuleCase("cmd-tsc-khz", line("tsc_early_khz=2596000")),
    RuleCase(
        "cmd-ipi-broadcast",
        line("no_ipi_broadcast=0"),
        "web has 'no_ipi_broadcast=0' on its command line, which lets it interrupt the CPUs of all kernels.",
        facts=False,
    ),
    RuleCase("cmd-ipi-broadcast", line("no_ipi_broadcast=1"), facts=False),
    RuleCase(
        "cmd-firmware",
        line("acpi_rsdp=0x7ffe0014"),
        "web has 'acpi_rsdp=0x7ffe0014' on its command line, but its firmware tables are the loader's.",
        facts=False,
    ),
    RuleCase("cmd-firmware", line("acpi_enforce_resources=lax"), facts=False),
    RuleCase("cmd-pci", line("pci=nomsi"), "web has 'pci=nomsi' on its command line, which replaces the loader's pci=off.", facts=False),
    RuleCase("cmd-pci", line("pci=off"), facts=False),
    RuleCase(
        "cmd-root-owned", line("root=/dev/sda1"), "web has 'root=/dev/sda1' on its command line, but an instance has no disk.", facts=False
    ),
    RuleCase(
        "cmd-root-owned",
        line("root=PARTUUID=1-02"),
        "web has 'root=PARTUUID=1-02' on its command line, but an instance has no disk.",
        facts=False,
    ),
    RuleCase("cmd-root-owned", line("root=/dev/ram0"), facts=False),
    RuleCase(
        "cmd-machine-wide",
        line("split_lock_detect=fatal"),
        "web has 'split_lock_detect=fatal' on its command line, which changes the machine for all kernels.",
        facts=False,
    ),
    RuleCase("cmd-machine-wide", line("intel_pstate=disable"), facts=False),
    RuleCase(
        "cmd-mitigations",
        line("mitigations=off"),
        "web has 'mitigations=off' on its command line, which opens it and through it all kernels.",
        facts=False,
    ),
    RuleCase("cmd-mitigations", line("mitigations=auto,nosmt"), facts=False),
    RuleCase(
        "cmd-ip-unique",
        linux_too("ip=10.0.0.5::10.0.0.1:255.255.255.0", "ip=10.0.0.5"),
        "rt and web both have 'ip=10.0.0.5' on their command lines.",
        facts=False,
    ),
    RuleCase("cmd-ip-unique", linux_too("ip=dhcp", "ip=dhcp"), facts=False),
    RuleCase("con-port", fact("uarts", 1, "port", None), "web wants the UART ttyS1, which has no I/O port."),
    RuleCase("con-port", fact("uarts", 2, "port", None)),
    RuleCase(
        "con-reserve",
        line("reserve=0x3e8,8,0x2e8,8"),
        "web needs 5 ranges in reserve= (3 UARTs of others, 2 of its own words), and the kernel takes 4.",
    ),
    RuleCase("con-reserve", line("reserve=0x60,4")),
    RuleCase(
        "chan-segments",
        channels(13),
        "web needs 18 segments (4 of its image, 14 of channels), and one load takes 16.",
        facts=False,
    ),
    RuleCase("chan-segments", channels(11), facts=False),
    RuleCase(
        "chan-trust",
        layout(*RT, "trust", "secret"),
        "channel feed connects web (public) with rt (secret).",
        facts=False,
    ),
    RuleCase("chan-trust", layout(*RT, "trust", "public"), facts=False),
    RuleCase(
        "chan-numa",
        both(
            layout("host", "cpus", None),
            fact("memory", "blocks", [{"number": number, "state": "online", "node": number // 8} for number in range(16)]),
        ),
        "channel beat lies on node 1, but its ends are on node 0.",
        placed=True,
        machine="two-sockets",
        after=layout("channels", "beat", "placed", "ends", [0, 2]),
    ),
    RuleCase("chan-numa", nothing, placed=True, machine="two-sockets"),
    RuleCase(
        "life-health-slack",
        layout(*WEB, "health", "within", 1.5),
        "the health of web has a deadline of 1.5 s, and instances beat once a second.",
        facts=False,
    ),
    RuleCase("life-health-slack", layout(*WEB, "health", "within", 3.0), facts=False),
    RuleCase("host-config", fact("kernel", "config", "KEXEC", None), "this host's kernel was built without CONFIG_KEXEC."),
    RuleCase(
        "host-config",
        fact("kernel", "config", "MEMORY_HOTREMOVE", None),
        "this host's kernel was built without CONFIG_MEMORY_HOTREMOVE.",
        machine="lab-plain",
    ),
    RuleCase("host-config", fact("kernel", "config", "MEMORY_HOTREMOVE", None)),
    RuleCase(
        "host-memmap",
        fact("kernel", "cmdline", "memmap=192K$0x10000 memmap=512Mx40000000"),
        "the host was booted with memmap=512Mx40000000, which is no size and address.",
    ),
    RuleCase("host-memmap", fact("kernel", "cmdline", "memmap=exactmap memmap=640K@0 memmap=1M#0x100000,4G!16G")),
    RuleCase(
        "host-panic",
        fact("kernel", "panic", 10),
        "the host reboots 10 s later when it panics (kernel.panic=10), and with it the whole machine.",
    ),
    RuleCase("host-panic", nothing),
]
