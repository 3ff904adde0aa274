# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples that `mkl explain` prints, made of the cases: run this file as a module to write them anew.

An example is the part of a layout and of the facts that a failing case changes, before (that passes) and after (that fails).
"""

from __future__ import annotations

import json
import pathlib
from typing import Any, Dict, List

from ansible_collections.multikernel.core.plugins.module_utils._rules import engine

from .support import good_facts, good_layout, place

FILE = pathlib.Path(__file__).parents[5] / "plugins" / "plugin_utils" / "_report" / "examples.json"
MACHINE = "lab-mkstock"


def made(cases: List[Any]) -> Dict[str, Dict[str, Any]]:
    """Return for each rule what fails, what is said of it, how to mend it, and what passes."""
    return {one["id"]: _example(one, [case for case in cases if case.rule == one["id"]]) for one in engine.rules()}


def text(examples: Dict[str, Dict[str, Any]]) -> str:
    """Return the examples as the file has them: one rule in a line."""
    lines = ["{0}: {1}".format(json.dumps(name), json.dumps(one, sort_keys=True)) for name, one in examples.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _example(rule: Dict[str, Any], cases: List[Any]) -> Dict[str, Any]:
    failing = [case for case in cases if case.sentence and case.verdict == "fail"]
    case = next((one for one in failing if one.machine == MACHINE), failing[0])
    layout, facts = good_layout(), good_facts(case.machine)
    case.change(layout, facts)
    placed = place(layout, facts) if case.placed else None
    good = place(good_layout(), good_facts()) if case.placed else good_layout()
    if placed is not None and case.after is not None:
        case.after(placed, facts)
    known = facts if case.facts else None
    (finding,) = [one for one in engine.judge(layout, known, placed) if one.rule == rule["id"] and one.message == case.sentence]
    changed = _changed(good, placed if placed is not None else layout)
    if case.facts:
        differing = _changed(good_facts(case.machine), facts)
        if case.machine != MACHINE:
            lab = good_facts()
            for need in rule["needs"]:
                differing += [one for one in _changed(lab, facts) if one[0][: need.count(".") + 1] == need.split(".") and _tells(one)]
        changed += [(["facts", *path], before, after) for path, before, after in differing if len(json.dumps(after)) < 200]
    return {
        "fails": _tree(changed, 2),
        "passes": _tree(changed, 1),
        "says": finding.message,
        "fix": finding.hint,
    }


def _changed(before: Any, after: Any) -> List[Any]:
    """Return [path, before, after] of every smallest part that differs; a part that is not there is null."""
    if isinstance(after, dict) and (before is None or isinstance(before, dict)):
        before = before or {}
        found = []
        for key in [*before, *(key for key in after if key not in before)]:
            if before.get(key) != after.get(key):
                found += [[[key, *path], old, new] for path, old, new in _changed(before.get(key), after.get(key))]
        return found
    return [[[], before, after]]


def _tells(change: Any) -> bool:
    """Tell whether a difference between two machines is worth a line: of their CPUs only which share a core, and the nodes."""
    path, before, after = change
    return path[:2] != ["cpus", "each"] or (path[-1] in ("siblings", "node") and None not in (before, after))


def _tree(changed: List[Any], which: int) -> Dict[str, Any]:
    tree: Dict[str, Any] = {}
    for change in changed:
        *parents, last = change[0]
        target = tree
        for step in parents:
            target = target.setdefault(step, {})
        target[last] = change[which]
    return tree


if __name__ == "__main__":
    from .test_every_rule import CASES

    FILE.write_text(text(made(CASES)))
