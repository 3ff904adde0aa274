# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one isolation report says that another did not: which ways opened, and which closed."""

from __future__ import annotations

import typing as t

from ...module_utils._isolation import grade, vector
from . import grid
from .isolation import SHORT

#: What a change is: for a pair that both reports have, and for one that only the new or only the old one has.
OPENED, CLOSED, ADDED, REMOVED = "opened", "closed", "new", "gone"


def compare(old: dict[str, t.Any], new: dict[str, t.Any]) -> dict[str, t.Any]:
    """The difference between two reports, as plain data: the grades, and what changed for each pair and way.

    A change has kind (opened, closed, or new and gone for pairs of kernels that only one report has), from, to, vector,
    before, after (null where there is no such pair) and why. `worse` says whether the grade fell, a way opened, or a new pair
    has a way that is worse than it was between any two kernels before.
    """
    before, after = _by_way(old), _by_way(new)
    changes: list[dict[str, t.Any]] = []
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was is not None and now is not None and was["verdict"] == now["verdict"]:
            continue
        source, target, way = key
        said = now if now is not None else was
        changes.append(
            {
                "kind": _kind(was, now),
                "from": source,
                "to": target,
                "vector": way,
                "before": was["verdict"] if was else None,
                "after": now["verdict"] if now else None,
                "why": said["why"] if said else "",
            }
        )
    grades = {"before": old["grade"]["proven"], "after": new["grade"]["proven"]}
    fell = grade.GRADES.index(grades["after"]) < grade.GRADES.index(grades["before"])
    worst: dict[str, int] = {}
    for (_source, _target, way), cell in before.items():
        worst[way] = max(worst.get(way, 0), _rank(cell["verdict"]))
    exposed = any(one["kind"] == ADDED and _rank(one["after"]) > worst.get(one["vector"], 0) for one in changes)
    worse = fell or exposed or any(one["kind"] == OPENED for one in changes)
    return {"format": "multikernel-isolation-difference", "version": 1, "worse": worse, "grade": grades, "changes": changes}


def text(difference: dict[str, t.Any], ascii_only: bool = False) -> str:
    """The difference as text: what opened first, new pairs and gone ones in one line each."""
    arrow = "->" if ascii_only else "→"
    own = difference["grade"]
    lines = [
        f"isolation grade: {own['before']} before, {own['after']} now"
        if own["before"] != own["after"]
        else f"isolation grade: {own['after']}, as before"
    ]
    rows = []
    for kind in (OPENED, CLOSED):
        for one in difference["changes"]:
            if one["kind"] == kind:
                pair = f"{one['from']} {arrow} {one['to']}"
                rows.append(
                    [kind, vector.BY_ID[one["vector"]].title, pair, f"{SHORT[one['before']]} {arrow} {SHORT[one['after']]}", one["why"]]
                )
    if rows:
        lines.append(grid.columns(["", "WAY", "PAIR", "VERDICT", "BECAUSE NOW"], rows))
    for kind, column in ((ADDED, "after"), (REMOVED, "before")):
        for (source, target), verdicts in _pairs(difference, kind, column).items():
            counts = ", ".join(f"{len(ways)} {SHORT[name]}" for name, ways in verdicts.items())
            lines.append(f"{kind}: {source} {arrow} {target}: {counts}")
    if len(lines) == 1:
        lines.append("no way opened and none closed")
    return "\n".join(lines)


def _pairs(difference: dict[str, t.Any], kind: str, column: str) -> dict[tuple[str, str], dict[str, list[str]]]:
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in difference["changes"]:
        if one["kind"] == kind:
            found.setdefault((one["from"], one["to"]), {}).setdefault(one[column], []).append(one["vector"])
    return {pair: dict(sorted(verdicts.items(), key=lambda item: -_rank(item[0]))) for pair, verdicts in found.items()}


def _by_way(report: dict[str, t.Any]) -> dict[tuple[str, str, str], dict[str, t.Any]]:
    return {(pair["from"], pair["to"], way): cell for pair in report["pairs"] for way, cell in pair["ways"].items()}


def _kind(was: dict[str, t.Any] | None, now: dict[str, t.Any] | None) -> str:
    if was is None or now is None:
        return ADDED if was is None else REMOVED
    return OPENED if _rank(now["verdict"]) > _rank(was["verdict"]) else CLOSED


def _rank(verdict: str) -> int:
    return vector.VERDICTS.index(verdict)
