# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on CPUs: who owns which, and what that does to the others."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from .._boot import acpi
from .._layout import cpuset
from .case import Case
from .registry import Outcome, fail, rule, unknown


@rule("cpu-some", "error", "Every instance has a CPU", "An instance without a CPU cannot be started.")
def cpu_some(case: Case) -> Iterator[Outcome]:
    for name, instance in case.instances.items():
        cpus = instance["cpus"]
        if not cpus["ids"] and not cpus["count"]:
            yield fail(
                "{0} has no CPU; an instance needs at least one.".format(name), _at(name), "give it a count, or the numbers of its CPUs"
            )


@rule(
    "cpu-id-kind",
    "error",
    "CPU numbers are of one kind and can be resolved",
    "Logical CPU numbers, APIC ids and counts differ on most machines with more than one socket. The host is told logical numbers,"
    " the instance APIC ids, so that both must be known.",
)
def cpu_id_kind(case: Case) -> Iterator[Outcome]:
    spaces: Dict[str, List[str]] = {}
    for name, instance in case.instances.items():
        cpus = instance["cpus"]
        if cpus["ids"] is None:
            continue
        spaces.setdefault(cpus["space"], []).append(name)
        if case.facts is None or cpus["space"] == "logical":
            continue
        for apic_id in cpus["ids"]:
            if apic_id not in case.logical_of_apic:
                message = "{0} names APIC id {1}, which no known CPU of this machine has (known: {2}).".format(
                    name, apic_id, cpuset.format(case.logical_of_apic) or "none"
                )
                hidden = [number for number, one in case.each_cpu.items() if one.get("apic_id") is None]
                if hidden:
                    hint = "bring CPU {0} online once, so that its APIC id is known".format(cpuset.format(hidden))
                    yield unknown(message, _at(name), hint)
                else:
                    yield fail(message, _at(name), "choose one of the known APIC ids, or write logical numbers without apic:")
    if len(spaces) > 1:
        message = "{0} names logical CPU numbers and {1} names APIC ids; the two differ on many machines.".format(
            _names(spaces["logical"]), _names(spaces["apic"])
        )
        yield fail(message, ("instances",), "write all of them as logical numbers, or all as apic: ids", "warning")
    for number, names in sorted(case.owners.items()):
        if number in case.each_cpu and case.each_cpu[number].get("apic_id") is None:
            message = "the APIC id of CPU {0} of {1} is not known, because the kernel forgets it while the CPU is offline.".format(
                number, _names(names)
            )
            yield unknown(message, _at(names[0]), "bring CPU {0} online once and collect the facts again".format(number))


@rule("cpu-dup", "error", "No CPU is named twice by one instance", "The list is a set; a repetition is a mistake for another CPU.")
def cpu_dup(case: Case) -> Iterator[Outcome]:
    for name, instance in case.instances.items():
        twice = sorted(number for number, times in Counter(instance["cpus"]["ids"] or []).items() if times > 1)
        if twice:
            yield fail("{0} names CPU {1} more than once.".format(name, cpuset.format(twice)), _at(name), "name each CPU once")


@rule(
    "cpu-overlap",
    "error",
    "Every CPU belongs to one kernel",
    "Two kernels on one CPU overwrite each other's state at once.",
)
def cpu_overlap(case: Case) -> Iterator[Outcome]:
    claims: Dict[int, List[str]] = {number: list(names) for number, names in case.owners.items()}
    for number in sorted(set(case.layout["host"]["cpus"] or [])):
        claims.setdefault(number, []).insert(0, "host")
    yield from _shared(claims, "CPU")
    # APIC ids that cannot be resolved can still be compared with each other.
    raw: Dict[int, List[str]] = {}
    unresolved = [name for name in case.instances if _names_apic(case, name) and case.cpus[name] is None]
    for name in unresolved:
        for apic_id in sorted(set(case.instances[name]["cpus"]["ids"])):
            raw.setdefault(apic_id, []).append(name)
    yield from _shared(raw, "APIC id")
    if unresolved and (claims or case.layout["host"]["cpus"]):
        message = (
            "the APIC ids of {0} cannot be compared with the logical CPU numbers of others without the APIC ids of this machine.".format(
                _names(unresolved)
            )
        )
        yield unknown(message, _at(unresolved[0]))


@rule(
    "cpu-present",
    "error",
    "Every CPU that is named exists",
    "The host refuses a CPU that the machine does not have. Numbers are compared with numbers, never with how many there are.",
    needs=("cpus.present",),
)
def cpu_present(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    has = "this machine has CPUs {0}".format(cpuset.format(present))
    for number, names in sorted(case.owners.items()):
        if number not in present:
            hint = None
            if number in case.logical_of_apic:
                other = case.logical_of_apic[number]
                hint = "{0} is the APIC id of CPU {1}: write {1}, or apic:{0}".format(number, other)
            yield fail("{0} names CPU {1}, but {2}.".format(_names(names), number, has), _at(names[0]), hint)
    missing = sorted(set(case.layout["host"]["cpus"] or []) - present)
    if missing:
        yield fail("host.cpus names CPU {0}, but {1}.".format(cpuset.format(missing), has), ("host", "cpus"))


@rule(
    "cpu-enough",
    "error",
    "There are as many CPUs as instances ask for",
    "A count that exceeds what the machine has and the host can spare has no placement.",
    needs=("cpus.present",),
)
def cpu_enough(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    kept = {case.boot_cpu} | set(case.layout["host"]["cpus"] or [])
    wanted = {name: len(set(instance["cpus"]["ids"] or [])) or instance["cpus"]["count"] or 0 for name, instance in case.instances.items()}
    spare = len(present - kept)
    if sum(wanted.values()) > spare:
        message = "the instances ask for {0} CPUs ({1}), but this machine has {2} and the host keeps {3}, which leaves {4}.".format(
            sum(wanted.values()),
            _few(["{0}: {1}".format(name, number) for name, number in wanted.items()]),
            len(present),
            len(present & kept),
            spare,
        )
        yield fail(message, ("instances",), "ask for {0} fewer".format(sum(wanted.values()) - spare))


@rule(
    "cpu-bsp-host",
    "error",
    "The boot CPU stays with the host",
    "x86 cannot take the CPU offline that booted the host (support was removed in Linux 6.5).",
)
def cpu_bsp_host(case: Case) -> Iterator[Outcome]:
    boot = case.boot_cpu
    for name in case.owners.get(boot, []):
        yield fail("{0} claims CPU {1}, which booted the host and stays with it.".format(name, boot), _at(name), "choose another CPU")
    kept = case.layout["host"]["cpus"]
    if kept is not None and boot not in kept:
        message = "host.cpus is {0}, but CPU {1} booted the host and stays with it.".format(cpuset.format(kept) or "empty", boot)
        yield fail(message, ("host", "cpus"), "add {0} to host.cpus".format(boot))
    for name in case.instances:
        if _names_apic(case, name) and case.cpus[name] is None and case.facts is None:
            yield unknown("whether {0} claims the boot CPU by its APIC id needs the facts of a machine.".format(name), _at(name))


@rule(
    "cpu-host-min",
    "error",
    "The host keeps CPUs to work with",
    "Taking CPUs offline, loading, interrupts and management all run on what is left to the host.",
    needs=("cpus.present",),
)
def cpu_host_min(case: Case) -> Iterator[Outcome]:
    present = set(case.fact("cpus.present"))
    given = set(case.owners) & present
    counted = sum(instance["cpus"]["count"] or 0 for name, instance in case.instances.items() if case.cpus[name] is None)
    left = len(present - given) - counted
    message = "{0} of {1} CPUs go to instances, which leaves {2} for the host.".format(len(given) + counted, len(present), max(left, 0))
    if left < 1:
        yield fail(message, ("instances",), "leave the host at least one CPU, better two")
    elif left < 2 and len(present) > 2:
        yield fail(message, ("instances",), "leave the host two CPUs, so that it stays responsive while one is busy", "warning")


@rule(
    "cpu-smt-split",
    "error",
    "The threads of a core belong to one kernel",
    "Threads of a core share the first-level cache and core-scoped registers, and no scheduler keeps two kernels apart there (L1TF, MDS).",
    needs=("cpus.each",),
    source="Documentation/admin-guide/hw-vuln/core-scheduling.rst",
    waivable=True,
)
def cpu_smt_split(case: Case) -> Iterator[Outcome]:
    online = set(case.fact("cpus.online") or [])
    reported = set()
    for number, names in sorted(case.owners.items()):
        core = case.cores.get(number)
        if core is None:
            if number in case.each_cpu:
                yield unknown("which CPUs share a core with CPU {0} of {1} is not known.".format(number, _names(names)), _at(names[0]))
            continue
        for other in sorted(core - {number}):
            theirs = case.owners.get(other) or (["host"] if other in online or other == case.boot_cpu else [])
            pair = (min(number, other), max(number, other))
            if theirs and set(theirs) != set(names) and pair not in reported:
                reported.add(pair)
                message = "CPU {0} of {1} and CPU {2} of {3} are threads of one core.".format(number, _names(names), other, _names(theirs))
                yield fail(message, _at(names[0]), "give CPU {0} to one kernel".format(cpuset.format(core)))


@rule(
    "cpu-offlinable",
    "error",
    "The host can take every CPU of an instance offline",
    "A CPU without hotplug control would make the change fail half-way.",
    needs=("cpus.each",),
    source="Documentation/core-api/cpu_hotplug.rst",
)
def cpu_offlinable(case: Case) -> Iterator[Outcome]:
    for number, names in sorted(case.owners.items()):
        one = case.each_cpu.get(number)
        if one is None or number == case.boot_cpu:
            continue
        if one.get("offlinable") is None:
            yield unknown("whether the host can take CPU {0} of {1} offline is not known.".format(number, _names(names)), _at(names[0]))
        elif not one["offlinable"]:
            message = "{0} claims CPU {1}, which this kernel cannot take offline.".format(_names(names), number)
            yield fail(message, _at(names[0]), "choose a CPU that has a file /sys/devices/system/cpu/cpuN/online")


@rule(
    "cpu-x2apic",
    "error",
    "APIC ids of instances fit into xAPIC mode",
    "An instance has no DMAR table and therefore runs in xAPIC mode, which addresses ids up to {0}.".format(acpi.MAX_APIC_ID),
    needs=("cpus.each",),
)
def cpu_x2apic(case: Case) -> Iterator[Outcome]:
    for number, names in sorted(case.owners.items()):
        apic_id = (case.each_cpu.get(number) or {}).get("apic_id")
        if apic_id is not None and apic_id > acpi.MAX_APIC_ID:
            message = "CPU {0} of {1} has APIC id {2}; instances can use ids up to {3}.".format(
                number, _names(names), apic_id, acpi.MAX_APIC_ID
            )
            yield fail(message, _at(names[0]), "choose a CPU with a lower APIC id")


@rule(
    "cpu-flags-equal",
    "error",
    "The CPUs of an instance are alike",
    "A kernel looks for features on its boot CPU only; another CPU without them dies of an invalid instruction.",
    needs=("cpus.each",),
    waivable=True,
)
def cpu_flags_equal(case: Case) -> Iterator[Outcome]:
    for name, cpus in case.cpus.items():
        known = [number for number in cpus or [] if number in case.each_cpu]
        if len(known) < 2:
            continue
        told = (case.each_cpu.get(case.boot_cpu) or {}).get("microcode") is not None  # some virtual machines have none
        for key, what in (("flags", "model and feature flags"), ("microcode", "microcode revision"))[: 2 if told else 1]:
            values = {number: case.each_cpu[number].get(key) for number in known}
            hidden = [number for number, value in values.items() if value is None]
            different = [number for number in known if values[number] not in (None, values[known[0]])]
            if hidden and not different:
                yield unknown(
                    "whether CPU {0} of {1} has the same {2} as the others is not known.".format(cpuset.format(hidden), name, what),
                    _at(name),
                )
            elif different and values[known[0]] is not None:
                message = "{0} would have CPUs {1} and {2}, which differ in {3}.".format(name, known[0], cpuset.format(different), what)
                yield fail(message, _at(name), "choose CPUs of one kind")


@rule(
    "cpu-numa-span",
    "warning",
    "The CPUs of an instance lie on one node",
    "An instance sees one flat node, so that its scheduler cannot avoid remote memory (1.5 to 2 times slower).",
    needs=("cpus.each",),
)
def cpu_numa_span(case: Case) -> Iterator[Outcome]:
    for name, cpus in case.cpus.items():
        nodes, hidden = _nodes(case, cpus or [])
        if len(nodes) > 1:
            where = ", ".join("CPU {0} on node {1}".format(cpuset.format(numbers), node) for node, numbers in sorted(nodes.items()))
            yield fail("{0} spans {1} nodes: {2}.".format(name, len(nodes), where), _at(name), "choose CPUs of one node")
        elif hidden and len(cpus or []) > 1:
            yield unknown("the node of CPU {0} of {1} is not known.".format(cpuset.format(hidden), name), _at(name))


@rule(
    "cpu-mem-local",
    "warning",
    "An instance's memory is on the node of its CPUs",
    "Remote memory is 1.5 to 2 times slower, and the instance cannot know.",
    needs=("cpus.each",),
)
def cpu_mem_local(case: Case) -> Iterator[Outcome]:
    machine = {one.get("node") for one in case.each_cpu.values()}
    if len(machine - {None}) < 2:
        return
    blocks = {block["number"]: block.get("node") for block in case.fact("memory.blocks") or []}
    block_size = case.fact("memory.block_size") or 0
    for name, instance in case.instances.items():
        nodes, _hidden = _nodes(case, case.cpus[name] or [])
        where = instance.get("placed") or instance["memory"]
        node = instance["memory"]["node"]
        if node is None and where["base"] is not None:
            node = _node_at(case, where["base"], blocks.get(where["base"] // block_size) if block_size else None)
        if not nodes or (node is None and where["base"] is None):
            continue  # nothing is chosen yet
        if node is None:
            yield unknown(
                "the node of the memory of {0} is not known.".format(name), ("instances", name, "memory"), "say node: at the pool chunk"
            )
        elif node not in nodes:
            message = "{0} has its memory on node {1} and its CPUs on node {2}.".format(name, node, cpuset.format(nodes))
            yield fail(message, ("instances", name, "memory"), "choose memory and CPUs of one node")


def _nodes(case: Case, cpus: List[int]) -> Tuple[Dict[int, List[int]], List[int]]:
    nodes: Dict[int, List[int]] = {}
    hidden = []
    for number in cpus:
        node = (case.each_cpu.get(number) or {}).get("node")
        if node is None:
            hidden.append(number)
        else:
            nodes.setdefault(node, []).append(number)
    return nodes, hidden


def _node_at(case: Case, address: int, of_block: Optional[int]) -> Optional[int]:
    # Memory that memmap= took away is in no block; then only the layout can tell.
    if of_block is not None:
        return of_block
    for region in case.pool:
        if region.base <= address < region.end:
            node: Optional[int] = case.layout["pool"]["memory"][region.path[-1]]["node"]
            return node
    return None


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
        message = "{0} {1} claim {2} {3}; give each CPU to one kernel only.".format(_names(owners), both, kind, cpuset.format(numbers))
        yield fail(message, _at(owners[-1]), "take it from {0}".format(" or ".join(name for name in owners if name != "host")))


def _at(name: str) -> Tuple[str, ...]:
    return ("instances", name, "cpus")


def _names(names: Sequence[str]) -> str:
    names = ["the host" if name == "host" else name for name in names]
    return _few(names) if len(names) > 4 else ", ".join([*names[:-2], " and ".join(names[-2:])])


def _few(items: Sequence[str]) -> str:
    return ", ".join(items) if len(items) <= 8 else "{0} and {1} more".format(", ".join(items[:8]), len(items) - 8)
