# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the machine for mkl channel: reads the kernel's lines as they are, refuses by a sentence, and always ends."""

from __future__ import annotations

import base64
import os
import time

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._channel import tool

LINES = """\
beat 0x5fff6000 end=0 slots=64 size=16 sent=3 received=12 rejected=1 beats=11 last_beat_ms=-1 peer=up peer_rejected=0 rtt_ns=0 waiting=2
odd line
table 0x5fe00000 end=1 kind=shared_memory bytes=0x2000 writer=both open=0
pair 0x5fd00000 end=- slots=64 size=256 ends=up,gone
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "sys/kernel/mkstock").mkdir(parents=True)
    (tmp_path / "sys/kernel/mkstock/channels").write_text(LINES)
    (tmp_path / "dev/mkchan").mkdir(parents=True)
    os.mkfifo(str(tmp_path / "dev/mkchan/beat"))
    return str(tmp_path)


def ask(root, do, name=None, **more):
    return tool.answer(dict(more, do=do, name=name), root)


def test_every_word_of_a_line_is_told_numbers_as_numbers(root):
    told = ask(root, "stat")["channels"]
    assert sorted(told) == ["beat", "pair", "table"]
    assert told["beat"]["kind"] == "ipi"
    assert (told["beat"]["address"], told["beat"]["last_beat_ms"], told["beat"]["waiting"]) == (0x5FFF6000, -1, 2)
    assert told["table"] == {"address": 0x5FE00000, "kind": "shared_memory", "end": 1, "bytes": 0x2000, "writer": "both", "open": 0}
    assert told["pair"]["end"] == "-"


def test_one_channel_alone(root):
    assert list(ask(root, "stat", "pair")["channels"]) == ["pair"]


@pytest.mark.parametrize(
    ("do", "name", "kind", "sentence"),
    [
        ("stat", "beet", "unknown", "there is no channel beet on this machine; there are: beat, pair, table"),
        ("ping", "table", "kind", "table is memory that two kernels map; it carries no messages"),
        ("recv", "pair", "kind", "pair joins two instances; this machine's host has no end of it"),
        ("sing", "beat", "kind", "this program knows no request 'sing'"),
    ],
)
def test_what_cannot_be_is_a_sentence(root, do, name, kind, sentence):
    more = {"count": 1, "interval": 0, "timeout": 0}
    assert ask(root, do, name, **more) == {"error": sentence, "kind": kind}


def test_a_machine_without_the_module(tmp_path):
    told = ask(str(tmp_path), "stat")
    assert told["kind"] == "missing"
    assert told["error"].endswith("No such file or directory; is the module mkstock loaded?")


def test_a_message_that_is_too_long_is_not_tried(root):
    told = ask(root, "send", "beat", data=base64.b64encode(b"x" * 17).decode(), timeout=0)
    assert told == {"error": "the message has 17 bytes, and beat carries 16 at most", "kind": "long"}


def test_a_message_goes_out_as_it_is(root):
    reader = os.open(os.path.join(root, "dev/mkchan/beat"), os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert ask(root, "send", "beat", data=base64.b64encode(b"\0 bytes\n").decode(), timeout=1) == {"size": 8}
        assert os.read(reader, 100) == b"\0 bytes\n"
    finally:
        os.close(reader)


def fill(fd):
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except BlockingIOError:
        pass


def test_a_full_channel_ends_the_wait_with_a_sentence(root):
    both = os.open(os.path.join(root, "dev/mkchan/beat"), os.O_RDWR | os.O_NONBLOCK)
    try:
        fill(both)
        told = ask(root, "send", "beat", data=base64.b64encode(b"more").decode(), timeout=0.1)
    finally:
        os.close(both)
    assert told["kind"] == "full"
    assert "the other end does not read, or is gone (up)" in told["error"]


def test_a_message_that_waits_is_received(root):
    both = os.open(os.path.join(root, "dev/mkchan/beat"), os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(both, b"hello")
        told = ask(root, "recv", "beat", count=1, timeout=5)
    finally:
        os.close(both)
    assert [base64.b64decode(one) for one in told["messages"]] == [b"hello"]
    assert told["news"] == []


def test_silence_ends_in_time(root):
    both = os.open(os.path.join(root, "dev/mkchan/beat"), os.O_RDWR | os.O_NONBLOCK)
    begin = time.monotonic()
    try:
        told = ask(root, "recv", "beat", count=1, timeout=0.2)
    finally:
        os.close(both)
    assert time.monotonic() - begin < 5
    assert told == {"error": "nothing came through beat within 0.2 s; the other end is up", "kind": "silent"}


def test_a_device_that_is_not_there(root):
    os.remove(os.path.join(root, "dev/mkchan/beat"))
    told = ask(root, "recv", "beat", count=1, timeout=0)
    assert told == {"error": "beat cannot be opened: No such file or directory", "kind": "missing"}
