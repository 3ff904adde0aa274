# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Steps of the kernfs dialect, each with its inverse next to it; see steps.py for what a step is.

    mount {}           pool {cpus_add, cpus_remove, memory_add, memory_remove, memory_take, had, expect}
    unmount {}         create {specs, expect}    remove {specs}    resize {spec, cpus, expect}
    devices {name, devices, expect}    devices_gone {name, devices}
    load {spec, expect}    unload {spec}    boot {spec}    stop {spec}    wait_health {spec, within, channel, gates}
    channel {channel}    channel_gone {name}    save {digest}

expect is what the plan assumes of the host; where it is not so, somebody else has changed the host, and nothing is done. Inverses
expect nothing: they look at what is there and send the difference. Memory that comes back may lie elsewhere: the kernel picks.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from .place import HOST, amount
from .steps import Spec, Step, report

Chunk = Dict[str, Any]


def mount() -> Step:
    """Mount the multikernel file system."""
    return Step("mount", {}, "mount /sys/fs/multikernel", (Step("unmount", {}, "unmount /sys/fs/multikernel"),))


def unmount() -> Step:
    """Unmount what was mounted from here."""
    return Step("unmount", {}, "unmount /sys/fs/multikernel", (Step("mount", {}, "mount /sys/fs/multikernel again"),))


def pool(
    cpus_add: Sequence[int],
    cpus_remove: Sequence[int],
    memory_add: Sequence[Chunk],
    memory_remove: Sequence[Chunk],
    now: Optional[Dict[str, Any]],
) -> Step:
    """Change the pool by a difference. CPUs by APIC id, chunks {"base", "size", "node"}; now is the observed pool."""
    there = now or {"cpus": [], "memory": []}
    had = [chunk["base"] for chunk in there["memory"]]
    args = {
        "cpus_add": list(cpus_add),
        "cpus_remove": list(cpus_remove),
        "memory_add": [{"size": one["size"], "node": one["node"]} for one in memory_add],
        "memory_remove": list(memory_remove),
        "memory_take": [],
        "had": had,
        "expect": {"cpus": sorted(there["cpus"]), "memory": sorted(had)},
    }
    back = {
        "cpus_add": list(cpus_remove),
        "cpus_remove": list(cpus_add),
        "memory_add": list(memory_remove),  # not those that are there
        "memory_remove": [],
        "memory_take": args["memory_add"],
        "had": had,
        "expect": None,
    }
    return Step("pool", args, _say_pool(args, there), (Step("pool", back, _say_pool(back, {"cpus": [0], "memory": [0]})),))


def _say_pool(args: Dict[str, Any], there: Dict[str, Any]) -> str:
    out = args["memory_remove"] + args["memory_take"]
    parts = []
    if args["cpus_remove"] or out:
        parts.append("give %s back to the host" % _items(args["cpus_remove"], out))
    if args["cpus_add"] or args["memory_add"]:
        verb = "take" if there["cpus"] or there["memory"] else "make the pool of"
        tail = " from the host into the pool" if verb == "take" else " of the host"
        parts.append("%s %s%s" % (verb, _items(args["cpus_add"], args["memory_add"]), tail))
    return " and ".join(parts)


def _items(cpus: Sequence[int], memory: Sequence[Chunk]) -> str:
    said = []
    if cpus:
        said.append("the CPU%s with APIC id %s" % ("" if len(cpus) == 1 else "s", ", ".join(str(cpu) for cpu in cpus)))
    said += [amount(one["size"]) + ("" if one["node"] is None else " of node %d" % one["node"]) for one in memory]
    return ", ".join(said)


def create(specs: Sequence[Spec]) -> Step:
    """Make instances, in as few transactions as they fit into."""
    back = Step("remove", {"specs": list(specs)}, "remove %s again" % _names(specs))
    said = "make %s with %s" % (
        _names(specs),
        "%d CPUs and %s" % (sum(len(one["cpus"]) for one in specs), amount(sum(one["size"] for one in specs))),
    )
    return Step("create", {"specs": list(specs), "expect": True}, said, (back,), _only(specs))


def remove(specs: Sequence[Spec]) -> Step:
    """Remove instances that are neither loaded nor active."""
    back = Step("create", {"specs": list(specs), "expect": False}, "make %s again, where the kernel finds room" % _names(specs))
    return Step("remove", {"specs": list(specs)}, "remove %s" % _names(specs), (back,), _only(specs))


def resize(old: Spec, new: Spec) -> Step:
    """Give an instance that is not loaded other CPUs; the one that boots stays."""
    args = {"spec": new, "cpus": new["apic_ids"], "expect": old["apic_ids"]}
    back = Step("resize", {"spec": old, "cpus": old["apic_ids"], "expect": None}, "give %s its CPUs back" % old["name"], (), old["name"])
    said = "give %s the CPUs %s instead of %s" % (new["name"], _list(new["cpus"]), _list(old["cpus"]))
    return Step("resize", args, said, (back,), new["name"])


def devices(spec: Spec, addresses: Sequence[str]) -> Step:
    """Take PCI functions from the host into the pool, and give them to an instance that is not loaded."""
    mine = [one for one in spec["devices"] if one["pci"] in addresses]
    args = {"name": spec["name"], "devices": mine, "expect": True}
    back = Step("devices_gone", {"name": spec["name"], "devices": mine}, _say_back(spec, addresses), (), spec["name"])
    said = "give the PCI device%s %s to %s" % ("" if len(mine) == 1 else "s", ", ".join(addresses), spec["name"])
    return Step("devices", args, said, (back,), spec["name"])


def devices_gone(spec: Spec, addresses: Sequence[str]) -> Step:
    """Give PCI functions of an instance that is not loaded back to the host."""
    mine = [one for one in spec["devices"] if one["pci"] in addresses]
    again = {"name": spec["name"], "devices": mine, "expect": False}
    back = Step("devices", again, "give the PCI devices %s to %s again" % (", ".join(addresses), spec["name"]), (), spec["name"])
    return Step("devices_gone", {"name": spec["name"], "devices": mine}, _say_back(spec, addresses), (back,), spec["name"])


def _say_back(spec: Spec, addresses: Sequence[str]) -> str:
    return "give the PCI device%s %s of %s back to the host" % ("" if len(addresses) == 1 else "s", ", ".join(addresses), spec["name"])


def load(spec: Spec, expect: bool = True) -> Step:
    """Load an instance's image into its memory."""
    said = "load %s (%s) for %s" % (spec["image"]["name"], spec["image"]["kernel"], spec["name"])
    undo = (Step("unload", {"spec": spec}, "unload the image of %s" % spec["name"], (), spec["name"]),) if expect else ()
    return Step("load", {"spec": spec, "expect": expect}, said, undo, spec["name"])


def unload(spec: Spec) -> Step:
    """Drop the image of an instance that does not run."""
    return Step("unload", {"spec": spec}, "unload the image of %s" % spec["name"], (load(spec, False),), spec["name"])


def channel(one: Dict[str, Any], instance: str) -> Step:
    """Lay out the area of a channel in the memory of its owner (an entry of a spec's "channels"), and attach the host's end.

    A channel between two instances is looked after: the host tells one end when it stops the other.
    """
    ends = " and attach the host to it" if HOST in one["between"] else ""
    back = (channel_gone(one["name"], instance),)
    return Step("channel", {"channel": one}, "lay out channel %s in the memory of %s%s" % (one["name"], one["owner"], ends), back, instance)


def channel_gone(name: str, instance: str, again: Tuple[Step, ...] = ()) -> Step:
    """Detach the host's end of a channel; its area goes with the instance."""
    return Step("channel_gone", {"name": name}, "detach the host from channel %s" % name, again, instance)


def boot(spec: Spec) -> Step:
    """Start the loaded image."""
    return Step("boot", {"spec": spec}, "start %s on CPU %s" % (spec["name"], spec["cpus"][0]), (stop(spec),), spec["name"])


def stop(spec: Spec, again: Tuple[Step, ...] = ()) -> Step:
    """Halt an instance, by force where it does not answer in 30 s; its image stays loaded. What it had in memory is lost for good."""
    return Step("stop", {"spec": spec}, "halt %s" % spec["name"], again, spec["name"])


def start_again(spec: Spec, health: Optional[Dict[str, Any]]) -> Tuple[Step, ...]:
    """From a loaded image to an instance that reports: the inverse of stopping what ran. It boots anew."""
    return (Step("boot", {"spec": spec}, "start %s again, from its beginning" % spec["name"], (), spec["name"]), report(spec, health))


def _names(specs: Sequence[Spec]) -> str:
    names: List[str] = [one["name"] for one in specs]
    return ", ".join(names) if len(names) < 6 else "%s and %d others" % (", ".join(names[:4]), len(names) - 4)


def _only(specs: Sequence[Spec]) -> Optional[str]:
    return specs[0]["name"] if len(specs) == 1 else None


def _list(cpus: Sequence[int]) -> str:
    return ",".join(str(cpu) for cpu in cpus)
