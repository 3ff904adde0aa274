# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layout, read and judged: `examine` reads it, judges it against the rules, and says of every finding where it was written."""

from __future__ import annotations

import dataclasses
import typing as t

from ..module_utils._layout.canonical import digest
from ..module_utils._plan import collector
from ..module_utils._rules import engine
from ..module_utils._rules.finding import Finding
from ._model.errors import LayoutError, LayoutErrors
from ._model.layout import load_layout
from ._subject import Subject, located


@dataclasses.dataclass
class Verdict:
    """What came out: the canonical layout and its digest (None when there are errors), errors, findings.

    findings: plain data, each with rule, severity, verdict, message, path, hint, waived, and file, line, column (null when not
    known). With facts given, placed is the layout with its places, or None where it has none on that machine. rules: how many
    rules "pass", "fail" and are "unknown".
    """

    errors: list[LayoutError] = dataclasses.field(default_factory=list)
    canonical: dict[str, t.Any] | None = None
    digest: str | None = None
    findings: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    placed: dict[str, t.Any] | None = None
    rules: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def failures(self) -> list[dict[str, t.Any]]:
        """The findings that make the layout bad; see failures()."""
        return failures(self.findings)

    @property
    def good(self) -> bool:
        """Neither errors nor failed rules."""
        return not self.errors and not self.failures


def examine(subject: Subject, facts: dict[str, t.Any] | None = None) -> Verdict:
    """Read and judge a layout; facts: the facts bundle of one machine, when it is to be judged for that machine."""
    try:
        canonical = load_layout(subject.raw, subject.locator)
    except LayoutErrors as errors:
        return Verdict(errors=errors.errors)
    verdict = Verdict(canonical=canonical, digest=digest(canonical))
    findings, verdict.placed = judged(canonical, facts)
    verdict.findings = [located(finding.to_dict(), subject.locator) for finding in findings]
    verdict.rules = engine.count(findings)
    return verdict


def failures(findings: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The findings that make a layout bad: errors that failed. (A waived one is no error any more.)"""
    return [one for one in findings if one["severity"] == "error" and one["verdict"] == "fail"]


@collector.paused
def judged(canonical: dict[str, t.Any], facts: dict[str, t.Any] | None) -> tuple[list[Finding], dict[str, t.Any] | None]:
    """The findings about a canonical layout, and the placed layout where there are facts and a place."""
    placed, without_place = None, []
    if facts is not None:
        from ..module_utils._dialect.choice import offline
        from ..module_utils._plan.place import PlacementError  # a layout alone is judged without waiting for it

        try:
            placed = offline(facts).place(canonical, facts, {})
        except PlacementError as error:
            without_place = error.findings
    findings = engine.judge(canonical, facts, placed)
    # Where a rule has failed already, that there is no place is only its consequence.
    told = {finding.path[:2] for finding in findings if finding.blocks and finding.verdict == "fail"}
    return [*findings, *(finding for finding in without_place if finding.path[:2] not in told)], placed
