# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""After the host was booted anew: everything that the layout declares is started, and what was lost is said honestly.

/var/lib/multikernel/seen.json       which instances lived, the last time that somebody looked
/var/lib/multikernel/restored.json   what was made of them at the last boot, see `restore`
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, List, Optional

from .._converge import carried, desired, files
from .._converge.health import BOOT_ID
from .._converge.run import Options
from .._converge.store import Store
from .._dialect import table
from .._dialect.observe import MKSTOCK

SEEN = "var/lib/multikernel/seen.json"
RESTORED = "var/lib/multikernel/restored.json"
LOST = (
    "the memory of every instance that ran, and with it all that it had not written to a disk or sent elsewhere",
    "messages in channels, and what was in shared memory",
    "what instances said on their consoles and nobody had read",
)


def note(root: str, boot_id: str, alive: Dict[str, Dict[str, Any]], ended: Optional[str] = None) -> None:
    """Remember which instances live now, for the statement after the next boot. ended: why nobody looks any more. Raises OSError."""
    told = {"version": 1, "boot_id": boot_id, "time": round(time.time(), 3), "instances": alive, "ended": ended}
    files.replace_json(os.path.join(root, SEEN), told)


def needed(system: Any) -> Optional[str]:
    """Why the layout is to be brought back: the host was booted since it was applied. None: it was not, or there is no layout."""
    store = Store(system.root)
    kept = carried.state(system)
    boot = (system.read(BOOT_ID) or "").strip()
    if kept is None or store.desired() is None or not boot or kept.get("boot_id") == boot:
        return None
    return "the host was booted since the layout %s was applied" % str(kept.get("digest"))[:12]


def foreign(system: Any) -> List[str]:
    """Instances that run although nothing was started in this boot of the host: a host kernel before this one has left them."""
    lines = table.instances(system.read(MKSTOCK + "instances")) or []
    return ["on CPU %s" % ", ".join(str(cpu) for cpu in one["cpus"]) for one in lines if one["state"] == "running"]


def restore(system: Any, options: Optional[Options] = None, say: Optional[Callable[[str], None]] = None) -> Dict[str, Any]:
    """Bring the layout back and return the statement, which is also written to RESTORED.

    {"version": 1, "boot_id", "time", "seconds", "layout": digest, "before": {"boot_id", "time" of the last look, "ended",
    "running": [names]}, "restarted": [names], "failed": {name: why}, "not_running": [names that are not to run], "lost": [sentences],
    "recovered": [what was undone of an apply that was cut off]}. Raises nothing for what cannot be started; OSError when the
    statement cannot be written.
    """
    store = Store(system.root)
    layout, kept = store.desired() or {}, store.state() or {}
    begin = system.monotonic()
    names = sorted(name for name, one in layout["instances"].items() if one["state"] in ("running", "loaded"))
    outcome = desired.bring(names, options=options, system=system, say=say)
    statement = {
        "version": 1,
        "boot_id": (system.read(BOOT_ID) or "").strip(),
        "time": round(time.time(), 3),
        "seconds": round(system.monotonic() - begin, 3),
        "layout": kept.get("digest"),
        "before": _before(system.root, kept),
        "restarted": [name for name in names if name not in outcome["failed"]],
        "failed": outcome["failed"],
        "not_running": sorted(name for name in layout["instances"] if name not in names),
        "lost": list(LOST),
        "recovered": outcome["recovered"],
    }
    files.replace_json(os.path.join(system.root, RESTORED), statement)
    return statement


def sentences(statement: Dict[str, Any]) -> List[str]:
    """The statement for the journal."""
    before = statement["before"]
    when = "nobody knows when" if before["time"] is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(before["time"]))
    told = ["before this boot (last look: %s) these instances ran: %s" % (when, ", ".join(before["running"]) or "none")]
    told.append("started again from their beginning: %s (%.1f s)" % (", ".join(statement["restarted"]) or "none", statement["seconds"]))
    told += ["%s could not be started: %s" % (name, why) for name, why in sorted(statement["failed"].items())]
    if statement["recovered"]:
        told.append("an apply was cut off by the boot; undone of it: %s" % ", ".join(statement["recovered"]))
    if before["running"]:
        told.append("lost: %s" % "; ".join(statement["lost"]))
    return told


def _before(root: str, kept: Dict[str, Any]) -> Dict[str, Any]:
    seen = files.read_json(os.path.join(root, SEEN))
    if isinstance(seen, dict) and seen.get("boot_id") == kept.get("boot_id") and isinstance(seen.get("instances"), dict):
        running = sorted(seen["instances"])
        return {"boot_id": seen["boot_id"], "time": seen.get("time"), "ended": seen.get("ended"), "running": running}
    # nobody supervised them: what the last apply left is the last that is known
    running = sorted(name for name, one in (kept.get("instances") or {}).items() if one["state"] == "running")
    return {"boot_id": kept.get("boot_id"), "time": None, "ended": None, "running": running}
