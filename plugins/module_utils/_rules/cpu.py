# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on CPUs: who owns which, and what that does to the others."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterator, List, Set, Tuple

from .._boot import acpi
from .._layout import cpuset
from .case import Case
from .registry import Outcome, fail, rule, unknown
from .words import at_cpus, few, names_of


@rule("cpu-some", "error", "Every instance has a CPU", "An instance without a CPU cannot be started.", anchor="ACRN")
def cpu_some(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: not one["cpus"]["ids"] and not one["cpus"]["count"]):
        message = "{0} has no CPU; an instance needs at least one.".format(name)
        yield fail(message, at_cpus(name), "give it a count, or the numbers of its CPUs")


@rule(
    "cpu-id-kind",
    "error",
    "CPU numbers are of one kind and can be resolved",
    "Logical CPU numbers, APIC ids and counts differ on most machines with more than one socket. The host is told logical numbers,"
    " the instance APIC ids, so that both must be known.",
    anchor="none (kerf 0.4.0 compares with the socket of /proc/cpuinfo)",
)
def cpu_id_kind(case: Case) -> Iterator[Outcome]:
    spaces: Dict[str, List[str]] = {}
    for space in ("logical", "apic"):
        names = case.those(lambda one: one["cpus"]["ids"] is not None and one["cpus"]["space"] == space)  # noqa: B023
        if names:
            spaces[space] = names
    for name in spaces.get("apic", []) if case.facts is not None else []:
        for apic_id in case.instances[name]["cpus"]["ids"]:
            if apic_id not in case.logical_of_apic:
                message = "{0} names APIC id {1}, which no known CPU of this machine has (known: {2}).".format(
                    name, apic_id, cpuset.format(case.logical_of_apic) or "none"
                )
                hidden = [number for number, one in case.each_cpu.items() if one.get("apic_id") is None]
                if hidden:
                    hint = "bring CPU {0} online once, so that its APIC id is known".format(cpuset.format(hidden))
                    yield unknown(message, at_cpus(name), hint)
                else:
                    yield fail(message, at_cpus(name), "choose one of the known APIC ids, or write logical numbers without apic:")
    if len(spaces) > 1:
        message = "{0} names logical CPU numbers and {1} names APIC ids; the two differ on many machines.".format(
            names_of(spaces["logical"]), names_of(spaces["apic"])
        )
        yield fail(message, ("instances",), "write all of them as logical numbers, or all as apic: ids", "warning")
    for number in case.those_given(lambda one: one.get("apic_id") is None):
        names = case.owners[number]
        message = "the APIC id of CPU {0} of {1} is not known, because the kernel forgets it while the CPU is offline.".format(
            number, names_of(names)
        )
        yield unknown(message, at_cpus(names[0]), "bring CPU {0} online once and collect the facts again".format(number))


@rule(
    "cpu-dup",
    "error",
    "No CPU is named twice by one instance",
    "The list is a set; a repetition is a mistake for another CPU.",
    anchor="ACRN (warning)",
)
def cpu_dup(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: len(one["cpus"]["ids"] or ()) > 1):
        ids = case.instances[name]["cpus"]["ids"]
        if len(set(ids)) < len(ids):
            twice = sorted(number for number, times in Counter(ids).items() if times > 1)
            yield fail("{0} names CPU {1} more than once.".format(name, cpuset.format(twice)), at_cpus(name), "name each CPU once")


@rule(
    "cpu-overlap",
    "error",
    "Every CPU belongs to one kernel",
    "Two kernels on one CPU overwrite each other's state at once.",
    anchor="kerf 0.4.0; Jailhouse, but only when a cell is created",
)
def cpu_overlap(case: Case) -> Iterator[Outcome]:
    kept = set(case.layout["host"]["cpus"] or []) - {case.boot_cpu}  # that one is told by cpu-bsp-host
    contested = {number: names for number, names in case.owners.items() if len(names) > 1 or number in kept}
    yield from _shared({number: ["host", *names] if number in kept else names for number, names in contested.items()}, "CPU")
    # APIC ids that cannot be resolved can still be compared with each other.
    raw: Dict[int, List[str]] = {}
    unresolved = [name for name, cpus in case.cpus.items() if cpus is None and _names_apic(case, name)]
    for name in unresolved:
        for apic_id in sorted(set(case.instances[name]["cpus"]["ids"])):
            raw.setdefault(apic_id, []).append(name)
    yield from _shared(raw, "APIC id")
    if unresolved and (case.owners or kept):
        message = (
            "the APIC ids of {0} cannot be compared with the logical CPU numbers of others without the APIC ids of this machine.".format(
                names_of(unresolved)
            )
        )
        yield unknown(message, at_cpus(unresolved[0]))


@rule(
    "cpu-present",
    "error",
    "Every CPU that is named exists",
    "The host refuses a CPU that the machine does not have. Numbers are compared with numbers, never with how many there are.",
    anchor="kernel (ENODEV); kerf 0.4.0, against the wrong numbers",
    needs=("cpus.present",),
)
def cpu_present(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    has = "this machine has CPUs {0}".format(cpuset.format(present))
    for number in [number for number in case.owners if number not in present]:
        names = case.owners[number]
        hint = None
        if number in case.logical_of_apic:
            other = case.logical_of_apic[number]
            hint = "{0} is the APIC id of CPU {1}: write {1}, or apic:{0}".format(number, other)
        yield fail("{0} names CPU {1}, but {2}.".format(names_of(names), number, has), at_cpus(names[0]), hint)
    missing = sorted(set(case.layout["host"]["cpus"] or []) - present)
    if missing:
        yield fail("host.cpus names CPU {0}, but {1}.".format(cpuset.format(missing), has), ("host", "cpus"))


@rule(
    "cpu-enough",
    "error",
    "There are as many CPUs as instances ask for",
    "A count that exceeds what the machine has and the host can spare has no placement.",
    anchor="kerf 0.4.0 (sum against the pool)",
    needs=("cpus.present",),
)
def cpu_enough(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    kept = {case.boot_cpu} | set(case.layout["host"]["cpus"] or [])
    spare = len(present - kept)
    wanted = _wanted(case, kept)
    if wanted > spare:
        asked = [(name, instance["cpus"]) for name, instance in case.instances.items()]
        message = "the instances ask for {0} CPUs ({1}), but this machine has {2} and the host keeps {3}, which leaves {4}.".format(
            wanted,
            few(["{0}: {1}".format(name, len(set(cpus["ids"])) if cpus["ids"] else cpus["count"] or 0) for name, cpus in asked]),
            len(present),
            len(present & kept),
            spare,
        )
        yield fail(message, ("instances",), "ask for {0} fewer".format(wanted - spare))


@rule(
    "cpu-bsp-host",
    "error",
    "The boot CPU stays with the host",
    "x86 cannot take the CPU offline that booted the host (support was removed in Linux 6.5).",
    anchor="kernel (warning)",
)
def cpu_bsp_host(case: Case) -> Iterator[Outcome]:
    boot = case.boot_cpu
    for name in case.owners.get(boot, []):
        yield fail("{0} claims CPU {1}, which booted the host and stays with it.".format(name, boot), at_cpus(name), "choose another CPU")
    kept = case.layout["host"]["cpus"]
    if kept is not None and boot not in kept:
        message = "host.cpus is {0}, but CPU {1} booted the host and stays with it.".format(cpuset.format(kept) or "empty", boot)
        yield fail(message, ("host", "cpus"), "add {0} to host.cpus".format(boot))
    for name in [name for name, cpus in case.cpus.items() if cpus is None] if case.facts is None else []:
        if _names_apic(case, name):
            yield unknown("whether {0} claims the boot CPU by its APIC id needs the facts of a machine.".format(name), at_cpus(name))


@rule(
    "cpu-host-min",
    "warning",
    "The host keeps CPUs to work with",
    "Taking CPUs offline, loading, interrupts and management all run on what is left to the host; one CPU that is busy stops all that.",
    needs=("cpus.present",),
)
def cpu_host_min(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    given = _wanted(case, {case.boot_cpu})
    # Less than one is told by cpu-enough.
    if len(present) > 2 and len(present) - given == 1 and len(case.layout["host"]["cpus"] or ()) < 2:
        message = "{0} of {1} CPUs go to instances, which leaves 1 for the host.".format(given, len(present))
        yield fail(message, ("instances",), "leave the host two CPUs, so that it stays responsive while one is busy")


@rule(
    "cpu-offlinable",
    "error",
    "The host can take every CPU of an instance offline",
    "A CPU without hotplug control would make the change fail half-way.",
    needs=("cpus.each",),
    source="Documentation/core-api/cpu_hotplug.rst",
    anchor="kernel, half-way through the change",
)
def cpu_offlinable(case: Case) -> Iterator[Outcome]:
    boot = case.boot_cpu
    for number in [number for number in case.those_given(lambda one: not one.get("offlinable")) if number != boot]:
        names = case.owners[number]
        if case.each_cpu[number].get("offlinable") is None:
            yield unknown(
                "whether the host can take CPU {0} of {1} offline is not known.".format(number, names_of(names)), at_cpus(names[0])
            )
        else:
            message = "{0} claims CPU {1}, which this kernel cannot take offline.".format(names_of(names), number)
            yield fail(message, at_cpus(names[0]), "choose a CPU that has a file /sys/devices/system/cpu/cpuN/online")


@rule(
    "cpu-x2apic",
    "error",
    "APIC ids of instances fit into xAPIC mode",
    "An instance has no DMAR table and therefore runs in xAPIC mode, which addresses ids up to {0}.".format(acpi.MAX_APIC_ID),
    needs=("cpus.each",),
    source="Intel SDM volume 3, chapter 11 (APIC)",
    anchor="jailhouse hardware check (optional)",
)
def cpu_x2apic(case: Case) -> Iterator[Outcome]:
    high = case.those_given(lambda one: (one.get("apic_id") or 0) > acpi.MAX_APIC_ID)
    if not high:
        return
    names = list(dict.fromkeys(name for number in high for name in case.owners[number]))
    ids = cpuset.format([case.each_cpu[number]["apic_id"] for number in high])
    message = "CPU {0} of {1} {2} APIC id {3}; instances can use ids up to {4}.".format(
        cpuset.format(high), names_of(names), "has" if len(high) == 1 else "have", ids, acpi.MAX_APIC_ID
    )
    yield fail(message, at_cpus(names[0]), "choose CPUs with lower APIC ids")


def _wanted(case: Case, kept: Set[int]) -> int:
    """Return how many CPUs the instances ask for; one that two of them name, or that is kept from them, is told by other rules."""
    named: Set[int] = set()
    raw: Set[int] = set()
    for name in [name for one, names in case.alike if one["cpus"]["ids"] for name in names]:
        cpus = case.cpus[name]
        named.update(cpus or ())
        if cpus is None:
            raw.update(case.instances[name]["cpus"]["ids"])
    return len(named - kept) + len(raw) + sum(len(names) * (one["cpus"]["count"] or 0) for one, names in case.alike)


def _names_apic(case: Case, name: str) -> bool:
    cpus = case.instances[name]["cpus"]
    return cpus["space"] == "apic" and cpus["ids"] is not None


def _shared(claims: Dict[int, List[str]], kind: str) -> Iterator[Outcome]:
    together: Dict[Tuple[str, ...], List[int]] = {}
    for number, names in sorted(claims.items()):
        if len(names) > 1:
            together.setdefault(tuple(names), []).append(number)
    for owners, numbers in together.items():
        both = "both" if len(owners) == 2 else "all"
        message = "{0} {1} claim {2} {3}; give each CPU to one kernel only.".format(names_of(owners), both, kind, cpuset.format(numbers))
        yield fail(message, at_cpus(owners[-1]), "take it from {0}".format(" or ".join(name for name in owners if name != "host")))
