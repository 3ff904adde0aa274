# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as a picture: memory down, kernels (and so CPUs) across, and who owns what."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._layout import cpuset
from ...module_utils._layout.units import format_size
from . import grid

FREE = "free"
#: Holes of firmware between two pieces of the host's memory that are too small to be worth a row.
SMALL_HOLE = 16 << 20


@dataclasses.dataclass(frozen=True)
class Piece:
    """One row: a range of memory (base None: not placed yet), what it is called, and the kernels that use it."""

    base: int | None
    size: int
    label: str
    kernels: tuple[str, ...]
    shared: bool = False


def draw(
    layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None, result: dict[str, t.Any] | None = None, ascii_only: bool = False
) -> str:
    """The picture of a placed layout on a machine, at most 100 columns wide.

    layout: placed, or canonical when nothing is known of the machine. facts: its facts bundle. result: what the module
    `layout` returned; its instances tell the states. Pure text without colours.
    """
    style = grid.pen(ascii_only)
    cpus = owners(layout, facts)
    states = {one["name"]: str(one["state"]) for one in (result or {}).get("instances") or []}
    pieces = memory_map(layout, facts)
    text = _matrix(layout, cpus, states, pieces, style)
    if max(len(line) for line in text.splitlines()) > grid.WIDTH:
        text = _list(layout, cpus, states, pieces, style)
    return "\n".join([grid.clip(_title(layout, facts, pieces), grid.WIDTH, style), text, _legend(pieces, style)])


def table(instances: list[dict[str, t.Any]], ascii_only: bool = False) -> str:
    """The instances that the module `layout` or `layout_info` returned, one row each, with what proves that they run."""
    dash = "-" if ascii_only else "–"
    rows = []
    for one in instances:
        memory = one.get("memory") or {}
        rows.append(
            [
                str(one.get("name")),
                str(one.get("state") or dash),
                cpuset.format(one.get("cpus") or []) or dash,
                span(memory["base"], memory["size"]) if memory.get("base") is not None else dash,
                str(one.get("image") or dash),
                str(one.get("uname") or dash).split()[0],
                dash if one.get("beats") is None else str(one["beats"]),
                _evidence(one.get("evidence")) or dash,
            ]
        )
    if not rows:
        return "no instances"
    return grid.columns(["NAME", "STATE", "CPUS", "MEMORY", "IMAGE", "UNAME -R", "BEATS", "EVIDENCE"], rows)


def owners(layout: dict[str, t.Any], facts: dict[str, t.Any] | None) -> dict[str, str]:
    """Each kernel's CPUs, in the kernel's list format: host, the instances by name, and `free` when some CPU has no owner."""
    present = set(((facts or {}).get("cpus") or {}).get("present") or [])
    taken: dict[str, set[int]] = {}
    words: dict[str, str] = {}
    for name, instance in living(layout).items():
        wish = instance["cpus"]
        if "placed" in instance:
            taken[name] = set(instance["placed"]["cpus"])
            words[name] = cpuset.format(taken[name])
        elif wish["ids"] is not None:
            words[name] = ("apic:" if wish["space"] == "apic" else "") + cpuset.format(wish["ids"])
            taken[name] = set(wish["ids"]) if wish["space"] == "logical" else set()
        else:
            words[name] = f"any {wish['count']}"
    used = set().union(*taken.values()) if taken else set()
    host = set(layout["host"]["cpus"]) if layout["host"]["cpus"] is not None else present - used
    result = {"host": cpuset.format(host) if host else "the rest", **words}
    if present - used - host:
        result[FREE] = cpuset.format(present - used - host)
    return result


def memory_map(layout: dict[str, t.Any], facts: dict[str, t.Any] | None) -> list[Piece]:
    """The machine's memory from low to high: host, instances, channels, and what is free in the pool."""
    pieces: list[Piece] = []
    for name, instance in living(layout).items():
        placed = instance.get("placed") or {}
        base = placed.get("base", instance["memory"]["base"])
        pieces.append(Piece(base, placed.get("size", instance["memory"]["size"]), name, (name,)))
        if placed.get("low") is not None:
            pieces.append(Piece(placed["low"], 0x10000, f"{name}, real mode", (name,)))
    for name, channel in layout["channels"].items():
        if "placed" in channel:
            pieces.append(
                Piece(channel["placed"]["address"], channel["placed"]["size"], f"channel {name}", tuple(channel["between"]), True)
            )
    used = [(piece.base, piece.base + piece.size) for piece in pieces if piece.base is not None]
    pool = [(region["base"], region["base"] + region["size"]) for region in layout["pool"]["memory"] if region["base"] is not None]
    label = f"{FREE} in the pool" if all(piece.base is not None for piece in pieces) else "pool"
    pieces += [Piece(start, end - start, label, ()) for start, end in _without(pool, used)]
    pieces += [Piece(start, end - start, "host", ("host",)) for start, end in _host_memory(facts, pool + used)]
    # What has no address yet comes last.
    return sorted(pieces, key=lambda piece: (piece.base is None, piece.base or 0, piece.size, piece.label))


def living(layout: dict[str, t.Any]) -> dict[str, t.Any]:
    """The instances that are to exist, in the order of their first CPU, then of their names."""
    alive = {name: one for name, one in layout["instances"].items() if one["state"] != "absent"}
    return dict(
        sorted(alive.items(), key=lambda item: ((item[1].get("placed") or {}).get("cpus", item[1]["cpus"]["ids"]) or [1 << 32], item[0]))
    )


def amount(size: int) -> str:
    """A size that people can compare: exact where it is round, else with one decimal."""
    exact = format_size(size)
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if len(exact) > 7 and size >= 10 * factor:
            return f"{size / factor:.1f}{unit}"
    return exact


def span(base: int, size: int) -> str:
    """A range of physical addresses, last byte included, as /proc/iomem has it."""
    return f"0x{base:08x}-0x{base + size - 1:08x}"


def _matrix(layout: dict[str, t.Any], cpus: dict[str, str], states: dict[str, str], pieces: list[Piece], style: grid.Pen) -> str:
    kernels = list(cpus)
    head = [["memory", "size", "kernel", *kernels], ["", "", "CPUs", *cpus.values()]]
    if states:
        head.append(["", "", "state", *(_state(kernel, layout, states) for kernel in kernels)])
    widths = [max(4, *(len(line[number + 3]) for line in head)) for number in range(len(kernels))]
    rows = []
    for piece in pieces:
        filling = style.half if piece.shared else style.full
        cells = [filling * width if kernel in piece.kernels else "" for kernel, width in zip(kernels, widths, strict=True)]
        rows.append([_where(piece), amount(piece.size), grid.clip(piece.label, 22, style), *cells])
    return grid.framed(head, rows, style, right=(1,), centre=tuple(range(3, 3 + len(kernels))))


def _list(layout: dict[str, t.Any], cpus: dict[str, str], states: dict[str, str], pieces: list[Piece], style: grid.Pen) -> str:
    """The picture when there are too many kernels to stand side by side."""
    rows = []
    for piece in pieces:
        on = " + ".join(cpus.get(kernel, "") for kernel in piece.kernels)
        state = _state(piece.kernels[0], layout, states) if len(piece.kernels) == 1 else ""
        rows.append([_where(piece), amount(piece.size), grid.clip(piece.label, 24, style), grid.clip(on, 16, style), state])
    idle = [["", "", f"{FREE} CPUs", grid.clip(cpus[FREE], 16, style), ""]] if FREE in cpus else []
    return grid.framed([["memory", "size", "kernel", "CPUs", "state"]], rows + idle, style, right=(1,))


def _title(layout: dict[str, t.Any], facts: dict[str, t.Any] | None, pieces: list[Piece]) -> str:
    if facts is None:
        return f"{layout['name']} (no machine is known: what is not fixed is still open)"
    present = (facts.get("cpus") or {}).get("present")
    count = f"{len(present)} CPUs" if present is not None else "CPUs not known"
    text = f"{layout['name']} on {facts.get('hostname') or 'a machine'}: {count}"
    # MemTotal would be what the host kernel has left; the machine has what is drawn. Without iomem, nobody knows.
    known = any(piece.kernels == ("host",) for piece in pieces)
    total = sum(piece.size for piece in pieces if piece.base is not None)
    return f"{text}, {total / (1 << 30):.1f} GiB of memory" if known else text


def _legend(pieces: list[Piece], style: grid.Pen) -> str:
    shares = f"   {style.half * 2} shares it through a channel" if any(piece.shared for piece in pieces) else ""
    return f"{style.full * 2} is given to this kernel{shares}\nWho else can reach it: see the isolation report."


def _where(piece: Piece) -> str:
    return span(piece.base, piece.size) if piece.base is not None else "in the pool"


def _state(kernel: str, layout: dict[str, t.Any], states: dict[str, str]) -> str:
    """What is seen of a kernel; for one that is not there yet, that it is planned."""
    if kernel in states:
        return states[kernel]
    return "" if kernel in ("host", FREE) else "planned"


def _evidence(evidence: t.Any) -> str:
    """{"state": "observed", "image": "remembered"} as: observed: state; remembered: image."""
    if not isinstance(evidence, dict):
        return str(evidence or "")
    kinds: dict[str, list[str]] = {}
    for what, kind in evidence.items():
        kinds.setdefault(str(kind), []).append(what)
    return "; ".join(f"{kind}: {', '.join(sorted(whats))}" for kind, whats in sorted(kinds.items()))


def _host_memory(facts: dict[str, t.Any] | None, others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The host's RAM without what is others'. Firmware's small holes are drawn over: the picture is for people."""
    iomem = ((facts or {}).get("memory") or {}).get("iomem") or []
    ram = sorted((one["start"], one["end"] + 1) for one in iomem if one["name"] == "System RAM")
    merged: list[tuple[int, int]] = []
    for start, end in ram:
        if merged and start - merged[-1][1] < SMALL_HOLE:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return _without(merged, others)


def _without(ranges: list[tuple[int, int]], holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    rest = list(ranges)
    for low, high in holes:
        rest = [part for start, end in rest for part in ((start, min(end, low)), (max(start, high), end)) if part[0] < part[1]]
    return sorted(rest)
