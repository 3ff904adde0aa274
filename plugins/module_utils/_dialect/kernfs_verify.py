# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read back what an apply has made on a kernfs host: what is seen is compared, what cannot be seen is named."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .base import UNVERIFIABLE, State
from .observe import BEAT_WAIT, ENDED, ended, listen

WAIT = 2 * BEAT_WAIT  # seconds; a loaded host may let an instance miss a beat


def verify(system: Any, placed: Dict[str, Any], specs: Dict[str, Dict[str, Any]], state: State) -> Tuple[List[str], List[str]]:
    """(differences, what cannot be verified), sentences. state was observed after the last step; specs are the wanted instances."""
    differences: List[str] = []
    unverifiable: List[str] = []
    have = state["instances"]
    listened = {
        name: have[name]["spec"]["base"]
        for name in specs
        if name in have and have[name]["state"] in ("running", "silent") and have[name]["evidence"]["state"] != UNVERIFIABLE
    }
    heard = listen(system, listened, WAIT)
    for name, spec in sorted(specs.items()):
        wanted, one = placed["instances"][name]["state"], have.get(name)
        if one is None or one["status"] is None:
            differences.append("%s is to be %s and is not there" % (name, wanted))
            continue
        if one["state"] != wanted and not (wanted == "running" and one["state"] == "silent"):
            differences.append("%s is to be %s and is %s" % (name, wanted, one["state"]))
        if sorted(one["spec"]["apic_ids"]) != sorted(spec["apic_ids"]):
            differences.append("%s has the CPUs with APIC id %s instead of %s" % (name, one["spec"]["apic_ids"], spec["apic_ids"]))
        for cpu in spec["cpus"]:
            if cpu in state["cpus"]["online"]:
                differences.append("CPU %d of %s is online in the host" % (cpu, name))
        if name in heard and wanted == "running":
            _running(name, one, heard[name], differences, unverifiable)
        elif wanted == "running" and one["evidence"]["state"] == UNVERIFIABLE:
            unverifiable.append("whether %s came up: this kernel shows it as active, and nothing of what it does" % name)
    return differences, unverifiable


def _running(name: str, one: Dict[str, Any], heard: Tuple[Any, bool], differences: List[str], unverifiable: List[str]) -> None:
    words, moved = heard
    if words is None:
        unverifiable.append("whether %s still runs: its mailbox cannot be read" % name)
    elif words["nonce"] != one["nonce"]:
        differences.append("the mailbox of %s does not carry the mark of its boot" % name)
    elif words["state"] in ENDED:
        differences.append("%s %s" % (name, ended(words)))
    elif not moved:
        differences.append("the heartbeat of %s stands still at %d" % (name, words["beats"]))
    elif words["nproc"] and words["nproc"] != len(one["spec"]["cpus"]):
        differences.append("%s reports %d CPUs and was given %d" % (name, words["nproc"], len(one["spec"]["cpus"])))
