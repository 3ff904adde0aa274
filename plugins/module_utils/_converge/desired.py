# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Applies of what the host itself remembers: one instance of its layout, or an earlier layout."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Dict, List, Optional

from .._dialect.system import System
from .run import ApplyError, Options, apply
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
    wish = replace(options or Options(), consent=[name], only=[name], restart=[name] if state == "restarted" else [])
    return _short(apply(wanted, check=check, options=wish, system=machine))


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
    return apply(layout, check=check, options=replace(options or Options(), consent=names), system=machine)


def _short(result: Dict[str, Any]) -> Dict[str, Any]:
    """A result without the facts, which only the pictures of a whole layout need."""
    return {key: value for key, value in result.items() if key != "facts"}


def _unique(digests: List[str]) -> List[str]:
    return list(dict.fromkeys(digests))
