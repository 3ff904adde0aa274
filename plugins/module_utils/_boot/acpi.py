# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""Private ACPI tables of an instance: only its own CPUs, no legacy hardware, nothing of the host's firmware.

`acpi=off` is no way: the kernel then believes the firmware's MP table, which names another boot CPU and the real IO-APIC. With
these tables (RSDP, XSDT, FADT 6.3 hardware-reduced, DSDT without a device, MADT) it leaves PIC, PIT, RTC, keyboard controller and
IO-APIC alone. An instance that owns PCI buses also gets MCFG, and host bridges in its DSDT. Source: ACPI specification 6.3, chapter
5.2; arch/x86/kernel/acpi/boot.c and arch/x86/kernel/cpu/topology.c.
"""

from __future__ import annotations

import struct
from typing import List, Sequence, Union

from . import aml
from .aml import Bus

SIZE = 4096
MAX_APIC_ID = 254
"""Highest id of an xAPIC; 255 addresses every CPU. Instances do not run in x2APIC mode, they have no DMAR table."""

_XSDT = 0x040
_DSDT = 0x080
_FADT = 0x100
_MADT = 0x300
_HEADER_SIZE = 36

_LOCAL_APIC_ADDRESS = 0xFEE00000
_ENABLED = 1
_ONLINE_CAPABLE = 2
_HOST_BSP_UID = 0xFE

_IAPC_BOOT_ARCH = 0x3C  # no 8042 (bit 1 is clear), no VGA, no MSI, no ASPM, no CMOS RTC
_IAPC_BOOT_ARCH_PCI = 0x34  # the same with MSI: without an IO-APIC a device has no other interrupt
_WBINVD = 1 << 0
_PROC_C1 = 1 << 2
_NO_POWER_BUTTON = 1 << 4
_NO_SLEEP_BUTTON = 1 << 5
# In flat logical mode the instance's first CPU takes logical id 1, which is the host CPU 0's, and gets the host's IPIs.
_FORCE_PHYSICAL_DESTINATION = 1 << 19
_HW_REDUCED = 1 << 20
_FADT_FLAGS = _WBINVD | _PROC_C1 | _NO_POWER_BUTTON | _NO_SLEEP_BUTTON | _FORCE_PHYSICAL_DESTINATION | _HW_REDUCED


def build(address: int, io_apic: int, apic_ids: Sequence[int], bsp_apic_id: int, buses: Sequence[Bus] = ()) -> bytes:
    """The page of tables (SIZE bytes) for physical *address*, where the RSDP lies at its start.

    *io_apic*: physical address (below 4 GiB) of a zeroed page of the instance's own RAM that stands in for an IO-APIC, without which
    older kernels fall back to the MP table. *apic_ids*: the instance's CPUs, boot CPU first. *bsp_apic_id*: the host's boot CPU.
    *buses*: the PCI buses that it owns. Raises ValueError with a sentence for ids that cannot be, and for more buses than fit.
    """
    _check(io_apic, apic_ids, bsp_apic_id)
    page = bytearray(SIZE)
    # all 254 CPUs that there can be fit into the page, and then some eight PCI buses
    madt = _table(b"APIC", 5, _madt_body(io_apic, apic_ids, bsp_apic_id))
    mcfg_at, dsdt_at = _up(_MADT + len(madt)), _DSDT
    mcfg = _table(b"MCFG", 1, _mcfg_body(buses)) if buses else b""
    dsdt = _table(b"DSDT", 2, aml.body(buses))
    if buses:
        dsdt_at = _up(mcfg_at + len(mcfg))
        if dsdt_at + len(dsdt) > SIZE:
            raise ValueError("the ACPI tables of %d CPUs and %d PCI buses do not fit into a page" % (len(apic_ids), len(buses)))
        _put(page, mcfg_at, mcfg)
    _put(page, dsdt_at, dsdt)
    _put(page, _FADT, _table(b"FACP", 6, _fadt_body(address + dsdt_at, _IAPC_BOOT_ARCH_PCI if buses else _IAPC_BOOT_ARCH)))
    _put(page, _MADT, madt)
    entries = [address + _FADT, address + _MADT] + ([address + mcfg_at] if buses else [])
    _put(page, _XSDT, _table(b"XSDT", 1, struct.pack("<%dQ" % len(entries), *entries)))
    _put(page, 0, _rsdp(address + _XSDT))
    return bytes(page)


def checksum(table: Union[bytes, bytearray]) -> int:
    """The byte that makes the sum of *table* a multiple of 256 when its own checksum byte is zero."""
    return -sum(table) & 0xFF


def _table(signature: bytes, revision: int, body: bytes) -> bytes:
    table = bytearray(
        struct.pack("<4sIBB6s8sI4sI", signature, _HEADER_SIZE + len(body), revision, 0, b"MKRNEL", b"INSTANCE", 1, b"MKRN", 1) + body
    )
    table[9] = checksum(table)
    return bytes(table)


def _rsdp(xsdt: int) -> bytes:
    table = bytearray(struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"MKRNEL", 2, 0, 36, xsdt, 0))
    table[8] = checksum(table[:20])
    table[32] = checksum(table)
    return bytes(table)


def _fadt_body(dsdt: int, boot_arch: int) -> bytes:
    table = bytearray(276)  # the length of FADT 6.3
    struct.pack_into("<I", table, 40, dsdt if dsdt < 1 << 32 else 0)
    struct.pack_into("<H", table, 109, boot_arch)
    struct.pack_into("<I", table, 112, _FADT_FLAGS)
    table[131] = 3  # minor version
    struct.pack_into("<Q", table, 140, dsdt)
    return bytes(table[_HEADER_SIZE:])


def _madt_body(io_apic: int, apic_ids: Sequence[int], bsp_apic_id: int) -> bytes:
    # From Linux 6.9 on, a kernel whose boot CPU is not the machine's BSP takes the first CPU listed for the BSP; if that is its own
    # boot CPU, it believes to be a crash kernel and stays on one CPU. So the host's BSP comes first: "online capable" is enough to be
    # seen, and, unlike "enabled", does not make older kernels send INIT to it.
    entries: List[bytes] = [struct.pack("<BBBBI", 0, 8, _HOST_BSP_UID, bsp_apic_id, _ONLINE_CAPABLE)]
    entries += [struct.pack("<BBBBI", 0, 8, uid, apic_id, _ENABLED) for uid, apic_id in enumerate(apic_ids)]
    entries.append(struct.pack("<BBBxII", 1, 12, 0, io_apic, 0))
    return struct.pack("<II", _LOCAL_APIC_ADDRESS, 0) + b"".join(entries)


def _mcfg_body(buses: Sequence[Bus]) -> bytes:
    # the address is that of bus 0 of the segment, whichever bus comes first
    entries = [struct.pack("<QHBBI", one.ecam - one.bus * aml.BUS_SIZE, one.segment, one.bus, one.last, 0) for one in buses]
    return bytes(8) + b"".join(entries)


def _up(offset: int) -> int:
    return (offset + 15) // 16 * 16


def _put(page: bytearray, offset: int, table: bytes) -> None:
    page[offset : offset + len(table)] = table


def _check(io_apic: int, apic_ids: Sequence[int], bsp_apic_id: int) -> None:
    if not 0 < io_apic < 1 << 32:
        raise ValueError("the stand-in for the IO-APIC at 0x%x is not below 4 GiB, where the MADT could name it" % io_apic)
    if not apic_ids:
        raise ValueError("an instance needs at least one CPU")
    if len(set(apic_ids)) != len(apic_ids):
        raise ValueError("an APIC id is given twice: %s" % ", ".join(map(str, apic_ids)))
    if bsp_apic_id in apic_ids:
        raise ValueError("APIC id %d is the host's boot CPU; it stays with the host" % bsp_apic_id)
    for apic_id in list(apic_ids) + [bsp_apic_id]:
        if not 0 <= apic_id <= MAX_APIC_ID:
            raise ValueError("APIC id %d is beyond %d: instances run in xAPIC mode, which cannot address it" % (apic_id, MAX_APIC_ID))
