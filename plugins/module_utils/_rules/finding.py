# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""One finding: what a rule says of one place in a layout."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

SEVERITIES = ("error", "warning", "info")
VERDICTS = ("pass", "fail", "unknown")


class Finding(NamedTuple):
    """A sentence about one place in a layout.

    path leads to the place, for example ("instances", "web", "cpus"); hint says what would be right; waived is the reason
    that the layout gives for living with it (severity is info then).
    """

    rule: str
    severity: str
    verdict: str
    message: str
    path: Tuple[Any, ...] = ()
    hint: Optional[str] = None
    waived: Optional[str] = None

    @property
    def blocks(self) -> bool:
        """Whether a change must not go on: an error that failed, or that could not be judged."""
        return self.severity == "error" and self.verdict != "pass"

    def to_dict(self) -> Dict[str, Any]:
        """The finding as plain JSON data."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "verdict": self.verdict,
            "message": self.message,
            "path": list(self.path),
            "hint": self.hint,
            "waived": self.waived,
        }
