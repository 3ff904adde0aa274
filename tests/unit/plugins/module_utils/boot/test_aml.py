# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instance is told of its PCI buses, of nothing else, and in the words that ACPICA and Linux read."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import List

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import acpi, aml
from ansible_collections.multikernel.core.plugins.module_utils._boot.aml import Bus, Window
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.boot.test_acpi import ADDRESS, IO_APIC, tables
from hypothesis import given, settings
from hypothesis import strategies as st

CARD = Bus(
    0,
    1,
    1,
    0xB0100000,
    (
        Window("memory", 0xFE800000, 0xFE9FFFFF),
        Window("memory", 0x800000000, 0x8001FFFFF, True),
        Window("io", 0xC000, 0xCFFF),
    ),
)
DISK = Bus(1, 0x20, 0x21, 0x1002000000, (Window("memory", 0xFEA00000, 0xFEBFFFFF),))
NEEDS_IASL = pytest.mark.skipif(shutil.which("iasl") is None, reason="no iasl (acpica-tools) here")


def disassembled(table: bytes, folder: Path) -> str:
    """What iasl reads, which must compile again to the same meaning."""
    (folder / "table.aml").write_bytes(table)
    for command in (["iasl", "-d", "table.aml"], ["iasl", "-tc", "table.dsl"]):
        done = subprocess.run(command, cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        assert b"ncorrect" not in done.stdout, done.stdout
    assert b"0 Errors, 0 Warnings" in done.stdout, done.stdout
    return re.sub(r"\s+", " ", re.sub(r"//.*|/\*.*?\*/", "", (folder / "table.dsl").read_text()))


def built(buses: List[Bus], cpus: int = 2) -> bytes:
    return acpi.build(ADDRESS, IO_APIC, list(range(1, cpus + 1)), 0, buses)


@NEEDS_IASL
def test_acpica_reads_the_buses_that_were_written(tmp_path: Path) -> None:
    text = disassembled(tables(built([CARD, DISK]), ADDRESS)["DSDT"], tmp_path)
    assert re.findall(r"Device \((\w+)\)", text) == ["PC00", "MC00", "PC01", "MC01"]
    assert re.findall(r'_HID, EisaId \("(\w+)"\)', text) == ["PNP0A08", "PNP0C02", "PNP0A08", "PNP0C02"]
    assert re.findall(r'_CID, EisaId \("(\w+)"\)', text) == ["PNP0A03", "PNP0A03"]
    assert re.findall(r"_SEG, (\w+)", text) == ["Zero", "One"]
    assert re.findall(r"_BBN, (\w+)", text) == ["One", "0x20"]
    assert "WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0x0000, 0x0020, 0x0021, 0x0000, 0x0002, ,, )" in text
    memory = "QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, "
    assert memory + "NonCacheable, ReadWrite, 0x0000000000000000, 0x00000000FE800000, 0x00000000FE9FFFFF," in text
    assert memory + "Prefetchable, ReadWrite, 0x0000000000000000, 0x0000000800000000, 0x00000008001FFFFF," in text
    assert "WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0x0000, 0xC000, 0xCFFF, 0x0000, 0x1000," in text
    assert "Memory32Fixed (ReadWrite, 0xB0100000, 0x00100000, )" in text
    consumer = "QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, "
    assert consumer + "0x0000000000000000, 0x0000001002000000" in text


@NEEDS_IASL
def test_acpica_reads_where_configuration_space_is(tmp_path: Path) -> None:
    text = disassembled(tables(built([CARD, DISK]), ADDRESS)["MCFG"], tmp_path)
    assert re.findall(r"Base Address : (\w+)", text) == ["00000000B0000000", "0000001000000000"]
    assert re.findall(r"Segment Group Number : (\w+)", text) == ["0000", "0001"]
    assert re.findall(r"Start Bus Number : (\w+)", text) == ["01", "20"]
    assert re.findall(r"End Bus Number : (\w+)", text) == ["01", "21"]


def test_an_instance_with_a_bus_may_use_msi_and_one_without_may_not() -> None:
    flags = [struct.unpack_from("<H", tables(built(buses), ADDRESS)["FACP"], 109)[0] for buses in ([], [CARD])]
    assert flags == [0x3C, 0x34]


def test_an_instance_without_devices_has_no_bus_at_all() -> None:
    found = tables(built([]), ADDRESS)
    assert "MCFG" not in found
    assert len(found["DSDT"]) == 36


def test_eight_buses_fit_beside_all_cpus_and_more_than_a_page_is_refused() -> None:
    assert tables(built([CARD] * 4, 254), ADDRESS)["MCFG"]
    with pytest.raises(ValueError, match="ACPI tables of 254 CPUs and 20 PCI buses do not fit into a page"):
        built([CARD] * 20, 254)


@pytest.mark.parametrize("size", [0, 61, 62, 63, 64, 4090, 4093, 4094, 4095, 5000])
def test_lengths_of_packages_are_right_at_every_border(size: int) -> None:
    package = aml._sized(bytes(size))
    more = package[0] >> 6
    length = package[0] & 0x3F if not more else package[0] & 0xF | int.from_bytes(package[1 : 1 + more], "little") << 4
    assert length == len(package) == size + 1 + more


WINDOWS = st.builds(
    lambda start, pages, prefetch: Window("memory", start << 12, (start + pages << 12) - 1, prefetch),
    st.integers(1, 1 << 40),
    st.integers(1, 1 << 20),
    st.booleans(),
)


BUSES = st.builds(
    Bus, st.integers(0, 7), st.integers(1, 200), st.just(200), st.integers(200, 1 << 30).map(lambda one: one << 20), st.tuples(WINDOWS)
)


@given(st.lists(BUSES, max_size=3))
@settings(max_examples=50)
def test_tables_are_sound_whatever_the_buses(buses: List[Bus]) -> None:
    assert len(tables(built(buses), ADDRESS)["DSDT"]) >= 36


@NEEDS_IASL
@given(st.lists(WINDOWS, max_size=4), st.integers(1, 255))
@settings(max_examples=15, deadline=None)
def test_acpica_reads_every_window(tmp_path_factory: pytest.TempPathFactory, windows: List[Window], bus: int) -> None:
    folder = tmp_path_factory.mktemp("aml")
    one = Bus(0, bus, bus, 0xB0000000 + (bus << 20), tuple(windows))
    text = disassembled(tables(built([one]), ADDRESS)["DSDT"], folder)
    found = re.findall(r"QWordMemory \(ResourceProducer.*?0x0{16}, 0x(\w+), 0x(\w+),", text)
    assert [(int(start, 16), int(end, 16)) for start, end in found] == [(each.start, each.end) for each in windows]
