# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does and does not separate these kernels from each other, way by way.

There is no hypervisor below a multikernel machine: every kernel runs in ring 0. So the report never says "isolated"; it
names each way on which one kernel can reach another, and says whether anything stands in that way. Sources: Intel SDM
volume 3 (local APIC, VMX-less ring 0), Documentation/admin-guide/hw-vuln of the kernel.
"""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t

from ...module_utils._layout import cpuset
from . import grid
from .machine import living

#: What stands in the way: nothing; only software that the other kernel could undo; nobody can tell from these facts.
OPEN, SOFTWARE, UNKNOWN, ABSENT = "open", "software only", "not known", "not shared"


@dataclasses.dataclass(frozen=True)
class Way:
    """One way (vector) from a kernel to another: what it is called, what stands in it, the kernels concerned, a sentence."""

    vector: str
    barrier: str
    kernels: tuple[str, ...]
    sentence: str

    def to_dict(self) -> dict[str, t.Any]:
        """Plain data, for reports that other programs read."""
        return {"vector": self.vector, "barrier": self.barrier, "kernels": list(self.kernels), "sentence": self.sentence}


def ways(layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None) -> list[Way]:
    """Every way on which the kernels of a placed layout can reach each other on this machine. Pure."""
    kernels = ("host", *living(layout))
    return [
        Way("memory", OPEN, kernels, "a kernel maps only its own RAM, but ring 0 of any of them can map and change all of it"),
        Way("interrupts", OPEN, kernels, "any kernel can send IPI, NMI and INIT to any CPU; INIT stops the kernel that runs there"),
        _dma(facts, kernels),
        Way(
            "machine reset",
            OPEN,
            kernels,
            "a triple fault, or a reset by port 0xcf9 or the keyboard controller, in one kernel resets them all",
        ),
        Way("machine-wide state", OPEN, kernels, "WBINVD, MTRRs, microcode and other MSRs act on the whole package, whoever uses them"),
        Way("hardware errors", OPEN, kernels, "a machine check, an SMI, heat or a power limit strikes all kernels of the package"),
        *_shared_hardware(layout, facts),
        *_trust(layout),
    ]


def summary(layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None, ascii_only: bool = False) -> str:
    """The ways as text for a terminal, at most 100 columns: what is not isolated between these kernels."""
    found = ways(layout, facts)
    bullet = "*" if ascii_only else "•"
    lead = f"Nothing below these kernels ({_listed(found[0].kernels)}) keeps them apart: "
    lines = textwrap.wrap(lead + "they share one machine without a hypervisor between them.", grid.WIDTH)
    for way in found:
        mark = f"{bullet} {way.vector} ({way.barrier}): "
        lines += textwrap.wrap(mark + way.sentence + ".", grid.WIDTH, subsequent_indent="  ")
    lines += textwrap.wrap(
        "What holds by software, as long as every kernel is well-behaved: each has its own CPUs and its own RAM in its memory map, "
        "and the host keeps those CPUs offline and that RAM out of its allocator.",
        grid.WIDTH,
    )
    return "\n".join(lines)


def _dma(facts: dict[str, t.Any] | None, kernels: tuple[str, ...]) -> Way:
    iommu = (facts or {}).get("iommu")
    if iommu is None:
        return Way(
            "device DMA",
            UNKNOWN,
            kernels,
            "whether an IOMMU confines the devices of a kernel to its RAM is not in the facts; assume that it does not",
        )
    if iommu:
        return Way("device DMA", SOFTWARE, kernels, "an IOMMU translates, but it belongs to the host, and any ring 0 can reprogram it")
    return Way("device DMA", OPEN, kernels, "there is no IOMMU: a device of one kernel can write to the RAM of all")


def _shared_hardware(layout: dict[str, t.Any], facts: dict[str, t.Any] | None) -> t.Iterator[Way]:
    """Caches, cores and memory controllers that two kernels use at the same time: side channels and contention."""
    each = ((facts or {}).get("cpus") or {}).get("each") or {}
    cpus = _cpus(layout, facts)
    if not each or len(cpus) <= len(living(layout)):
        yield Way(
            "side channels", UNKNOWN, ("host", *living(layout)), "which caches and cores are shared cannot be told without facts and places"
        )
        return
    for vector, key, what in (
        ("SMT siblings", "siblings", "run on threads of one core and share its caches and buffers"),
        ("last-level cache", "llc", "share a last-level cache: timing leaks, and one can push out the other's lines"),
    ):
        unknown = sorted(number for name in cpus for number in cpus[name] if not (each.get(str(number)) or {}).get(key))
        together = _together(cpus, {number: set((each.get(str(number)) or {}).get(key) or []) for name in cpus for number in cpus[name]})
        if together:
            yield Way(vector, OPEN, tuple(cpus), f"{'; '.join(_listed(names) for names in together)} {what}")
        elif unknown:
            yield Way(vector, UNKNOWN, tuple(cpus), f"the facts do not say what CPU {cpuset.format(unknown)} shares")
        else:
            yield Way(vector, ABSENT, tuple(cpus), "no two of these kernels share one")
    yield Way("memory bandwidth", OPEN, tuple(cpus), "one kernel can slow the others down by its memory traffic")


def _together(cpus: dict[str, set[int]], groups: dict[int, set[int]]) -> list[tuple[str, ...]]:
    """The sets of kernels that meet in one group of CPUs, each set once, larger sets swallowing their parts."""
    met = {tuple(name for name in cpus if cpus[name] & group) for group in groups.values()}
    several = [names for names in met if len(names) > 1]
    return sorted(names for names in several if not any(set(names) < set(other) for other in several))


def _listed(names: t.Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _cpus(layout: dict[str, t.Any], facts: dict[str, t.Any] | None) -> dict[str, set[int]]:
    placed = {name: set(one["placed"]["cpus"]) for name, one in living(layout).items() if "placed" in one}
    present = set(((facts or {}).get("cpus") or {}).get("present") or [])
    host = set(layout["host"]["cpus"]) if layout["host"]["cpus"] is not None else present - set().union(*placed.values())
    return {"host": host, **placed} if host else placed


def _trust(layout: dict[str, t.Any]) -> t.Iterator[Way]:
    labels: dict[str, list[str]] = {}
    for name, one in living(layout).items():
        if one["trust"] is not None:
            labels.setdefault(one["trust"], []).append(name)
    if len(labels) > 1:
        groups = "; ".join(f"{label}: {', '.join(names)}" for label, names in sorted(labels.items()))
        names = tuple(name for members in labels.values() for name in members)
        yield Way("trust", OPEN, names, f"different labels stand side by side ({groups}); only good behaviour keeps them apart")
