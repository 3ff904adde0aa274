# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl report and mkl render: what separates the kernels of a layout, and how the machine looks.

Everything is returned as text and an exit code; the command line prints it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ...module_utils._dialect.choice import offline
from ...module_utils._plan.place import PlacementError
from .. import _fleet
from .._facts import read_facts
from .._model.errors import LayoutErrors
from .._model.layout import load_layout
from .._offline import read_state, steps
from .._subject import Subject, finding_line, located
from . import difference, fleet, isolation, machine, page, scene, svg, topology

#: Of more kernels than this, the pairs are not listed in a picture.
_MOST_KERNELS = 128
OK, REFUSED, USAGE, OPENED = 0, 1, 2, 3

Answer = tuple[int, str]
Plain = dict[str, t.Any]


class NotShown(Exception):
    """There is nothing to show: the code to exit with, and the sentences to print."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def report(
    path: str,
    key: str | None = None,
    facts: str | None = None,
    other: str | None = None,
    kernels: t.Sequence[str] = (),
    form: str = "text",
    ascii_only: bool = False,
) -> Answer:
    """The isolation report of a layout file, or (other: a second file) what opened and closed from the first to the second.

    Exit codes: 0; 1 the layout is invalid, has no place, or does not surely reach its minimum_grade; 2 wrong usage; 3 something
    opened.
    """
    try:
        known = bundle(facts) if facts else None
        first = _reported(path, key, known, kernels)
        second = _reported(other, key, known, kernels) if other else None
    except NotShown as error:
        return error.code, error.text
    if second is None:
        code = OK if first["grade"]["minimum"] is None or first["grade"]["reached"] else REFUSED
        return code, as_json(first) if form == "json" else isolation.text(first, ascii_only)
    found = difference.compare(first, second)
    return OPENED if found["worse"] else OK, as_json(found) if form == "json" else difference.text(found, ascii_only)


def render(
    path: str,
    key: str | None = None,
    facts: t.Sequence[str] = (),
    before: str | None = None,
    state: str | None = None,
    form: str = "text",
    ascii_only: bool = False,
) -> Answer:
    """A layout file as a picture: of one machine (none: of what the layout says alone), or of several machines as an overview.

    before: an older layout file, or state: an observed state (layout_info returns one), to be drawn beside it. form: text, svg,
    html or json. Exit codes: 0; 1 the layout is invalid or has no place, or one of several machines would refuse it; 2 wrong usage,
    or a bundle that cannot be read.
    """
    try:
        if len(facts) > 1 or (facts and os.path.isdir(facts[0])):
            if before or state or form == "svg":
                raise NotShown(USAGE, "several machines make an overview, which has no before and no SVG: give one --facts for these")
            return _overview(path, key, facts, form, ascii_only)
        known = bundle(facts[0]) if facts else None
        subject, canonical = read(path, key)
        seen = _seen(state, known)
        shown = placed(subject, canonical, known, seen)
        wanted = _steps(shown, known, seen)
        older = scene.of_state(shown, seen) if seen else None
        if before:
            older = placed(*read(before, key), known)
    except NotShown as error:
        return error.code, error.text
    states = {name: str(one.get("state")) for name, one in seen["instances"].items()} if seen else {}
    marks = scene.numbers(*([older] if older else []), shown)
    after = scene.scene(shown, known, marks, states)
    past = scene.scene(older, known, marks, states) if older else None
    if form == "svg":
        return OK, svg.draw(after, past).rstrip("\n")
    told = isolation.report(shown, known) if len(after.owners) <= _MOST_KERNELS else None
    if form == "html":
        return OK, page.page(after, told, past, wanted, (known or {}).get("hostname")).rstrip("\n")
    if form == "json":
        memory = [dataclasses.asdict(piece) for piece in after.memory]
        cpus = {name: one.cpus for name, one in after.owners.items()}
        return OK, as_json({"layout": shown, "cpus": cpus, "memory": memory, "isolation": told})
    parts = [machine.draw(shown, known, None, ascii_only), topology.cores(after, ascii_only), isolation.summary(shown, known, ascii_only)]
    if older:
        parts.insert(0, "BEFORE\n" + machine.draw(older, known, None, ascii_only) + "\n\nAFTER")
        parts.append("\n".join(f"{number:3}. {step}" for number, step in enumerate(wanted, 1)) if wanted else "")
    return OK, "\n\n".join(part for part in parts if part)


def _overview(path: str, key: str | None, bundles: t.Sequence[str], form: str, ascii_only: bool) -> Answer:
    subject, canonical = read(path, key)
    try:
        machines = _fleet.judge(canonical, _fleet.bundles(bundles))
    except LayoutErrors as error:
        raise NotShown(USAGE, str(error)) from None
    counts = _fleet.counts(machines)
    code = REFUSED if counts[_fleet.REFUSED] else USAGE if counts[_fleet.UNREADABLE] else OK
    if form == "html":
        return code, fleet.page(canonical["name"], machines, subject.locator).rstrip("\n")
    if form == "json":
        return code, as_json(_fleet.to_dict(machines, subject.locator))
    said = _fleet.text(machines, subject.locator)
    return code, said.encode("ascii", "replace").decode("ascii") if ascii_only else said


def _seen(path: str | None, known: Plain | None) -> Plain | None:
    """The observed state in a file."""
    if path is None:
        return None
    if known is None:
        raise NotShown(USAGE, "--state needs the machine that it was seen on: give its --facts")
    try:
        return read_state(path)
    except LayoutErrors as error:
        raise NotShown(USAGE, str(error)) from None


def _steps(shown: Plain, known: Plain | None, seen: Plain | None) -> list[str]:
    """What a plan would do from an observed state to a placed layout."""
    if seen is None or known is None:
        return []
    try:
        return [step.say for step in steps(shown, known, seen, None)]
    except PlacementError as error:
        raise NotShown(REFUSED, "\n".join(finding_line(located(one.to_dict(), None)) for one in error.findings)) from None


def bundle(path: str) -> Plain:
    """A facts bundle from a file. Raises NotShown with a sentence where it cannot be read."""
    try:
        return read_facts(path)
    except LayoutErrors as error:
        raise NotShown(USAGE, str(error)) from None


def read(path: str, key: str | None) -> tuple[Subject, Plain]:
    """A layout file as it was written and as a canonical layout. Raises NotShown with all that is wrong with it."""
    try:
        subject = Subject.of_file(path, key)
        return subject, load_layout(subject.raw, subject.locator)
    except LayoutErrors as error:
        unreadable = any(one.position is None for one in error)
        raise NotShown(USAGE if unreadable else REFUSED, "\n".join(str(one) for one in error)) from None


def placed(subject: Subject, canonical: Plain, known: Plain | None, seen: Plain | None = None) -> Plain:
    """The layout with its places on a machine, itself without one. seen: what runs there already keeps its place.

    Raises NotShown with the findings where it has no place.
    """
    if known is None:
        return canonical
    try:
        shown: Plain = offline(known).place(canonical, known, seen or {})
        return shown
    except PlacementError as error:
        lines = [finding_line(located(finding.to_dict(), subject.locator)) for finding in error.findings]
        raise NotShown(REFUSED, "\n".join(lines)) from None


def as_json(value: t.Any) -> str:
    """Data as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _reported(path: str, key: str | None, known: Plain | None, kernels: t.Sequence[str]) -> Plain:
    subject, canonical = read(path, key)
    shown = placed(subject, canonical, known)
    try:
        return isolation.report(shown, known, kernels)
    except isolation.TooManyPairsError as error:
        raise NotShown(USAGE, f"{path}: {error} with --kernel") from None
