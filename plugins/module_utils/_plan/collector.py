# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Python's cycle collector, paused while many objects are made of which none is garbage.

It looks again and again through everything that is alive while ten thousand instances are placed, for cycles that placement
and planning never make; that takes twice as long as the work itself. The same while Ansible packs a module.
"""

from __future__ import annotations

import functools
import gc
from typing import Any, Callable, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def paused(function: Function) -> Function:
    """The function with the collector off, and on again afterwards where it was on."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return cast(Function, run)
