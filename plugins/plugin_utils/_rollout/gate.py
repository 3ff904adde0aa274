# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: whether a rollout goes on after a wave, and who has to be taken back. Pure functions of the states of the hosts."""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

#: States of a host in a rollout, each with what it means.
STATES = {
    "planned": "waits for its wave",
    "done": "had the layout before, and is well",
    "skipped": "would refuse the layout, and is left out within the error budget",
    "applying": "is being changed",
    "changed": "was changed, and was not looked at since",
    "healthy": "was changed, and was well when it was looked at last",
    "failed": "could not be changed; what was begun was undone on the host",
    "stuck": "could not be changed or taken back as a whole",
    "unreachable": "does not answer; what it runs is not known",
    "sick": "was changed, and is not well",
    "returned": "was changed, and has its earlier layout again",
}
#: States that count against the error budget.
DAMAGED = ("skipped", "failed", "stuck", "unreachable", "sick", "returned")
#: States of hosts that have, or may have, the new layout.
TOUCHED = ("applying", "changed", "healthy", "sick", "unreachable")
RETURNS = ("wave", "all", "none")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


class BudgetError(ValueError):
    """The error budget cannot be read; the text says what would be right."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What happens after a wave. take_back: names of hosts; damaged: those that count against the budget; reason: a sentence."""

    go: bool
    take_back: tuple[str, ...]
    damaged: tuple[str, ...]
    reason: str


def budget(word: t.Any, total: int) -> int:
    """How many of `total` hosts may come to harm: a number, or a share like "2%", which is rounded down. Raises BudgetError."""
    text = str(word).strip()
    if not isinstance(word, bool):
        if text.isdecimal():
            return int(text)
        if (match := _PERCENT.fullmatch(text)) and float(match[1]) < 100:
            return math.floor(float(match[1]) * total / 100 + 1e-9)
    raise BudgetError(f'{word!r} is no error budget; write a number of hosts, or a share below 100% like "2%"')


def start(states: t.Mapping[str, str], allowed: int) -> Decision:
    """Whether a rollout begins at all, when some hosts would refuse the layout or do not answer."""
    damaged = tuple(name for name, state in states.items() if state in DAMAGED)
    if len(damaged) > allowed:
        what = f"{_hosts(len(damaged))} cannot take part ({_names(damaged)})"
        return Decision(False, (), damaged, f"{what}, and the error budget is {allowed}: nothing was changed")
    return Decision(
        True, (), damaged, f"{_hosts(len(damaged))} left out, within the error budget of {allowed}" if damaged else "all take part"
    )


def after(
    states: t.Mapping[str, str], wave: t.Collection[str], canary: bool, allowed: int, returns: str = "wave", last: bool = False
) -> Decision:
    """What happens after a wave. states: of all hosts, as they were seen just now; wave: the names of its hosts.

    A canary that comes to harm stops the rollout whatever the budget, because nobody else has proven its class. Otherwise the
    rollout stops when more hosts than the budget allows have come to harm, over all waves. Within the budget, only the sick
    ones are taken back. returns: whether a rollout that stops takes back this "wave", "all" or "none".
    """
    damaged = tuple(name for name, state in states.items() if state in DAMAGED)
    fallen = [name for name in damaged if name in wave]
    if canary and fallen:
        return _stop(states, wave, returns, damaged, f"of the canaries, {_names(fallen)} came to harm")
    if len(damaged) > allowed:
        return _stop(
            states, wave, returns, damaged, f"{_hosts(len(damaged))} came to harm ({_names(damaged)}), the error budget is {allowed}"
        )
    sick = tuple(name for name in damaged if states[name] == "sick")
    well = (
        "every host that was changed is well"
        if not damaged
        else f"{_hosts(len(damaged))} came to harm, within the error budget of {allowed}"
    )
    return Decision(
        True, sick if returns != "none" else (), damaged, f"{well}; {'that was the last wave' if last else 'the next wave may begin'}"
    )


def _stop(states: t.Mapping[str, str], wave: t.Collection[str], returns: str, damaged: tuple[str, ...], reason: str) -> Decision:
    back = (
        tuple(name for name, state in states.items() if state in TOUCHED and (returns == "all" or name in wave))
        if returns != "none"
        else ()
    )
    return Decision(False, back, damaged, f"{reason}: the rollout stops{', and takes back ' + _hosts(len(back)) if back else ''}")


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"


def _names(names: t.Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
