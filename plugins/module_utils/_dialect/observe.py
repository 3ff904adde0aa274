# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an RFC host shows of itself, joined with what is remembered; every property carries its kind of evidence."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .._boot import mailbox as mailboxes
from .._layout import cpuset
from . import table
from .base import OBSERVED, REMEMBERED, UNVERIFIABLE, State
from .system import System

MKSTOCK = "sys/kernel/mkstock/"
ENDED = ("panicked", "halted", "restart-requested", "powered-off")
BEAT_WAIT = 3.0  # seconds in which a live instance must have beaten again; it beats once a second, and hosts are busy
POLL = 0.05

Remembered = Dict[str, Any]


def observe(system: System, remembered: Optional[Remembered], facts: Dict[str, Any]) -> State:
    """The state of the host. What was remembered of an earlier boot of the host counts for nothing but the digest."""
    text = system.read("proc/multikernel") or ""
    rows = table.images(text)
    running = table.instances(system.read(MKSTOCK + "instances"))
    kept = remembered or {}
    if kept.get("boot_id") != facts["boot_id"]:
        kept = {"digest": kept.get("digest")}
    known = kept.get("instances") or {}
    here = _Here(system, rows, running, set(online(system)))
    if running is None:
        # nothing but its heartbeat tells whether an instance lives
        here.heard = listen(system, {name: one["spec"]["base"] for name, one in known.items() if one["state"] != "loaded"})
    instances = {name: here.instance(name, one) for name, one in sorted(known.items())}
    entries = {one["spec"]["entry"] for one in known.values()}
    return {
        "version": 1,
        "boot_id": facts["boot_id"],
        "digest": kept.get("digest"),
        "table": text,
        "images": rows,
        "cpus": {"online": online(system), "present": present(system)},
        "pool": table.pool(system.read(MKSTOCK + "pool")),
        "select": system.exists(MKSTOCK + "select") and not facts["dialect"]["strict"],
        "kill": system.exists(MKSTOCK + "kill"),
        "instances": instances,
        "channels": table.channels(system.read(MKSTOCK + "channels")),
        "made": kept.get("made") or {"cpus": [], "blocks": [], "pool": [], "channels": {}, "devices": {}},
        "foreign": {
            "images": [row["entry"] for row in rows if row["type"] == "multikernel" and row["entry"] not in entries],
            "instances": [one for one in running or [] if one["entry"] not in entries],
        },
    }


def online(system: System) -> List[int]:
    """Logical CPUs that the host runs on."""
    return cpuset.parse((system.read("sys/devices/system/cpu/online") or "").strip())


def present(system: System) -> List[int]:
    """Logical CPUs that the host has."""
    return cpuset.parse((system.read("sys/devices/system/cpu/present") or "").strip())


def mailbox(system: System, base: int) -> Optional[Dict[str, Any]]:
    """The mailbox of the instance at base, None when the host cannot read it or there is none."""
    page = system.physical(base, mailboxes.SIZE)
    if page is None:
        return None
    words: Dict[str, Any] = mailboxes.parse(page)
    return words if words["valid"] else None


def is_readable(system: System, base: Optional[int]) -> bool:
    """Whether this host shows the memory where a mailbox would be; locked down (kernel_lockdown(7)) it does not, whatever runs there."""
    return base is not None and system.physical(base, mailboxes.SIZE) is not None


def listen(system: System, bases: Dict[str, int], wait: float = BEAT_WAIT) -> Dict[str, Tuple[Optional[Dict[str, Any]], bool]]:
    """For each name the mailbox at its base, and whether its beats advance; all are listened to at once, at most wait seconds.

    A mailbox that cannot be read is None; one that says that its instance ended is not waited for.
    """
    first = {name: mailbox(system, base) for name, base in bases.items()}
    heard: Dict[str, Tuple[Optional[Dict[str, Any]], bool]] = {name: (words, False) for name, words in first.items()}
    waiting = {name for name, words in first.items() if words is not None and words["state"] not in ENDED}
    begin = system.monotonic()
    while waiting and system.monotonic() - begin < wait:
        system.sleep(POLL)
        for name in sorted(waiting):
            before, latest = first[name], mailbox(system, bases[name])
            if latest is None or before is None:
                waiting.discard(name)
            elif latest["nonce"] != before["nonce"] or latest["beats"] != before["beats"] or latest["state"] in ENDED:
                heard[name] = (latest, latest["nonce"] == before["nonce"] and latest["beats"] != before["beats"])
                waiting.discard(name)
    return heard


def advances(system: System, base: int, wait: float = BEAT_WAIT) -> Tuple[Optional[Dict[str, Any]], bool]:
    """The mailbox at base, and whether its beats advance within wait seconds."""
    return listen(system, {"": base}, wait)[""]


def ended(words: Dict[str, Any]) -> str:
    """How an instance ended, as its mailbox tells, as a verb: panicked, halted, asked for a restart, powered off."""
    verbs = {"restart-requested": "asked for a restart", "powered-off": "powered off"}
    return verbs.get(words["state"], str(words["state"]))


class _Here:
    """The readings that the state of each remembered instance is judged by."""

    def __init__(self, system: System, rows: List[Dict[str, Any]], running: Optional[List[Dict[str, Any]]], online_: Any) -> None:
        self.system, self.rows, self.running, self.online = system, rows, running, online_
        self.heard: Dict[str, Tuple[Optional[Dict[str, Any]], bool]] = {}

    def instance(self, name: str, known: Dict[str, Any]) -> Dict[str, Any]:
        spec = known["spec"]
        line = next((one for one in self.running or [] if one["entry"] == spec["entry"]), None)
        words = mailbox(self.system, spec["base"])
        ours = words is not None and words["nonce"] == known.get("nonce")
        owned = OBSERVED if line is not None else REMEMBERED
        state, evidence = self._state(name, known, line, words if ours else None)
        return {
            "state": state,
            "spec": spec,
            "memory": {"base": spec["base"], "size": spec["size"]},
            "health": known.get("health"),
            "nonce": known.get("nonce"),
            "uname": words["uname"] if ours and words else known.get("uname"),
            "beats": words["beats"] if ours and words else None,
            "text": (words["text"] if ours and words else "") or (line or {}).get("text", ""),
            "evidence": {"state": evidence, "cpus": owned, "memory": owned, "uname": OBSERVED if ours else REMEMBERED, "image": REMEMBERED},
        }

    def _state(self, name: str, known: Dict[str, Any], line: Optional[Dict[str, Any]], words: Optional[Dict[str, Any]]) -> Tuple[str, str]:
        spec = known["spec"]
        if known["state"] == "loaded":
            listed = any(row["type"] == "multikernel" and row["entry"] == spec["entry"] for row in self.rows)
            return ("loaded" if listed else "unknown"), OBSERVED
        if words is not None and words["state"] in ENDED:
            return "ended", OBSERVED
        if line is not None:
            if line["state"] != "running":
                return "ended", OBSERVED
            if words is None:
                return ("silent", REMEMBERED) if is_readable(self.system, spec["base"]) else ("running", UNVERIFIABLE)
            return "running", OBSERVED
        if self.running is not None or any(cpu in self.online for cpu in spec["cpus"]):
            return "ended", OBSERVED
        if words is not None and self.heard[name][1]:
            return "running", OBSERVED
        return "silent", UNVERIFIABLE
