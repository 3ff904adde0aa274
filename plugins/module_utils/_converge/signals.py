# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A connection that breaks ends the process in the middle of a change; so the signal is noted, and the change taken back first."""

from __future__ import annotations

import signal
import threading
from typing import Any, Dict

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Deferred:
    """Context manager: a signal that would end the process sets system.stopped and system.asked to its name instead.

    An undo clears the first, since who asked for the end waits for it; the second stays."""

    def __init__(self, system: Any) -> None:
        self.system = system
        self.handlers: Dict[int, Any] = {}

    def __enter__(self) -> "Deferred":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self.handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_error: Any) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: Any) -> None:
        self.system.stopped = self.system.asked = signal.Signals(number).name
