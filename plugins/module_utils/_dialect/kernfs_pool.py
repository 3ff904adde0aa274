# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The pool of a kernfs host: changed by the difference between what is asked for and what is read back, whatever was done before."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .._plan.steps import Step
from . import kernfs_overlay as overlay
from .base import DialectError, Drift
from .kernfs_files import ROOT, Tree

Chunk = Dict[str, Any]


class Pool:
    """The pool behind the trees of one host."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def now(self) -> Dict[str, Any]:
        """{"live", "cpus": [APIC id], "memory": [{"base", "size", "node"}]}; without a pool both are empty. Raises DialectError."""
        root = self.tree.host()
        if not root["live"]:
            return {"live": False, "cpus": [], "memory": []}
        return {"live": True, "cpus": root["cpus"], "memory": root["memory"]}

    def change(
        self,
        cpus_add: List[int],
        cpus_remove: List[int],
        memory_add: List[Chunk],
        memory_remove: List[Chunk],
        memory_take: List[Chunk],
        had: List[int],
        expect: Optional[Dict[str, Any]],
    ) -> Dict[str, Any]:
        """Make the pool have some CPUs and chunks, and others not. memory_take: sizes of chunks that were not there before (had).

        Raises Drift when the pool is not as expected, DialectError when it is not as wanted afterwards.
        """
        now = self.now()
        if expect is not None and {"cpus": sorted(now["cpus"]), "memory": sorted(one["base"] for one in now["memory"])} != expect:
            raise Drift("somebody else has changed the pool meanwhile")
        wish = (cpus_add, cpus_remove, memory_add, memory_remove, memory_take, set(had))
        if not any(_difference(now, *wish)):
            return {"already": True}
        error: Optional[DialectError] = None
        try:
            self._send(now, _difference(now, *wish), expect is not None)
        except Drift:
            raise
        except DialectError as failure:
            error = failure
        left = _difference(self.now(), *wish)
        if any(left) and not now["live"]:
            # a baseline is not taken back where it fails: what is missing of it is sent as an overlay
            try:
                self._send(self.now(), left, False)
            except DialectError as failure:
                error = error or failure
            left = _difference(self.now(), *wish)
        if any(left):
            raise DialectError("the pool is not as it should be: %s%s" % (_words(left), "" if error is None else "; %s" % error))
        return {"memory": [one for one in self.now()["memory"] if one["base"] not in had]}

    def _send(self, now: Dict[str, Any], difference: "Difference", careful: bool) -> None:
        cpus, out, chunks, gone = difference
        if not now["live"] and cpus and chunks:
            self.tree.system.write_bytes(ROOT, overlay.baseline(cpus, [(one["size"], one["node"]) for one in chunks]))
            return
        operations: List[overlay.Operation] = []
        if out:
            operations.append(overlay.pool_cpus_remove(out))
        operations += [overlay.pool_memory_remove(one["base"], one["size"]) for one in gone]
        operations += [overlay.pool_memory_add(one["size"], one["node"]) for one in chunks]
        if cpus:
            operations.append(overlay.pool_cpus_add(cpus))
        for blob in overlay.batch(operations):
            self.tree.send(blob, careful)

    def ours(self, now: Dict[str, Any], cpus: Set[Any], bases: Set[int], steps: Sequence[Step]) -> Tuple[List[int], Set[int]]:
        """(APIC ids, bases of chunks) of the pool that are ours: those that were, and those that steps brought."""
        mine, kept = set(cpus), set(bases)
        for step in steps:
            if step.do == "pool":
                mine |= set(step.args["cpus_add"])
                sizes = [one["size"] for one in step.args["memory_add"] + step.args["memory_remove"]]
                for one in now["memory"]:
                    if one["base"] not in step.args["had"] and one["size"] in sizes:
                        kept.add(one["base"])
                        sizes.remove(one["size"])
        return [cpu for cpu in now["cpus"] if cpu in mine], {one["base"] for one in now["memory"]} & kept

    @staticmethod
    def creations(specs: Sequence[Dict[str, Any]]) -> List[bytes]:
        """As few overlays as these instances fit into."""
        wanted = [overlay.create(one["name"], one["id"], one["apic_ids"], one["size"], one["node"]) for one in specs]
        return overlay.batch(wanted)

    @staticmethod
    def removals(names: Sequence[str]) -> List[bytes]:
        """As few overlays as it takes to remove instances."""
        return overlay.batch([overlay.remove(name) for name in names])

    @staticmethod
    def handovers(name: str, old: Sequence[int], new: Sequence[int]) -> List[bytes]:
        """The overlays that give an instance other CPUs."""
        gone, come = [cpu for cpu in old if cpu not in new], [cpu for cpu in new if cpu not in old]
        operations: List[overlay.Operation] = [overlay.instance_cpus_remove(name, gone)] if gone else []
        return overlay.batch(operations + ([overlay.instance_cpus_add(name, come)] if come else []))


Difference = Tuple[List[int], List[int], List[Chunk], List[Chunk]]


def _difference(
    now: Dict[str, Any],
    cpus_add: List[int],
    cpus_remove: List[int],
    memory_add: List[Chunk],
    memory_remove: List[Chunk],
    memory_take: List[Chunk],
    had: Set[int],
) -> Difference:
    """(CPUs to add, CPUs to remove, chunks to add, chunks to remove) that are still to be sent."""
    there = {(one["base"], one["size"]) for one in now["memory"]}
    # where a chunk of ours was, the kernel may have put another one since
    again = {one["base"] for one in memory_add if "base" in one}
    fresh = [one for one in now["memory"] if one["base"] not in had or one["base"] in again]
    gone = [one for one in memory_remove if (one["base"], one["size"]) in there]
    for wish in memory_take:
        one = next((one for one in fresh if _is_like(one, wish)), None)
        if one is not None:
            fresh.remove(one)
            gone.append(one)
    missing = []
    for wish in memory_add:
        like = [one for one in fresh if _is_like(one, wish)]
        if like:  # the very chunk if it is there, else any of its kind
            fresh.remove(next((one for one in like if one["base"] == wish.get("base")), like[0]))
        else:
            missing.append(wish)
    members = set(now["cpus"])
    return [cpu for cpu in cpus_add if cpu not in members], [cpu for cpu in cpus_remove if cpu in members], missing, gone


def _is_like(one: Chunk, wish: Chunk) -> bool:
    return bool(one["size"] == wish["size"] and wish["node"] in (None, one["node"]))


def _words(left: Difference) -> str:
    cpus, out, chunks, gone = left
    parts = []
    if cpus:
        parts.append("the CPUs with APIC id %s did not come" % ", ".join(str(cpu) for cpu in cpus))
    if out:
        parts.append("the CPUs with APIC id %s did not go" % ", ".join(str(cpu) for cpu in out))
    if chunks:
        parts.append("%d MiB of memory did not come" % (sum(one["size"] for one in chunks) >> 20))
    if gone:
        parts.append("the memory at %s did not go" % ", ".join(hex(one["base"]) for one in gone))
    return "; ".join(parts)
