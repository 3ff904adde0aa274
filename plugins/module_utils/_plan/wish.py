# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an instance asks for in CPUs, in words, and what would do instead."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Optional, Sequence, Tuple

from .conflict import Way, largest

SHOWN = 8  # CPUs that one sentence tells something of


class Wish:
    """What one instance asks for; host stands for host.cpus, which keeps CPUs from all instances."""

    __slots__ = ("name", "ids", "count", "whole", "own", "spread", "node", "kept", "host")

    def __init__(
        self,
        name: str,
        ids: Optional[Sequence[int]] = None,
        count: int = 1,
        whole: bool = False,
        own: bool = False,
        spread: bool = False,
        node: Optional[int] = None,
        kept: Optional[Sequence[int]] = None,
        host: bool = False,
    ) -> None:
        self.name, self.ids, self.count, self.whole, self.own = name, ids, count, whole, own
        self.spread, self.node, self.kept, self.host = spread, node, kept, host

    @property
    def path(self) -> Tuple[Any, ...]:
        """Where the layout asks for it."""
        return ("host", "cpus") if self.host else ("instances", self.name, "cpus")

    def but(self, **changes: Any) -> "Wish":
        """The same wish with other values."""
        values = {key: getattr(self, key) for key in self.__slots__}
        values.update(changes)
        return Wish(**values)

    def __str__(self) -> str:
        if self.ids is not None:
            return "%s (%s)" % (self.name, numbers(self.ids))
        return "%s (%s)" % (self.name, asked(self))


def ways_out(wish: Wish, boot: int, fits: Callable[[Way], bool]) -> Iterable[Way]:
    """Ways out that change one wish; fits tells whether a smaller count does."""
    name, path = wish.name, wish.path
    if wish.host:
        spare = [cpu for cpu in wish.ids or () if cpu != boot]
        for cpu in spare[::-1][:SHOWN]:
            rest = wish.but(ids=[one for one in wish.ids or () if one != cpu])
            yield Way(5, "take CPU %d out of host.cpus" % cpu, path, wish, rest)
        return
    if wish.ids is not None:
        count = len(wish.ids)
        chosen = wish.but(ids=None, count=count)
        yield Way(1, "let the %s of %s be chosen (cpus: {count: %d})" % ("CPU" if count == 1 else "CPUs", name, count), path, wish, chosen)
    elif wish.kept is not None:
        yield Way(6, "let %s, which has %s, move (it is restarted)" % (name, numbers(wish.kept)), path, wish, wish.but(kept=None))
    if wish.own:
        yield Way(3, "drop llc: own of %s" % name, path, wish, wish.but(own=False))
    if wish.whole:
        yield Way(3, "drop whole_cores of %s" % name, path, wish, wish.but(whole=False))
    if wish.ids is None and wish.count > 1:
        less = largest(1, wish.count - 1, lambda count: fits(Way(4, "", path, wish, wish.but(count=count))))
        if less is not None:
            said = "give %s %d %s instead of %d" % (name, less, "CPU" if less == 1 else "CPUs", wish.count)
            yield Way(4 + (wish.count - less) / float(wish.count), said, path, wish, wish.but(count=less))
    yield Way(9, "leave %s out (state: absent)" % name, path, wish, None)


def numbers(cpus: Sequence[int]) -> str:
    """CPUs for a sentence: CPU 3, or CPUs 1, 2."""
    if not cpus:
        return "no CPU"
    return ("CPU " if len(cpus) == 1 else "CPUs ") + ", ".join(str(cpu) for cpu in cpus)


def some(cpus: Sequence[int]) -> str:
    """No more CPUs than a sentence can bear."""
    if not cpus:
        return ""
    return numbers(cpus) if len(cpus) <= 2 * SHOWN else "%s and %d more" % (numbers(cpus[: 2 * SHOWN]), len(cpus) - 2 * SHOWN)


def asked(wish: Wish) -> str:
    what = "%d %s" % (wish.count, "CPU" if wish.count == 1 else "CPUs") + (" in whole cores" if wish.whole else "")
    return what + (" with a last level cache of their own" if wish.own else "")
