# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From an instance's spec to what the loader needs, and the proof that its bytes may be written where they go."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .._boot import assemble, cmdline
from .._host import iomem, pci_bus
from .._plan import ranges
from .._plan import spec as specs
from .._plan.place import span
from .base import DialectError

MKTTY = "mktty0"  # the multikernel console
# I/O ports of the four UARTs of a PC, for a host whose serial driver does not tell
PORTS = (("ttyS0", 0x3F8), ("ttyS1", 0x2F8), ("ttyS2", 0x3E8), ("ttyS3", 0x2E8))


def boot_spec(spec: Dict[str, Any], facts: Dict[str, Any], info: Optional[str], nonce: int) -> assemble.Spec:
    """The loader's own form of a spec. info is mkstock's file of that name, where there is one."""
    told = dict(line.split(None, 1) for line in (info or "").splitlines() if len(line.split(None, 1)) == 2)
    boot = (facts["cpus"]["each"] or {}).get(str(facts["cpus"]["boot"] or 0)) or {}
    tsc_khz = (facts["tsc"] or {}).get("khz") or told.get("tsc_khz")
    image, device = spec["image"], spec["console"]["device"] if spec["console"] else None
    words = spec["cmdline"]
    if device == MKTTY:  # a ring in the instance's own memory, no UART
        device = None
        words = words if "console=" + MKTTY in words.split() else ("console=%s %s" % (MKTTY, words)).strip()
    ports = dict(PORTS)
    ports.update((one["device"], one["port"]) for one in facts.get("uarts") or [] if one["port"] is not None)
    if device is not None and device not in ports:
        raise DialectError(
            "the console of %s is %s, and this host has no such UART (known: %s)" % (spec["name"], device, ", ".join(sorted(ports)))
        )
    present = [one for one in facts.get("uarts") or [] if one["port"] is not None and one["device"] != device]
    return assemble.Spec(
        name=specs.called(spec),
        base=spec["base"],
        size=spec["size"],
        low=spec["low"],
        apic_ids=spec["apic_ids"],
        bsp_apic_id=int(told.get("bsp_apic_id") or boot.get("apic_id") or 0),
        tsc_khz=int(tsc_khz) if tsc_khz else None,
        kernel_path=image["kernel"],
        initrd_path=image["initrd"],
        cmdline=words,
        format="flat" if image["flat"] else image["format"],
        channels=[_end(one) for one in spec["channels"]],
        nonce=nonce,
        console=cmdline.Uart(device, ports[device]) if device is not None else None,
        other_uarts=[cmdline.Uart(one["device"], one["port"]) for one in present],
        digest=image["kernel_sha256"],
        initrd_digest=image["initrd_sha256"],
        buses=_buses(spec, facts),
        devices=[(one["pci"], one["alias"]) for one in spec.get("devices") or []],
    )


def _buses(spec: Dict[str, Any], facts: Dict[str, Any]) -> List[Any]:
    try:
        return list(pci_bus.buses(facts.get("pci"), specs.devices_of(spec)))
    except ValueError as error:
        raise DialectError("%s cannot be given its devices: %s" % (spec["name"], error)) from error


def _end(one: Dict[str, Any]) -> assemble.ChannelEnd:
    if one["kind"] == "shared_memory":
        return assemble.ChannelEnd(specs.called(one), one["address"], one["end"], shared=one["size"], writer=specs.writer_of(one))
    area = assemble.Area(one["slots"], one["message_size"], (one["ends"][0], one["ends"][1])) if one["writes"] else None
    return assemble.ChannelEnd(specs.called(one), one["address"], one["end"], area)


def prove(spec: Dict[str, Any], segments: Sequence[Any], facts: Dict[str, Any], busy: Dict[str, Dict[str, Any]]) -> None:
    """Raises DialectError unless every segment lies in what the instance owns, the host uses none of it, nor does a running instance."""
    name = spec["name"]
    own = specs.memory_of(spec) + [(one["address"], one["address"] + one["size"]) for one in spec["channels"] if one["writes"]]
    written: List[ranges.Range] = [(one.address, one.address + one.memsz) for one in segments]
    for one in written:
        if not ranges.contains(own, one):
            raise DialectError(
                "a segment of %s (%s) lies outside its memory (%s)" % (name, span(one), ", ".join(span(part) for part in own))
            )
        for other, theirs in sorted(busy.items()):
            for part in specs.memory_of(theirs):
                if other != name and ranges.overlap(one, part):
                    raise DialectError(
                        "a segment of %s (%s) lies in the memory of %s (%s), which runs" % (name, span(one), other, span(part))
                    )
    used = iomem.free_of_host([(start, end - start) for start, end in written], facts)
    if used is not None:
        raise DialectError("%s is not loaded: %s" % (name, used))
