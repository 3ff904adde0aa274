# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's table and mkstock's files are read as they are, odd lines included."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._dialect import table
from hypothesis import given
from hypothesis import strategies as st

HEAD = "Type        Start Address   Segments\n----------  --------------  --------\n"


def test_rows_are_split_by_white_space_and_keep_their_order():
    text = HEAD + "multikernel  0x000050000000         1\ndefault     0x00000100a000         9\ncrash       0x1234567890abc        12\n"
    assert table.images(text) == [
        {"type": "multikernel", "entry": 0x50000000, "segments": 1},
        {"type": "default", "entry": 0x100A000, "segments": 9},
        {"type": "crash", "entry": 0x1234567890ABC, "segments": 12},
    ]


def test_the_same_image_twice_stays_twice():
    assert len(table.images(HEAD + "multikernel  0x000050000000         1\n" * 2)) == 2


def test_no_images_and_no_file_are_no_rows():
    assert table.images(HEAD + "No kimages loaded\n") == []
    assert table.images(None) == table.images("") == []


def test_instances_with_words_in_quotes():
    text = 'entry=0x40003000 cpus=2,3 apic=4,6 memory=0x40000000+0x4000000,0x20000+0x10000 state=ended text="panic: no init = found"\n'
    assert table.instances(text) == [
        {
            "entry": 0x40003000,
            "cpus": [2, 3],
            "apic_ids": [4, 6],
            "memory": [[0x40000000, 0x4000000], [0x20000, 0x10000]],
            "state": "ended",
            "text": "panic: no init = found",
            "console": None,
        }
    ]
    assert table.instances("") == []
    assert table.instances(None) is None


def test_channels_by_name():
    text = (
        "beat 0x5fff6000 end=0 slots=64 size=256 sent=3 received=12 rejected=1 beats=11 last_beat_ms=40 peer=up peer_rejected=0 rtt_ns=0\n"
        "odd line\n"
    )
    assert table.channels(text) == {
        "beat": {"address": 0x5FFF6000, "end": 0, "attached": True, "peer": "up", "beats": 11, "sent": 3, "received": 12, "rejected": 1}
    }
    assert table.channels(None) is None


def test_the_pool():
    assert table.pool("0x40000000 0x20000000\n0x80000000 0x8000000\n") == [[0x40000000, 0x20000000], [0x80000000, 0x8000000]]
    assert table.pool(None) is None


READERS = [table.images, table.instances, table.channels, table.pool]
BROKEN = [
    "multikernel 0xzz 1",
    "multikernel 0x10 \u00b2",
    "multikernel 0x10 " + "1" * 5000,
    "entry=word cpus=1",
    "beat 0xzz end=0",
    "0xzz 10",
    "0x10 -0x10",
]


@pytest.mark.parametrize("line", BROKEN)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_line_with_a_word_for_a_number_is_skipped_and_the_others_are_read(read, line):
    good = HEAD + 'multikernel 0x50000000 1\nentry=0x40003000 cpus=2 text=""\nbeat 0x5fff6000 end=0\n0x40000000 0x20000000\n'
    assert read(line + "\n" + good) == read(good)


def test_word_for_a_number_within_a_line_is_left_out():
    text = "entry=0x40003000 cpus=2,x,3 apic=,\u00b2 memory=0x1000+word,0x2000+0x1000+0x1,0x3000+0x1000\nbeat 0x5fff6000 end=x beats=-1\n"
    assert table.instances(text)[0]["cpus"] == [2, 3]
    assert table.instances(text)[0]["apic_ids"] == []
    assert table.instances(text)[0]["memory"] == [[0x3000, 0x1000]]
    assert (table.channels(text)["beat"]["end"], table.channels(text)["beat"]["beats"]) == (0, 0)


@given(st.text('0123456789xabcdef=+-,." \n\u00b2multikernely', max_size=80))
def test_any_text_is_read(text):
    for read in READERS:
        assert read(text) is not None
