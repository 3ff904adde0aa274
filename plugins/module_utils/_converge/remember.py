# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is to be remembered after an apply, after one that was undone, and after one that was cut off."""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterable, Optional, Sequence

from .._dialect import devices, observe, table
from .._plan import ranges
from .._plan.steps import Step

Kept = Dict[str, Any]


def base(kept: Optional[Kept], facts: Dict[str, Any]) -> Kept:
    """What was remembered, as far as it is of this boot of the host; with the topology of all CPUs, which offline ones lose."""
    same = kept is not None and kept.get("boot_id") == facts["boot_id"]
    old = copy.deepcopy(kept) if kept else {}
    topology = dict(old.get("topology") or {})
    topology.update({number: one for number, one in (facts["cpus"]["each"] or {}).items() if one.get("apic_id") is not None})
    return {
        "version": 1,
        "apply": old.get("apply"),
        "boot_id": facts["boot_id"],
        "digest": old.get("digest"),
        "instances": old["instances"] if same else {},
        "made": old["made"] if same else {"cpus": [], "blocks": [], "pool": [], "channels": {}, "devices": {}},
        "topology": topology,
    }


def after(
    previous: Kept,
    steps: Sequence[Step],
    specs: Dict[str, Dict[str, Any]],
    placed: Optional[Dict[str, Any]],
    dialect: Any,
    apply: Optional[str],
    only: Optional[Sequence[str]] = None,
) -> Kept:
    """What is to be remembered when every step was done. only: the instances that it was about (None: all)."""
    kept = copy.deepcopy(previous)
    kept["apply"] = apply
    kept["made"] = _made(previous["made"], steps)
    kept["made"]["channels"] = (
        {}
        if placed is None
        else {
            name: {"address": one["placed"]["address"], "size": one["placed"]["size"]} for name, one in sorted(placed["channels"].items())
        }
    )
    old, kept["instances"] = kept["instances"], {}
    for name, spec in sorted(specs.items()):
        wanted = (placed or {})["instances"][name]
        fresh = {"state": wanted["state"], "spec": spec, "health": wanted["health"], "nonce": dialect.nonces.get(name), "uname": None}
        if name in old and not any(step.do == "load" and step.instance == name for step in steps):
            fresh.update(nonce=old[name]["nonce"], uname=old[name]["uname"], spec=_with_digests(spec, old[name]["spec"]))
        kept["instances"][name] = fresh
    for name, one in old.items():
        if only is not None and name not in only:
            kept["instances"][name] = dict(one, nonce=dialect.nonces.get(name, one["nonce"]))
    return kept


def _with_digests(spec: Dict[str, Any], old: Dict[str, Any]) -> Dict[str, Any]:
    """The spec of an instance that goes on; what its files were is known even when they are gone now."""
    image = dict(spec["image"])
    for digest in ("kernel_sha256", "initrd_sha256"):
        if image[digest] is None:
            image[digest] = old["image"][digest]
    return dict(spec, image=image)


def with_words(kept: Kept, seen: Dict[str, Any]) -> Kept:
    """The same with what the instances said of themselves."""
    for name, one in kept["instances"].items():
        if name in seen["instances"] and seen["instances"][name]["uname"]:
            one["uname"] = seen["instances"][name]["uname"]
    return kept


def undone(previous: Kept, steps: Iterable[Step], dialect: Any, system: Any) -> Kept:
    """What is to be remembered when steps were taken back: the old, and whatever could not be given back."""
    kept = copy.deepcopy(previous)
    kept["made"] = _still_made(previous["made"], steps, system)
    for name, one in kept["instances"].items():
        # an instance that was started again carries a new mark
        one["nonce"] = dialect.nonces.get(name, one["nonce"])
    for spec in [step.args["spec"] for step in steps if step.do == "boot"]:
        name = spec["name"]
        if dialect.busy.get(name) == spec:  # it was started, and could not be stopped
            kept["instances"][name] = {"state": "running", "spec": spec, "health": None, "nonce": dialect.nonces.get(name), "uname": None}
    return kept


def _made(old: Dict[str, Any], steps: Iterable[Step]) -> Dict[str, Any]:
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


def _still_made(old: Dict[str, Any], steps: Iterable[Step], system: Any) -> Dict[str, Any]:
    """Of all that was ours before or was taken by steps: what the host does not have back now."""
    taken = _made(old, [step for step in steps if step.do in ("cpu_offline", "memory_offline", "pool_add", "device_unbind")])
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
