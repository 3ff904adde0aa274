# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which CPUs, memory blocks and pool ranges of an RFC host are ours, after steps were done or undone."""

from __future__ import annotations

from typing import Any, Dict, Iterable

from .._plan import ranges
from .._plan.steps import Step
from . import devices, observe, table


def made(old: Dict[str, Any], steps: Iterable[Step]) -> Dict[str, Any]:
    """What belongs to us after steps were done on top of old."""
    cpus, blocks, pool = set(old["cpus"]), set(old["blocks"]), ranges.sized(old["pool"])
    functions = dict(old.get("devices") or {})
    for step in steps:
        if step.do == "cpu_offline":
            cpus.add(step.args["cpu"])
        elif step.do == "cpu_online":
            cpus.discard(step.args["cpu"])
        elif step.do == "memory_offline":
            blocks.add(step.args["block"])
        elif step.do == "memory_online":
            blocks.discard(step.args["block"])
        elif step.do in ("pool_add", "pool_remove"):
            mine = [(step.args["base"], step.args["base"] + step.args["size"])]
            pool = ranges.merge(pool + mine) if step.do == "pool_add" else ranges.subtract(pool, mine)
        elif step.do == "device_unbind":
            functions[step.args["address"]] = {key: step.args[key] for key in ("driver", "override", "power")}
        elif step.do == "device_bind":
            functions.pop(step.args["address"], None)
    return {
        "cpus": sorted(cpus),
        "blocks": sorted(blocks),
        "pool": [[start, end - start] for start, end in pool],
        "channels": old["channels"],
        "devices": functions,
    }


def still_made(old: Dict[str, Any], steps: Iterable[Step], system: Any) -> Dict[str, Any]:
    """Of all that was ours before or was taken by steps: what the host does not have back now."""
    taken = made(old, [step for step in steps if step.do in ("cpu_offline", "memory_offline", "pool_add", "device_unbind")])
    online = observe.online(system)
    in_pool = ranges.sized(table.pool(system.read(observe.MKSTOCK + "pool")))
    mine = ranges.sized(taken["pool"])
    pool = ranges.subtract(mine, ranges.subtract(mine, in_pool))
    return {
        "cpus": [cpu for cpu in taken["cpus"] if cpu not in online],
        "blocks": [block for block in taken["blocks"] if _block_is_offline(system, block)],
        "pool": [[start, end - start] for start, end in pool],
        "channels": old["channels"],
        "devices": {address: had for address, had in taken["devices"].items() if devices.is_held(system, address)},
    }


def _block_is_offline(system: Any, block: int) -> bool:
    return (system.read("sys/devices/system/memory/memory%d/state" % block) or "").strip() == "offline"
