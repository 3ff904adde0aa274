# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host: what the kernel that the machine booted keeps for itself."""

from __future__ import annotations

from .._pydantic import Field
from .spelling import CpuSet, Size, Strict


class Host(Strict):
    """What stays with the host kernel."""

    cpus: CpuSet | None = Field(
        default=None,
        description="CPUs that stay with the host kernel. The boot CPU must be among them. Left out: all that no instance takes.",
        examples=["0-1"],
    )
    memory_min: Size | None = Field(default=None, description="Memory that the host must keep.", examples=["1GiB"])
