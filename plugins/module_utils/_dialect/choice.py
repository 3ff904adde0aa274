# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which dialect a host is spoken to in: one line for each."""

from __future__ import annotations

from typing import Any, Dict

from .base import Dialect
from .rfc import Rfc

DIALECTS = {"rfc": Rfc}


def choose(facts: Dict[str, Any], system: Any, health_within: float, console_logs: Dict[str, str]) -> Dialect:
    """The dialect of the host. One without multikernel gets the RFC's, whose probe then says what is missing."""
    return DIALECTS.get(facts["dialect"]["name"], Rfc)(system, health_within, console_logs)
