# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy: what an apply may do, and how much isolation the layout must reach."""

from __future__ import annotations

from .._pydantic import Field
from .spelling import Strict, one_of


class Isolation(Strict):
    """What the layout must reach in the isolation report."""

    minimum_grade: one_of("A", "B", "C", "D", "F") | None = Field(  # type: ignore[valid-type]
        default=None, description="Refuse a layout whose isolation grade is worse than this. Without a hypervisor, A cannot be reached."
    )


class Policy(Strict):
    """What an apply may do."""

    isolation: Isolation = Field(default_factory=Isolation, description="How much isolation is asked for.")
    disruption: one_of("refuse", "allow") = Field(  # type: ignore[valid-type]
        default="refuse", description="May an apply restart or stop a running instance in order to change it?"
    )
