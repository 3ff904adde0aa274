# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""One piece of work in a thread of its own, for what waits for the disk or is computed outside of Python (a checksum)."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional


class Beside:
    """Begins `work` at once; result() waits for it and returns what it returned, or raises what it raised.

    As a context it is waited for in any case. Where the host allows no further thread, it is done right here.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run)
        try:
            self._thread.start()
        except RuntimeError:
            self._run()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_how: object) -> None:
        self._wait()

    def result(self) -> Any:
        """What came of it."""
        self._wait()
        if self._error is not None:
            raise self._error
        return self._result

    def _wait(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  it is raised by result()
            self._error = error
