# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""After a crash: takes back what an apply had begun when it was cut off, so that the host is as it was before that apply."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._plan import steps as plan_steps
from .._rules.finding import Finding
from . import carried, remember
from .execute import taken_back, undo
from .journal import Journal, Record
from .store import Store


def recover(cut: Sequence[Record], journal: Journal, store: Store, dialect: Any, facts: Dict[str, Any]) -> Tuple[List[str], List[str]]:
    """Undo the apply whose journal records are cut. Returns (what was undone, what could not be), sentences.

    Every inverse looks before it acts, so that it does no harm to take back what was never done, or what was taken back in the very
    moment of the cut; a step that an earlier recovery has written down as taken back wholly is not touched again.
    """
    kept = carried.state(dialect.system)
    journal.resume(cut[0]["apply"])
    if kept is not None and kept.get("apply") == cut[0]["apply"]:
        store.repair()  # it was committed; only its last word is missing
        journal.end("applied")
        return [], []
    if cut[0]["boot_id"] != facts["boot_id"]:
        store.repair()  # the host was booted since: nothing of it is left
        journal.end("recovered")
        return [], []
    begun = [plan_steps.from_record(record["step"]) for record in cut if record["kind"] == "step"]
    previous = remember.base(kept, facts, dialect.name)
    dialect.observe(previous, facts)
    for record in cut:
        if record["kind"] in ("done", "undone") and (record["result"] or {}).get("nonce"):
            dialect.nonces[_instance(record, cut)] = record["result"]["nonce"]
    undone, stuck = undo(begun, dialect, journal, taken_back(cut))
    store.commit(remember.undone(previous, begun, dialect))
    if stuck:
        journal.note("stuck", {"error": "; ".join(stuck)})
        return undone, stuck
    journal.end("recovered")
    return undone or ["an apply that had changed nothing yet"], []


def topology(cut: Sequence[Record], kept: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """What is remembered of the CPUs that are offline now: by the last apply, and by one that was cut off."""
    known = dict((kept or {}).get("topology") or {})
    known.update(cut[0]["topology"] if cut else {})
    return known


def warning(cut: Sequence[Record]) -> Finding:
    """What check mode says of an apply that was cut off."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(cut[0]["time"]))
    return Finding(
        rule="journal.interrupted",
        severity="warning",
        verdict="fail",
        path=(),
        message="an apply of %s was cut off; the next apply undoes it before anything else" % when,
        hint="run the same without check mode",
    )


def _instance(record: Record, cut: Sequence[Record]) -> str:
    """The instance that a record of a finished load is about."""
    if record["kind"] == "undone":
        return str(record["step"]["instance"])
    return str(next(one["step"]["instance"] for one in cut if one["kind"] == "step" and one["number"] == record["number"]))
