# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does and does not separate the kernels of a layout, way by way, as data and as text.

There is no hypervisor below a multikernel machine: every kernel runs in ring 0. So the report never says "isolated"; it
names each way on which one kernel can reach another, and what stands in that way. The verdicts are made in the target ring
(module_utils/_isolation), where the gate stands; here they are only put into words and tables.
"""

from __future__ import annotations

import textwrap
import typing as t

from ...module_utils._isolation import fate, grade, vector, verdict
from ...module_utils._isolation.ground import Ground
from ...module_utils._layout.canonical import digest
from . import grid

VERSION = 1
#: Pairs grow with the square of the kernels: beyond this many, kernels must be named.
MOST_PAIRS = 20_000

#: The verdicts as they are called in tables.
SHORT = {
    vector.HARDWARE: "hardware",
    vector.SOFTWARE: "own software",
    vector.DETECTED: "detected",
    vector.OPEN: "open",
    vector.UNKNOWN: "not known",
    "partly": "partly",
}
_LONG = {**SHORT, vector.HARDWARE: "prevented by hardware", vector.SOFTWARE: "prevented by own software only"}


class TooManyPairsError(Exception):
    """The report would be too long to be of use; the text says what to ask for instead."""


def report(layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None, kernels: t.Collection[str] = ()) -> dict[str, t.Any]:
    """The whole report on a canonical or placed layout as plain data; its form is that of shape.SCHEMA.

    kernels: only pairs that one of these belongs to (default: all). Raises TooManyPairsError when there are more than MOST_PAIRS.
    """
    ground = Ground(layout, facts)
    pairs = _pairs(ground, kernels)
    found = grade.grade(ground)
    wanted = layout["policy"]["isolation"]["minimum_grade"]
    return {
        "format": "multikernel-isolation",
        "version": VERSION,
        "layout": {"name": layout["name"], "digest": digest(_unplaced(layout))},
        "machine": None if facts is None else {"hostname": facts.get("hostname"), "boot_id": facts.get("boot_id")},
        "grade": {
            "proven": found.proven,
            "possible": found.possible,
            "minimum": wanted,
            "reached": None if wanted is None else found.reaches(wanted),
            "conditions": [one.to_dict() for one in found.conditions],
        },
        "vectors": [
            {"id": one.id, "title": one.title, "what": one.what, "hypervisor": {"verdict": one.hypervisor, "how": one.how}}
            for one in vector.VECTORS
        ],
        "kernels": [
            {"name": one.name, "kind": one.kind, "cpus": None if one.cpus is None else sorted(one.cpus), "trust": one.trust}
            for one in ground.kernels.values()
        ],
        "pairs": [
            {
                "from": source,
                "to": target,
                "ways": {
                    way: {"verdict": cell.verdict, "why": cell.why, "evidence": list(cell.evidence)}
                    for way, cell in verdict.judge(ground, source, target).items()
                },
            }
            for source, target in pairs
        ],
        "shared_fate": [one.to_dict() for one in fate.fates(ground)],
    }


def text(found: dict[str, t.Any], ascii_only: bool = False) -> str:
    """The report as text of at most 100 columns: the grade, a table of the ways beside a hypervisor, then each way in detail."""
    arrow = "->" if ascii_only else "→"
    names = [one["name"] for one in found["kernels"]]
    lines = [*_grade_lines(found), ""]
    lines += _wrapped(
        f"No hypervisor stands between {_listed(names)}: what a kernel does not do to another is up to its own code, or up to the "
        "hardware where that is said. A verdict is about one way, never about all."
    )
    head = ["WAY", "WORST HERE", "BELOW JAILHOUSE", "WHAT IT WOULD DO"]
    rows = []
    for way in found["vectors"]:
        kinds = [pair["ways"][way["id"]]["verdict"] for pair in found["pairs"]]
        worst = SHORT[max(kinds, key=vector.VERDICTS.index)] if kinds else "no pair"
        rows.append([way["title"], worst, SHORT[way["hypervisor"]["verdict"]], way["hypervisor"]["how"]])
    lines += ["", grid.columns(head, rows)]
    for way in found["vectors"]:
        lines += ["", f"{way['title'].upper()}: {way['what']}"]
        for (kind, why, evidence), pairs in cells(found, way["id"]).items():
            lines += _wrapped(f"{_LONG[kind]}: {who(pairs, names, arrow)}", "  ", "    ")
            lines += _wrapped(f"{why} [{', '.join(evidence)}]", "    ", "    ")
    lines += ["", "SHARED FATE: what strikes several kernels at once, however well they behave"]
    for one in found["shared_fate"]:
        lines += _wrapped(f"{one['name']}: {_listed(one['kernels'])}; {one['sentence']}", "  ", "    ")
    return "\n".join(_plain(line) if ascii_only else line for line in lines)


def summary(layout: dict[str, t.Any], facts: dict[str, t.Any] | None = None, ascii_only: bool = False) -> str:
    """A few lines for the end of a run: the grade, and the worst verdict of each way over all ordered pairs."""
    ground = Ground(layout, facts)
    found = grade.grade(ground)
    names = list(ground.kernels)
    # Which kernels these are does not matter here: a few of each sort stand for all.
    pairs = verdict.pairs(ground) if len(names) <= 64 else [("host", names[1]), *((name, "host") for name in names[1:])]
    judged = [verdict.judge(ground, *pair) for pair in pairs]
    worst: dict[tuple[int, bool, str], list[str]] = {}
    for way in vector.VECTORS:
        kinds = [one[way.id].verdict for one in judged]
        kind = max(kinds, key=vector.VERDICTS.index, default=vector.UNKNOWN)
        differ = len(set(kinds)) > 1
        said = f"{_LONG[kind]}, {'at worst' if differ else 'each to each'}"
        worst.setdefault((-vector.VERDICTS.index(kind), differ, said), []).append(way.title)
    reason = _first_reason(found)
    lines = _wrapped(f"Isolation grade {_graded(found.proven, found.possible)}: {reason}. No hypervisor stands between {_listed(names)}.")
    for (_rank, _differ, said), ways in sorted(worst.items()):
        lines += _wrapped(f"{said}: {'; '.join(ways)}", "  ", "    ")
    lines.append("mkl report tells what stands in each way, for each ordered pair, and what a hypervisor would do.")
    return "\n".join(_plain(line) if ascii_only else line for line in lines)


def _pairs(ground: Ground, kernels: t.Collection[str]) -> list[tuple[str, str]]:
    count = len(ground.kernels)
    if not kernels and count * (count - 1) > MOST_PAIRS:
        raise TooManyPairsError(f"{count} kernels make {count * (count - 1)} ordered pairs: name some kernels to report on")
    if not kernels:
        return verdict.pairs(ground)
    return [(one, other) for one in ground.kernels for other in ground.kernels if one != other and (one in kernels or other in kernels)]


def _unplaced(layout: dict[str, t.Any]) -> dict[str, t.Any]:
    """The layout without its places: its digest names what was declared."""

    def bare(one: dict[str, t.Any]) -> dict[str, t.Any]:
        return {key: value for key, value in one.items() if key != "placed"}

    parts = {part: {name: bare(one) for name, one in layout[part].items()} for part in ("instances", "channels")}
    return {**layout, **parts}


def _grade_lines(found: dict[str, t.Any]) -> list[str]:
    own = found["grade"]
    where = f" on {found['machine']['hostname'] or 'a machine'}" if found["machine"] else ""
    lines = [f"{found['layout']['name']}{where}: isolation grade {_graded(own['proven'], own['possible'])} (A to F)"]
    for one in own["conditions"]:
        mark = {True: "yes", False: "no ", None: "?  "}[one["met"]]
        lines += _wrapped(f"{mark} for {one['grade']}: {one['sentence']} [{', '.join(one['evidence'])}]", "  ", "             ")
    if own["minimum"] is not None:
        said = {True: "is reached", False: "is NOT reached", None: "is not known to be reached"}[own["reached"]]
        lines.append(f"The layout asks for grade {own['minimum']}, which {said}.")
    return lines


def _graded(proven: str, possible: str) -> str:
    return proven if proven == possible else f"{proven}, at best {possible}"


def _first_reason(found: grade.Grade) -> str:
    """What keeps it from the next grade."""
    following = grade.GRADES[min(grade.GRADES.index(found.proven) + 1, len(grade.GRADES) - 1)]
    return "; ".join(one.sentence for one in found.against(following)) or "nothing is missing"


def cells(found: dict[str, t.Any], way: str) -> dict[tuple[str, str, tuple[str, ...]], list[tuple[str, str]]]:
    """The pairs by what is said of them, the worst first; what differs only by the kernel's own name is said once."""
    cells: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, str]]] = {}
    for pair in found["pairs"]:
        cell = pair["ways"][way]
        evidence = tuple(_nameless(one) for one in cell["evidence"])
        cells.setdefault((cell["verdict"], cell["why"], evidence), []).append((pair["from"], pair["to"]))
    return dict(sorted(cells.items(), key=lambda item: -vector.VERDICTS.index(item[0][0])))


def _nameless(evidence: str) -> str:
    """layout:instances.web.image as layout:instances.*.image."""
    head, dot, rest = evidence.partition("layout:instances.")
    _name, second, key = rest.rpartition(".")
    return f"{dot}*.{key}" if dot and not head and second else evidence


def who(pairs: list[tuple[str, str]], names: list[str], arrow: str) -> str:
    """The pairs in few words: by their first kernel, and `all others` where that is so."""
    if len(pairs) == len(names) * (len(names) - 1):
        return f"each {arrow} each other"
    targets: dict[tuple[str, ...], list[str]] = {}
    for source in dict.fromkeys(one for one, _other in pairs):
        targets.setdefault(tuple(other for one, other in pairs if one == source), []).append(source)
    # Those that reach everyone differ in the one that is themselves.
    full = [source for key, sources in targets.items() if len(key) == len(names) - 1 for source in sources]
    parts = [f"{', '.join(full)} {arrow} all others"] if full else []
    parts += [f"{', '.join(sources)} {arrow} {', '.join(key)}" for key, sources in targets.items() if len(key) < len(names) - 1]
    return "; ".join(parts)


def _listed(names: t.Sequence[str]) -> str:
    shown = [*names[:8], f"{len(names) - 8} more"] if len(names) > 9 else list(names)
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _wrapped(line: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(line, grid.WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def _plain(line: str) -> str:
    return line.encode("ascii", "replace").decode("ascii")
