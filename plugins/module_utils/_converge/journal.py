# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The journal: what is about to be done, and what was done, one checksummed JSON line each.

An apply writes `begin`, for each step `step` before and `done` (or `failed`) after it, for each step taken back `undo` and
`undone`, and at last `end`. An apply without `end` was cut off; the next one finds here what to take back. A last line
that was not written to its end is as if it had never been begun: the step that it would announce was not started.

`begin` and `end` are on the disk before anything else happens. What is between them outlives the process that wrote it, and need not
outlive the host: what the steps did is in the memory of a kernel and goes with it, and of an apply of an earlier boot only `begin` is
looked at (see recover.py). A disk takes longer to be sure of a line than most steps take.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from typing import Any, Dict, List, Optional, Tuple

from . import files

PATH = "var/lib/multikernel/journal.jsonl"
LASTING = ("begin", "end")
KEEP = 1 << 18  # bytes; a longer journal loses its finished applies. Every apply reads it, a mebibyte in 0.4 s on an emulated CPU

Record = Dict[str, Any]


class Journal:
    """The journal below root. Every record can be read by other processes when `write` returns."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, PATH)
        self.apply: Optional[str] = None
        self._handle = -1
        self._known: Tuple[List[Record], int] = ([], -1)

    def begin(self, record: Record) -> str:
        """Open an apply and return its id. Cuts off a torn last line of an earlier one, so that ours begins a line."""
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        self._trim()
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.apply = "%s-%s" % (time.strftime("%Y%m%dT%H%M%S"), os.urandom(4).hex())
        self.write("begin", record)
        return self.apply

    def resume(self, apply: str) -> None:
        """Go on writing to an apply that was cut off."""
        self._trim()
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.apply = apply

    def write(self, kind: str, record: Optional[Record] = None) -> None:
        """Append one record, and wait until it is on the disk when it is one of LASTING."""
        line = {"apply": self.apply, "kind": kind, "time": round(time.time(), 3)}
        line.update(record or {})
        text = json.dumps(line, sort_keys=True)
        with files.naming(self.path):
            files.write_all(self._handle, ("%s %s\n" % (_sum(text), text)).encode())
            if kind in LASTING:
                os.fsync(self._handle)

    def note(self, kind: str, record: Optional[Record] = None) -> None:
        """Write one record if that can be done: taking back a change matters more than writing down that it is taken back."""
        with contextlib.suppress(OSError):
            self.write(kind, record)

    def end(self, result: str) -> None:
        """Close the apply: `applied`, `undone` or `recovered`."""
        self.note("end", {"result": result})
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._handle, self.apply = -1, None

    def interrupted(self) -> List[Record]:
        """The records of the last apply when it has no `end`, else none."""
        self._known = _scan(self.path)
        records = self._known[0]
        if not records or records[-1]["kind"] == "end":
            return []
        return [record for record in records if record["apply"] == records[-1]["apply"]]

    def _trim(self) -> None:
        """Keep what can be read, and of a journal that grew long only an unfinished apply."""
        try:
            size = os.path.getsize(self.path)
        except FileNotFoundError:
            return
        # the file only grows: what was read to its very end, and has that length still, needs not be read again
        records, whole = self._known if self._known[1] == size else _scan(self.path)
        if whole > KEEP and records[-1]["kind"] == "end":
            whole = 0
        if whole != size:
            handle = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.ftruncate(handle, whole)
                os.fsync(handle)
            finally:
                os.close(handle)


def read(path: str) -> List[Record]:
    """All records up to the first line that is torn or damaged; none without a file."""
    return _scan(path)[0]


def _scan(path: str) -> Tuple[List[Record], int]:
    """The readable records, and the length of the file that they fill in bytes."""
    records: List[Record] = []
    whole = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                checksum, _blank, text = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
                if not line.endswith(b"\n") or checksum != _sum(text):
                    break
                records.append(json.loads(text))
                whole += len(line)
    except FileNotFoundError:
        pass
    return records, whole


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
