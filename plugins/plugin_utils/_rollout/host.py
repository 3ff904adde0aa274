# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout wants to know of one host, out of what the module layout_info told: little enough to hold for thousands."""

from __future__ import annotations

import hashlib
import json
import typing as t

Plain = dict[str, t.Any]
#: States of an instance in which nothing is wrong with it.
WELL = ("running", "loaded", "defined")
#: Rules about loading images, which do not concern a plan that loads none (as in `_converge.run`).
ABILITY = ("life-kexec-allowed", "life-kexec-quota", "sec-lockdown")


def look(result: Plain, wanted: str) -> Plain:
    """The short form of a result of layout_info that was asked about a layout. wanted: the digest of that layout.

    Returns kind, kind_words (see kind), digest (the one that the host has), refused (sentences, empty when it takes the layout), plan
    (sentences), done (nothing is to do), ill (sentences, empty when it is as its layout wants), blackout (see blackout).
    """
    name, words = kind(result["facts"])
    plan = result["plan"]
    loads = plan is None or any(step["do"] in ("load", "unload") for step in plan)
    blocking = [
        one
        for one in result["findings"]
        if one["severity"] == "error" and one["verdict"] != "pass" and (loads or one["rule"] not in ABILITY)
    ]
    sentences = list(dict.fromkeys(one["message"] for one in blocking))
    if plan is None and not sentences:
        sentences = ["there is no place for the layout on this host"]
    same = result["digest"] == wanted
    return {
        "kind": name,
        "kind_words": words,
        "wanted": wanted,
        "digest": result["digest"],
        "refused": sentences,
        "plan": [step["say"] for step in plan or []],
        "done": same and plan == [] and not sentences and not ill(result),
        "ill": ill(result) if same else [],
        "blackout": blackout(plan or [], result["instances"], result.get("predicted") or {}),
    }


def kind(facts: Plain) -> tuple[str, Plain]:
    """The class of a machine: a short digest of the facts by which machines behave differently, and these facts.

    They are the sockets, cores, threads and memory nodes, what the CPUs can do, memory in GiB, the release of the host kernel, and the
    dialect.
    Names, addresses, microcode and what happens to run are none of them.
    """
    each = [one for one in facts["cpus"]["each"].values() if one]
    memory = facts["memory"]["total"]
    words = {
        "cpus": len(facts["cpus"]["present"] or []),
        "packages": len({one.get("package") for one in each}),
        "threads_per_core": max((len(one.get("siblings") or [0]) for one in each), default=0),
        "nodes": len({one.get("node") for one in each}),
        "features": sorted({one.get("flags") for one in each if one.get("flags")}),
        "memory_gib": None if memory is None else round(memory / (1 << 30)),
        "kernel": facts["kernel"]["release"],
        "dialect": [facts["dialect"].get("name"), facts["dialect"].get("provider"), facts["dialect"].get("strict")],
        "virtualization": facts.get("virtualization"),
    }
    text = json.dumps(words, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12], words


def kind_line(words: Plain) -> str:
    """A class in a line for people."""
    dialect = "/".join(str(one) for one in words["dialect"][:2] if one) or "no dialect"
    return (
        f"{words['cpus']} CPUs in {words['packages']} package{'s' if words['packages'] != 1 else ''}, "
        f"{words['memory_gib']} GiB, {words['kernel']}, {dialect}"
    )


def ill(result: Plain) -> list[str]:
    """What is wrong with the instances of a host that has its layout, as sentences; empty when it is well."""
    wanted = {name for name, one in ((result.get("layout") or {}).get("instances") or {}).items() if one["state"] == "running"}
    known = {one["name"]: one["state"] for one in result["instances"]}
    said = [f"{name} is {state}" for name, state in sorted(known.items()) if state not in WELL or (name in wanted and state != "running")]
    said += [f"{name} is gone" for name in sorted(wanted - set(known))]
    plan = result.get("plan")
    if plan and not said:
        said.append("an apply would still change it: " + plan[0]["say"])
    return said


def blackout(plan: t.Sequence[Plain], instances: t.Sequence[Plain], predicted: t.Mapping[str, t.Any]) -> Plain:
    """For how many seconds each instance that runs and would be stopped is away, by the measured starts of this host.

    predicted: for each instance what `_converge.history.predict` says of it. None where nothing was measured yet.
    """
    running = {one["name"] for one in instances if one["state"] == "running"}
    stopped = {step["instance"] for step in plan if step["do"] == "stop" and step.get("instance") in running}
    away: Plain = {}
    # an instance that the layout takes away is not in `predicted`: it is not away for a while
    for name in sorted(stopped & set(predicted)):
        known = predicted[name]
        away[name] = round(float(known["seconds"]), 1) if known else None
    return away


def blackout_line(told: t.Mapping[str, t.Any]) -> str:
    """The predicted blackout of a host for people."""
    if not told:
        return "none"
    return ", ".join(f"{name} {'not measured' if seconds is None else f'{seconds:g} s'}" for name, seconds in told.items())
