# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a kernfs host shows of itself, joined with what is remembered; every property carries its kind of evidence.

The kernel tells which instances there are, their CPUs, memory and state. It does not tell whether an active one lives: the mailbox
does, where mkstock is the kernel. What it was started with is remembered.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .._plan.place import ENTRY_OFFSET
from . import table
from .base import OBSERVED, REMEMBERED, UNVERIFIABLE, State
from .kernfs_files import KIMAGE, Found, Tree
from .observe import ENDED, MKSTOCK, is_readable, listen, mailbox, online, present
from .system import System

NOTHING: Dict[str, Any] = {"cpus": [], "blocks": [], "pool": [], "channels": {}}


def observe(system: System, tree: Tree, remembered: Optional[Dict[str, Any]], facts: Dict[str, Any], mounted: bool) -> State:
    """The state of the host, as base.py and kernfs.py describe it, but for "mounted". What is not mounted is taken for empty."""
    kept = remembered or {}
    if kept.get("boot_id") != facts["boot_id"]:
        kept = {"digest": kept.get("digest")}
    root = tree.host() if mounted else {"live": False}
    pool = {key: root[key] for key in ("cpus", "available", "memory")} if root["live"] else {"cpus": [], "available": [], "memory": []}
    found = tree.instances() if mounted else {}
    tree.seen = tree.transactions() if mounted else set()
    known = kept.get("instances") or {}
    ours = {name: one for name, one in found.items() if name in known and _is_ours(known[name]["spec"], one)}
    here = _Here(system, facts, ours)
    here.hear(known)
    return {
        "version": 1,
        "boot_id": facts["boot_id"],
        "digest": kept.get("digest"),
        "table": system.read(KIMAGE) or "",
        "images": tree.images(),
        "cpus": {"online": online(system), "present": present(system)},
        "pool": pool,
        "select": True,
        "kill": True,
        "instances": {name: here.instance(name, one) for name, one in sorted(known.items())},
        "channels": table.channels(system.read(MKSTOCK + "channels")),
        "made": kept.get("made") or dict(NOTHING),
        "transactions": sorted(tree.seen),
        "foreign": {"images": [], "instances": [here.foreign(one) for name, one in found.items() if name not in ours]},
    }


def _is_ours(spec: Dict[str, Any], one: Found) -> bool:
    """Whether an instance is the one that was made from here, not another one of its name."""
    return spec.get("id") in (None, one.id) and sorted(spec["apic_ids"]) == sorted(one.cpus) and spec["size"] == one.size


def adopted(name: str, found: Dict[str, Any], spec: Dict[str, Any], health: Any) -> Dict[str, Any]:
    """What is to be remembered of an instance that somebody else made and that is ours from now on; what it boots is the layout's word."""
    words = {"active": "running", "loaded": "loaded"}
    mine = dict(spec, id=found["id"], base=found["memory"][0][0] if found["memory"] else None)
    mine.update(apic_ids=list(found["apic_ids"]), cpus=list(found["cpus"]), size=sum(size for _base, size in found["memory"]))
    return {"state": words.get(found["status"], "defined"), "spec": mine, "health": health, "nonce": None, "uname": None, "adopted": True}


class _Here:
    """The readings that the state of each remembered instance is judged by."""

    def __init__(self, system: System, facts: Dict[str, Any], found: Dict[str, Found]) -> None:
        self.system, self.found = system, found
        self.mkstock = facts["dialect"]["provider"] == "mkstock"
        each = facts["cpus"]["each"] or {}
        self.logical = {one["apic_id"]: int(cpu) for cpu, one in each.items() if one.get("apic_id") is not None}
        self.heard: Dict[str, Tuple[Optional[Dict[str, Any]], bool]] = {}

    def hear(self, known: Dict[str, Any]) -> None:
        """Listen to those of which no mark is known yet: all at once."""
        bases = {
            name: one.base
            for name, one in self.found.items()
            if self.mkstock and one.status == "active" and one.base is not None and known[name].get("nonce") is None
        }
        self.heard = listen(self.system, bases) if bases else {}

    def instance(self, name: str, known: Dict[str, Any]) -> Dict[str, Any]:
        one = self.found.get(name)
        spec = dict(known["spec"])
        words = mailbox(self.system, one.base) if self.mkstock and one is not None and one.base is not None else None
        nonce = known.get("nonce")
        if nonce is None and words is not None and known.get("adopted"):
            nonce = words["nonce"]
        ours = words is not None and words["nonce"] == nonce
        if one is not None:
            spec.update(id=one.id, base=one.base, apic_ids=list(one.cpus), cpus=[self.logical.get(cpu, cpu) for cpu in one.cpus])
            # the stub that mkstock's loader puts there, by which mkstock's own list names the instance
            spec["entry"] = one.base + ENTRY_OFFSET if self.mkstock and one.base is not None else None
            spec["channels"] = [self._channel(channel) for channel in spec["channels"]]
        state, evidence = self._state(name, known, one, words if ours else None)
        owned = OBSERVED if one is not None else REMEMBERED
        return {
            "state": state,
            "status": None if one is None else one.status,
            "spec": spec,
            "memory": {"base": spec["base"], "size": spec["size"]},
            "health": known.get("health"),
            "nonce": nonce,
            "uname": words["uname"] if ours and words else known.get("uname"),
            "beats": words["beats"] if ours and words else None,
            "text": words["text"] if ours and words else "",
            "evidence": {
                "state": evidence,
                "cpus": owned,
                "memory": owned,
                "uname": OBSERVED if ours else REMEMBERED,
                "image": UNVERIFIABLE if known.get("adopted") else REMEMBERED,
            },
        }

    def _channel(self, channel: Dict[str, Any]) -> Dict[str, Any]:
        owner = self.found.get(channel["owner"])
        return dict(channel, address=None if owner is None or owner.base is None else owner.base + channel["offset"])

    def _state(self, name: str, known: Dict[str, Any], one: Optional[Found], words: Optional[Dict[str, Any]]) -> Tuple[str, str]:
        if one is None:
            return "ended", OBSERVED
        if one.status == "loaded":
            return ("ended" if known["state"] == "running" else "loaded"), OBSERVED
        if one.status != "active":
            return ("ended" if known["state"] == "running" else "defined"), OBSERVED
        if not self.mkstock:
            return "running", UNVERIFIABLE
        if words is not None and words["state"] in ENDED:
            return "ended", OBSERVED
        if words is not None:
            return "running", OBSERVED
        return ("silent", REMEMBERED) if is_readable(self.system, one.base) else ("running", UNVERIFIABLE)

    def foreign(self, one: Found) -> Dict[str, Any]:
        """An instance that was not made from here."""
        cpus: List[int] = [self.logical[cpu] for cpu in one.cpus if cpu in self.logical]
        memory = [] if one.base is None else [[one.base, one.size]]
        told = {"name": one.name, "id": one.id, "status": one.status, "entry": one.base or 0}
        return dict(told, cpus=cpus, apic_ids=list(one.cpus), memory=memory)
