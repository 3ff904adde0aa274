# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How an apply says that it did not come about."""

from __future__ import annotations

from typing import Any


class ApplyError(Exception):
    """The layout was refused, or could not be made so; the text is a sentence, details what a module returns besides."""

    def __init__(self, message: str, **details: Any) -> None:
        self.message, self.details = message, details
        super().__init__(message)
