# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The program /usr/lib/multikernel/multikernel-layout, which the unit multikernel-layout.service runs."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, List, Optional

from .._converge.lock import Lock, LockError
from .._converge.signals import SIGNALS
from .._dialect.system import System
from .loop import Supervisor
from .notify import ERROR, Systemd

PATH = "run/multikernel/supervisor.lock"  # held by the one supervisor of a host
USAGE = "usage: multikernel-layout (no arguments; started by multikernel-layout.service)\n"


class Watched(System):
    """The machine; whoever waits for something tells the service manager meanwhile that he goes on."""

    def __init__(self, systemd: Systemd, root: str = "/") -> None:
        super().__init__(root)
        self.systemd, self.starting = systemd, True

    def sleep(self, seconds: float) -> None:
        """Let seconds pass."""
        super().sleep(seconds)
        self.systemd.alive(self.starting)


def main(arguments: Optional[List[str]] = None) -> int:
    """Supervise until a signal. Returns 0, 2 for arguments, 1 when another supervisor runs or this one may not see the machine."""
    if (sys.argv[1:] if arguments is None else arguments) != []:
        sys.stderr.write(USAGE)
        return 2
    systemd = Systemd()
    if os.geteuid() != 0:
        systemd.log(ERROR, "only root can see and start instances")
        return 1
    system = Watched(systemd)

    def asked(number: int, _frame: Any) -> None:
        system.asked = signal.Signals(number).name

    for number in SIGNALS:
        signal.signal(number, asked)
    try:
        with Lock(system.root, 0.0, None, path=PATH):
            gc.freeze()  # what was imported stays; there is no need to look through it again and again
            Supervisor(system, systemd).run()
    except LockError:
        systemd.log(ERROR, "another supervisor runs on this host")
        return 1
    return 0
