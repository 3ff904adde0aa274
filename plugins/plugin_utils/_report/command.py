# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl report and mkl render: what separates the kernels of a layout, and how the machine looks.

Everything is returned as text and an exit code; the command line prints it.
"""

from __future__ import annotations

import json
import typing as t

from ...module_utils._plan.place import PlacementError, place
from .._check import Subject, finding_line, located, read_facts
from .._model.errors import LayoutErrors
from .._model.layout import load_layout
from . import difference, isolation

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
        machine = bundle(facts) if facts else None
        first = _reported(path, key, machine, kernels)
        second = _reported(other, key, machine, kernels) if other else None
    except NotShown as error:
        return error.code, error.text
    if second is None:
        code = OK if first["grade"]["minimum"] is None or first["grade"]["reached"] else REFUSED
        return code, as_json(first) if form == "json" else isolation.text(first, ascii_only)
    found = difference.compare(first, second)
    return OPENED if found["worse"] else OK, as_json(found) if form == "json" else difference.text(found, ascii_only)


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


def placed(subject: Subject, canonical: Plain, machine: Plain | None) -> Plain:
    """The layout with its places on a machine, itself without one. Raises NotShown with the findings where it has no place."""
    if machine is None:
        return canonical
    try:
        return place(canonical, machine, None)
    except PlacementError as error:
        lines = [finding_line(located(finding.to_dict(), subject.locator)) for finding in error.findings]
        raise NotShown(REFUSED, "\n".join(lines)) from None


def as_json(value: t.Any) -> str:
    """Data as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _reported(path: str, key: str | None, machine: Plain | None, kernels: t.Sequence[str]) -> Plain:
    subject, canonical = read(path, key)
    shown = placed(subject, canonical, machine)
    try:
        return isolation.report(shown, machine, kernels)
    except isolation.TooManyPairsError as error:
        raise NotShown(USAGE, f"{path}: {error} with --kernel") from None
