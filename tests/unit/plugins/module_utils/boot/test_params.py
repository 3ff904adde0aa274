# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The zero page says what the boot protocol wants it to say."""

from __future__ import annotations

import struct
from typing import Callable

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import params, setup_header

RAM = params.Range(0x40010000, 0x1000000, params.E820_RAM)


def u32(page: bytes, offset: int) -> int:
    return int(struct.unpack_from("<I", page, offset)[0])


def test_addresses_above_4_gib_are_split(bzimage: Callable[..., bytes]) -> None:
    page = params.build(setup_header.raw(bzimage()), 0x141000000, 0x140001000, 0x140011000, (0x14BD00000, 0x100000123), [RAM])
    assert len(page) == 4096
    assert struct.unpack_from("<Q", page, 0x70)[0] == 0x140001000
    assert (u32(page, 0x228), u32(page, 0xC8)) == (0x40011000, 1)
    assert (u32(page, 0x218), u32(page, 0xC0)) == (0x4BD00000, 1)
    assert (u32(page, 0x21C), u32(page, 0xC4)) == (0x123, 1)
    assert u32(page, 0x214) == 0x41000000


def test_the_header_is_copied_and_then_made_ours(bzimage: Callable[..., bytes]) -> None:
    page = params.build(setup_header.raw(bzimage(loadflags=0xFF, init_size=0x777000)), 0x41000000, 0, 0, None, [RAM])
    assert u32(page, 0x202) == setup_header.MAGIC
    assert u32(page, 0x260) == 0x777000
    assert page[0x210] == 0xFF
    assert page[0x211] == 1, "flags of an earlier boot stage do not pass"
    assert struct.unpack_from("<Q", page, 0x250)[0] == 0, "there is no setup_data"
    assert page[0x1EF] == 0, "the sentinel: the kernel would wipe what it finds otherwise"
    assert (u32(page, 0x218), u32(page, 0x21C)) == (0, 0)


def test_a_kernel_without_a_header_gets_a_plain_one() -> None:
    page = params.build(None, 0x41000000, 0, 0x40011000, None, [RAM])
    assert struct.unpack_from("<H", page, 0x1FE)[0] == 0xAA55
    assert u32(page, 0x202) == setup_header.MAGIC
    assert struct.unpack_from("<H", page, 0x206)[0] == 0x20F


def test_the_memory_map_is_written_in_order() -> None:
    ranges = [params.Range(0x30000, 0x10000, 1), params.Range(0x40000000, 0x10000, 2), RAM]
    page = params.build(None, 0, 0, 0, None, ranges)
    assert page[0x1E8] == 3
    assert [params.Range(*struct.unpack_from("<QQI", page, 0x2D0 + 20 * number)) for number in range(3)] == ranges


@pytest.mark.parametrize(
    ("ranges", "sentence"),
    [
        ([RAM, params.Range(0x40020000, 0x1000, 2)], "0x40010000\\+0x1000000 and 0x40020000\\+0x1000 overlap"),
        ([params.Range(0, 0, 1)], "0 bytes at 0x0"),
        ([params.Range(0x100000 * number, 0x1000, 1) for number in range(129)], "129 ranges, the zero page holds 128"),
    ],
)
def test_a_memory_map_that_cannot_be_is_refused(ranges: "list[params.Range]", sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        params.build(None, 0, 0, 0, None, ranges)
