# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Questions to an instance that may hang: a command of the host, a TCP connection. Neither ever blocks whoever asks.

A probe is made (that begins it) and polled until it says (well or not, sentence); after its limit it is ended, whatever it does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

Answer = Tuple[bool, str]

KEEP = 400  # bytes of what a command says last
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}


class Command:
    """A command without a shell, in a process group of its own; its environment is ENVIRONMENT and `environment`. limit in seconds.

    hopeless: why it can never be well, where it could not even be started.
    """

    def __init__(self, argv: List[str], environment: Dict[str, str], limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.argv, self.limit, self.clock, self.begun = argv, limit, clock, clock()
        self.hopeless: Optional[str] = None
        self.said = b""
        self._process: Optional[subprocess.Popen[bytes]] = None
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(ENVIRONMENT, **environment),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self.hopeless = "the command %s cannot be run: %s" % (argv[0], error.strerror)

    def poll(self) -> Optional[Answer]:
        """What came of it, None while it runs."""
        if self._process is None:
            return False, self.hopeless or "the command %s was ended" % self.argv[0]
        self._listen()
        done = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if done is None:
            if self.clock() - self.begun < self.limit:
                return None
            self.close()
            return False, "the command %s did not end within %g s and was killed" % (self.argv[0], self.limit)
        self._listen()
        status = self._end()
        if status == 0:
            return True, "the command %s says that it is well" % self.argv[0]
        how = "was killed by signal %d" % -status if status < 0 else "ended with status %d" % status
        said = " ".join(self.said.decode("utf-8", "replace").split())
        said = "".join(char for char in said if char.isprintable())
        return False, "the command %s %s%s" % (self.argv[0], how, ": %s" % said if said else "")

    def close(self) -> None:
        """End it, and everything that it has started and that is still of its group."""
        if self._process is not None:
            self._end()

    def _listen(self) -> None:
        stream = self._process.stdout if self._process is not None else None
        if stream is None:
            return
        for _turn in range(64):
            if not select.select([stream], [], [], 0)[0]:
                return
            data = os.read(stream.fileno(), 4096)
            if not data:
                return
            self.said = (self.said + data)[-KEEP:]

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # before its number can be another's: it is not reaped yet
        status = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return status


class Tcp:
    """A connection to an address (no name: looking one up may take minutes) and port; well when it is made. limit in seconds."""

    hopeless: Optional[str] = None

    def __init__(self, host: str, port: int, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.where, self.limit, self.clock, self.begun = "%s port %d" % (host, port), limit, clock, clock()
        self._socket: Optional[socket.socket] = None
        self._early: Optional[Answer] = None
        try:
            self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            code = self._socket.connect_ex((host, port))
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code not in (0, errno.EINPROGRESS):
            self._early = self._failed(code)

    def poll(self) -> Optional[Answer]:
        """What came of it, None while nobody has answered."""
        if self._early is not None or self._socket is None:
            return self._early or (False, "the connection to %s was given up" % self.where)
        if not select.select([], [self._socket], [], 0)[1]:
            if self.clock() - self.begun < self.limit:
                return None
            self.close()
            self._early = (False, "%s did not answer within %g s" % (self.where, self.limit))
            return self._early
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.close()
        self._early = self._failed(code) if code else (True, "%s answers" % self.where)
        return self._early

    def close(self) -> None:
        """Let it go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _failed(self, code: int) -> Answer:
        self.close()
        return False, "%s cannot be reached: %s" % (self.where, os.strerror(code))


def begin(kind: str, what: Any, name: str, limit: float) -> Any:
    """The probe of a gate: kind "command" (what: argv) or "tcp" (what: {"host", "port"}) about the instance of this name."""
    if kind == "tcp":
        return Tcp(what["host"], what["port"], limit)
    return Command(list(what), {"MULTIKERNEL_INSTANCE": name}, limit)
