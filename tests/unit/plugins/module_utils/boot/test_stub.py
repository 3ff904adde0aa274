# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The entry stub leaves the host's page tables for its own, which map what the instance needs onto itself."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import stub
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30
MIB2 = 1 << 21
ROOM = 12 * 4096


def walk(tables: bytes, address: int, virtual: int) -> "int | None":
    """Translate *virtual* as the CPU does by 4-level paging; None when it is not mapped."""
    table = address
    for level in (39, 30, 21):
        index = virtual >> level & 511
        offset = table - address + 8 * index
        assert 0 <= offset < len(tables), "a table outside of the tables"
        entry = struct.unpack_from("<Q", tables, offset)[0]
        if not entry & 1:
            return None
        assert entry & 2, "everything is writable"
        assert not entry & 1 << 63, "NXE is off: the bit would be reserved"
        table = entry & 0x000FFFFFFFFFF000
        if entry & 0x80:
            assert level == 21
            return table + (virtual & (MIB2 - 1))
    raise AssertionError("no 2 MiB page")


def test_the_first_4_gib_and_the_instance_are_mapped_onto_themselves() -> None:
    base, size = 0x140000000, 0x10000000
    tables = stub.identity_tables(base + 0x4000, [(base, size)], ROOM)
    for virtual in list(range(0, 4 * GIB, MIB2)) + list(range(base, base + size, MIB2)):
        assert walk(tables, base + 0x4000, virtual) == virtual
        assert walk(tables, base + 0x4000, virtual + MIB2 - 1) == virtual + MIB2 - 1
    assert walk(tables, base + 0x4000, 4 * GIB) is None
    assert walk(tables, base + 0x4000, 6 * GIB) is None


def test_below_4_gib_six_pages_are_enough() -> None:
    assert len(stub.identity_tables(0x40004000, [(0x40000000, 0x10000000)], ROOM)) == 6 * 4096


@given(
    base=st.integers(1, (stub.MAX_ADDRESS // MIB2) - 1024).map(lambda number: number * MIB2),
    size=st.integers(1, GIB),
    inside=st.integers(0, GIB),
)
def test_any_instance_is_mapped_within_the_room_there_is(base: int, size: int, inside: int) -> None:
    tables = stub.identity_tables(base + 0x4000, [(base, size)], ROOM)
    for virtual in (base, base + size - 1, base + inside % size, 0x30000, 4 * GIB - 1):
        assert walk(tables, base + 0x4000, virtual) == virtual


def test_what_cannot_be_mapped_is_refused() -> None:
    with pytest.raises(ValueError, match="4-level paging ends at 0x800000000000"):
        stub.identity_tables(0x4000, [(stub.MAX_ADDRESS - 0x1000, 0x2000)], ROOM)
    with pytest.raises(ValueError, match="need 53248 bytes, there is room for 49152"):
        stub.identity_tables(0x4000, [(4 * GIB, 7 * GIB)], ROOM)


def test_the_code_is_what_the_manual_says() -> None:
    code = stub.code(0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444, 0x5555555555555555)
    assert code == bytes.fromhex(
        "fa fc"
        "48b8 1111111111111111 0f22d8"
        "48bc 2222222222222222"
        "48be 3333333333333333"
        "48bf 4444444444444444"
        "48b8 5555555555555555 ffe0".replace(" ", "")
    )


@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump (binutils) here")
def test_a_disassembler_reads_it_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "stub").write_bytes(stub.code(0x140004000, 0x140004000, 0x140010000, 0x140000000, 0x141000200))
    command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", str(tmp_path / "stub")]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
    assert [" ".join(line.split()) for line in re.findall(r"^ +\w+:\t(.*)$", text, re.M)] == [
        "cli",
        "cld",
        "movabs $0x140004000,%rax",
        "mov %rax,%cr3",
        "movabs $0x140004000,%rsp",
        "movabs $0x140010000,%rsi",
        "movabs $0x140000000,%rdi",
        "movabs $0x141000200,%rax",
        "jmp *%rax",
    ]
