# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts: collecting those of this machine, and judging one layout for a thousand bundles."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.multikernel.core.plugins.module_utils._host import bundle
from ansible_collections.multikernel.core.plugins.module_utils._host.facts import collect
from ansible_collections.multikernel.core.plugins.plugin_utils import _fleet
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject

from . import clock

TOP = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((TOP / "examples/hosts").glob("*.json"))


def collection(seconds: float = 2.0) -> dict[str, Any]:
    """Collecting the facts of the machine that this runs on, images left out."""
    facts = collect()
    return {
        "cpus": len(facts["cpus"]["present"] or []),
        "bytes": len(bundle.text(facts)),
        "milliseconds": clock.measure(collect, seconds).to_dict(),
    }


def run(machines: int = 1000, seconds: float = 10.0) -> dict[str, Any]:
    """Judge the layout of the lab for `machines` bundles: the twelve of the examples again and again, each as a machine of its own."""
    subject = Subject.of_file(str(TOP / "examples/layouts/lab.yml"))
    canonical = load_layout(subject.raw, subject.locator)
    known = [json.loads(file.read_text()) for file in EXAMPLES]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        size = 0
        for number in range(machines):
            facts = dict(known[number % len(known)], hostname=f"host-{number:04}")
            path = Path(folder) / f"host-{number:04}.json"
            size += path.write_text(bundle.text(facts))
            paths.append(str(path))
        processes = len(os.sched_getaffinity(0))
        answers: list[list[_fleet.Machine]] = []

        def judge(number: int) -> None:
            answers[:] = [_fleet.judge(canonical, paths, number)]

        one = clock.measure(lambda: judge(1), seconds, least=3, most=5)
        alone = _fleet.counts(answers[0])
        several = clock.measure(lambda: judge(processes), seconds, least=3, most=5)
        if _fleet.counts(answers[0]) != alone:
            raise RuntimeError(f"one process and {processes} do not agree: {alone}, {_fleet.counts(answers[0])}")
        return {
            "machines": machines,
            "mib": round(size / (1 << 20), 1),
            "verdicts": alone,
            "groups": len(_fleet.groups(answers[0])),
            "processes": processes,
            "one_process": one.to_dict(),
            "several_processes": several.to_dict(),
        }
