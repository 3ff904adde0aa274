# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The physical memory map, and the proof that the host does not use a part of it.

The RFC's kexec_load(2) copies bytes wherever it is told, System RAM included. So nothing is written to memory unless
the map proves that the host leaves it alone; what cannot be proven counts as used.
"""

from __future__ import annotations

import bisect
import heapq
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from .._layout import units

MIB = 1 << 20

# Present on every x86 machine, listed or not (Intel SDM volume 3, 11.4.1; ACPI MADT default).
APIC_PAGES = ((0xFEE00000, 0xFEE00FFF, "Local APIC"), (0xFEC00000, 0xFEC00FFF, "IO-APIC"))
_SUFFIX = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}

_LINE = re.compile(r"( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)")
# As the kernel reads numbers: hexadecimal, octal after a 0, or decimal; 64 bits have no more digits than these.
_NUMBER = r"(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})([KMGTPE]?)"
_MEMMAP = _NUMBER + r"\$" + _NUMBER
# The kernel nests resources a few levels deep; a map in which more than this many overlap is no tree.
_DEEPEST = 256

Range = Tuple[int, int]  # base, size in bytes


class Conflict(NamedTuple):
    """A part of a wished range that the host uses or may use: `start` to `end` inclusive, and by what.

    kind: ram (System RAM, the kernel itself), crash (crash kernel), firmware, device, hole (nothing is listed), low (below
    1 MiB), pool (outside the declared pool).
    """

    base: int
    size: int
    start: int
    end: int
    kind: str
    used_by: str

    def sentence(self) -> str:
        """Return the conflict in words, both sides named."""
        return "{0} cannot be given away: 0x{1:x}-0x{2:x} is {3}".format(
            units.format_range(self.base, self.size), self.start, self.end, self.used_by
        )


_Use = Tuple[str, str]  # kind, and by what in words
_HOLE: _Use = ("hole", "nothing that /proc/iomem lists")


class _Segment(NamedTuple):
    start: int
    end: int
    use: Optional[_Use]  # None: the host does not use it


def parse(text: Optional[str]) -> Optional[List[Dict[str, Any]]]:
    """Return /proc/iomem as a flat list in file order (depth 0 is outermost, end is inclusive).

    None when there is no text, or when the kernel showed zeros because the reader has not CAP_SYS_ADMIN.
    """
    found = []
    for line in (text or "").splitlines():
        match = _LINE.fullmatch(line)
        if match:
            spaces, start, end, name = match.groups()
            found.append({"start": int(start, 16), "end": int(end, 16), "name": name.strip(), "depth": len(spaces) // 2})
    if not found or all(entry["end"] == 0 for entry in found):
        return None
    return found


def memmap_reserved(cmdline: Optional[str]) -> List[Range]:
    """Return the ranges that ``memmap=SIZE$BASE`` on the host's command line takes away from it, as (base, size)."""
    found = []
    for option in re.findall(r"(?:^|\s)memmap=(\S+)", cmdline or ""):
        for part in option.strip('"').split(","):
            match = re.fullmatch(_MEMMAP, part, re.IGNORECASE)
            if match:
                size, base = _memparse(match.group(1), match.group(2)), _memparse(match.group(3), match.group(4))
                if size:
                    found.append((base, size))
    return sorted(found)


def low_chunks(cmdline: Optional[str]) -> List[List[int]]:
    """Return the parts below 1 MiB that the command line reserves, as [base, size]: what mkstock's own list is without mkstock."""
    chunks = []
    for base, size in memmap_reserved(cmdline):
        end = min(base + size, MIB)
        if base < end:
            chunks.append([base, end - base])
    return chunks


def host_use(ranges: Iterable[Range], facts: Dict[str, Any], within_pool: bool = True) -> Optional[List[Conflict]]:
    """Return what speaks against giving physical ranges (base, size) to an instance; empty means proven free.

    Free is: memory reserved by memmap= on the command line and shown as Reserved; memory blocks that are offline; below
    1 MiB only the known low chunks. Where the host declares a pool, a range above 1 MiB must lie in it besides, unless
    within_pool is false (the range is only about to become a part of it). All else is used: System RAM, kernel, crash
    kernel, ACPI, firmware, devices, APIC pages, and whatever the map does not list. None when the map is not known (no
    privilege).
    """
    segments = _segments(facts)
    if segments is None:
        return None
    starts = [segment.start for segment in segments]
    declared = _known(facts, "dialect", "pool") if within_pool else None
    pool = merge(declared) if declared is not None else None
    low = _known(facts, "memory", "low")
    conflicts: List[Conflict] = []
    for base, size in ranges:
        if size <= 0:
            continue
        if base < MIB:
            conflicts.extend(_low_conflicts(base, size, low))
            continue
        conflicts.extend(_segment_conflicts(base, size, segments, starts))
        if pool is not None and not inside(base, size, pool):
            conflicts.append(Conflict(base, size, base, base + size - 1, "pool", "not part of the pool that the host has declared"))
    return conflicts


def free_of_host(ranges: Iterable[Range], facts: Dict[str, Any]) -> Optional[str]:
    """Return None when the host provably uses none of the ranges (base, size), else a sentence that says why not."""
    conflicts = host_use(ranges, facts)
    if conflicts is None:
        return "the host's memory map cannot be read, so nothing proves that the host leaves this memory alone; run as root"
    return "; ".join(conflict.sentence() for conflict in conflicts) or None


def _segments(facts: Dict[str, Any]) -> Optional[List[_Segment]]:
    """Cut the map at every border of an entry, a memory block or a reservation, and judge each piece once."""
    iomem = _known(facts, "memory", "iomem")
    if iomem is None:
        return None
    reserved = merge(memmap_reserved(_known(facts, "kernel", "cmdline")))
    offline = merge(_offline(facts["memory"]))
    entries = list(iomem) + [{"start": start, "end": end, "name": name, "depth": 99} for start, end, name in APIC_PAGES]
    cuts = {entry["start"] for entry in entries} | {entry["end"] + 1 for entry in entries}
    for base, size in reserved + offline:
        cuts.update((base, base + size))
    ordered = sorted(cuts)
    opening = sorted(entries, key=lambda entry: -entry["start"])  # a stack: the lowest start is taken first
    active: List[Tuple[int, int, Dict[str, Any]]] = []  # a heap: what ends first is taken first
    opened = 0
    segments: List[_Segment] = []
    for start, following in zip(ordered, ordered[1:]):
        while opening and opening[-1]["start"] <= start:
            entry = opening.pop()
            heapq.heappush(active, (entry["end"], opened, entry))
            opened += 1
        while active and active[0][0] < start:
            heapq.heappop(active)
        if len(active) > _DEEPEST:
            use: Optional[_Use] = ("device", "claimed by more than {0} entries of /proc/iomem at once".format(_DEEPEST))
        else:
            use = _used_by([one[2] for one in sorted(active, key=_order)], start, following - start, reserved, offline)
        segments.append(_Segment(start, following - 1, use))
    return segments


def _order(one: Tuple[int, int, Dict[str, Any]]) -> int:
    return one[1]


def _used_by(active: Sequence[Dict[str, Any]], start: int, size: int, reserved: List[Range], offline: List[Range]) -> Optional[_Use]:
    if not active:
        return _HOLE
    # Children follow their parents, so that the innermost user is named.
    for entry in sorted(active, key=lambda one: -one["depth"]):
        name = entry["name"]
        if name.lower() == "reserved":
            if not inside(start, size, reserved):
                return "firmware", "reserved by the firmware"
        elif name.startswith("System RAM"):  # also "System RAM (kmem)" and the like
            if not inside(start, size, offline):
                return "ram", "System RAM of the host"
        else:
            return _kind(name), "{0} of the host".format(name)
    return None


def _kind(name: str) -> str:
    lowered = name.lower()
    if lowered.startswith("crash kernel"):
        return "crash"
    if lowered.startswith("kernel "):
        return "ram"
    if lowered.startswith(("acpi", "unusable", "persistent memory", "system rom", "video rom", "ram buffer")):
        return "firmware"
    return "device"


def _segment_conflicts(base: int, size: int, segments: List[_Segment], starts: List[int]) -> List[Conflict]:
    last = base + size - 1
    found: List[Conflict] = []
    at = base
    index = max(bisect.bisect_right(starts, base) - 1, 0)
    while at <= last:
        segment = segments[index] if index < len(segments) else None
        if segment is None or at < segment.start:
            border = last if segment is None else min(last, segment.start - 1)
            use: Optional[_Use] = _HOLE
        elif at > segment.end:
            index += 1
            continue
        else:
            border, use = min(last, segment.end), segment.use
        if use is not None:
            if found and (found[-1].kind, found[-1].used_by) == use and found[-1].end == at - 1:
                found[-1] = found[-1]._replace(end=border)
            else:
                found.append(Conflict(base, size, at, border, use[0], use[1]))
        at = border + 1
    return found


def _low_conflicts(base: int, size: int, low: Optional[Sequence[Sequence[int]]]) -> List[Conflict]:
    end = base + size - 1
    if end >= MIB:
        return [Conflict(base, size, base, end, "low", "partly below 1 MiB; a range must lie below or above it")]
    if low is None:
        return [Conflict(base, size, base, end, "low", "below 1 MiB, where no chunk is known to be free")]
    if not inside(base, size, merge(low)):
        known = ", ".join(units.format_range(chunk[0], chunk[1]) for chunk in low) or "none"
        return [Conflict(base, size, base, end, "low", "not in a chunk below 1 MiB that the host leaves free (known: {0})".format(known))]
    return []


def _offline(memory: Dict[str, Any]) -> List[Range]:
    size = memory.get("block_size")
    if not size:
        return []
    return [(block["number"] * size, size) for block in memory.get("blocks") or [] if block["state"] == "offline"]


def _known(facts: Dict[str, Any], part: str, key: str) -> Any:
    return (facts.get(part) or {}).get(key)


def merge(ranges: Iterable[Sequence[int]]) -> List[Range]:
    """Return ranges (base, size) sorted, disjoint, those that touch joined."""
    merged: List[Range] = []
    for base, size in sorted((one[0], one[1]) for one in ranges):
        if merged and base <= merged[-1][0] + merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][0] + merged[-1][1], base + size) - merged[-1][0])
        else:
            merged.append((base, size))
    return merged


def inside(base: int, size: int, merged: List[Range]) -> bool:
    """Tell whether a range lies wholly inside one of ranges that merge() returned."""
    index = bisect.bisect_right(merged, (base, 1 << 64)) - 1
    return index >= 0 and base + size <= merged[index][0] + merged[index][1]


def _memparse(digits: str, suffix: str) -> int:
    """Read a number as the kernel's memparse() does: C notation, then one letter of a power of 1024."""
    value = int(digits, 16) if digits.lower().startswith("0x") else int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
    return value << _SUFFIX[suffix.upper()]
