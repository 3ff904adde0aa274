# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mailbox is read as the instance wrote it, whatever it wrote."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import mailbox
from hypothesis import given
from hypothesis import strategies as st


def test_a_fresh_mailbox_has_magic_and_nonce_and_nothing_else() -> None:
    page = mailbox.blank(0xABCDEF)
    assert page[:8] == b"MKMAILB1"
    assert len(page) == 4096
    assert mailbox.parse(page) == {
        "valid": True,
        "beats": 0,
        "tsc_first": 0,
        "tsc_last": 0,
        "state": "blank",
        "nproc": 0,
        "nonce": 0xABCDEF,
        "longest": 0,
        "uname": "",
        "release": "",
        "text": "",
    }


def test_every_word_is_read_from_its_place() -> None:
    page = bytearray(mailbox.blank(7))
    struct.pack_into("<QQQII", page, 8, 41, 1000, 2000, 3, 2)
    struct.pack_into("<Q", page, 0x38, 77)
    page[0x40:0x50] = b"6.1.0-56 Linux\0x"
    page[0x100:0x110] = b"Kernel panic\0old"
    found = mailbox.parse(bytes(page))
    assert (found["beats"], found["tsc_first"], found["tsc_last"], found["nproc"]) == (41, 1000, 2000, 2)
    assert found["longest"] == 77
    assert found["state"] == "panicked"
    assert (found["uname"], found["release"], found["text"]) == ("6.1.0-56 Linux", "6.1.0-56", "Kernel panic")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "blank"),
        (1, "starting"),
        (2, "running"),
        (3, "panicked"),
        (4, "halted"),
        (5, "restart-requested"),
        (6, "powered-off"),
        (7, "unknown-7"),
    ],
)
def test_states_have_their_names(number: int, name: str) -> None:
    page = bytearray(mailbox.blank(0))
    struct.pack_into("<I", page, 0x20, number)
    assert mailbox.parse(bytes(page))["state"] == name


def test_foreign_memory_is_no_mailbox() -> None:
    assert mailbox.parse(bytes(4096))["valid"] is False
    with pytest.raises(ValueError, match="a mailbox has 512 bytes, 511 were read"):
        mailbox.parse(bytes(511))


def test_a_nonce_has_64_bits() -> None:
    for nonce in (-1, 1 << 64):
        with pytest.raises(ValueError, match="does not fit into 64 bits"):
            mailbox.blank(nonce)


@given(page=st.binary(min_size=512, max_size=600))
def test_no_contents_raise_or_reach_a_terminal(page: bytes) -> None:
    found = mailbox.parse(page)
    assert (found["uname"] + found["text"]).isprintable()
