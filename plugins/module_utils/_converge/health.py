# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The health of the instances of this host now, as far as beats and their own words tell; reads only."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from .._dialect.liveness import Pulse, look
from .._dialect.observe import BEAT_WAIT, POLL
from .._dialect.system import System
from . import carried
from .store import Store

BOOT_ID = carried.BOOT_ID
WITHIN = 30.0  # seconds without a heartbeat, for an instance whose layout says nothing


def now(names: Optional[Sequence[str]] = None, wait: float = BEAT_WAIT, system: Optional[Any] = None) -> Dict[str, Dict[str, Any]]:
    """The health of instances that an apply has started (names; None: all), by name; see liveness.Pulse.verdict for the form.

    Listens until each of them was heard anew or has ended, at most wait seconds; one that is silent for so long is not alive.
    Instances that nobody started are missing from the answer. Raises nothing: what cannot be read is told as not known.
    """
    machine = system if system is not None else System()
    known = {name: one for name, one in remembered(machine).items() if names is None or name in names}
    if not known:
        return {}
    dialect = str((Store(machine.root).state() or {}).get("dialect") or "rfc")
    begin = machine.monotonic()
    pulses = {name: Pulse(wait, channel_of(one), begin) for name, one in known.items()}
    open_ = set(pulses)
    while True:
        seen = look(machine, dialect, {name: known[name] for name in open_})
        at = machine.monotonic()
        for name, one in seen.items():
            pulses[name].saw(one, at)
        open_ = {name for name in open_ if pulses[name].verdict(at)["alive"] is None}
        if not open_ or at - begin >= wait:
            return {name: pulse.verdict(at) for name, pulse in pulses.items()}
        machine.sleep(POLL)


def remembered(system: Any) -> Dict[str, Dict[str, Any]]:
    """What the store knows of the instances that were started in this boot of the host, by name."""
    kept = carried.state(system) or {}
    boot = (system.read(BOOT_ID) or "").strip()
    if boot and kept.get("boot_id") not in (None, boot):
        return {}
    return {name: one for name, one in (kept.get("instances") or {}).items() if one["state"] == "running"}


def channel_of(known: Dict[str, Any]) -> Optional[str]:
    """The channel on which an instance is to be heard."""
    channel: Optional[str] = (known.get("health") or {}).get("channel")
    return channel


def within_of(known: Dict[str, Any]) -> float:
    """Seconds without a sign after which it counts as dead."""
    health = known.get("health") or {}
    return float(health.get("within") or WITHIN)
