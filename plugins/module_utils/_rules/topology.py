# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on what CPUs share: cores, caches, kinds, microcode, nodes."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from .._layout import cpuset
from .case import Case
from .registry import Outcome, fail, rule, unknown
from .words import at_cpus, at_memory, names_of

VULNERABILITIES = "Documentation/admin-guide/hw-vuln/index.rst"


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
    for number in case.those_given(lambda one: not one.get("siblings")):
        names = case.owners[number]
        yield unknown("which CPUs share a core with CPU {0} of {1} is not known.".format(number, names_of(names)), at_cpus(names[0]))
    reported = set()
    for number, other, theirs in _strangers(case):
        names = case.owners[number]
        pair = (min(number, other), max(number, other))
        if theirs and pair not in reported:
            reported.add(pair)
            message = "CPU {0} of {1} and CPU {2} of {3} are threads of one core.".format(number, names_of(names), other, names_of(theirs))
            yield fail(message, at_cpus(names[0]), "give CPU {0} to one kernel".format(cpuset.format(case.cores[number])))


@rule(
    "cpu-smt-waste",
    "info",
    "No thread of a core lies idle",
    "A thread that is offline while its sibling runs an instance is of use to nobody.",
    needs=("cpus.each",),
)
def cpu_smt_waste(case: Case) -> Iterator[Outcome]:
    idle: Dict[str, List[int]] = {}
    for number, other, theirs in _strangers(case):
        name = case.owners[number][0]
        if not theirs and not case.instances[name]["cpus"]["whole_cores"]:
            idle.setdefault(name, []).append(other)
    for name, numbers in idle.items():
        message = "CPU {0} shares a core with CPUs of {1}, is offline and belongs to nobody.".format(cpuset.format(numbers), name)
        yield fail(message, at_cpus(name), "give it to {0}, too".format(name))


@rule(
    "cpu-whole-cores",
    "error",
    "Instances that want whole cores get them",
    "A core that is given away by halves can be filled by another kernel later, which is what whole_cores is to prevent.",
    needs=("cpus.each",),
    waivable=True,
)
def cpu_whole_cores(case: Case) -> Iterator[Outcome]:
    broken: Dict[str, List[int]] = {}
    for number, other, theirs in _strangers(case):
        name = case.owners[number][0]
        if not theirs and case.instances[name]["cpus"]["whole_cores"]:
            broken.setdefault(name, []).append(other)
    for name, numbers in broken.items():
        message = "{0} is to have whole cores, but not CPU {1}, which shares one with its CPUs.".format(name, cpuset.format(numbers))
        yield fail(message, at_cpus(name), "add CPU {0}, or say whole_cores: false".format(cpuset.format(numbers)))


@rule(
    "cpu-llc-own",
    "error",
    "Instances that want a cache of their own get it",
    "Another kernel on the same last-level cache evicts its lines and can time its accesses (prime and probe).",
    needs=("cpus.each",),
    waivable=True,
)
def cpu_llc_own(case: Case) -> Iterator[Outcome]:
    online = set(case.fact("cpus.online") or [])
    for name in case.those(lambda one: one["cpus"]["llc"] == "own"):
        mine = set(case.cpus[name] or [])
        known = [case.each_cpu[number].get("llc") for number in mine if number in case.each_cpu]
        if not all(known):
            yield unknown("which CPUs share the last-level cache of {0} is not known.".format(name), at_cpus(name))
            continue
        others = sorted({other for llc in known for other in llc or []} - mine)
        theirs = [other for other in others if case.owners.get(other) or other in online]
        if theirs:
            kernels = list(dict.fromkeys(owner for other in theirs for owner in case.owners.get(other) or ["host"]))
            message = "{0} is to have a last-level cache of its own, but shares it with CPU {1} of {2}.".format(
                name, cpuset.format(theirs), names_of(kernels)
            )
            yield fail(message, at_cpus(name), "choose all CPUs of one cache, or leave llc: own out")


@rule(
    "cpu-hybrid",
    "error",
    "The CPUs of an instance are of one kind",
    "Performance and efficiency cores differ in speed and instructions, and the instance's kernel is not told which is which.",
    needs=("cpus.kinds",),
    waivable=True,
    anchor="ACRN",
    unsure="warning",
)
def cpu_hybrid(case: Case) -> Iterator[Outcome]:
    kinds = {number: kind for kind, numbers in sorted(case.fact("cpus.kinds").items()) for number in numbers}
    if len(set(kinds.values())) < 2:
        return
    for name, cpus in case.cpus.items():
        mixed: Dict[str, List[int]] = {}
        for number in cpus or ():
            if number in kinds:
                mixed.setdefault(kinds[number], []).append(number)
        if len(mixed) > 1:
            shown = " and ".join("CPU {0} of kind {1}".format(cpuset.format(numbers), kind) for kind, numbers in sorted(mixed.items()))
            yield fail("{0} mixes {1}.".format(name, shown), at_cpus(name), "choose CPUs of one kind")


@rule(
    "cpu-flags-equal",
    "error",
    "The CPUs of an instance are alike",
    "A kernel looks for features on its boot CPU only; another CPU without them dies of an invalid instruction.",
    needs=("cpus.each",),
    waivable=True,
    anchor="jailhouse hardware check (over the whole machine)",
)
def cpu_flags_equal(case: Case) -> Iterator[Outcome]:
    told = (case.each_cpu.get(case.boot_cpu) or {}).get("microcode") is not None  # some virtual machines have none
    for name, cpus in [(name, cpus) for name, cpus in case.cpus.items() if cpus and len(cpus) > 1]:
        known = [number for number in cpus if number in case.each_cpu]
        if len(known) < 2:
            continue
        for key, what in (("flags", "model and feature flags"), ("microcode", "microcode revision"))[: 2 if told else 1]:
            values = {number: case.each_cpu[number].get(key) for number in known}
            hidden = [number for number, value in values.items() if value is None]
            different = [number for number in known if values[number] not in (None, values[known[0]])]
            if hidden and not different:
                message = "whether CPU {0} of {1} has the same {2} as the others is not known.".format(cpuset.format(hidden), name, what)
                yield unknown(message, at_cpus(name))
            elif different and values[known[0]] is not None:
                message = "{0} would have CPUs {1} and {2}, which differ in {3}.".format(name, known[0], cpuset.format(different), what)
                yield fail(message, at_cpus(name), "choose CPUs of one kind")


@rule(
    "cpu-ucode-skew",
    "warning",
    "All kernels run on one microcode revision",
    "Mitigations that one kernel relies on are missing in the microcode under another, and late loading cannot stop foreign CPUs.",
    needs=("cpus.each",),
    source="Documentation/arch/x86/microcode.rst",
)
def cpu_ucode_skew(case: Case) -> Iterator[Outcome]:
    revisions: Dict[str, List[str]] = {}
    every = {one.get("microcode") for one, _numbers in case.given_alike} | {(case.each_cpu.get(case.boot_cpu) or {}).get("microcode")}
    if len(every - {None}) < 2:
        return
    first = [("host", case.boot_cpu)] + [(name, cpus[0]) for name, cpus in case.cpus.items() if cpus]
    for name, number in first:
        revision = (case.each_cpu.get(number) or {}).get("microcode")
        if revision is not None:
            revisions.setdefault(revision, []).append(name)
    if len(revisions) > 1:
        shown = "; ".join("{0} on {1}".format(names_of(names), revision) for revision, names in sorted(revisions.items()))
        yield fail("the kernels would run on different microcode: {0}.".format(shown), (), "load one revision early at boot on all CPUs")


@rule(
    "cpu-vulnerable",
    "warning",
    "The CPUs have no weakness that is left open",
    "What one kernel may leak, every kernel of the machine may read: they share caches, buffers and memory.",
    needs=("cpus.vulnerabilities",),
    source=VULNERABILITIES,
)
def cpu_vulnerable(case: Case) -> Iterator[Outcome]:
    left = sorted(name for name, state in case.fact("cpus.vulnerabilities").items() if (state or "").startswith("Vulnerable"))
    if left and case.instances:
        message = "the host's kernel calls this machine vulnerable: {0}.".format(", ".join(left))
        yield fail(message, (), "update microcode and kernel, remove mitigations=off, or put kernels of one trust on it")


@rule(
    "cpu-numa-span",
    "warning",
    "The CPUs of an instance lie on one node",
    "An instance sees one flat node, so that its scheduler cannot avoid remote memory (1.5 to 2 times slower).",
    needs=("cpus.each",),
    anchor="kerf 0.4.0, but it never has the topology",
)
def cpu_numa_span(case: Case) -> Iterator[Outcome]:
    for name, cpus in [(name, cpus) for name, cpus in case.cpus.items() if cpus and len(cpus) > 1]:
        nodes, hidden = _nodes(case, cpus)
        if len(nodes) > 1:
            where = ", ".join("CPU {0} on node {1}".format(cpuset.format(numbers), node) for node, numbers in sorted(nodes.items()))
            yield fail("{0} spans {1} nodes: {2}.".format(name, len(nodes), where), at_cpus(name), "choose CPUs of one node")
        elif hidden:
            yield unknown("the node of CPU {0} of {1} is not known.".format(cpuset.format(hidden), name), at_cpus(name))


@rule(
    "cpu-mem-local",
    "warning",
    "An instance's memory is on the node of its CPUs",
    "Remote memory is 1.5 to 2 times slower, and the instance cannot know.",
    needs=("cpus.each",),
    anchor="kerf 0.4.0, but it never has the topology",
)
def cpu_mem_local(case: Case) -> Iterator[Outcome]:
    if len(case.nodes) < 2:
        return
    blocks = {block["number"]: block.get("node") for block in case.fact("memory.blocks") or []}
    block_size = case.fact("memory.block_size") or 0
    for name, instance in case.instances.items():
        nodes, _hidden = _nodes(case, case.cpus[name] or [])
        where = instance["placed"] if "placed" in instance else instance["memory"]
        node = instance["memory"]["node"]
        if node is None and where["base"] is not None:
            node = _node_at(case, where["base"], blocks.get(where["base"] // block_size) if block_size else None)
        if not nodes or (node is None and where["base"] is None):
            continue  # nothing is chosen yet
        if node is None:
            yield unknown("the node of the memory of {0} is not known.".format(name), at_memory(name), "say node: at the pool chunk")
        elif node not in nodes:
            message = "{0} has its memory on node {1} and its CPUs on node {2}.".format(name, node, cpuset.format(nodes))
            yield fail(message, at_memory(name), "choose memory and CPUs of one node")


@rule(
    "cpu-node-empty",
    "warning",
    "The host keeps a CPU on every node whose memory it keeps",
    "Reclaim and page migration of a node run on its own CPUs; without one the host does that work from afar.",
    needs=("cpus.each", "memory.blocks"),
)
def cpu_node_empty(case: Case) -> Iterator[Outcome]:
    if len(case.nodes) < 2:
        return
    left = {one.get("node") for number, one in case.each_cpu.items() if number not in case.owners}
    taken = {block["number"] for block in case.pool_blocks}
    kept = {block.get("node") for block in case.fact("memory.blocks") if block["state"] != "offline" and block["number"] not in taken}
    for node in sorted((kept & case.nodes) - left):
        message = "the host would keep memory of node {0}, but no CPU of it.".format(node)
        yield fail(message, ("instances",), "leave it a CPU of node {0}, or give that memory away, too".format(node))


def _strangers(case: Case) -> Iterator[Tuple[int, int, List[str]]]:
    """Yield (CPU, other thread of its core, whose that is) where they differ; nobody's (an empty list) when it is offline."""
    online = set(case.fact("cpus.online") or [])
    cores = case.cores
    for number in [number for number in case.owners if number in cores]:
        names = case.owners[number]
        for other in sorted(cores[number] - {number}):
            theirs = case.owners.get(other) or (["host"] if other in online or other == case.boot_cpu else [])
            if set(theirs) != set(names):
                yield number, other, theirs


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
