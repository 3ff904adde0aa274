# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on command lines: words that would reach for the host's hardware, or contradict what the instance is given."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, Tuple

from .._boot import cmdline, memory_map
from .._layout import cpuset, units
from .case import Case
from .console import PORTS, port_of
from .lines import Line, key_of
from .registry import Outcome, fail, rule
from .words import at_cmdline, names_of

PARAMETERS = "Documentation/admin-guide/kernel-parameters.txt"

# The longest that the loader's own words can be before addresses are known, and what they are shorter than in any case.
_ANY_ADDRESS = (1 << 52) - 1
_ANY_TSC_KHZ = 9999999
_OWN_WORDS, _OWN_CHANNEL = 640, 128

# Parameters of which the kernel takes the last one, and of which two are a contradiction.
_SINGLE = ("root", "init", "rdinit", "nr_cpus", "maxcpus", "panic", "loglevel", "clocksource", "tsc", "tsc_early_khz", "ip", "lpj")
_CPU_LISTS = ("isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity", "kthread_cpus")
_OFF = ("nopti", "nospectre_v1", "nospectre_v2", "nospec_store_bypass_disable", "no_stf_barrier")
_NUMBERS = r"[0-9]{1,5}(-[0-9]{1,5})?"
_OWN = re.compile("^" + re.escape(cmdline.PREFIX))
_SECRET = re.compile(r"passw|secret|token|api_?key|private_?key", re.IGNORECASE)


@rule("cmd-charset", "error", "Command lines hold what the kernel can read", "A newline or NUL ends the command line early.")
def cmd_charset(case: Case) -> Iterator[Outcome]:
    for line in case.lines.every:
        if line.text.isascii() and line.text.isprintable() and '"' not in line.text:
            continue
        try:
            cmdline.split(line.text)
        except cmdline.CommandLineError as error:
            for name in line.names:
                message = "the command line of {0} cannot be read: {1}.".format(name, error)
                yield fail(message, at_cmdline(name), "use printable ASCII without newlines, and close every double quote")


@rule(
    "cmd-length",
    "error",
    "Command lines fit",
    "The kernel takes cmdline_size characters (2047 on x86); the loader's own words count.",
    source="Documentation/arch/x86/boot.rst, cmdline_size",
    anchor="kernel (kexec_file_load only); other loaders cut silently",
)
def cmd_length(case: Case) -> Iterator[Outcome]:
    channels = case.channels_of
    for line in case.lines.every:
        limit = _limit(case, line)
        for name in line.names:
            if len(line.text) + len(name) + _OWN_WORDS + _OWN_CHANNEL * len(channels.get(name, ())) <= limit:
                continue
            own = _own_length(case, name)
            if len(line.text) + own > limit:
                message = "the command line of {0} has {1} characters and the loader adds {2}, but its kernel takes {3}.".format(
                    name, len(line.text), own, limit
                )
                yield fail(message, at_cmdline(name), "shorten it by {0} characters".format(len(line.text) + own - limit))


@rule(
    "cmd-reserved-words",
    "error",
    "Words that begin with multikernel. belong to the loader",
    "By them an instance learns its name, its mailbox and its channels; a second value would win.",
)
def cmd_reserved_words(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.having(*case.lines.matching(_OWN)):
        message = "{0} has {1!r} on its command line, which the loader writes itself.".format(name, word)
        yield fail(message, at_cmdline(name), "remove it")


@rule("cmd-dup-single", "warning", "No parameter is given twice", "The last one wins, which is seldom what was meant.", source=PARAMETERS)
def cmd_dup_single(case: Case) -> Iterator[Outcome]:
    for line in case.lines.every:
        values: Dict[str, List[str]] = {}
        for word in line.words:
            if key_of(word) in _SINGLE:
                values.setdefault(key_of(word), []).append(word)
        for words in values.values():
            for name in line.names if len(words) > 1 else ():
                message = "{0} has {1} on its command line; the last one wins.".format(name, " and ".join(words))
                yield fail(message, at_cmdline(name), "keep {0}".format(words[-1]))


@rule(
    "cmd-contradict-mem",
    "error",
    "Command lines leave the memory map alone",
    "The loader gives an instance exactly its own memory; mem= and memmap= would cut it or reach beyond it.",
    source=PARAMETERS,
)
def cmd_contradict_mem(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("mem", "memmap", "add_efi_memmap"):
        message = "{0} has {1!r} on its command line, which contradicts the memory that the layout gives it.".format(name, word)
        yield fail(message, at_cmdline(name), "remove it and set instances.{0}.memory".format(name))


@rule(
    "cmd-contradict-cpu",
    "error",
    "Command lines allow all CPUs of the instance",
    "CPUs above nr_cpus or maxcpus never start, and nobody else can use them.",
    source=PARAMETERS,
)
def cmd_contradict_cpu(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("nr_cpus", "maxcpus", "possible_cpus", "nosmp"):
        value = word.partition("=")[2]
        limit = 1 if key_of(word) == "nosmp" else units.whole(value)
        wanted = _cpus(case, name)
        if limit is not None and limit < wanted:
            message = "{0} has {1!r} on its command line, but the layout gives it {2} CPUs.".format(name, word, wanted)
            yield fail(message, at_cmdline(name), "remove it, or give the instance fewer CPUs")


@rule(
    "cmd-cpu-lists",
    "warning",
    "Command lines name the instance's own CPUs",
    "An instance numbers its CPUs from 0, whatever the host calls them; isolcpus= with the host's numbers isolates nothing.",
    source=PARAMETERS,
)
def cmd_cpu_lists(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux(*_CPU_LISTS):
        numbers = _cpu_list(word.partition("=")[2])
        wanted = _cpus(case, name)
        beyond = [number for number in numbers if number >= wanted]
        if beyond and wanted:
            message = "{0} has {1!r} on its command line, but its CPUs are numbered {2}.".format(name, word, cpuset.format(range(wanted)))
            yield fail(message, at_cmdline(name), "count the instance's CPUs from 0")


@rule(
    "cmd-hugepages",
    "error",
    "Huge pages fit into the instance's memory",
    "What huge pages take at boot is missing for all else; the instance runs out of memory before it can say so.",
    source=PARAMETERS,
)
def cmd_hugepages(case: Case) -> Iterator[Outcome]:
    for name in dict.fromkeys(name for name, _word in case.lines.linux("hugepages")):
        line = [one for one in case.lines.every if name in one.names][0]
        page, total = 2 << 20, 0
        for word in line.words:
            key, value = key_of(word), word.partition("=")[2]
            size = re.fullmatch(r"([0-9]{1,6})([KMG])", value.upper())
            if key in ("hugepagesz", "default_hugepagesz") and size:
                page = int(size.group(1)) << {"K": 10, "M": 20, "G": 30}[size.group(2)]
            elif key == "hugepages" and re.fullmatch(r"[0-9]{1,12}", value):
                total += page * int(value)
        there = case.instances[name]["memory"]["size"]
        if total >= there > 0:
            message = "{0} is to set {1} of huge pages aside, but has {2} of memory.".format(
                name, units.format_size(total), units.format_size(there)
            )
            yield fail(message, at_cmdline(name), "ask for fewer huge pages, or give it more memory")


@rule(
    "cmd-legacy-clock",
    "error",
    "Instances use no clock of the host",
    "HPET, PM timer and PIT belong to the host; an instance has the TSC and its local APIC timer.",
    source=PARAMETERS,
)
def cmd_legacy_clock(case: Case) -> Iterator[Outcome]:
    exact = ("hpet=force", "acpi=force", "acpi=off", "notsc", "tsc=unstable", "nolapic", "noapic", "nolapic_timer", "lapic=notscdeadline")
    foreign = ("hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies")
    for name, word in case.lines.linux("clocksource", *(key_of(one) for one in exact)):
        if word in exact or (word.startswith("clocksource=") and word[len("clocksource=") :] in foreign):
            message = "{0} has {1!r} on its command line, but an instance has only the TSC and its local APIC.".format(name, word)
            yield fail(message, at_cmdline(name), "remove it; the loader says tsc=reliable")


@rule(
    "cmd-tsc-khz",
    "error",
    "Instances are told the true frequency of the time stamp counter",
    "The user's word replaces the loader's, and the instance has no second clock to notice: all its time runs wrong.",
    needs=("tsc.khz",),
    source=PARAMETERS + ", tsc_early_khz",
)
def cmd_tsc_khz(case: Case) -> Iterator[Outcome]:
    true = case.fact("tsc.khz")
    for name, word in case.lines.linux("tsc_early_khz"):
        value = word.partition("=")[2]
        told = units.whole(value) or 0
        if abs(told - true) * 1000 > true:
            message = "{0} has {1!r} on its command line, but the counter of this machine runs at {2} kHz.".format(name, word, true)
            yield fail(message, at_cmdline(name), "remove it; the loader writes the right one")


@rule(
    "cmd-panic-reboot",
    "warning",
    "Instances do not reset the machine",
    "A kernel that reboots after a panic, or by a forced method, resets the whole machine with the host and all instances.",
    source=PARAMETERS,
)
def cmd_panic_reboot(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("panic", "reboot"):
        value = word.partition("=")[2]
        if key_of(word) == "reboot" or (value not in ("0", "") and re.fullmatch(r"-?[0-9]+", value)):
            message = "{0} has {1!r} on its command line, with which it can reset the whole machine.".format(name, word)
            yield fail(message, at_cmdline(name), "remove it and say restart: on-failure at the instance")


@rule(
    "cmd-ipi-broadcast",
    "error",
    "Instances do not broadcast interrupts",
    "An IPI to all CPUs but the sender's reaches the host and every other instance, which take it for their own.",
    source=PARAMETERS + ", no_ipi_broadcast",
)
def cmd_ipi_broadcast(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("no_ipi_broadcast"):
        if word.partition("=")[2] not in ("1", "y", "Y", "on", "true"):
            message = "{0} has {1!r} on its command line, which lets it interrupt the CPUs of all kernels.".format(name, word)
            yield fail(message, at_cmdline(name), "remove it; the loader says no_ipi_broadcast=1")


@rule(
    "cmd-firmware",
    "error",
    "Instances read the tables that the loader gives them",
    "The host's own ACPI and EFI tables name its IO-APIC, timers and buttons, and the instance would drive them.",
    source=PARAMETERS,
)
def cmd_firmware(case: Case) -> Iterator[Outcome]:
    return _forbidden(case, ("acpi_rsdp", "efi", "acpi_osi_force", "mptable"), "its firmware tables are the loader's")


@rule(
    "cmd-pci",
    "error",
    "Instances leave the host's devices alone",
    "An instance that looks at the PCI bus finds all devices of the host, and its drivers take them over at once.",
    source=PARAMETERS + ", pci=",
    waivable=True,
)
def cmd_pci(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.linux("pci"):
        wishes = set(word.partition("=")[2].split(","))
        if name in case.devices_of:
            if wishes & {"off", "nomsi", "nommconf"}:
                message = "{0} has {1!r} on its command line, which takes its own devices away from it.".format(name, word)
                yield fail(message, at_cmdline(name), "remove it, or the devices")
        elif "off" not in wishes:
            message = "{0} has {1!r} on its command line, which replaces the loader's pci=off.".format(name, word)
            yield fail(message, at_cmdline(name), "remove it: an instance has no devices of its own")


@rule(
    "cmd-root-owned",
    "error",
    "Instances do not mount the host's disks",
    "An instance has no disk of its own: it waits for ever, or finds the host's and writes to a mounted file system.",
    source=PARAMETERS + ", root=",
    waivable=True,
)
def cmd_root_owned(case: Case) -> Iterator[Outcome]:
    disk = re.compile(r"root=(/dev/(?!ram|pmem|nfs|root)|UUID=|PARTUUID=|PARTLABEL=|LABEL=|[0-9a-fA-F]+:[0-9a-fA-F]+$)")
    for name, word in case.lines.linux("root"):
        if disk.match(word.replace('"', "")):
            message = "{0} has {1!r} on its command line, but an instance has no disk.".format(name, word)
            yield fail(message, at_cmdline(name), "put the root file system into its initrd, and remove the word")


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
    anchor="kernel document only",
)
def cmd_resctrl_spawn(case: Case) -> Iterator[Outcome]:
    return _forbidden(case, ("rdt", "resctrl"), "resource control belongs to the host")


@rule(
    "cmd-machine-wide",
    "warning",
    "Instances leave registers of the whole package alone",
    "MTRRs must be the same on all CPUs, and frequency and split-lock control are of a core or package: the last writer wins for all.",
    source=PARAMETERS,
)
def cmd_machine_wide(case: Case) -> Iterator[Outcome]:
    keys = ("enable_mtrr_cleanup", "mtrr_spare_reg_nr", "split_lock_detect", "intel_pstate", "amd_pstate", "intel_idle.max_cstate")
    for name, word in case.lines.linux(*keys):
        if word.partition("=")[2] not in ("off", "disable"):
            message = "{0} has {1!r} on its command line, which changes the machine for all kernels.".format(name, word)
            yield fail(message, at_cmdline(name), "set it on the host, which all kernels follow")


@rule(
    "cmd-mitigations",
    "warning",
    "Instances mitigate what their CPUs leak",
    "Every kernel can reach all memory, so that what leaks from one process of one instance may be any kernel's.",
    source="Documentation/admin-guide/hw-vuln/index.rst",
)
def cmd_mitigations(case: Case) -> Iterator[Outcome]:
    keys = (
        "mitigations",
        "pti",
        "spectre_v2",
        "spec_store_bypass_disable",
        "l1tf",
        "mds",
        "tsx_async_abort",
        "mmio_stale_data",
        "retbleed",
    )
    for name, word in case.lines.linux(*keys, *_OFF):
        if key_of(word) in _OFF or word.partition("=")[2].split(",")[0] == "off":
            message = "{0} has {1!r} on its command line, which opens it and through it all kernels.".format(name, word)
            yield fail(message, at_cmdline(name), "remove it, or waive the rule with a reason")


@rule(
    "cmd-ip-unique",
    "error",
    "Addresses and machine ids are given once",
    "Two kernels with one address answer for each other; two with one machine id get one lease and one journal.",
    source=PARAMETERS + ", ip=; systemd(1)",
    anchor="ACRN (vsock CID)",
)
def cmd_ip_unique(case: Case) -> Iterator[Outcome]:
    owners: Dict[str, List[str]] = {}
    for name, word in case.lines.linux("ip", "systemd.machine_id", "systemd.hostname"):
        key, value = key_of(word), word.partition("=")[2]
        value = value.split(":")[0] if key == "ip" else value
        if value and (key != "ip" or re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", value)):
            owners.setdefault("{0}={1}".format(key, value), []).append(name)
    for what, names in owners.items():
        names = list(dict.fromkeys(names))
        if len(names) > 1:
            message = "{0} {1} have {2!r} on their command lines.".format(names_of(names), "both" if len(names) == 2 else "all", what)
            yield fail(message, at_cmdline(names[-1]), "give each of them its own")


@rule("cmd-secret", "warning", "Command lines hold no secrets", "Every user of the instance and every other kernel can read them.")
def cmd_secret(case: Case) -> Iterator[Outcome]:
    for name, word in case.lines.having(*case.lines.matching(_SECRET)):
        key, _equals, value = word.partition("=")
        if value:
            message = "{0} has {1!r} on its command line, whose value everybody can read.".format(name, key + "=...")
            yield fail(message, at_cmdline(name), "put it into the initrd")


def _forbidden(case: Case, keys: Tuple[str, ...], reason: str) -> Iterator[Outcome]:
    for name, word in case.lines.linux(*keys):
        yield fail("{0} has {1!r} on its command line, but {2}.".format(name, word, reason), at_cmdline(name), "remove it")


def _cpus(case: Case, name: str) -> int:
    cpus = case.instances[name]["cpus"]
    return len(set(cpus["ids"])) if cpus["ids"] is not None else cpus["count"] or 0


def _cpu_list(value: str) -> List[int]:
    # isolcpus=managed_irq,domain,2-3: flags may stand before the numbers.
    try:
        return cpuset.parse(",".join(part for part in value.split(",") if re.fullmatch(_NUMBERS, part)))
    except cpuset.CpuListError:  # such as 5-3
        return []


def _limit(case: Case, line: Line) -> int:
    header: Optional[Dict[str, int]] = (case.kernel_file(line.names[0]) or {}).get("header")
    return (header or {}).get("cmdline_size") or memory_map.DEFAULT_CMDLINE_SIZE


def _own_length(case: Case, name: str) -> int:
    """Return how many characters the loader adds at most."""
    instance = case.instances[name]
    channels = [cmdline.Channel(channel, _ANY_ADDRESS, 0) for channel in case.channels_of.get(name, [])]
    own = cmdline.own_words(name, _ANY_ADDRESS, channels)
    console = cmdline.Uart(instance["console"]["device"], port_of(case, name) or 0x3F8) if instance["console"] else None
    others = [cmdline.Uart(device, port) for device, port in PORTS.items() if not console or device != console.device]
    if case.is_linux(name):
        image = case.image(name)
        return (
            len(cmdline.linux(own, "", _ANY_TSC_KHZ, _cpus(case, name) or 1, console, others, bool(image and image["initrd"]), 1 << 20)) + 1
        )
    return len(cmdline.flat(own, "", _ANY_TSC_KHZ, console, 1 << 20)) + 1
