# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Who rolls out to this host: a lease, so that two controllers cannot both. It binds rollouts, not an apply by hand.

    /var/lib/multikernel/lease.json   {"owner", "who", "until" (seconds since 1970 by the clock of this host)}

It outlives a reboot, and ends by itself at its time: a controller that is lost for good blocks nobody for longer than it asked for.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any, Dict, Optional

from . import files

LEASE = "var/lib/multikernel/lease.json"
GUARD = "run/multikernel/lease"


class LeaseError(Exception):
    """Somebody else has the lease, or it cannot be written; the text says who and until when."""


def take(owner: str, who: str, seconds: float, take_over: bool = False, root: str = "/", now: Optional[float] = None) -> Dict[str, Any]:
    """Take or renew the lease for `seconds`. owner: what only this rollout knows; who: for people.

    take_over: also when another owner's has not ended. Returns {"changed", "until", "taken_from": who had it, None for nobody or the same}.
    """
    clock = time.time() if now is None else now
    with _Guard(root):
        held = _held(root, clock)
        other = held if held is not None and held["owner"] != owner else None
        if other is not None and not take_over:
            raise LeaseError(
                "this host is in the rollout of %s until %s by its own clock (in %d s); wait for it, or take it over "
                "(take_over=true, for the playbook rollout_take_over=true) when that rollout is lost"
                % (other["who"], time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(other["until"])), other["until"] - clock)
            )
        lease = {"owner": owner, "who": who, "until": clock + seconds}
        try:
            files.replace_json(os.path.join(root, LEASE), lease)
        except OSError as error:
            raise LeaseError("the lease /%s cannot be written: %s" % (LEASE, error.strerror)) from error
        return {"changed": True, "until": lease["until"], "taken_from": other["who"] if other else None}


def release(owner: str, root: str = "/") -> Dict[str, Any]:
    """Give the lease back. What another owner has stays. Returns {"changed", "until": None, "taken_from": None}."""
    with _Guard(root):
        held = files.read_json(os.path.join(root, LEASE))
        ours = isinstance(held, dict) and held.get("owner") == owner
        if ours:
            try:
                files.remove(os.path.join(root, LEASE))
            except OSError as error:
                raise LeaseError("the lease /%s cannot be removed: %s" % (LEASE, error.strerror)) from error
        return {"changed": ours, "until": None, "taken_from": None}


def _held(root: str, now: float) -> Optional[Dict[str, Any]]:
    """The lease that has not ended; a file that is none counts as none."""
    held = files.read_json(os.path.join(root, LEASE))
    if not isinstance(held, dict) or not isinstance(held.get("until"), (int, float)) or held["until"] <= now:
        return None
    return {"owner": held.get("owner"), "who": str(held.get("who")), "until": float(held["until"])}


class _Guard:
    """Nobody else reads or writes the lease meanwhile."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, GUARD)
        self.handle = -1

    def __enter__(self) -> None:
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self.handle, fcntl.LOCK_EX)
        except OSError as error:
            raise LeaseError("/%s cannot be opened: %s" % (GUARD, error.strerror)) from error

    def __exit__(self, *_error: Any) -> None:
        os.close(self.handle)
