# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A host's kexec in its two halves: prepare and leave in the old kernel, arrive in the new one."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .._converge import carried, health
from .._converge.base import ApplyError
from .._converge.journal import Journal
from .._converge.lock import Lock, LockError
from .._converge.store import Store
from .._dialect import table
from .._dialect.base import DialectError
from .._dialect.observe import MKSTOCK, mailbox, online, present
from . import calls, cmdline, judge

DELAY = 2.0  # seconds in which the answer reaches the controller
LONGEST_GAP = 2.0  # seconds; an instance beats once a second
Result = Dict[str, Any]


class HandoverError(Exception):
    """The host stays in its kernel, or did not arrive as it should; details is what a module returns besides."""

    def __init__(self, message: str, **details: Any) -> None:
        self.message, self.details = message, details
        super().__init__(message)


class Wish(NamedTuple):
    """The next kernel: paths on the host, more words for its command line, whether an unmeasured pair of kernels may be tried."""

    kernel: str
    initrd: Optional[str] = None
    append: Sequence[str] = ()
    unproven: bool = False
    lock_timeout: float = 30.0


def leave(system: Any, wish: Wish, check: bool = False, ways: Any = calls) -> Result:
    """Go into a kernel by kexec, unless check; the call comes back before. Raises HandoverError, and then nothing was changed.

    Returns {"changed", "cmdline", "release", "boot_id", "online": CPUs, "instances": {name: {"nonce", "beats", "tsc", "first",
    "longest"}}, "prerequisites"}.
    """
    if check:
        return _prepared(system, wish)
    try:
        with Lock(system.root, wish.lock_timeout, None):
            told = _prepared(system, wish)
            _go(system, wish, told["cmdline"], ways)
            return told
    except (LockError, ApplyError) as error:
        raise HandoverError(str(error)) from error


def _prepared(system: Any, wish: Wish) -> Result:
    kept, cut = carried.state(system), Journal(system.root).interrupted()
    facts = system.facts([wish.kernel])
    known, now = health.remembered(system), health.now(system=system)
    refusals = judge.host(system, facts, kept, bool(cut)) + judge.record(system) + judge.instances(system, facts, known, now)
    image = facts["images"][wish.kernel]
    refusals += judge.kernel(system, facts, image, wish.kernel, wish.unproven)
    if wish.initrd is not None and not system.exists(wish.initrd.lstrip("/")):
        refusals.append("there is no initrd %s on the host" % wish.initrd)
    line = ""
    try:
        cpus = judge.cpus_of(known, table.instances(system.read(MKSTOCK + "instances")) or [])
        line = cmdline.following(facts["kernel"]["cmdline"] or "", cpus, wish.append)
    except cmdline.CommandLineError as error:
        refusals.append(str(error))
    told = {
        "changed": True,
        "cmdline": line,
        "release": judge.release_of(image),
        "boot_id": facts["boot_id"],
        "online": online(system),
        "instances": {name: _pulse(system, one["spec"]["base"]) for name, one in sorted(known.items())},
        "prerequisites": judge.prerequisites(system, facts),
    }
    if refusals:
        told.update(changed=False, refusals=refusals)
        raise HandoverError("the host stays in its kernel: " + "; ".join(refusals), **told)
    return told


def _go(system: Any, wish: Wish, line: str, ways: Any) -> None:
    loaded = False
    try:
        kept = carried.state(system)
        if kept is not None and kept.get("apply"):
            system.write(carried.WORD, carried.word(kept))
        ways.load(wish.kernel, wish.initrd, line)
        loaded = True
        ways.leave(DELAY)
    except (OSError, DialectError, ApplyError) as error:
        if loaded:
            ways.unload()
        raise HandoverError("the host stays in its kernel: %s" % error, changed=False) from error


def _pulse(system: Any, base: int) -> Dict[str, Any]:
    words = mailbox(system, base) or {}
    first = words.get("tsc_first")
    return {
        "nonce": words.get("nonce"),
        "beats": words.get("beats"),
        "tsc": words.get("tsc_last"),
        "first": first,
        "longest": words.get("longest"),
    }


def arrive(system: Any, before: Result, check: bool = False, longest_gap: float = LONGEST_GAP) -> Result:
    """Hold the host after its kexec against what `leave` returned; remember what was adopted, and bring its other CPUs back.

    Returns {"changed", "adopted": see carried.adopted, "instances": {name: {"beats", "seconds", "longest", "gap": bool | None}},
    "online": CPUs that were brought back}. Raises HandoverError: an instance was not adopted, or did not live on.
    """
    boot = (system.read(carried.BOOT_ID) or "").strip()
    if not all(key in before for key in ("boot_id", "online", "instances")):
        raise HandoverError("before is not what the other half of the module returned")
    if boot == before["boot_id"]:
        raise HandoverError("the host is in the same boot as before: its kexec did not happen")
    report = carried.adopted(system.read(carried.ADOPTED))
    kept = carried.state(system)
    told: Result = {"changed": True, "adopted": report, "instances": {}, "online": []}
    wrong = ["%s was not adopted: %s" % one for one in sorted(report["refused"].items())]
    if before["instances"] and report["state"] != "adopted":
        wrong.append("mkstock adopted nothing (%s)" % (report["reason"] or report["state"] or "it is not loaded"))
    elif before["instances"] and (kept is None or kept.get("boot_id") != boot):
        wrong.append("what was adopted is not what the store remembers")
    now = health.now(system=system) if not wrong else {}
    khz = table.number_of(system.read(MKSTOCK + "info"), "tsc_khz") or 0
    for name, old in sorted(before["instances"].items()):
        spec = ((kept or {}).get("instances") or {}).get(name, {}).get("spec") or {}
        pulse = _pulse(system, spec["base"]) if spec else {}
        told["instances"][name] = one = _between(old, pulse, khz, longest_gap)
        alive = now.get(name) or {}
        if pulse.get("nonce") != old["nonce"] or alive.get("alive") is not True:
            wrong.append("%s did not live on (%s)" % (name, alive.get("why") or "nothing is heard of it"))
        elif one["gap"]:
            silent = "" if one["longest"] is None else ", none of them for %s s" % one["longest"]
            wrong.append("%s missed heartbeats: it made %s in %s s of its own clock%s" % (name, one["beats"], one["seconds"], silent))
    if wrong:
        raise HandoverError("the host is in its next kernel, and not all is well: " + "; ".join(wrong), **told)
    if kept is not None and not check and before["instances"]:
        Store(system.root).commit(kept)
    told["online"] = [] if check else _bring_back(system, before["online"], kept)
    return told


def _between(old: Dict[str, Any], new: Dict[str, Any], khz: int, longest_gap: float) -> Dict[str, Any]:
    """What an instance's own count says of the time between two looks. gap: whether it went without a beat; None when nothing tells."""
    told: Dict[str, Any] = {"beats": None, "seconds": None, "longest": None, "gap": None}
    if not khz or not old.get("tsc") or not new.get("tsc") or new["tsc"] < old["tsc"]:
        return told
    told["beats"], told["seconds"] = new["beats"] - old["beats"], round((new["tsc"] - old["tsc"]) / khz / 1000.0, 3)
    if new.get("longest"):
        # it counts since the instance's start: one that was as long before says nothing of this time
        told["longest"] = round(new["longest"] / khz / 1000.0, 3)
        if told["longest"] <= longest_gap or new["longest"] > old["longest"]:
            told["gap"] = told["longest"] > longest_gap
            return told
    # no word of its own: by the rate that it beat at before, a tenth of the beats may be missing
    spent = (old["tsc"] - old["first"]) / khz / 1000.0 if old.get("first") else 0.0
    rate = old["beats"] / spent if spent > 0 else 0.0
    told["gap"] = told["seconds"] - told["beats"] / rate > max(longest_gap, told["seconds"] / 10) if rate > 0 else None
    return told


def _bring_back(system: Any, before: List[int], kept: Optional[Dict[str, Any]]) -> List[int]:
    """CPUs that the host ran on and that its next kernel did not start, since `maxcpus=` counts from 0."""
    taken = {cpu for one in ((kept or {}).get("instances") or {}).values() for cpu in one["spec"]["cpus"]}
    missing = [cpu for cpu in before if cpu not in online(system) and cpu in present(system) and cpu not in taken]
    try:
        for cpu in missing:
            system.write("sys/devices/system/cpu/cpu%d/online" % cpu, "1")
    except DialectError as error:
        raise HandoverError("not all of the CPUs %s came back: %s" % (missing, error)) from error
    return missing
