# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Words to systemd and to its journal: sd_notify(3) by a datagram, log lines on standard error with a priority before them."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any, Dict, Optional, TextIO

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6


class Systemd:
    """The service manager, where there is one. environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked at."""

    def __init__(self, environment: Optional[Dict[str, str]] = None, stream: Optional[TextIO] = None) -> None:
        told = dict(os.environ) if environment is None else environment
        self.stream: Any = stream if stream is not None else sys.stderr
        self.address = told.get("NOTIFY_SOCKET") or ""
        mine = told.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        usec = told.get("WATCHDOG_USEC") or ""
        self.watchdog = int(usec) / 1e6 if mine and usec.isdigit() else None  # seconds, None: nobody watches
        self._said: Optional[str] = None

    def send(self, *lines: str) -> bool:
        """Send assignments such as READY=1. False: nobody listens."""
        if not self.address.startswith(("/", "@")):
            return False
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
                link.connect(address)
                link.sendall("\n".join(lines).encode())
        except OSError:
            return False
        return True

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows, where it is another one."""
        if text != self._said and self.send("STATUS=%s" % _line(text)):
            self._said = text

    def alive(self, starting: bool = False) -> None:
        """Say that we go on; starting: and that we need more time until we are ready."""
        self.send(*(["EXTEND_TIMEOUT_USEC=120000000"] if starting else []), "WATCHDOG=1")

    def log(self, priority: int, text: str) -> None:
        """One line for the journal."""
        try:
            self.stream.write("<%d>%s\n" % (priority, _line(text)))
            self.stream.flush()
        except (OSError, ValueError):
            pass  # a log that nobody takes must not end the supervision


def _line(text: str) -> str:
    """Text of instances may be in it: one line, and nothing that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)[:2000]
