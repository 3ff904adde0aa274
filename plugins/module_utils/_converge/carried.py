# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the store remembers after the host went into another kernel by kexec: the boot is another, and instances may run on.

What was remembered of another boot counts for nothing, but for one case: mkstock has adopted what the kernel before it left, and the
line that it carried over names the boot and the apply of which the store remembers. Both must be so; either alone proves nothing.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .._dialect import table
from .._dialect.observe import MKSTOCK, online
from .store import Store

BOOT_ID = "proc/sys/kernel/random/boot_id"
ADOPTED = MKSTOCK + "adopted"
WORD = MKSTOCK + "layout"  # one line that mkstock carries over

Kept = Dict[str, Any]


def state(system: Any) -> Optional[Kept]:
    """What Store.state() tells, as of this boot where the boot before was left by a kexec and its instances were adopted.

    "made" then holds what this boot's host does not have, either. Instances that were not adopted stay remembered: they ended.
    Reads only. None when nothing was ever applied.
    """
    kept = Store(system.root).state()
    boot = (system.read(BOOT_ID) or "").strip()
    if kept is None or not boot or kept.get("boot_id") in (None, boot) or not _proven(system, kept):
        return kept
    return dict(kept, boot_id=boot, made=_still_made(system, kept.get("made") or {}))


def word(kept: Kept) -> str:
    """The line for mkstock to carry over: which boot and which apply the record belongs to, and of which layout that was."""
    return "boot=%s apply=%s digest=%s" % (kept["boot_id"], kept["apply"], kept.get("digest") or "-")


def adopted(text: Optional[str]) -> Dict[str, Any]:
    """mkstock's file `adopted` as {"state", "reason", "adopted": [what], "refused": {what: why}}; state is None without the file."""
    told: Dict[str, Any] = {"state": None, "reason": None, "adopted": [], "refused": {}}
    for line in (text or "").splitlines():
        key, _blank, rest = line.partition(" ")
        what, refused, why = line.partition(" refused: ")
        if refused:
            told["refused"][what] = why
        elif line.endswith(" adopted") and key != "state":
            told["adopted"].append(line[: -len(" adopted")])
        elif key in ("state", "reason"):
            told[key] = rest
    return told


def _proven(system: Any, kept: Kept) -> bool:
    if kept.get("apply") is None or adopted(system.read(ADOPTED))["state"] not in ("adopted", "partly"):
        return False
    said = dict(one.partition("=")[::2] for one in (system.read(WORD) or "").split())
    return (said.get("boot"), said.get("apply")) == (kept["boot_id"], kept["apply"])


def _still_made(system: Any, made: Dict[str, Any]) -> Dict[str, Any]:
    """What was taken from the host before, and is not the host's now; a device is the host's after every boot."""
    here = set(online(system))
    lent: List[List[int]] = table.pool(system.read(MKSTOCK + "pool")) or []
    channels = table.channels(system.read(MKSTOCK + "channels")) or {}
    return {
        "cpus": [cpu for cpu in made.get("cpus") or [] if cpu not in here],
        "blocks": [block for block in made.get("blocks") or [] if _is_offline(system, block)],
        "pool": [part for part in made.get("pool") or [] if list(part) in lent],
        "channels": {name: one for name, one in (made.get("channels") or {}).items() if name in channels},
        "devices": {},
    }


def _is_offline(system: Any, block: int) -> bool:
    return (system.read("sys/devices/system/memory/memory%d/state" % block) or "").strip() == "offline"
