# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A channel's area has the geometry that both ends compute, and rings that do not touch."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import channel
from hypothesis import given
from hypothesis import strategies as st


def test_the_header_says_where_everything_is() -> None:
    page = channel.header(64, 256, (2, 0))
    assert len(page) == 4096
    # magic, version, slots, message size, stride, ring 0, ring 1, total: 64 * (16 + 256) = 0x4400
    assert struct.unpack_from("<8I", page) == (0x48434B4D, 1, 64, 256, 272, 0x1000, 0x5400, 0xA000)
    assert struct.unpack_from("<II", page, 0x20) == (2, 0)
    assert struct.unpack_from("<II", page, 0x40) == (0, 0)
    assert not any(page[0x80:]), "both rings are empty"
    assert channel.area_size(64, 256) == 0xA000


def test_what_was_written_is_read_back() -> None:
    page = bytearray(channel.header(8, 20, (5, 1)))
    struct.pack_into("<I", page, 0x44, 1)
    struct.pack_into("<I", page, 0x80, 3)
    struct.pack_into("<Q", page, 0x88, 9)
    struct.pack_into("<I", page, 0xC0, 1)
    struct.pack_into("<I", page, 0x100, 1)
    struct.pack_into("<I", page, 0x140, 0xFFFFFFFF)
    found = channel.parse(bytes(page))
    assert found["valid"] is True
    assert (found["slots"], found["message_size"]) == (8, 20)
    assert found["ends"] == [{"apic_id": 5, "attached": False}, {"apic_id": 1, "attached": True}]
    assert found["rings"][0] == {"head": 3, "tail": 1, "rejected": 9, "waiting": 2}
    assert found["rings"][1]["waiting"] == 2, "free running counters wrap"


@given(power=st.integers(0, 16), message_size=st.integers(1, 256))
def test_slots_are_aligned_and_rings_are_apart(power: int, message_size: int) -> None:
    slots = 1 << power
    place = channel.geometry(slots, message_size)
    assert place.stride % 16 == 0
    assert place.stride >= 16 + message_size
    assert place.ring0 + slots * place.stride <= place.ring1
    assert place.ring1 % 64 == 0
    assert place.ring1 + slots * place.stride <= place.total
    assert place.total % 4096 == 0
    assert channel.parse(channel.header(slots, message_size, (1, 0)))["valid"] is True


@pytest.mark.parametrize(
    ("slots", "message_size", "sentence"),
    [
        (0, 256, "0 slots"),
        (48, 256, "48 slots: a power of two"),
        (1 << 17, 8, "131072 slots"),
        (64, 0, "messages of 0 bytes"),
        (64, 257, "of 257 bytes: 1 to 256"),
    ],
)
def test_impossible_channels_are_refused(slots: int, message_size: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        channel.area_size(slots, message_size)
    with pytest.raises(ValueError, match="two ends, 1 APIC ids"):
        channel.header(64, 256, [1])


@given(noise=st.binary(min_size=0x180, max_size=0x180))
def test_foreign_memory_is_no_channel(noise: bytes) -> None:
    assert channel.parse(noise)["valid"] is False


def test_a_header_with_another_geometry_is_not_valid() -> None:
    for offset, value in ((0x08, 48), (0x0C, 0), (0x10, 256), (0x18, 0x6000), (0x1C, 0x20000), (0x04, 2), (0x00, 0)):
        page = bytearray(channel.header(64, 256, (2, 0)))
        struct.pack_into("<I", page, offset, value)
        assert channel.parse(bytes(page))["valid"] is False
    with pytest.raises(ValueError, match="384 bytes, 100 were read"):
        channel.parse(bytes(page[:100]))
