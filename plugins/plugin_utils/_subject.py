# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout as it was written, and where: what errors and findings about it are told with.

Apart from the rules, which the tasks that only send a layout to a host do without.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ._model.errors import Locator, Position, dotted
from ._model.locate import SourceFile
from ._model.tagged import TaggedData


@dataclasses.dataclass(frozen=True)
class Subject:
    """A layout as it was written, and who knows where."""

    raw: t.Any
    locator: Locator

    @classmethod
    def of_file(cls, path: str, key: str | None = None) -> Subject:
        """The layout in a YAML or JSON file; key: the dotted key that holds it, when it is not the whole file.

        Raises LayoutErrors when the file cannot be read or is no plain YAML.
        """
        source = SourceFile.open(path, tuple(key.split(".")) if key else ())
        return cls(source.data, source)

    @classmethod
    def of_data(cls, raw: t.Any) -> Subject:
        """The layout in a variable of Ansible."""
        return cls(raw, TaggedData(raw))


def located(finding: dict[str, t.Any], locator: Locator | None) -> dict[str, t.Any]:
    """The finding with file, line and column of what it is about."""
    place = locator.position(tuple(finding.get("path") or ())) if locator is not None else None
    return {
        **finding,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def finding_line(finding: dict[str, t.Any]) -> str:
    """A located finding in one line: place, severity, rule, path, sentence, hint."""
    place = f"{Position(finding['file'], finding['line'], finding['column'])}: " if finding.get("file") else ""
    path = dotted(finding.get("path") or ())
    word = "not known" if finding["verdict"] == "unknown" else finding["severity"]
    text = f"{place}{word} [{finding['rule']}] {path + ': ' if path else ''}{finding['message']}"
    return f"{text} ({finding['hint']})" if finding.get("hint") else text
