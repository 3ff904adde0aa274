# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Shared fate: the things whose failure takes several kernels with it, however well they behave."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Set, Tuple

from .ground import HOST, Ground


class Fate(NamedTuple):
    """One thing that several kernels depend on: kind and name of it, those kernels, what happens to them, the evidence."""

    kind: str
    name: str
    kernels: Tuple[str, ...]
    sentence: str
    evidence: Tuple[str, ...]

    def to_dict(self) -> Dict[str, Any]:
        """Plain data."""
        return {
            "kind": self.kind,
            "name": self.name,
            "kernels": list(self.kernels),
            "sentence": self.sentence,
            "evidence": list(self.evidence),
        }


_MEETING = (
    (
        "package",
        "packages",
        "package {0}",
        "a machine check, heat, a power limit or a microcode update strikes all of them",
        "fact:cpus.each.package",
    ),
    ("core", "cores", "the core of CPU {0}", "a fault of the core strikes all of them", "fact:cpus.each.siblings"),
    ("cache", "caches", "the last-level cache of CPU {0}", "an error in the cache strikes all of them", "fact:cpus.each.llc"),
    ("memory", "nodes", "memory node {0}", "an error of the memory controller strikes all of them", "fact:memory.blocks"),
)


def fates(ground: Ground) -> List[Fate]:
    """Return every set of two or more kernels with a shared fate, what the whole machine shares first."""
    everyone = tuple(ground.kernels)
    if len(everyone) < 2:
        return []
    found = [
        Fate("machine", "the machine", everyone, "a reset, a loss of power or an SMI strikes all of them", ("nature:one-machine",)),
        Fate("firmware", "firmware and microcode", everyone, "their faults are faults of all of them", ("nature:one-machine",)),
        Fate("host", "the host kernel", everyone, "it alone can start, stop and watch the others", ("nature:one-host",)),
    ]
    for kind, key, name, sentence, evidence in _MEETING:
        users: Dict[Any, Set[str]] = {}
        for kernel in ground.kernels.values():
            for one in getattr(kernel, key) or ():
                users.setdefault(one, set()).add(kernel.name)
        for one in sorted(users):
            if len(users[one]) > 1:
                kernels = tuple(sorted(users[one], key=lambda each: (each != HOST, each)))
                found.append(Fate(kind, name.format(one), kernels, sentence, (evidence,)))
    return found
