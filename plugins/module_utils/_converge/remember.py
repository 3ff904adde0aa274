# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is to be remembered after an apply, after one that was undone, and after one that was cut off."""

from __future__ import annotations

import copy
from typing import Any, Dict, Optional, Sequence

from .._plan.steps import Step

Kept = Dict[str, Any]


def base(kept: Optional[Kept], facts: Dict[str, Any], dialect: str) -> Kept:
    """What was remembered, as far as it is of this boot of the host; with the topology of all CPUs, which offline ones lose."""
    same = kept is not None and kept.get("boot_id") == facts["boot_id"]
    old = copy.deepcopy(kept) if kept else {}
    topology = dict(old.get("topology") or {})
    topology.update({number: one for number, one in (facts["cpus"]["each"] or {}).items() if one.get("apic_id") is not None})
    return {
        "version": 1,
        "apply": old.get("apply"),
        "boot_id": facts["boot_id"],
        "dialect": dialect,
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
    kept["made"] = dialect.made(previous["made"], steps, placed)
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
        if name in seen["instances"]:
            one["spec"] = seen["instances"][name]["spec"]
    return kept


def undone(previous: Kept, steps: Sequence[Step], dialect: Any) -> Kept:
    """What is to be remembered when steps were taken back: the old, and whatever could not be given back."""
    kept = copy.deepcopy(previous)
    kept["made"] = dialect.still_made(previous["made"], steps)
    for name, one in kept["instances"].items():
        # an instance that was started again carries a new mark
        one["nonce"] = dialect.nonces.get(name, one["nonce"])
        one["spec"] = dialect.renewed(name, one["spec"])
    for name, spec in dialect.left(steps).items():  # it was started, and could not be stopped
        kept["instances"][name] = {"state": "running", "spec": spec, "health": None, "nonce": dialect.nonces.get(name), "uname": None}
    return kept
