# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private ACPI tables are sound, name only the instance's CPUs, and keep older and newer kernels off the host's hardware."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import acpi
from hypothesis import given
from hypothesis import strategies as st

ADDRESS = 0x40001000
IO_APIC = 0x40002000


def tables(page: bytes, address: int) -> Dict[str, bytes]:
    """Walk from the RSDP as a kernel does and check every checksum on the way."""
    assert page[:8] == b"RSD PTR "
    assert sum(page[:20]) & 0xFF == 0
    assert sum(page[:36]) & 0xFF == 0
    assert page[15] == 2
    found = {}
    xsdt = table_at(page, address, struct.unpack_from("<Q", page, 24)[0])
    found["XSDT"] = xsdt
    for entry in struct.iter_unpack("<Q", xsdt[36:]):
        table = table_at(page, address, entry[0])
        found[table[:4].decode()] = table
    found["DSDT"] = table_at(page, address, struct.unpack_from("<Q", found["FACP"], 140)[0])
    return found


def table_at(page: bytes, address: int, physical: int) -> bytes:
    offset = physical - address
    length = struct.unpack_from("<I", page, offset + 4)[0]
    table = page[offset : offset + length]
    assert len(table) == length >= 36
    assert sum(table) & 0xFF == 0, "checksum of %r" % table[:4]
    return table


def madt_entries(madt: bytes) -> List[bytes]:
    entries, offset = [], 44
    while offset < len(madt):
        entries.append(madt[offset : offset + madt[offset + 1]])
        offset += madt[offset + 1]
    assert offset == len(madt)
    return entries


def local_apics(madt: bytes) -> List[Tuple[int, int]]:
    """(APIC id, flags) of every local APIC, in order."""
    return [(entry[3], struct.unpack_from("<I", entry, 4)[0]) for entry in madt_entries(madt) if entry[0] == 0]


@pytest.mark.parametrize("address", [ADDRESS, 0x140001000])
def test_all_tables_are_found_with_good_checksums(address: int) -> None:
    found = tables(acpi.build(address, IO_APIC, [2, 3], 0), address)
    assert sorted(found) == ["APIC", "DSDT", "FACP", "XSDT"]
    assert len(found["DSDT"]) == 36, "no device, no code"


def test_the_fadt_is_6_3_and_leaves_legacy_hardware_alone() -> None:
    fadt = tables(acpi.build(ADDRESS, IO_APIC, [2], 0), ADDRESS)["FACP"]
    assert (len(fadt), fadt[8], fadt[131]) == (276, 6, 3)
    flags = struct.unpack_from("<I", fadt, 112)[0]
    assert flags & 1 << 20, "HW_REDUCED: no PIC, no PIT"
    assert flags & 1 << 19, "physical destinations: no IPI of the host arrives by a logical id"
    assert struct.unpack_from("<H", fadt, 109)[0] == 0x3C
    assert struct.unpack_from("<I", fadt, 40)[0] == ADDRESS + 0x80


def test_above_4_gib_only_the_64_bit_dsdt_address_is_set() -> None:
    fadt = tables(acpi.build(0x140001000, IO_APIC, [2], 0), 0x140001000)["FACP"]
    assert struct.unpack_from("<I", fadt, 40)[0] == 0


def test_the_hosts_boot_cpu_comes_first_and_is_not_enabled() -> None:
    madt = tables(acpi.build(ADDRESS, IO_APIC, [5, 4, 6], 1), ADDRESS)["APIC"]
    assert madt[8] == 5
    assert local_apics(madt) == [(1, 2), (5, 1), (4, 1), (6, 1)]
    io_apics = [entry for entry in madt_entries(madt) if entry[0] == 1]
    assert [struct.unpack_from("<I", entry, 4)[0] for entry in io_apics] == [IO_APIC]


@given(ids=st.lists(st.integers(1, 254), min_size=1, max_size=254, unique=True))
def test_any_set_of_cpus_fits_and_has_unique_uids(ids: "list[int]") -> None:
    madt = tables(acpi.build(ADDRESS, IO_APIC, ids, 0), ADDRESS)["APIC"]
    assert local_apics(madt) == [(0, 2)] + [(apic_id, 1) for apic_id in ids]
    uids = [entry[2] for entry in madt_entries(madt) if entry[0] == 0]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize(
    ("io_apic", "ids", "bsp", "sentence"),
    [
        (1 << 32, [2], 0, "not below 4 GiB"),
        (IO_APIC, [], 0, "at least one CPU"),
        (IO_APIC, [2, 3, 2], 0, "given twice: 2, 3, 2"),
        (IO_APIC, [2, 0], 0, "APIC id 0 is the host's boot CPU"),
        (IO_APIC, [255], 0, "APIC id 255 is beyond 254"),
        (IO_APIC, [2], 300, "APIC id 300 is beyond 254"),
    ],
)
def test_ids_that_cannot_be_are_refused(io_apic: int, ids: "list[int]", bsp: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        acpi.build(ADDRESS, io_apic, ids, bsp)


@pytest.mark.skipif(shutil.which("iasl") is None, reason="no iasl (acpica-tools) here")
def test_acpica_reads_them_the_same_way(tmp_path: Path) -> None:
    found = tables(acpi.build(ADDRESS, IO_APIC, [2, 3], 0), ADDRESS)
    text = {}
    for name, table in found.items():
        (tmp_path / (name + ".aml")).write_bytes(table)
        done = subprocess.run(
            ["iasl", "-d", name + ".aml"], cwd=str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        )
        assert b"ncorrect" not in done.stdout, done.stdout
        assert b"invalid" not in done.stdout.lower(), done.stdout
        text[name] = (tmp_path / (name + ".dsl")).read_text()
    assert re.search(r"Hardware Reduced \(V5\) : 1", text["FACP"])
    assert re.search(r"Use APIC Physical Destination Mode \(V4\) : 1", text["FACP"])
    assert re.search(r"CMOS RTC Not Present \(V5\) : 1", text["FACP"])
    assert re.search(r"8042 Present on ports 60/64 \(V2\) : 0", text["FACP"])
    assert re.findall(r"Local Apic ID : (\w+)", text["APIC"]) == ["00", "02", "03"]
    assert re.findall(r"Processor Enabled : (\d)", text["APIC"]) == ["0", "1", "1"]
    assert re.findall(r"Runtime Online Capable : (\d)", text["APIC"]) == ["1", "0", "0"]
