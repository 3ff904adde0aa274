# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that forgets: what POSIX promises of write(2), fsync(2) and rename(2), and nothing more.

The files lie below a real folder, so that everything reads them as always. Beside it the disk keeps what a power cut would leave: the
bytes of a file since its last fsync may be there, or not, or in part, and a name that was made, moved or removed since the last fsync
of its folder may have stayed as it was. Names are lost from the last one back, as on a journaling file system.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import files, journal, lock
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash

LASTING = ("var/lib/multikernel", "etc/multikernel")  # /run is in memory


class Gate:
    """Counts everything that changes the machine or the disk, and ends the process at one of it. A process that ended changes nothing."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.count, self.dead = at, 0, False

    def step(self) -> None:
        """One more point at which the process may end. Raises Crash there, and ever after."""
        if self.dead:
            raise Crash
        self.count += 1
        if self.count == self.at:
            self.dead = True
            raise Crash


@dataclass
class Inode:
    """The bytes of a file, those that a power cut leaves for sure, and whether there are any such."""

    path: str
    lasting: bytes = b""


class Disk:
    """The files of one machine below root."""

    def __init__(self, root: str, gate: Gate) -> None:
        self.root, self.gate = root, gate
        self.inodes: dict[str, Inode] = {}
        self.names: dict[str, Inode] = {}  # what the folders hold on the disk
        self.pending: list[tuple[str, str, Inode | None]] = []  # (folder, path, what it is afterwards), in order
        self.handles: dict[int, str] = {}
        for folder in LASTING:
            for path in sorted(Path(root, folder).rglob("*")):
                if path.is_file():
                    self.inodes[str(path)] = self.names[str(path)] = Inode(str(path), path.read_bytes())

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Everything that the target ring writes goes through this disk."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (files, journal, lock):
                patch.setattr(module, "os", _Os(self))
            try:
                yield
            finally:  # the kernel does it for a process that ended
                for handle in list(self.handles):
                    self.close(handle)

    # what a process does

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        """open(2)."""
        if flags & os.O_CREAT and not os.path.exists(path):
            self.gate.step()
            handle = os.open(path, flags, mode)
            self._named(path, Inode(path))
        else:
            if flags & os.O_TRUNC:
                self.gate.step()
            handle = os.open(path, flags, mode)
        self.handles[handle] = path
        return handle

    def write(self, handle: int, data: bytes) -> int:
        """write(2), which a crash may leave in the middle."""
        self.gate.step()
        try:
            self.gate.step()
        except Crash:
            os.write(handle, data[: len(data) // 2])
            raise
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """fsync(2) of a file or of a folder."""
        self.gate.step()
        path = self.handles[handle]
        if os.path.isdir(path):
            rest = []
            for folder, name, inode in self.pending:
                if folder == path:
                    self._settle(name, inode)
                else:
                    rest.append((folder, name, inode))
            self.pending = rest
        elif path in self.inodes:
            self.inodes[path].lasting = Path(path).read_bytes()

    def rename(self, source: str, target: str) -> None:
        """rename(2)."""
        self.gate.step()
        os.rename(source, target)
        inode = self.inodes.pop(source)
        inode.path = target
        self.inodes[target] = inode
        self.pending += [(os.path.dirname(target), target, inode), (os.path.dirname(source), source, None)]

    def unlink(self, path: str) -> None:
        """unlink(2)."""
        if os.path.exists(path):
            self.gate.step()
        os.unlink(path)
        self.inodes.pop(path, None)
        self.pending.append((os.path.dirname(path), path, None))

    def close(self, handle: int) -> None:
        """close(2)."""
        if self.handles.pop(handle, None) is not None:
            os.close(handle)

    def ftruncate(self, handle: int, size: int) -> None:
        """ftruncate(2)."""
        if not self.gate.dead:
            self.gate.step()
            os.ftruncate(handle, size)

    def pwrite(self, handle: int, data: bytes, offset: int) -> int:
        """pwrite(2)."""
        self.gate.step()
        return os.pwrite(handle, data, offset)

    # what a power cut does

    def lose_power(self, dice: random.Random) -> None:
        """Leave below the root what is on the disk."""
        for _folder, name, inode in self.pending[: dice.randint(0, len(self.pending))]:
            self._settle(name, inode)
        left = {name: self._bytes(inode, dice) for name, inode in self.names.items()}
        for folder in LASTING:
            for path in Path(self.root, folder).rglob("*"):
                if path.is_file():
                    path.unlink()
        for name, data in left.items():
            Path(name).write_bytes(data)
        Path(self.root, "run/multikernel/lock").unlink(missing_ok=True)

    def _bytes(self, inode: Inode, dice: random.Random) -> bytes:
        try:
            now = Path(inode.path).read_bytes() if self.inodes.get(inode.path) is inode else inode.lasting
        except FileNotFoundError:
            return inode.lasting
        if now == inode.lasting:
            return now
        pairs = enumerate(zip(now, inode.lasting, strict=False))
        kept = next((at for at, (new, old) in pairs if new != old), min(len(now), len(inode.lasting)))
        torn = now[: dice.randint(kept, len(now))]
        return dice.choice([inode.lasting, now, torn, torn + b"\0" * dice.randint(1, 64)])

    def _named(self, path: str, inode: Inode) -> None:
        self.inodes[path] = inode
        self.pending.append((os.path.dirname(path), path, inode))

    def _settle(self, name: str, inode: Inode | None) -> None:
        if inode is None:
            self.names.pop(name, None)
        else:
            self.names[name] = inode


class _Os:
    """The module os as the target ring sees it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        mine: Callable[..., Any] | None = getattr(self._disk, name, None) if name in _CALLS else None
        return mine or getattr(os, name)


_CALLS = ("open", "write", "fsync", "rename", "unlink", "close", "ftruncate", "pwrite")
