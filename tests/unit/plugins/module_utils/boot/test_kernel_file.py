# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kexec_file_load gets a vmlinux that ends where its ELF ends, and what becomes of a signature is said."""

from __future__ import annotations

import bz2
import lzma
import shutil
import struct
import subprocess
from typing import Callable, Dict

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import elf, kernel_file, payload
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.boot.conftest import gzip_payload

RELOCATIONS = b"\0relocations\xff" * 100
SIGNATURE = b"PKCS#7...~Module signature appended~\n"


def by_program(*command: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        if shutil.which(command[0]) is None:
            pytest.skip("no program %s here" % command[0])
        return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout

    return pack


PACKERS: Dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "gzip": lambda content: gzip_payload(content)[:-4],  # the sized form below adds the same four bytes
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "xz": lambda content: lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32),
    "zstd": by_program("zstd", "-cq"),
    "lz4": by_program("lz4", "-lcq"),
    "lz4 frame": by_program("lz4", "-cq"),
}


def with_sections(content: bytes, end: int = 0) -> bytes:
    """The ELF file with section headers at its end; the last section is of NOBITS and tells of bytes that are not there."""
    table = struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 64, 16, 0, 0, 1, 0) + struct.pack("<IIQQQQIIQQ", 7, 8, 3, 0, 64, 1 << 30, 0, 0, 1, 0)
    image = bytearray(content + table)
    struct.pack_into("<Q", image, 40, end or len(content))
    struct.pack_into("<HHH", image, 58, 64, 2, 1)
    return bytes(image)


def pe_signed(image: bytes, size: int = 4096) -> bytes:
    """The bzImage with a PE header, whose certificate table has this size."""
    made = bytearray(image)
    made[:2] = b"MZ"
    struct.pack_into("<I", made, 0x3C, 0x80)
    made[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", made, 0x80 + 24, 0x20B)
    struct.pack_into("<I", made, 0x80 + 24 + 108, 6)
    struct.pack_into("<II", made, 0x80 + 24 + 112 + 32, 1 << 20 if size else 0, size)
    return bytes(made)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_the_vmlinux_comes_out_of_every_compression_and_ends_where_the_elf_ends(
    bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], stored: Callable[..., str], name: str
) -> None:
    content = with_sections(vmlinux(note=0x1000200))
    packed = PACKERS[name](content + RELOCATIONS) + struct.pack("<I", len(content + RELOCATIONS))
    found = kernel_file.prepare(stored(bzimage(payload=packed)), True, cache=None)
    assert bytes(found.content) == content
    assert found[1:] == ("vmlinux", 0x1000200, False, False)


def test_lzo_is_refused_in_a_sentence(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    with pytest.raises(payload.PayloadError, match="compressed by lzo; known are gzip"):
        kernel_file.prepare(stored(bzimage(payload=b"\x89LZO\0\r\n\x1a" + bytes(64))), True, cache=None)


def test_a_bzimage_goes_as_it_is_where_the_host_takes_it(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    content = pe_signed(bzimage())
    assert kernel_file.prepare(stored(content), False) == (content, "bzimage", None, True, False)


def test_unpacking_loses_the_signature_and_says_so(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    found = kernel_file.prepare(stored(pe_signed(bzimage())), True, cache=None)
    assert (found.kind, found.signed, found.signature_lost) == ("vmlinux", False, True)


def test_a_vmlinux_goes_as_it_is_with_its_signature(vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    content = vmlinux(note=0x1000200) + SIGNATURE
    assert kernel_file.prepare(stored(content), True) == (content, "vmlinux", 0x1000200, True, False)


def test_other_files_are_flat(stored: Callable[..., str]) -> None:
    content = b"\xeb\xfe" * 100
    assert kernel_file.prepare(stored(content), True) == (content, "flat", None, False, False)
    with pytest.raises(ValueError, match="is empty"):
        kernel_file.prepare(stored(b"", "empty"), True)


def test_an_elf_that_is_cut_is_refused(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    path = stored(bzimage(payload=gzip_payload(with_sections(vmlinux(), end=1 << 40))))
    with pytest.raises(payload.PayloadError, match=r"the vmlinux inside .*: the file is truncated: its section headers lie at"):
        kernel_file.prepare(path, True, cache=None)


def test_headers_of_pe_that_lead_nowhere_are_no_signature(bzimage: Callable[..., bytes]) -> None:
    good = pe_signed(bzimage())
    assert kernel_file.signed(good) and not kernel_file.signed(pe_signed(bzimage(), 0))
    for size in (2, 0x3E, 0x82, 0x100):
        assert not kernel_file.signed(good[:size])
    assert not kernel_file.signed(good[:0x3C] + b"\xff\xff\xff\xff" + good[0x40:])


def test_a_note_is_found_among_others_and_damage_is_none() -> None:
    mine = struct.pack("<III8sQ", 6, 8, 0x4D4B, b"Linux\0\0\0", 0x1234)
    other = struct.pack("<III8sI", 6, 4, 0x4D4B + 1, b"Linux\0\0\0", 1) + struct.pack("<III8sQ", 6, 8, 0x4D4B, b"Minix\0\0\0", 7)
    assert elf.note(other + mine, *elf.MULTIKERNEL_NOTE) == struct.pack("<Q", 0x1234)
    for segment in (b"", other, mine[:-1], struct.pack("<III", 1 << 31, 1 << 31, 1) + mine, other + mine[:10]):
        assert elf.note(segment, *elf.MULTIKERNEL_NOTE) is None
    wrong = struct.pack("<III8sI", 6, 4, 0x4D4B, b"Linux\0\0\0", 0x1234)
    assert elf.multikernel_entry(lambda _offset, _size: wrong, elf.Elf(2, 0, (), False, ((0, 24),))) is None
