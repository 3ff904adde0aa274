# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether an update of an instance is under way on this host, and how far it has come.

    /var/lib/multikernel/update.json: {"version": 1, "instance", "way": SIDE_BY_SIDE | STOP_START, "boot_id", "began": seconds,
    "present": digest of the layout before, "digest": of the layout afterwards, "layout": that layout, "switched": bool, "soaked": seconds}

It is written before anything is changed and removed after everything is. How far the update has come is not what it says, but what the
store says of the instances: that is committed together with what was done.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Sequence

from .._layout import canonical
from .._plan.successor import NEXT, OLD
from . import files
from .base import ApplyError
from .store import Store

PATH = "var/lib/multikernel/update.json"
BOOT_ID = "proc/sys/kernel/random/boot_id"

SIDE_BY_SIDE, STOP_START = "side-by-side", "stop-start"

# how far an update has come
NONE = "none"  # no update is under way
BEGUN = "begun"  # the successor runs beside the old one, which serves; stop-start: everything is checked, nothing is changed
SWITCHED = "switched"  # the successor has the name and the channels; side-by-side: the old one runs beside it
LOST = "lost"  # the begin was cut off and undone, or the host was booted since: nothing of the update runs
DONE = "done"  # everything was done but the last word


class Record:
    """The file below root."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, PATH)

    def read(self) -> Optional[Dict[str, Any]]:
        """The update that is under way, None without one."""
        try:
            kept = files.recall_json(self.path)
        except OSError as error:
            raise ApplyError("whether an update is under way cannot be read, so nothing was begun: %s" % files.reason(error)) from error
        return kept if isinstance(kept, dict) and kept.get("version") == 1 else None

    def write(self, record: Dict[str, Any]) -> None:
        """Remember an update. Raises OSError."""
        files.replace_json(self.path, dict(record, version=1))

    def remove(self) -> None:
        """There is no update any more. Raises OSError."""
        files.remove(self.path)


def stage(record: Optional[Dict[str, Any]], kept: Optional[Dict[str, Any]], boot_id: str) -> str:
    """How far an update has come, one of the words above; kept is what the store remembers."""
    if record is None:
        return NONE
    state = kept or {}
    here = boot_id == record["boot_id"] == state.get("boot_id")
    instances = state.get("instances") or {} if here else {}
    name, switched = record["instance"], record["switched"]
    if record["present"] != record["digest"] and state.get("digest") in (record["present"], record["digest"]):
        # what was committed counts: the record is written behind it, and the process may have ended between the two
        switched = state["digest"] == record["digest"]
    if name + NEXT in instances:
        return BEGUN
    if name + OLD in instances:
        return SWITCHED
    if record["way"] == STOP_START and here:
        return SWITCHED if switched else BEGUN
    return DONE if switched else LOST


def told(record: Dict[str, Any], how_far: str) -> str:
    """In a sentence: what is so now, and what finishes or undoes it."""
    name, digest = record["instance"], record["digest"][:12]
    if record["way"] == STOP_START:
        words = {BEGUN: "nothing is changed yet", SWITCHED: "%s runs as the new layout says, and the update is not ended" % name}
    else:
        words = {
            BEGUN: "%s serves, its successor runs beside it as %s" % (name, name + NEXT),
            SWITCHED: "the successor is %s now, and the old kernel runs beside it as %s" % (name, name + OLD),
        }
    words[LOST] = (
        "nothing of it runs: its beginning was cut off and undone, or the host was booted since; %s is as the old layout says" % name
    )
    words[DONE] = "the new layout is that of the host; only the record of the update is left"
    ends = {
        BEGUN: "stage: switch and stage: retire finish it, stage: retreat undoes it",
        SWITCHED: "stage: retire finishes it, stage: back and stage: retreat undo it",
        LOST: "stage: begin starts it anew, stage: retreat forgets it",
        DONE: "stage: retire removes it",
    }
    return "an update of %s to layout %s is under way: %s; %s" % (name, digest, words[how_far], ends[how_far])


def refuse(system: Any, layout: Optional[Dict[str, Any]], only: Optional[Sequence[str]]) -> None:
    """Raises ApplyError when the layout of the host is to be changed in the middle of an update. To take everything back (no layout) is
    always possible, and so is what concerns named instances alone and leaves the layout as it is."""
    record = Record(system.root).read()
    kept = Store(system.root).state()
    how_far = stage(record, kept, (system.read(BOOT_ID) or "").strip())
    if record is None or layout is None or how_far not in (BEGUN, SWITCHED):
        return
    if only is None or canonical.digest(layout) != (kept or {}).get("digest"):
        raise ApplyError("the layout is refused, nothing was changed: " + told(record, how_far))
