# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""One letter for what separates the kernels of a layout, and the conditions that it stands on.

A: each kernel below a hypervisor. B: devices and interrupts confined, whole cores, partitioned caches, locked-down images.
C: cooperating kernels whose devices an IOMMU confines, on whole cores. D: no IOMMU, or a core shared by two kernels.
F: kernels of different trust side by side without a waiver. A condition that is not known never counts as met.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .._layout import canonical
from .ground import HOST, Ground, Groups, Kernel

GRADES = "FDCBA"  # from the worst to the best


class Condition(NamedTuple):
    """What a grade asks for: met is true, false or None (not known); evidence as in verdict.py."""

    grade: str
    met: Optional[bool]
    sentence: str
    evidence: Tuple[str, ...]

    def to_dict(self) -> Dict[str, Any]:
        """Plain data."""
        return {"grade": self.grade, "met": self.met, "sentence": self.sentence, "evidence": list(self.evidence)}


class Grade(NamedTuple):
    """proven: the best grade whose conditions are all met; possible: the best that nothing known rules out."""

    proven: str
    possible: str
    conditions: Tuple[Condition, ...]

    def reaches(self, wanted: str) -> Optional[bool]:
        """Tell whether a grade is reached; None when that depends on what is not known. ValueError for a grade that is none."""
        if GRADES.index(wanted) <= GRADES.index(self.proven):
            return True
        return None if GRADES.index(wanted) <= GRADES.index(self.possible) else False

    def against(self, wanted: str) -> List[Condition]:
        """The conditions that keep the grade `wanted` from being proven, those that failed first."""
        asked = [one for one in self.conditions if GRADES.index(one.grade) <= GRADES.index(wanted) and one.met is not True]
        return sorted(asked, key=lambda one: one.met is None)


def grade(ground: Ground) -> Grade:
    """Return the grade of a layout on a machine, in time linear in the number of CPUs and instances."""
    conditions = (_trust(ground), _dma(ground), _cores(ground), _interrupts(ground), _caches(ground), _lockdown(ground), _hypervisor())
    proven = possible = GRADES[0]
    for letter in GRADES[1:]:
        met = [one.met for one in conditions if GRADES.index(one.grade) <= GRADES.index(letter)]
        if all(met):
            proven = letter
        if False not in met:
            possible = letter
    return Grade(proven, possible, conditions)


def _trust(ground: Ground) -> Condition:
    labels = sorted({one["trust"] for one in canonical.instances(ground.layout).values() if one["trust"] is not None})
    waived = bool(str(ground.layout["waivers"].get("sec-one-trust") or "").strip())
    evidence = ("layout:instances.trust", "rule:sec-one-trust")
    if len(labels) < 2:
        return Condition("D", True, "all kernels are of one trust", evidence)
    text = "kernels of different trust ({0}) stand side by side".format(", ".join(labels))
    return Condition("D", waived, text + (", which is waived" if waived else " without a waiver"), evidence)


def _dma(ground: Ground) -> Condition:
    translating = ground.fact("iommu.translating")
    texts = {
        None: "whether an IOMMU confines devices is not known",
        True: "an IOMMU confines devices",
        False: "no IOMMU confines all devices",
    }
    met = translating if translating is None else bool(translating)
    return Condition("C", met, texts[met], ("fact:iommu.translating",))


def _cores(ground: Ground) -> Condition:
    """Whether every core belongs to one kernel."""
    evidence = ("fact:cpus.each.siblings", "rule:cpu-smt-split")
    split, hidden = _met({name: ground.cores(name) for name in ground.cpus})
    if split:
        return Condition("C", False, "{0} share a core".format("; ".join(" and ".join(names) for names in split)), evidence)
    if hidden:
        return Condition("C", None, "which cores run {0} is not known".format(_several(hidden)), evidence)
    return Condition("C", True, "no core is shared by two kernels", evidence)


def _met(used: Dict[str, Groups]) -> Tuple[List[Tuple[str, ...]], List[str]]:
    """The kernels that meet on one core or below one cache, and those of which it is not known what they use."""
    owners: Dict[Any, Set[str]] = {}
    for name, own in used.items():
        for one in own or ():
            owners.setdefault(one, set()).add(name)
    return sorted({tuple(sorted(names)) for names in owners.values() if len(names) > 1}), [
        name for name, own in used.items() if own is None
    ]


def _several(names: List[str]) -> str:
    return ", ".join(names[:4]) + (" and {0} more".format(len(names) - 4) if len(names) > 4 else "")


def _interrupts(ground: Ground) -> Condition:
    remapping = ground.fact("iommu.interrupt_remapping")
    texts = {
        None: "whether interrupts of devices are remapped is not known",
        True: "interrupts of devices are remapped",
        False: "interrupts of devices are not remapped",
    }
    met = remapping if remapping is None else bool(remapping)
    return Condition("B", met, texts[met], ("fact:iommu.interrupt_remapping",))


def _caches(ground: Ground) -> Condition:
    """Whether no two kernels use the same part of a last-level cache.

    A cache of one kernel alone is partitioned by where the kernels are. For one that several share, the machine may have cache
    allocation, but the class of a CPU stands in a register of that CPU, which its own kernel writes and the host cannot read.
    """
    evidence = ("fact:cpus.each.llc", "fact:cache_allocation")
    shared, hidden = _met({name: ground.caches(name) for name in ground.cpus})
    if shared:
        who = "; ".join(_several(list(names)) for names in shared[:4])
        supported = ground.fact("cache_allocation.supported")
        if supported is False:
            return Condition("B", False, "{0} share a last-level cache, and these CPUs cannot partition it".format(who), evidence)
        could = "" if supported is None else " (these CPUs could)"
        text = "{0} share a last-level cache, and whether it is partitioned{1} cannot be read from outside their CPUs"
        return Condition("B", None, text.format(who, could), evidence)
    if hidden:
        return Condition("B", None, "whose last-level caches {0} use is not known".format(_several(hidden)), evidence)
    return Condition("B", True, "no last-level cache serves two kernels", evidence)


def _lockdown(ground: Ground) -> Condition:
    """Whether every instance's kernel keeps its own root user from ring 0.

    lockdown= on the command line does that where the kernel was built with the lockdown LSM that starts early; what a kernel was built
    with is known of the release that the host itself runs.
    """
    evidence = ("layout:instances.cmdline", "layout:images.cmdline", "fact:kernel.config", "fact:images")
    wrong: List[str] = []
    doubt: List[str] = []
    for name, kernel in ground.kernels.items():
        if name != HOST:
            locked = _is_locked(ground, kernel)
            if locked is None:
                doubt.append(name)
            elif not locked:
                wrong.append(name)
    if wrong:
        return Condition("B", False, "{0} {1} not locked down".format(_several(wrong), "is" if len(wrong) == 1 else "are"), evidence)
    if doubt:
        text = "whether the kernel of {0} was built to lock itself down is not known"
        return Condition("B", None, text.format(_several(doubt)), evidence)
    return Condition("B", True, "every image is locked down", evidence)


def _is_locked(ground: Ground, kernel: Kernel) -> Optional[bool]:
    if kernel.kind != "linux":
        return None if kernel.kind is None else False  # a payload that is no Linux has no lockdown
    image = canonical.instances(ground.layout)[kernel.name]["image"]
    files = ground.fact("images")
    file = files.get(ground.layout["images"][image]["kernel"]["path"]) if isinstance(files, dict) else None
    header = (file.get("header") if isinstance(file, dict) else None) or {}
    release = str(header.get("kernel_version") or "").partition(" ")[0]
    config = ground.fact("kernel.config") if release and release == ground.fact("kernel.release") else None
    if not isinstance(config, dict) or "SECURITY_LOCKDOWN_LSM_EARLY" not in config:
        return None
    if config["SECURITY_LOCKDOWN_LSM_EARLY"] != "y":
        return False
    forced = (config.get("LOCK_DOWN_KERNEL_FORCE_" + level) == "y" for level in ("INTEGRITY", "CONFIDENTIALITY"))
    return kernel.words.get("lockdown") in ("integrity", "confidentiality") or any(forced)


def _hypervisor() -> Condition:
    return Condition("A", False, "no hypervisor stands between the kernels of a multikernel machine", ("nature:ring-0",))
