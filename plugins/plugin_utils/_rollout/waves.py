# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: in which order the hosts of a fleet get their layout. Pure functions of what is known of the hosts.

The first wave holds canaries, some of every class of machines that no host has proven yet. Each further wave says how much of the fleet
has the layout after it, so that `["1 per class", "10%", "50%", "100%"]` grows, whatever was done before.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

DEFAULT = ("1 per class", "10%", "50%", "100%")
_PER_CLASS = re.compile(r"(\d+) per class")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


class WaveError(ValueError):
    """The waves cannot be read; the text says what would be right."""


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the fleet that has the layout is after a wave: a share, a number of hosts, or (canaries only) a number for each class."""

    word: str
    per_class: int | None = None
    percent: float | None = None
    count: int | None = None

    def target(self, total: int) -> int:
        """How many of `total` hosts have the layout after this wave; shares are rounded up."""
        if self.percent is not None:
            # binary fractions of decimal shares come out a hair too large
            return min(total, math.ceil(self.percent * total / 100 - 1e-9))
        return min(total, self.count or 0)


@dataclasses.dataclass(frozen=True)
class Host:
    """A host to plan for. kind: its class. done: it has the layout and is well. canary: it is wished for as a canary."""

    name: str
    kind: str
    done: bool = False
    canary: bool = False


@dataclasses.dataclass(frozen=True)
class Wave:
    """Hosts that are changed together; number counts from 1."""

    number: int
    label: str
    canary: bool
    hosts: tuple[str, ...]


def sizes(words: t.Sequence[t.Any]) -> list[Size]:
    """What `rollout_waves` says. Raises WaveError with what would be right."""
    if isinstance(words, str) or not isinstance(words, t.Sequence) or not words:
        raise WaveError(f"waves are a list like {list(DEFAULT)}, not {words!r}")
    found = [_size(word) for word in words]
    if found[0].per_class is None:
        raise WaveError(f'the first wave is {found[0].word!r}, but it has to hold canaries; write "1 per class" before it')
    if any(one.per_class is not None for one in found[1:]):
        raise WaveError('only the first wave counts "per class"; write a share like "10%" or a number of hosts for the others')
    if found[-1].percent != 100:
        raise WaveError(f'the last wave is {found[-1].word!r}, so some hosts would be left behind; write "100%" after it')
    for kind in ("percent", "count"):
        values = [value for one in found if (value := getattr(one, kind)) is not None]
        if any(later <= earlier for earlier, later in zip(values, values[1:], strict=False)):
            raise WaveError(
                f"waves have to grow, each says how much of the fleet is changed after it; {[one.word for one in found]} does not"
            )
    return found


def plan(hosts: t.Sequence[Host], wanted: t.Sequence[Size]) -> list[Wave]:
    """The waves: every host that is not done in exactly one of them, canaries first. Waves without hosts are left out.

    Where a class has hosts that are done (an earlier rollout that was cut off), these were its canaries. Beyond the canaries, each
    wave takes of every class in proportion.
    """
    canaries = _canaries(hosts, wanted[0].per_class or 1)
    rest = _mixed([host for host in hosts if not host.done and host.name not in canaries])
    waves: list[Wave] = []
    if canaries:
        waves.append(Wave(1, wanted[0].word, True, tuple(canaries)))
    have = sum(host.done for host in hosts) + len(canaries)
    for size in wanted[1:]:
        room = max(0, size.target(len(hosts)) - have)
        now, rest = rest[:room], rest[room:]
        have += len(now)
        if now:
            waves.append(Wave(len(waves) + 1, size.word, False, tuple(host.name for host in now)))
    return waves


def _size(word: t.Any) -> Size:
    text = str(word).strip()
    if not isinstance(word, bool):
        if match := _PER_CLASS.fullmatch(text):
            if int(match[1]) > 0:
                return Size(text, per_class=int(match[1]))
        elif match := _PERCENT.fullmatch(text):
            if 0 < float(match[1]) <= 100:
                return Size(text, percent=float(match[1]))
        elif text.isdecimal() and int(text) > 0:
            return Size(text, count=int(text))
    raise WaveError(f'{word!r} is no size of a wave; write "1 per class", a share like "10%" up to "100%", or a number of hosts')


def _canaries(hosts: t.Sequence[Host], number: int) -> list[str]:
    """The names of the canaries: those that are wished for, and as many more of each class as it lacks."""
    chosen = [host for host in hosts if host.canary and not host.done]
    proven: dict[str, int] = {}
    for host in [*chosen, *(host for host in hosts if host.done)]:
        proven[host.kind] = proven.get(host.kind, 0) + 1
    for host in hosts:
        if not host.done and not host.canary and proven.get(host.kind, 0) < number:
            chosen.append(host)
            proven[host.kind] = proven.get(host.kind, 0) + 1
    return [host.name for host in chosen]


def _mixed(hosts: t.Sequence[Host]) -> list[Host]:
    """The hosts in an order of which every beginning holds each class in proportion."""
    count: dict[str, int] = {}
    for host in hosts:
        count[host.kind] = count.get(host.kind, 0) + 1
    seen: dict[str, int] = {}
    places: list[tuple[float, int, Host]] = []
    for number, host in enumerate(hosts):
        rank = seen.get(host.kind, 0)
        seen[host.kind] = rank + 1
        places.append(((rank + 0.5) / count[host.kind], number, host))
    return [host for _place, _number, host in sorted(places, key=lambda one: one[:2])]
