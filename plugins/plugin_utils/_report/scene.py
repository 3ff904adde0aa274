# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture of a machine shows, before any drawing: sockets, caches, cores and threads; memory; channels; and whose all that is."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils._layout import canonical, cpuset
from . import machine
from .machine import FREE, Piece

HOST = canonical.HOST
Plain = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Owner:
    """A kernel, or `free`: its mark (a few letters that stand on all that is its), number of its colour, and what it has."""

    name: str
    mark: str
    number: int
    cpus: str
    memory: int | None
    image: str
    state: str
    trust: str


@dataclasses.dataclass(frozen=True)
class Thread:
    """One logical CPU, its APIC id where known, and its owner's name."""

    cpu: int
    apic: int | None
    owner: str


@dataclasses.dataclass(frozen=True)
class Cache:
    """The cores (each a tuple of threads) behind one last-level cache."""

    cores: tuple[tuple[Thread, ...], ...]


@dataclasses.dataclass(frozen=True)
class Socket:
    """One package (None: not known) with its memory nodes and caches."""

    number: int | None
    nodes: tuple[int, ...]
    caches: tuple[Cache, ...]

    @property
    def threads(self) -> list[Thread]:
        """All its logical CPUs."""
        return [thread for cache in self.caches for core in cache.cores for thread in core]


@dataclasses.dataclass(frozen=True)
class Wire:
    """One channel: what kind it is, the two kernels it joins, and where it lies when that is chosen."""

    name: str
    kind: str
    ends: tuple[str, ...]
    base: int | None
    size: int | None


@dataclasses.dataclass(frozen=True)
class Scene:
    """One state of a machine. sockets: empty when nothing is known of a machine."""

    title: str
    owners: dict[str, Owner]
    sockets: tuple[Socket, ...]
    memory: tuple[Piece, ...]
    wires: tuple[Wire, ...]

    def mark(self, name: str) -> str:
        """The mark of an owner."""
        return self.owners[name].mark if name in self.owners else "?"

    def number(self, name: str) -> int | None:
        """The number of an owner's colour; None for what is free."""
        return self.owners[name].number if name in self.owners and name != FREE else None


def scene(
    layout: Plain, facts: Plain | None = None, marks: t.Mapping[str, int] | None = None, states: t.Mapping[str, str] | None = None
) -> Scene:
    """The scene of a placed (or canonical) layout. marks: numbers to keep from another scene, so that before and after agree.

    states: what is seen of each instance.
    """
    words = machine.owners(layout, facts)
    pieces = machine.memory_map(layout, facts)
    numbers = dict(marks or {})
    for name in words:
        if name not in (HOST, FREE):
            numbers.setdefault(name, max(numbers.values(), default=0) + 1)
    owners = {name: _owner(layout, name, numbers.get(name, 0), cpus, pieces, states or {}) for name, cpus in words.items()}
    wires = [
        Wire(
            name,
            one["kind"],
            tuple(one["between"]),
            (one.get("placed") or {}).get("address"),
            (one.get("placed") or {}).get("size", one["size"]),
        )
        for name, one in sorted(layout["channels"].items())
    ]
    return Scene(layout["name"], owners, _sockets(facts, _by_cpu(layout, facts, words)), tuple(pieces), tuple(wires))


def numbers(*layouts: Plain) -> dict[str, int]:
    """Numbers for the instances of several layouts together."""
    names = dict.fromkeys(name for layout in layouts for name in machine.living(layout))
    return {name: number for number, name in enumerate(names, 1)}


def of_state(layout: Plain, state: Plain) -> Plain:
    """What runs now, as an observed state tells it, in the form of a placed layout that can be drawn."""
    instances: Plain = {}
    for name, one in sorted((state.get("instances") or {}).items()):
        spec = one.get("spec") or {}
        if one.get("state") == "ended" or spec.get("base") is None:
            continue
        instances[name] = {
            "image": str(spec.get("image") or ""),
            "state": "running",
            "trust": None,
            "cpus": {"space": "logical", "ids": spec.get("cpus") or [], "count": None},
            "memory": {"base": spec["base"], "size": spec["size"]},
            "placed": {"cpus": spec.get("cpus") or [], "base": spec["base"], "size": spec["size"], "low": spec.get("low")},
        }
    seen = state.get("pool") or []
    chunks = [(one["base"], one["size"]) for one in seen["memory"]] if isinstance(seen, dict) else seen
    pool = [{"base": base, "size": size} for base, size in chunks]
    given = {number for one in instances.values() for number in one["placed"]["cpus"]}
    host = sorted(set((state.get("cpus") or {}).get("online") or []) - given)
    return {"name": layout["name"], "host": {"cpus": host or None}, "pool": {"memory": pool}, "instances": instances, "channels": {}}


def _owner(layout: Plain, name: str, number: int, cpus: str, pieces: list[Piece], states: t.Mapping[str, str]) -> Owner:
    own = [piece.size for piece in pieces if piece.kernels == (name,)]
    one = layout["instances"].get(name) or {}
    memory = sum(own) if own else None
    if name == FREE:
        memory = sum(piece.size for piece in pieces if not piece.kernels and piece.base is not None)
    state = states.get(name) or ("" if name in (HOST, FREE) else "planned" if not states else "new")
    return Owner(name, _mark(name, number), number, cpus, memory, str(one.get("image") or ""), state, str(one.get("trust") or ""))


def _mark(name: str, number: int) -> str:
    """host: H; the others A, B, ... Z, AA, AB, ... without H alone."""
    if name in (HOST, FREE):
        return "H" if name == HOST else "–"
    letters, rest = "", number if number < 8 else number + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def _by_cpu(layout: Plain, facts: Plain | None, words: dict[str, str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, cpus in words.items():
        instance = machine.living(layout).get(name) if name not in (HOST, FREE) else None
        if instance is not None and "placed" in instance:
            numbers: t.Iterable[int] = instance["placed"]["cpus"]
        elif cpus[-1:].isdigit() and not cpus.startswith(("any ", "apic:")):
            numbers = cpuset.parse(cpus)
        else:
            numbers = ()
        for number in numbers:
            found.setdefault(number, name)
    return found


def _sockets(facts: Plain | None, owner: dict[int, str]) -> tuple[Socket, ...]:
    """The CPUs of a machine by package, last-level cache and core, in the order of their lowest CPU."""
    each = {int(number): one or {} for number, one in (((facts or {}).get("cpus") or {}).get("each") or {}).items()}
    tree: dict[int | None, dict[int, dict[int, list[Thread]]]] = {}
    nodes: dict[int | None, set[int]] = {}
    core_of, cache_of = _leader(each, "siblings"), _leader(each, "llc")
    for number, one in sorted(each.items()):
        package = one.get("package")
        cores = tree.setdefault(package, {}).setdefault(cache_of[number], {})
        cores.setdefault(core_of[number], []).append(Thread(number, one.get("apic_id"), owner.get(number, FREE)))
        if one.get("node") is not None:
            nodes.setdefault(package, set()).add(one["node"])
    return tuple(
        Socket(package, tuple(sorted(nodes.get(package, ()))), tuple(Cache(tuple(map(tuple, cores.values()))) for cores in caches.values()))
        for package, caches in tree.items()
    )


def _leader(each: dict[int, Plain], key: str) -> dict[int, int]:
    """The lowest CPU of each CPU's group; a CPU that is offline is left out of the others' lists, so all lists count."""
    leader: dict[int, int] = {}
    for number, one in sorted(each.items()):
        group = [number, *(one.get(key) or [])]
        first = min(leader.get(member, member) for member in group)
        for member in group:
            leader[member] = min(leader.get(member, first), first)
    return {number: leader[number] for number in each}
