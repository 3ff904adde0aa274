# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernels for the tests: small synthetic ones, byte by byte, and a real Debian kernel where the cache has one."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

RELEASE = "6.1.0-56-amd64"


def make_vmlinux(loads: Optional[List[Tuple[int, bytes, int]]] = None, entry: int = 0x1000000, **fields: Any) -> bytes:
    """An ELF64 file with PT_LOADs (paddr, bytes, memsz); *fields* change elf_class, data, machine, interp, note (its entry)."""
    chosen = [(0x1000000, b"text" * 1024, 0x2000), (0x1200000, b"data" * 512, 0x3000)] if loads is None else loads
    rows = [(1, paddr, content, memsz) for paddr, content, memsz in chosen]
    if fields.get("interp"):
        rows.append((3, 0, b"/lib64/ld-linux-x86-64.so.2\0", 28))
    if fields.get("note"):
        other = struct.pack("<III4s", 4, 0, 1, b"GNU\0")
        rows.append((4, 0, other + struct.pack("<III8sQ", 6, 8, 0x4D4B, b"Linux\0\0\0", fields["note"]), 40))
    offset = 64 + 56 * len(rows)
    headers, body = b"", b""
    for kind, paddr, content, memsz in rows:
        headers += struct.pack("<IIQQQQQQ", kind, 5, offset + len(body), 0xFFFFFFFF80000000 + paddr, paddr, len(content), memsz, 0x200000)
        body += content
    ident = b"\x7fELF" + bytes([fields.get("elf_class", 2), fields.get("data", 1), 1]) + b"\0" * 9
    head = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, fields.get("machine", 62), 1, entry, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
    return head + headers + body


def gzip_payload(content: bytes) -> bytes:
    """The way a kernel build packs a vmlinux by gzip: the stream ends in the unpacked size by itself."""
    worker = zlib.compressobj(9, zlib.DEFLATED, 31)
    return worker.compress(content) + worker.flush()


def make_bzimage(payload: Optional[bytes] = None, **fields: int) -> bytes:
    """A bzImage that passes every check; *fields* overwrite setup_header fields by name."""
    packed = gzip_payload(make_vmlinux()) if payload is None else payload
    setup_sects = 2
    code = b"\xf4" * 64 + packed
    code += b"\0" * (-len(code) % 16)
    values: Dict[str, int] = {
        "setup_sects": setup_sects,
        "syssize": len(code) // 16,
        "boot_flag": 0xAA55,
        "jump": 0x6AEB,
        "header": 0x53726448,
        "version": 0x020F,
        "kernel_version_at": 0x180,
        "loadflags": 1,
        "cmd_heap": 0,
        "initrd_addr_max": 0x7FFFFFFF,
        "kernel_alignment": 0x200000,
        "relocatable_kernel": 1,
        "min_alignment": 21,
        "xloadflags": 0x7F,
        "cmdline_size": 2047,
        "payload_offset": 64,
        "payload_length": len(packed),
        "setup_data": 0x1234,
        "pref_address": 0x1000000,
        "init_size": 0x1000000,
    }
    values.update(fields)
    places = {
        "setup_sects": (0x1F1, "<B"),
        "syssize": (0x1F4, "<I"),
        "boot_flag": (0x1FE, "<H"),
        "jump": (0x200, "<H"),
        "header": (0x202, "<I"),
        "version": (0x206, "<H"),
        "kernel_version_at": (0x20E, "<H"),
        "loadflags": (0x211, "<B"),
        "cmd_heap": (0x224, "<H"),
        "initrd_addr_max": (0x22C, "<I"),
        "kernel_alignment": (0x230, "<I"),
        "relocatable_kernel": (0x234, "<B"),
        "min_alignment": (0x235, "<B"),
        "xloadflags": (0x236, "<H"),
        "cmdline_size": (0x238, "<I"),
        "payload_offset": (0x248, "<I"),
        "payload_length": (0x24C, "<I"),
        "setup_data": (0x250, "<Q"),
        "pref_address": (0x258, "<Q"),
        "init_size": (0x260, "<I"),
    }
    image = bytearray((setup_sects + 1) * 512)
    for name, (offset, form) in places.items():
        struct.pack_into(form, image, offset, values[name])
    text = b"9.9.9-test (tests@example) #1\0"
    image[0x380 : 0x380 + len(text)] = text
    return bytes(image) + code


@pytest.fixture
def bzimage() -> Callable[..., bytes]:
    """The maker of synthetic bzImages."""
    return make_bzimage


@pytest.fixture
def vmlinux() -> Callable[..., bytes]:
    """The maker of synthetic ELF kernels."""
    return make_vmlinux


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., str]:
    """Write bytes to a file and return its path."""

    def write(content: bytes, name: str = "image") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture(scope="session")
def debian_kernel() -> str:
    """The path of a real Debian kernel; skips where scripts/kernel-tree has not fetched it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = os.environ.get("MULTIKERNEL_CACHE") or os.path.join(home, "multikernel")
    path = os.path.join(cache, "kernels", RELEASE, "boot", "vmlinuz-" + RELEASE)
    if not os.path.isfile(path):
        pytest.skip("no Debian kernel in the cache; scripts/kernel-tree %s fetches it" % RELEASE)
    return path
