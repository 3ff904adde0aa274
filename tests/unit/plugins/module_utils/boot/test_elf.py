# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program headers of kernels are believed only when the whole file is there."""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import elf


def test_loads_are_taken_in_file_order(vmlinux: Callable[..., bytes]) -> None:
    image = vmlinux([(0x1000000, b"abc", 0x1000), (0, b"percpu", 0x2000)], entry=0x1000000)
    found = elf.parse(image, len(image))
    assert [(load.paddr, load.filesz, load.memsz) for load in found.loads] == [(0x1000000, 3, 0x1000), (0, 6, 0x2000)]
    assert image[found.loads[1].offset :][:6] == b"percpu"
    assert elf.refusal(found) is None
    assert elf.to_dict(found)["start"] == 0
    assert elf.to_dict(found)["end"] == 0x1001000


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"elf_class": 1}, "32-bit ELF"),
        ({"data": 2}, "big-endian"),
        ({"machine": 183}, "for machine 183"),
        ({"loads": [(0x1000000, b"12345", 3)]}, "more bytes in the file than in memory"),
    ],
)
def test_what_is_no_x86_64_kernel_is_named(vmlinux: Callable[..., bytes], changes: Dict[str, Any], sentence: str) -> None:
    image = vmlinux(**changes)
    with pytest.raises(ValueError, match=sentence):
        elf.parse(image, len(image))


@pytest.mark.parametrize("length", [4, 18, 40, 63, 64, 100, 175])
def test_a_file_cut_inside_its_headers_is_truncated(vmlinux: Callable[..., bytes], length: int) -> None:
    image = vmlinux()[:length]
    with pytest.raises(ValueError, match="truncated"):
        elf.parse(image, len(image))


def test_odd_program_headers_are_named(vmlinux: Callable[..., bytes]) -> None:
    with pytest.raises(ValueError, match="no ELF signature"):
        elf.parse(b"MZ" + vmlinux()[2:], 5000)
    image = bytearray(vmlinux())
    struct.pack_into("<H", image, 54, 64)
    with pytest.raises(ValueError, match="have 64 bytes each instead of 56"):
        elf.parse(image, len(image))
    image = bytearray(vmlinux())
    struct.pack_into("<Q", image, 32, 1 << 20)
    with pytest.raises(ValueError, match="far from its start"):
        elf.parse(image, 2 << 20)


def test_a_file_cut_inside_a_segment_is_truncated(vmlinux: Callable[..., bytes]) -> None:
    image = vmlinux()
    with pytest.raises(ValueError, match="truncated: PT_LOAD 1 ends at"):
        elf.parse(image, len(image) - 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"interp": True}, "names a dynamic loader"),
        ({"loads": []}, "no PT_LOAD"),
        ({"entry": 0x5000000}, "entry address 0x5000000"),
        ({"entry": 0xFFFFFFFF81000000}, "entry address 0xffffffff81000000"),
    ],
)
def test_programs_and_objects_are_no_kernels(vmlinux: Callable[..., bytes], changes: Dict[str, Any], sentence: str) -> None:
    image = vmlinux(**changes)
    refusal = elf.refusal(elf.parse(image, len(image)))
    assert refusal is not None
    assert sentence in refusal
