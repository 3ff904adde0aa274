# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One apply at a time: an flock(2) on /run/multikernel/lock, which the kernel drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import time
from typing import Any, Callable, Dict, Optional

PATH = "run/multikernel/lock"
POLL = 0.1


class LockError(Exception):
    """Somebody else holds the lock; the text says who, since when and for what."""


class Lock:
    """Context manager. timeout: seconds to wait for another holder; digest: what the holder is about to apply."""

    def __init__(
        self,
        root: str,
        timeout: float,
        digest: Optional[str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        path: str = PATH,
    ) -> None:
        self.name, self.path = path, os.path.join(root, path)
        self.timeout, self.digest, self.clock, self.sleep = timeout, digest, clock, sleep
        self._handle = -1

    def __enter__(self) -> "Lock":
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LockError("the lock /%s cannot be opened: %s" % (self.name, error.strerror)) from error
        begin = self.clock()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if self.clock() - begin >= self.timeout:
                    message = self._who(handle)
                    os.close(handle)
                    raise LockError(message) from error
            self.sleep(POLL)
        self._handle = handle
        self._note({"pid": os.getpid(), "user": _user(), "since": time.strftime("%Y-%m-%d %H:%M:%S"), "digest": self.digest})
        return self

    def __exit__(self, *_error: Any) -> None:
        self._note(None)
        os.close(self._handle)
        self._handle = -1

    def _note(self, holder: Optional[Dict[str, Any]]) -> None:
        """Say who holds the lock, for others to read. It is held all the same where that cannot be written, on a full /run for instance."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            if holder is not None:
                os.pwrite(self._handle, json.dumps(holder).encode(), 0)

    def _who(self, handle: int) -> str:
        waited = "after waiting %g s" % self.timeout
        try:
            holder = json.loads(os.pread(handle, 4096, 0).decode())
            what = "layout %s" % holder["digest"][:12] if holder["digest"] else "the removal of the layout"
            return "another apply holds the lock %s: process %d of user %s, since %s, for %s" % (
                waited,
                holder["pid"],
                holder["user"],
                holder["since"],
                what,
            )
        except (ValueError, KeyError, TypeError):
            return "another apply holds the lock %s" % waited


def is_held(root: str, path: str = PATH) -> bool:
    """Whether somebody holds the lock now. It is not tried: that would be in the way of who wants it in the same moment."""
    try:
        inode = ":%d" % os.stat(os.path.join(root, path)).st_ino
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return False
    # NUMBER: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END; who waits has an arrow after the number
    return any(len(row) > 5 and row[1] == "FLOCK" and row[5].endswith(inode) for row in rows)


def _user() -> str:
    """The one who became root, where sudo tells, else the user of the process."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
