# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Applies of what the host itself remembers: one instance of its layout, or an earlier layout."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, List, Optional, Sequence

from .._dialect.system import System
from .run import ApplyError, Options, Postponed, apply
from .store import Store

STATES = {"started": "running", "restarted": "running", "stopped": "defined"}


def instance(name: str, state: str, check: bool = False, options: Optional[Options] = None, system: Optional[Any] = None) -> Dict[str, Any]:
    """Start, stop or restart one instance of the layout that this host is to have.

    state: "started", "stopped" (the layout keeps it as defined) or "restarted". Returns and raises as run.apply does.
    """
    machine = system if system is not None else System()
    layout = Store(machine.root).desired()
    if layout is None:
        raise ApplyError("this host has no layout yet; apply one with the module multikernel.core.layout")
    if name not in layout["instances"]:
        known = ", ".join(sorted(layout["instances"])) or "none"
        raise ApplyError("the layout of this host has no instance %s (it has: %s)" % (name, known))
    wanted = copy.deepcopy(layout)
    wanted["instances"][name]["state"] = STATES[state]
    wish = (options or Options())._replace(consent=[name], only=[name], restart=[name] if state == "restarted" else [])
    return _short(apply(wanted, check=check, options=wish, system=machine))


def bring(
    names: Sequence[str],
    restart: bool = False,
    options: Optional[Options] = None,
    system: Optional[Any] = None,
    say: Optional[Callable[[str], None]] = None,
    unless: Optional[Callable[[], Optional[str]]] = None,
) -> Dict[str, Any]:
    """Start instances of the layout that this host is to have (names), as many of them as can be started; the layout stays as it is.

    One that fails, or for which the layout is refused, is left out, and the others are tried again. restart: these alone are started anew
    and every other instance stays as it is; else all of the layout is brought back. say: told of each one that is left out.
    unless: see Options. Returns {"failed": {name: why}, "recovered": [sentences], "postponed": why nothing was tried | None}.
    """
    machine = system if system is not None else System()
    outcome: Dict[str, Any] = {"failed": {}, "recovered": [], "postponed": None}
    out: Dict[str, int] = {}  # 1: it is not started; 2: and the layout is judged without it
    left = list(names)
    while left:
        layout = Store(machine.root).desired()
        if layout is None:
            outcome["failed"].update((name, "this host has no layout any more") for name in left)
            break
        only = sorted(left) if restart else None
        wish = (options or Options())._replace(consent=left, only=only, restart=left if restart else [], declared=layout, unless=unless)
        try:
            outcome["recovered"] += apply(_without(layout, out), options=wish, system=machine)["recovered"]
            break
        except Postponed as error:
            outcome["postponed"] = error.message
            break
        except ApplyError as error:
            blamed = [name for name in _blamed(error, layout) if out.get(name, 0) < 2]
            if error.details.get("stuck") or machine.asked is not None or not blamed:
                blamed = list(left)
            for name in blamed:
                out[name] = out.get(name, 0) + 1
                if name in left:
                    left.remove(name)
                    outcome["failed"][name] = error.message
                    if say is not None:
                        say("%s cannot be started: %s" % (name, error.message))
    return outcome


def _blamed(error: ApplyError, layout: Dict[str, Any]) -> List[str]:
    """The instances because of which an apply failed."""
    if error.details.get("instance") is not None:
        return [error.details["instance"]]
    found: List[str] = []
    for finding in error.details.get("findings") or []:
        path = list(finding.get("path") or ())[:2]
        if finding["severity"] != "error" or len(path) < 2:
            continue
        if path[0] == "instances":
            found.append(path[1])
        elif path[0] == "images":
            found += [name for name, one in layout["instances"].items() if one["image"] == path[1]]
    return sorted(set(found) & set(layout["instances"]))


def _without(layout: Dict[str, Any], out: Dict[str, int]) -> Dict[str, Any]:
    """The layout with some instances at rest, or left out with their channels and images."""
    reduced = copy.deepcopy(layout)
    for name, how in out.items():
        reduced["instances"][name]["state"] = "defined"
        if how > 1:
            del reduced["instances"][name]
    gone = {name for name, how in out.items() if how > 1}
    if gone:
        channels = reduced["channels"]
        reduced["channels"] = {name: one for name, one in channels.items() if not gone & set(one["between"])}
        used = {one["image"] for one in reduced["instances"].values()}
        reduced["images"] = {name: one for name, one in reduced["images"].items() if name in used}
    return reduced


def rollback(
    to: Optional[str] = None,
    disruption: Optional[str] = None,
    check: bool = False,
    options: Optional[Options] = None,
    system: Optional[Any] = None,
) -> Dict[str, Any]:
    """Apply an earlier layout again: the one before the present one, or the one whose digest begins with `to`.

    disruption "allow" lets running instances be restarted whatever the earlier layout says. Returns and raises as run.apply does.
    """
    machine = system if system is not None else System()
    store = Store(machine.root)
    digest = to or store.previous()
    if digest is None:
        raise ApplyError("there is no earlier layout to go back to on this host")
    layout = store.layout(digest)
    if layout is None:
        known = ", ".join(one[:12] for one in _unique(store.history())) or "none"
        raise ApplyError("this host remembers no single layout with the digest %s (it remembers, the oldest first: %s)" % (digest, known))
    names: List[str] = []
    if disruption == "allow":
        names = sorted(set(layout["instances"]) | set((store.state() or {}).get("instances") or {}))
    return apply(layout, check=check, options=(options or Options())._replace(consent=names), system=machine)


def _short(result: Dict[str, Any]) -> Dict[str, Any]:
    """A result without the facts, which only the pictures of a whole layout need."""
    return {key: value for key, value in result.items() if key != "facts"}


def _unique(digests: List[str]) -> List[str]:
    return list(dict.fromkeys(digests))
