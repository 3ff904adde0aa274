# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What stops one kernel from reaching another on each way, and what that answer stands on.

No kernel of a multikernel machine runs below another: ring 0 of each reaches all of the machine. So most ways are kept shut by
the good behaviour of a kernel (prevented-by-own-software), or by nothing. Evidence is named "fact:...", "layout:...",
"rule:..." or "nature:..." (so it is on every such machine). Sources: Intel SDM volume 3; the kernel series of September 2025.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Tuple

from .ground import HOST, Ground, Groups, Kernel
from .vector import DETECTED, HARDWARE, OPEN, SOFTWARE, UNKNOWN, VECTORS

RING0 = "nature:ring-0"


class Verdict(NamedTuple):
    """The answer for one ordered pair and one vector: one of vector.VERDICTS, a sentence without its full stop, the evidence."""

    verdict: str
    why: str
    evidence: Tuple[str, ...]


def judge(ground: Ground, source: str, target: str) -> Dict[str, Verdict]:
    """Return vector id -> verdict: what stops the kernel `source` from reaching the kernel `target`. KeyError without such a kernel."""
    one, other = ground.kernels[source], ground.kernels[target]
    return {vector.id: _JUDGES[vector.id](ground, one, other) for vector in VECTORS}


def pairs(ground: Ground) -> List[Tuple[str, str]]:
    """Return every ordered pair of two kernels, the host first."""
    return [(one, other) for one in ground.kernels for other in ground.kernels if one != other]


def _ram(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if any(start < far and near < end for start, end in one.memory for near, far in other.memory):
        return Verdict(OPEN, "both are given the same memory", ("rule:mem-overlap",))
    if one.kind == HOST:
        why = "the host keeps the pool out of its allocator; its root user can still map it"
        return Verdict(SOFTWARE, why, ("layout:pool", RING0))
    if one.kind == "linux":
        why = "its memory map names only its own memory; its ring 0 can still map all"
        return Verdict(SOFTWARE, why, (_image(one), RING0))
    return _of_payload(one, "it is no Linux: it starts with the first 4 GiB mapped, and nothing is known of its code")


def _registers(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if one.kind == HOST:
        return Verdict(SOFTWARE, "the host's drivers leave alone what it gave away; its ring 0 reaches all", (RING0,))
    if one.kind == "linux" and one.devices:
        why = "it is told only of its own PCI buses (%s) and of no port of others; its ring 0 reaches the IOMMU and all devices" % _owned(
            one
        )
        return Verdict(SOFTWARE, why, ("layout:instances.%s.devices" % one.name, RING0))
    if one.kind == "linux" and _keeps_off_pci(one):
        why = "it is told of no PCI and of no port of others; its ring 0 reaches the IOMMU and all devices"
        return Verdict(SOFTWARE, why, ("layout:instances.%s.cmdline" % one.name, RING0))
    if one.kind == "linux":
        why = "its own pci=%s takes back pci=off, so that it finds the host's devices" % one.words["pci"]
        return Verdict(OPEN, why, ("layout:instances.%s.cmdline" % one.name,))
    return _of_payload(one, "it is no Linux: nothing keeps it from any port or register")


def _dma(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    evidence = "fact:iommu.translating"
    translating = ground.fact("iommu.translating")
    if one.devices:
        return _own_dma(ground, one)
    if translating is None:
        return Verdict(UNKNOWN, "whether an IOMMU confines devices is not known: assume that none does", (evidence,))
    if translating:
        return Verdict(HARDWARE, "the IOMMU lets a device reach only what the host mapped for it", (evidence,))
    return _without_unit(one, evidence, "no IOMMU confines all devices: one that goes wrong writes anywhere")


def _own_dma(ground: Ground, one: Kernel) -> Verdict:
    """Of a kernel that drives devices: whether each of them is confined, whatever holds for those of others."""
    evidence = ("fact:pci.functions", "layout:instances.%s.devices" % one.name, "rule:dev-iommu")
    translated = ground.translated(one.devices)
    if translated is None:
        return Verdict(UNKNOWN, "whether an IOMMU confines its devices (%s) is not known: assume that none does" % _owned(one), evidence)
    if translated:
        return Verdict(HARDWARE, "the IOMMU lets its devices (%s) reach only what was mapped for them" % _owned(one), evidence)
    return Verdict(OPEN, "it drives %s, and no IOMMU keeps that from any memory" % _owned(one), evidence)


def _irq(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    evidence = "fact:iommu.interrupt_remapping"
    remapping = ground.fact("iommu.interrupt_remapping")
    if remapping is None:
        return Verdict(UNKNOWN, "whether interrupts of devices are remapped is not known: assume that they are not", (evidence,))
    if remapping:
        return Verdict(HARDWARE, "the remapping table passes only the interrupts that the host entered", (evidence,))
    return _without_unit(one, evidence, "interrupts are not remapped: a device can raise any vector on any CPU")


def _without_unit(one: Kernel, evidence: str, why: str) -> Verdict:
    if one.devices:
        why += "; it drives %s" % _owned(one)
        return Verdict(OPEN, why, (evidence, "layout:instances.%s.devices" % one.name, "rule:dev-irq-remap"))
    if one.kind == "linux" and _keeps_off_pci(one):
        return Verdict(SOFTWARE, "it drives no device (pci=off), but " + why, (evidence, "layout:instances.%s.cmdline" % one.name))
    return Verdict(OPEN, why, (evidence,))


def _ipi(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if one.kind == HOST:
        return _watched(_host_ipi(ground, one), other)
    if one.kind == "linux":
        if one.words.get("no_ipi_broadcast", "1").lower() in ("1", "y", "on"):
            why = "it knows only its own CPUs and sends no broadcast (no_ipi_broadcast=1); its ring 0 can interrupt any CPU"
            return Verdict(SOFTWARE, why, ("layout:instances.%s.cmdline" % one.name, RING0))
        cell = Verdict(
            OPEN, "its own no_ipi_broadcast word lets its broadcasts reach all CPUs", ("layout:instances.%s.cmdline" % one.name,)
        )
        return _watched(cell, other)
    return _watched(_of_payload(one, "it is no Linux: nothing keeps it from interrupting or stopping any CPU"), other)


def _host_ipi(ground: Ground, host: Kernel) -> Verdict:
    provider = ground.fact("dialect.provider")
    if provider == "mkstock":
        return Verdict(SOFTWARE, "mkstock keeps the host's broadcasts from the CPUs that it gave away", ("fact:dialect.provider", RING0))
    if ground.fact("kernel.cmdline") is None:
        return Verdict(UNKNOWN, "whether the host sends broadcasts is not known", ("fact:kernel.cmdline", "rule:cmd-host-ipi"))
    if host.words.get("no_ipi_broadcast", "").lower() in ("1", "y", "on"):
        return Verdict(SOFTWARE, "the host sends no broadcast (no_ipi_broadcast=1)", ("fact:kernel.cmdline", RING0))
    return Verdict(OPEN, "the host's broadcasts reach every CPU of the machine", ("fact:kernel.cmdline", "rule:cmd-host-ipi"))


def _watched(cell: Verdict, other: Kernel) -> Verdict:
    """What stops a watched kernel is noticed by the end of its heartbeats."""
    if cell.verdict != OPEN or other.within is None:
        return cell
    why = "%s; that the other stopped is seen in its heartbeats after %g s" % (cell.why, other.within)
    return Verdict(DETECTED, why, cell.evidence + ("layout:instances.%s.health" % other.name,))


def _msr(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if one.packages and other.packages and not one.packages & other.packages:
        why = "they have packages of their own, but memory types must agree and a bus lock stops all packages"
        return Verdict(OPEN, why, ("fact:cpus.each.package",))
    return Verdict(OPEN, "WBINVD, MTRRs, microcode and power settings of one kernel act on the other's package", (RING0,))


def _reset(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if one.kind == HOST:
        return Verdict(OPEN, "a reboot or reset of the host resets the machine", ("nature:one-machine",))
    return Verdict(
        OPEN, "a triple fault or a write to a reset port in it resets the machine; only VMX or SVM could stop that", ("nature:one-machine",)
    )


def _crash(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    if one.kind == HOST:
        why = "without the host nobody tends the others, and its panic may end in a reset of the machine"
        return Verdict(OPEN, why, ("fact:kernel.cmdline",))
    if one.kind == "linux":
        if one.words.get("panic", "0") == "0":
            return Verdict(SOFTWARE, "its panic ends in a halt of its own CPUs (panic=0)", ("layout:instances.%s.cmdline" % one.name,))
        why = "its panic=%s resets the machine" % one.words["panic"]
        return Verdict(OPEN, why, ("layout:instances.%s.cmdline" % one.name, "rule:cmd-panic-reboot"))
    return _of_payload(one, "it is no Linux: a fault that it does not handle is a triple fault, and resets the machine")


def _core(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    evidence = ("fact:cpus.each.siblings", "rule:cpu-smt-split")
    return _met(
        one.cores,
        other.cores,
        HARDWARE,
        "threads of one core run both",
        "no core runs threads of both",
        "whose cores these CPUs are",
        evidence,
    )


def _llc(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    evidence = ("fact:cpus.each.llc",)
    return _met(
        one.caches,
        other.caches,
        HARDWARE,
        "both use one last-level cache",
        "no last-level cache serves both",
        "whose caches these CPUs use",
        evidence,
    )


def _dram(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    evidence = ("fact:memory.blocks", "layout:pool.memory.node")
    away = "their memory is on different nodes, so that only memory that is not its own would meet the other's"
    return _met(one.nodes, other.nodes, SOFTWARE, "both have memory on one node", away, "on which nodes their memory is", evidence)


def _starvation(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    pairs_of = (
        ("package", one.packages, other.packages),
        ("last-level cache", one.caches, other.caches),
        ("memory node", one.nodes, other.nodes),
    )
    shared = [name for name, left, right in pairs_of if left and right and left & right]
    evidence = ("fact:cpus.each", "fact:memory.blocks")
    if shared:
        return Verdict(OPEN, "they share a %s" % " and a ".join(shared), evidence)
    if any(left is None or right is None for _name, left, right in pairs_of):
        return Verdict(UNKNOWN, "what they share of caches, packages and memory nodes is not known", evidence)
    return Verdict(SOFTWARE, "they share no package, cache or memory node, as long as each uses only its own memory", evidence)


def _channel(ground: Ground, one: Kernel, other: Kernel) -> Verdict:
    names = ground.channels.get(frozenset((one.name, other.name)))
    if names:
        why = "%s: both can read and change all of it, at any time" % ", ".join(names)
        return Verdict(OPEN, why, tuple("layout:channels.%s" % name for name in names))
    return Verdict(SOFTWARE, "the layout declares none between them", ("layout:channels", RING0))


def _met(left: Groups, right: Groups, apart: str, together: str, separate: str, asked: str, evidence: Tuple[str, ...]) -> Verdict:
    if left is None or right is None:
        return Verdict(UNKNOWN, "%s is not known" % asked, evidence)
    return Verdict(OPEN, together, evidence) if left & right else Verdict(apart, separate, evidence)


def _of_payload(one: Kernel, why: str) -> Verdict:
    if one.kind is None:
        return Verdict(UNKNOWN, "what kind of kernel its image is is not known", ("fact:images",))
    return Verdict(OPEN, why, (_image(one), RING0))


def _image(one: Kernel) -> str:
    return "layout:instances.%s.image" % one.name


def _owned(one: Kernel) -> str:
    return ", ".join(one.devices[:3]) + (" and %d more" % (len(one.devices) - 3) if len(one.devices) > 3 else "")


def _keeps_off_pci(one: Kernel) -> bool:
    return one.words.get("pci", "off") == "off"


_JUDGES: Dict[str, Callable[[Ground, Kernel, Kernel], Verdict]] = {
    "ram": _ram,
    "registers": _registers,
    "dma": _dma,
    "irq": _irq,
    "ipi": _ipi,
    "msr": _msr,
    "reset": _reset,
    "crash": _crash,
    "core": _core,
    "llc": _llc,
    "dram": _dram,
    "starvation": _starvation,
    "channel": _channel,
}
