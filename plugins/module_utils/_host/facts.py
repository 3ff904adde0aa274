# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""All that is known of one machine, as one plain bundle that can be stored and judged elsewhere.

The bundle is plain JSON; null means "not known", never "no"::

    {"version": 1, "hostname", "boot_id",
     "kernel": {"release", "version", "cmdline", "panic": int (seconds, 0: stays), "config": {"KEXEC": "y", ...}},
     "cpus": {"present": [int], "online": [int], "possible": [int], "boot": int,
              "each": {"0": {"apic_id", "package", "core", "siblings": [int], "llc": [int], "node", "offlinable": bool,
                             "flags": digest, "microcode": str}},
              "kinds": {"core": [int], "atom": [int]} ({}: all alike), "vulnerabilities": {name: str}},
     "memory": {"total", "block_size", "blocks": [{"number", "state", "node", "zone": str}],
                "iomem": [{"start", "end" (inclusive), "name", "depth"}], "low": [[base, size]],
                "hugetlb": int, "corrupted": int, "firmware": [{"start", "end" (inclusive), "type"}], "encrypted": bool},
     "kexec": {"load_disabled": bool, "limit_reboot": int (-1: no limit), "crash_loaded": bool},
     "lockdown": "none" | "integrity" | "confidentiality", "privileged": bool,
     "dialect": {"name": "rfc" | "kernfs" | "none", "provider": "mkstock" | "kernel", "strict": bool, "pool": [[base, size]],
                 "channels": bool, "offers": [name] (the one that is spoken by default comes first),
                 "mounted": bool, "generation": "G0" | "G1" | "G2" (kernfs only, once somebody looked)},
     "tsc": {"khz", "constant", "nonstop", "clocksource"},
     "uarts": [{"device", "port", "irq"}], "la57": bool, "virtualization": "none" | str,
     "iommu": {"present": bool, "translating": bool (every device is confined), "interrupt_remapping": bool, "groups": int},
     "pci": what pci.py tells: {"ecam": [...], "functions": {address: {...}}},
     "cache_allocation": {"supported": bool, "mounted": bool, "classes": int, "ways": int, "least_ways": int},
     "images": {path: what the image inspection tells}}
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, Optional

from .._boot import inspect
from .._boot.content import Kept
from . import cpu, dialect, files, iomem, iommu, kexec, machine, memory, pci, resctrl, tsc, uart
from .beside import Beside

Facts = Dict[str, Any]


def collect(
    root: str = "/",
    images: Iterable[str] = (),
    remembered: Optional[Dict[str, Dict[str, Any]]] = None,
    signers: Optional[Mapping[str, Iterable[str]]] = None,
    kept: Optional[Kept] = None,
) -> Facts:
    """Read the facts of the machine below `root`; `images` are paths of kernels and initrds to look into.

    `signers` are the files of allowed signers against which the signatures of images are held, by the path of the image. `kept` takes
    what the images held.

    `remembered` is an older "each" of "cpus": the kernel forgets the APIC id and topology of a CPU that is offline.
    Missing files make null, never an exception.
    """
    wanted, known = sorted(set(images)), signers or {}
    if not wanted:
        return dict(_host(root, remembered), images={})
    with Beside(lambda: {path: _image(root, path, known.get(path, ()), kept) for path in wanted}) as looked:  # checksums take longest
        facts = _host(root, remembered)
    facts["images"] = looked.result()
    return facts


def _host(root: str, remembered: Optional[Dict[str, Dict[str, Any]]]) -> Facts:
    facts: Facts = {"version": 1}
    facts.update(machine.identity(root))
    facts["kernel"] = machine.kernel(root)
    facts["cpus"] = cpu.cpus(root, _with_apic_ids(remembered, dialect.mkstock_apic_ids(root)))
    facts["memory"] = _memory(root, facts["kernel"]["cmdline"])
    facts["kexec"] = kexec.kexec(root)
    facts["lockdown"] = kexec.lockdown(root)
    facts["privileged"] = kexec.privileged(root)
    facts["dialect"] = dialect.dialect(root)
    facts["tsc"] = tsc.tsc(root)
    facts["uarts"] = uart.uarts(root)
    facts["la57"] = machine.la57(root)
    facts["virtualization"] = machine.virtualization(root)
    facts["iommu"] = iommu.iommu(root)
    facts["pci"] = pci.pci(root)
    facts["cache_allocation"] = resctrl.cache_allocation(root)
    return facts


def with_memory(root: str, facts: Facts) -> Facts:
    """The same facts with the memory, and the pool that is declared of it, read anew: all that a proof of free memory is made from."""
    return dict(facts, memory=_memory(root, facts["kernel"]["cmdline"]), dialect=dialect.dialect(root))


def _image(root: str, path: str, signers: Iterable[str], kept: Optional[Kept]) -> Dict[str, Any]:
    told = {name: files.path_below(root, name) for name in signers}
    return inspect.inspect(files.path_below(root, path), signers=told, kept=kept)


def _memory(root: str, cmdline: Optional[str]) -> Dict[str, Any]:
    low = dialect.mkstock_low(root)
    if low is None and cmdline is not None:
        low = iomem.low_chunks(cmdline)
    return {
        "total": memory.total(root),
        "block_size": memory.block_size(root),
        "blocks": memory.blocks(root),
        "iomem": iomem.parse(files.read(root, "proc/iomem")),
        "low": low,
        "hugetlb": memory.hugetlb(root),
        "corrupted": memory.corrupted(root),
        "firmware": memory.firmware(root),
        "encrypted": machine.encrypted(root),
    }


def _with_apic_ids(remembered: Optional[Dict[str, Dict[str, Any]]], apic_ids: Dict[int, int]) -> Dict[str, Dict[str, Any]]:
    """Let mkstock's word on the CPUs of running instances stand above what was remembered."""
    known = {number: dict(each) for number, each in (remembered or {}).items()}
    for number, apic_id in apic_ids.items():
        known.setdefault(str(number), {})["apic_id"] = apic_id
    return known
