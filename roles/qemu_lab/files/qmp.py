# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few words of the QEMU Machine Protocol, enough to ask a lab machine for its state and to end it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any


class QmpError(Exception):
    """The machine refused a command, or nobody listens at the socket."""


class Qmp:
    """One connection; a context manager. A UNIX socket path holds 107 bytes, so the connection goes by a link below /proc/self/fd."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        except OSError as error:
            self._socket.close()
            raise QmpError(f"no QEMU listens at {path}: {error.strerror}") from error
        finally:
            os.close(folder)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        try:
            self._lines.readline()
            self.ask("qmp_capabilities")
        except (OSError, QmpError) as error:  # it takes connections all the same while it stands still (SIGSTOP)
            self.__exit__(None, None, None)
            raise QmpError(f"the QEMU at {path} does not answer: {error}") from error

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run one command and return its answer; events in between are dropped."""
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            for line in self._lines:
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise QmpError(f"QEMU refused {command}: {answer['error'].get('desc')}")
        except OSError as error:
            raise QmpError(f"QEMU did not answer {command}: {error}") from error
        raise QmpError(f"QEMU closed the connection during {command}")

    def monitor(self, line: str) -> str:
        """Run one line of the human monitor (savevm has no QMP command without a job); its output is the error, when there is one."""
        return str(self.ask("human-monitor-command", **{"command-line": line}))
