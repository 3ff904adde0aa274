# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is kept of an instance that died: /var/lib/multikernel/post-mortem/NAME-TIME/, for root alone, bounded in number and size.

    report.json    when, why, which boot, what the host knew of it
    console.txt    the last lines that it said to the host (4 KiB at most; where its console is one that the host reads)
    mailbox.bin    its mailbox page, as it was left

Its memory is not kept: it may be gigabytes, and another boot overwrites it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, Dict, List, Optional

from .._boot import mailbox
from .._converge import files
from .._dialect import gates

FOLDER = "var/lib/multikernel/post-mortem"
KEEP = 10  # of one instance
KEEP_ALL = 50
CONSOLE = 16 << 10  # bytes of text


def keep(system: Any, name: str, known: Dict[str, Any], console: Optional[int], verdict: Dict[str, Any], restart: str) -> str:
    """Save what can be saved and return the folder; older ones make room for it. Raises OSError.

    known is what the store remembers of the instance, console the number of its console, None where it has none.
    """
    top = os.path.join(system.root, FOLDER)
    os.makedirs(top, mode=0o700, exist_ok=True)
    folder = _fresh(top, "%s-%s" % (name, time.strftime("%Y%m%dT%H%M%S", time.gmtime())))
    spec = known["spec"]
    said = gates.tail(system, console, 200)
    report = {
        "version": 1,
        "instance": name,
        "time": round(time.time(), 3),
        "state": verdict["state"],
        "why": verdict["why"],
        "restart": restart,
        "beats": verdict.get("beats"),
        "silent_for": verdict.get("silent_for"),
        "uname": verdict.get("uname") or known.get("uname"),
        "last_words": verdict.get("text") or "",
        "nonce": known.get("nonce"),
        "cpus": spec["cpus"],
        "memory": {"base": spec["base"], "size": spec["size"]},
        "image": spec["image"],
        "console_lines": len(said),
    }
    try:
        _write(os.path.join(folder, "report.json"), (json.dumps(report, sort_keys=True, indent=1) + "\n").encode())
        _write(os.path.join(folder, "console.txt"), "".join(line + "\n" for line in said).encode()[-CONSOLE:])
        page = None if spec["base"] is None else system.physical(spec["base"], mailbox.SIZE)
        if page is not None:
            _write(os.path.join(folder, "mailbox.bin"), page)
        files.sync_folder(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # a disk that is full gets no half of it
        raise
    finally:
        trim(system.root)
    return folder


def trim(root: str) -> None:
    """Remove the oldest beyond the bounds."""
    top = os.path.join(root, FOLDER)
    kept: Dict[str, List[str]] = {}
    for one in listed(root):
        kept.setdefault(one.rpartition("-")[0], []).append(one)
    spare = [one for mine in kept.values() for one in mine[:-KEEP]]
    rest = sorted((one for mine in kept.values() for one in mine[-KEEP:]), key=_time)
    for one in spare + rest[:-KEEP_ALL]:
        shutil.rmtree(os.path.join(top, one), ignore_errors=True)


def listed(root: str) -> List[str]:
    """The names of all that are kept, the oldest first."""
    try:
        names = os.listdir(os.path.join(root, FOLDER))
    except OSError:
        return []
    return sorted((name for name in names if "-" in name), key=_time)


def _time(name: str) -> Any:
    stamp = name.rpartition("-")[2]
    moment, _dot, number = stamp.partition(".")
    return moment, int(number) if number.isdigit() else 0, name


def _fresh(top: str, name: str) -> str:
    """Make a folder of a name that was not there yet: several deaths may fall into one second, and the latest must sort last."""
    mine = [_time(one)[1] for one in os.listdir(top) if one.partition(".")[0] == name]
    folder = os.path.join(top, "%s.%d" % (name, max(mine) + 1) if mine else name)
    os.mkdir(folder, 0o700)
    return folder


def _write(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        files.write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
