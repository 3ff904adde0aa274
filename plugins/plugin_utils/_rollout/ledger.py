# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller remembers of rollouts: one file for each digest, replaced as a whole, and a lock for all of them.

    FOLDER/DIGEST.json   the ledger of the rollout of this digest: its hosts and waves, and what happened when
    FOLDER/owner         a word that only this controller knows, by which it knows its own leases on hosts again
    FOLDER/lock.json     which ansible-playbook is at it: process id, the time at which the process started, user, since when

The lock belongs to the process that it names. Where that process does not live any more (a controller that was killed), whoever comes next
takes it over. A lost ledger loses the story, not the work: hosts tell themselves which layout they have.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import getpass
import hashlib
import json
import os
import re
import time
import typing as t
import uuid

from . import gate

Plain = dict[str, t.Any]
VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


class LedgerError(Exception):
    """Another rollout is at it, or a file cannot be used; the text says which and what would be right."""


def default_folder() -> str:
    """Where ledgers lie when nobody says otherwise: the same for all inventories of a user, so that there is one rollout at a time."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "multikernel", "rollout")


def rollout_digest(digests: t.Iterable[str]) -> str:
    """What a rollout is known by: the digest of the layout where all hosts get the same, else one of all their digests."""
    found = sorted(set(digests))
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


@dataclasses.dataclass
class Ledger:
    """One rollout. hosts: for each name state, kind, wave, before, wanted, reason, since, blackout, plan; waves: as planned by this run."""

    digest: str
    hosts: dict[str, Plain] = dataclasses.field(default_factory=dict)
    waves: list[Plain] = dataclasses.field(default_factory=list)
    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    events: list[Plain] = dataclasses.field(default_factory=list)
    outcome: str = "open"
    begun: float = 0.0
    attempts: int = 0
    settings: Plain = dataclasses.field(default_factory=dict)

    @property
    def states(self) -> dict[str, str]:
        """The state of each host by its name."""
        return {name: one["state"] for name, one in self.hosts.items()}

    @property
    def unsettled(self) -> set[str]:
        """Hosts that were touched in a wave whose gate was never passed: the controller was lost meanwhile."""
        passed = {name for wave in self.waves if wave.get("gate") for name in wave["hosts"]}
        return {name for name, one in self.hosts.items() if one["state"] in gate.TOUCHED and one.get("wave") and name not in passed}

    def set(self, name: str, state: str, reason: str = "", now: float | None = None, **more: t.Any) -> None:
        """Write down a new state of a host, and since when."""
        if state not in gate.STATES:
            raise ValueError(f"{state} is no state of a host in a rollout")
        one = self.hosts.setdefault(name, {"before": None})
        if one.get("state") != state:
            one["since"] = time.time() if now is None else now
        one.update(state=state, reason=reason, **more)

    def say(self, sentence: str, now: float | None = None) -> None:
        """Add a line to the story."""
        self.events.append({"at": time.time() if now is None else now, "say": sentence})


class Shelf:
    """The folder of the ledgers."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.expanduser(folder)

    def path(self, digest: str) -> str:
        """The file of a ledger."""
        if not _DIGEST.fullmatch(digest):
            raise LedgerError(f"{digest!r} is no digest of a rollout")
        return os.path.join(self.folder, f"{digest}.json")

    def load(self, digest: str) -> Ledger | None:
        """The ledger of a rollout, None when there is none. Raises LedgerError when the file is damaged."""
        path = self.path(digest)
        try:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
            if told.pop("version") != VERSION or told["digest"] != digest:
                raise ValueError("it is of another kind")
            return Ledger(**told)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerError(
                f"the ledger {path} cannot be used ({error}); move it away: hosts that have the layout are recognised without it, "
                "only the story of the rollout is lost"
            ) from error

    def open(self, digest: str) -> Ledger:
        """The ledger of a rollout, a new one when there is none."""
        return self.load(digest) or Ledger(digest)

    def owner(self) -> str:
        """The word by which this controller marks its leases. All its rollouts share it: they come one after the other."""
        path = os.path.join(self.folder, "owner")
        with self._guard():
            try:
                with open(path, encoding="utf-8") as file:
                    word = file.read().strip()
            except OSError:
                word = ""
            if not word:
                word = uuid.uuid4().hex
                write(path, f"{word}\n")
            return word

    def save(self, ledger: Ledger) -> None:
        """Replace the file of the ledger as a whole. Raises LedgerError."""
        write(self.path(ledger.digest), json.dumps({"version": VERSION, **dataclasses.asdict(ledger)}, indent=1) + "\n")

    def lock(self, process: int, what: str) -> None:
        """Take the lock for the ansible-playbook of this process id. Raises LedgerError when another one that lives has it."""
        with self._guard():
            holder = self._holder()
            if holder is not None and (holder["pid"], holder["started"]) != (process, _started(process)):
                raise LedgerError(
                    f"another rollout is at it: process {holder['pid']} of user {holder['user']}, since {holder['since']}, "
                    f"for {holder['what']}; wait for its end, or end it: rollouts come one after the other"
                )
            record = {
                "pid": process,
                "started": _started(process),
                "user": user(),
                "since": time.strftime("%Y-%m-%d %H:%M:%S"),
                "what": what,
            }
            write(os.path.join(self.folder, "lock.json"), json.dumps(record) + "\n")

    def unlock(self, process: int) -> None:
        """Give the lock back, when this process has it."""
        with self._guard():
            holder = self._holder()
            if holder is not None and holder["pid"] == process:
                os.unlink(os.path.join(self.folder, "lock.json"))

    def _holder(self) -> Plain | None:
        """Who has the lock, None when nobody has it or who had it does not live any more."""
        try:
            with open(os.path.join(self.folder, "lock.json"), encoding="utf-8") as file:
                holder: Plain = json.load(file)
            return holder if holder["started"] is not None and _started(int(holder["pid"])) == holder["started"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def _guard(self) -> t.Iterator[None]:
        """Nobody else looks at the lock meanwhile."""
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            handle = os.open(os.path.join(self.folder, "guard"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                f"the folder of the ledgers {self.folder} cannot be used: {error.strerror}; rollout_folder names another"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def write(path: str, text: str) -> None:
    """Replace a file as a whole, durably: who reads after a crash finds the old one or the new one. Raises LedgerError."""
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}") from error


def _started(process: int) -> int | None:
    """When a process started, in ticks since the boot (field 22 of /proc/PID/stat); None when it does not live."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            words = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else int(words[19])


def user() -> str:
    """Who runs this: the one who became root, where sudo tells."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
