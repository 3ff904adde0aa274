# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How long starts took on this host: /var/lib/multikernel/history.json, from which a blackout is told beforehand.

    {"version": 1, "starts": {"KERNEL-INITRD digests": [{"instance", "time", "stop", "load", "boot"}, ...]}}

stop, load and boot are seconds (null: not part of that start); boot is from the boot call to the first heartbeat. The last KEEP starts of
each of the last IMAGES images are kept. A history that is lost or odd costs a prediction, and never an apply.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Sequence

from .._plan.steps import Step
from . import files

PATH = "var/lib/multikernel/history.json"
KEEP = 20
IMAGES = 32

Start = Dict[str, Any]


def key(spec: Dict[str, Any]) -> Optional[str]:
    """What starts are counted by: the digests of kernel and initrd; None when they are not known."""
    image = spec["image"]
    if not image.get("kernel_sha256"):
        return None
    return "%s-%s" % (image["kernel_sha256"][:16], (image.get("initrd_sha256") or "none")[:16])


def read(root: str) -> Dict[str, List[Start]]:
    """The starts by key, the oldest first; empty when there is no history."""
    kept = files.read_json(os.path.join(root, PATH))
    starts = kept.get("starts") if isinstance(kept, dict) and kept.get("version") == 1 else None
    if not isinstance(starts, dict):
        return {}
    return {name: [one for one in rows if _is_start(one)] for name, rows in starts.items() if isinstance(rows, list)}


def note(root: str, steps: Sequence[Step], results: Sequence[Dict[str, Any]]) -> None:
    """Remember the starts among the steps of an apply; results are those of execute, in the same order. Raises OSError."""
    found = measured(steps, results)
    if not found:
        return
    starts = read(root)
    for name, one in found:
        rows = starts.pop(name, []) + [one]
        starts[name] = rows[-KEEP:]
    # JSON objects keep their order in Python, but sorted files do not: the last time of each decides
    latest = sorted(starts, key=lambda name: max((one["time"] for one in starts[name]), default=0.0))[-IMAGES:]
    files.replace_json(os.path.join(root, PATH), {"version": 1, "starts": {name: starts[name] for name in latest}})


def measured(steps: Sequence[Step], results: Sequence[Dict[str, Any]]) -> List[Any]:
    """(key, start) of each instance that the steps brought from its boot call to its first heartbeat."""
    seconds: Dict[str, Dict[str, float]] = {}
    found = []
    for step, result in zip(steps, results):
        if step.instance is None or "already" in result["result"]:
            continue
        seconds.setdefault(step.instance, {})[step.do] = result["seconds"]
        name, first = key(step.args["spec"]) if step.do == "wait_health" else None, result["result"].get("first_beat")
        if name is None or first is None:
            continue
        mine = seconds[step.instance]
        start = {
            "instance": step.instance,
            "time": round(time.time(), 3),
            "boot": first,
            "load": mine.get("load"),
            "stop": mine.get("stop"),
        }
        found.append((name, start))
    return found


def predict(root: str, spec: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """How long this instance will be away when it is restarted, from what was measured; None: not measured yet.

    {"seconds": the whole, "stop", "load", "boot": medians in seconds, "starts": how many were measured, "of": "instance" when they were
    starts of this instance, "image" when they were those of others with the same image}. A part that was never measured counts as 0.
    """
    rows = read(root).get(key(spec) or "", [])
    own = [one for one in rows if one["instance"] == spec["name"]]
    rows = own or rows
    if not rows:
        return None
    parts = {part: _median([one[part] for one in rows if one[part] is not None]) for part in ("stop", "load", "boot")}
    return dict(parts, seconds=round(sum(parts.values()), 3), starts=len(rows), of="instance" if own else "image")


def sentence(prediction: Optional[Dict[str, Any]]) -> str:
    """A prediction in words."""
    if prediction is None:
        return "not measured yet"
    what = "this instance" if prediction["of"] == "instance" else "instances with this image"
    return "about %.1f s (median of %d starts of %s)" % (prediction["seconds"], prediction["starts"], what)


def _median(values: List[float]) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    middle = len(ordered) // 2
    return round(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2, 3)


def _is_start(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("instance"), str):
        return False
    numbers = [one.get("time"), one.get("boot")] + [one.get(part) for part in ("load", "stop") if one.get(part) is not None]
    return all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
