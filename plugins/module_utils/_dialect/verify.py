# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read back what an apply has made: what is seen is compared, what cannot be seen is named."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .._plan.spec import devices_of
from . import devices, observe
from .base import OBSERVED, UNVERIFIABLE, State

WAIT = 2 * observe.BEAT_WAIT  # seconds; a loaded host may let an instance miss a beat


def verify(system: Any, placed: Dict[str, Any], specs: Dict[str, Dict[str, Any]], state: State) -> Tuple[List[str], List[str]]:
    """(differences, what cannot be verified), sentences. state was observed after the last step; specs are the wanted instances."""
    differences: List[str] = []
    unverifiable: List[str] = []
    alive = {
        name: one["spec"]["base"] for name, one in state["instances"].items() if name in specs and one["state"] in ("running", "silent")
    }
    heard = observe.listen(system, alive, WAIT)
    for name, spec in sorted(specs.items()):
        wanted = placed["instances"][name]["state"]
        have = state["instances"].get(name)
        for cpu in spec["cpus"]:
            if cpu in state["cpus"]["online"]:
                differences.append("CPU %d of %s is online in the host" % (cpu, name))
        for address in devices_of(spec):
            if not devices.is_held(system, address):
                differences.append("PCI device %s of %s is not kept from the host's drivers" % (address, name))
        if have is None or (have["state"] != wanted and not (wanted == "running" and have["state"] == "silent")):
            text = "" if have is None or not have["text"] else " (%s)" % have["text"]
            differences.append("%s is to be %s and is %s%s" % (name, wanted, "not there" if have is None else have["state"], text))
        elif wanted == "running":
            _running(name, have, heard[name], differences, unverifiable)
    entries = {spec["entry"] for name, spec in specs.items() if placed["instances"][name]["state"] == "loaded"}
    left = [row["entry"] for row in state["images"] if row["type"] == "multikernel" and row["entry"] not in entries]
    if left and any(entry in {spec["entry"] for spec in specs.values()} for entry in left):
        differences.append("the kernel's list still holds %s" % ", ".join("0x%x" % entry for entry in left))
    return differences, unverifiable


def _running(
    name: str, have: Dict[str, Any], heard: Tuple[Optional[Dict[str, Any]], bool], differences: List[str], unverifiable: List[str]
) -> None:
    words, moved = heard
    if words is None:
        unverifiable.append("whether %s still runs: its mailbox cannot be read" % name)
        return
    if words["nonce"] != have["nonce"]:
        differences.append("the mailbox of %s does not carry the mark of its boot" % name)
    elif words["state"] in observe.ENDED:
        differences.append("%s %s" % (name, observe.ended(words)))
    elif not moved:
        differences.append("the heartbeat of %s stands still at %d" % (name, words["beats"]))
    cpus = have["spec"]["cpus"]
    if words["nproc"] and words["nproc"] != len(cpus):
        differences.append("%s reports %d CPUs and was given %d" % (name, words["nproc"], len(cpus)))
    if have["evidence"]["cpus"] != OBSERVED:
        unverifiable.append(
            "that %s owns CPU %s and nothing else: this kernel does not tell, the journal remembers"
            % (name, ", ".join(str(cpu) for cpu in cpus))
        )
    if have["evidence"]["state"] == UNVERIFIABLE:
        unverifiable.append("the state of %s" % name)
