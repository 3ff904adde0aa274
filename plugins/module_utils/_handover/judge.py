# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What speaks against a kexec of this host while its instances run: sentences, each with what would be right."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._converge import carried
from .._dialect import table
from .._dialect.observe import MKSTOCK
from .._host.iomem import memmap_reserved
from . import cmdline

# Series of (running kernel, next kernel) that were tried by the kernel suite hostkexec.
MEASURED = (("6.1", "6.1"), ("6.1", "6.12"), ("6.12", "6.12"))
WANTS = "etc/systemd/system/multi-user.target.wants/mkstock.service"
SOURCE = "usr/src/mkstock/Kbuild"
RECORD = MKSTOCK + "record"
KHO = "sys/kernel/debug/kho"

Known = Dict[str, Dict[str, Any]]


def series(release: Optional[str]) -> str:
    """The first two numbers of a release, "" where it has none."""
    match = re.match(r"(\d+\.\d+)(?:\D|$)", release or "")
    return match.group(1) if match else ""


def release_of(image: Dict[str, Any]) -> str:
    """The release of a kernel file by its header, "" when it does not tell."""
    words = str((image.get("header") or {}).get("kernel_version") or "").split()
    return words[0] if words else ""


def host(system: Any, facts: Dict[str, Any], kept: Optional[Dict[str, Any]], cut: bool) -> List[str]:
    """Refusals by what the host is, whatever the next kernel."""
    found = []
    kexec = facts["kexec"]
    if not facts["privileged"]:
        found.append("it needs root (CAP_SYS_BOOT, CAP_SYS_ADMIN)")
    if kexec["load_disabled"] is not False:
        found.append("kernel.kexec_load_disabled is not known to be 0: the kernel takes no other until a reboot")
    if kexec["limit_reboot"] == 0:
        found.append("kernel.kexec_load_limit_reboot is used up")
    if facts["lockdown"] != "none":
        told = facts["lockdown"] or "not known"
        found.append("kernel lockdown is %s: mkstock would not load into the next kernel; boot without it" % told)
    if facts["dialect"]["name"] == "kernfs" or (kept or {}).get("dialect") == "kernfs":
        found.append("the dialect kernfs gives instances memory that the next kernel would use; make the layout in rfc (abi=rfc)")
    elif system.read(RECORD) is None:
        found.append("this kernel leaves no record of its instances: a stock kernel with this collection's mkstock does")
    if cut:
        found.append("an apply was cut off; apply the layout again first, which undoes it")
    return found


def record(system: Any) -> List[str]:
    """Why mkstock itself could not carry everything on."""
    text = system.read(RECORD)
    told = next((line[len("carries ") :] for line in (text or "").splitlines() if line.startswith("carries ")), None)
    if text is None or told == "everything":
        return []
    return ["mkstock cannot carry everything on: %s" % (told or "it does not say that it can")]


def instances(system: Any, facts: Dict[str, Any], known: Known, health: Known) -> List[str]:
    """Refusals by what runs. known: what the store remembers of the running ones; health: what they show now."""
    found = []
    reserved = memmap_reserved(facts["kernel"]["cmdline"])
    for name, one in sorted(known.items()):
        spec, now = one["spec"], health.get(name) or {}
        if now.get("alive") is not True:
            found.append("%s is not seen to live (%s); mend or stop it first" % (name, now.get("why") or "nobody knows"))
        if spec.get("devices"):
            found.append("%s owns devices, which the next kernel would take; stop it first" % name)
        bare = cmdline.uncovered(memory_of(spec), reserved)
        if bare:
            told = ", ".join("0x%x+0x%x" % part for part in bare)
            found.append("memory of %s is not kept off by memmap= on the host's command line: %s" % (name, told))
    entries = {one["spec"]["entry"] for one in known.values()}
    for line in table.instances(system.read(MKSTOCK + "instances")) or []:
        if line["entry"] not in entries and line["state"] == "running":
            found.append("an instance on CPU %s is in no layout of this host; stop it first" % ", ".join(map(str, line["cpus"])))
    return found


def memory_of(spec: Dict[str, Any]) -> List[Tuple[int, int]]:
    """The ranges of physical memory that an instance runs in."""
    low = [(spec["low"], 0x10000)] if spec.get("low") is not None else []
    return [(spec["base"], spec["size"]), *low]


def kernel(system: Any, facts: Dict[str, Any], image: Dict[str, Any], path: str, unproven: bool) -> List[str]:
    """Refusals by the next kernel."""
    if not image["exists"] or not image["regular"]:
        return ["there is no kernel %s on the host" % path]
    if image["kind"] != "bzimage":
        return ["%s is no bzImage, which is what the host's kexec takes" % path]
    release, found = release_of(image), []
    pair = (series(facts["kernel"]["release"]), series(release))
    if pair not in MEASURED and not unproven:
        known = ", ".join("%s to %s" % one for one in MEASURED)
        found.append(
            "a kexec from %s to %s was not measured (%s were); set unproven: true to try it"
            % (pair[0] or "an unknown kernel", pair[1] or "an unknown kernel", known)
        )
    found += _module(system, release)
    return found


def _module(system: Any, release: str) -> List[str]:
    """mkstock must be there by itself in the next kernel, or nobody adopts."""
    if not system.exists(WANTS):
        return ["mkstock is not loaded at boot (mkstock.service); apply the role stock_kernel with stock_kernel_boot: true"]
    if not system.exists("lib/modules/%s/updates/mkstock.ko" % release) and not system.exists(SOURCE):
        told = release or "the next kernel"
        return ["there is neither mkstock for %s nor its source in /usr/src/mkstock; build it first (scripts/build-mkstock)" % told]
    return []


def prerequisites(system: Any, facts: Dict[str, Any]) -> List[Dict[str, Any]]:
    """What the kernel's own means for this (KHO, LUO) would need here: {"name", "there": bool, "say"}. None of it is used; see docs."""
    words = (facts["kernel"]["cmdline"] or "").split()
    kho = system.exists("sys/kernel/kexec/kho") or system.exists(KHO)
    luo = system.exists("dev/liveupdate") or system.exists("sys/class/misc/liveupdate")
    return [
        {"name": "KHO", "there": kho, "say": "Kexec HandOver (CONFIG_KEXEC_HANDOVER, Linux 6.16 and newer)"},
        {"name": "kho=on", "there": "kho=on" in words or "kho=1" in words, "say": "kho=on on the command line, which switches KHO on"},
        {"name": "LUO", "there": luo, "say": "Live Update Orchestrator (CONFIG_LIVEUPDATE, /dev/liveupdate, Linux 6.19 and newer)"},
        {"name": "record", "there": system.read(carried.ADOPTED) is not None, "say": "mkstock's ownership record, which is what is used"},
    ]


def cpus_of(known: Known, lines: Sequence[Dict[str, Any]]) -> List[int]:
    """Logical CPUs that instances have, by the store and by mkstock."""
    mine = {cpu for one in known.values() for cpu in one["spec"]["cpus"]}
    return sorted(mine | {cpu for line in lines for cpu in line["cpus"] if line["state"] == "running"})
