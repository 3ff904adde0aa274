# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an apply of molecule/shared/layouts/channels.yml: mkl channel from the controller, and memory that two kernels map."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from typing import NamedTuple

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils import _console

MKL = "import sys; from ansible_collections.multikernel.core.plugins.plugin_utils._cli import main; sys.exit(main(sys.argv[1:]))"
WRITE = """
import mmap, os, sys
fd = os.open("/dev/mkchan/table", os.O_RDWR)
area = mmap.mmap(fd, 65536, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
area[4096:4104] = bytes.fromhex("efcdab8967452301")
try:
    mmap.mmap(fd, 65536 + 4096, mmap.MAP_SHARED)
except OSError as error:
    print(error.errno)
"""


class Answer(NamedTuple):
    """What mkl said."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def mkl():
    """Runs mkl on the controller, which reaches the machine by SSH."""
    ssh = f"ssh -F {shlex.quote(os.environ['LAB_FOLDER'] + '/ssh_config')}"

    def run(*words: str, given: str = "") -> Answer:
        line = [sys.executable, "-c", MKL, *words[:2], "--ssh", ssh, *words[2:]]
        done = subprocess.run(line, input=given, capture_output=True, text=True, timeout=120, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def in_web():
    """Runs a command in the instance web, through its console; both streams."""

    def run(command: str) -> str:
        request = {"instance": "web", "timeout": 90, "wait": 30, "do": "exec", "command": command, "stdin": None, "limit": 65536}
        words = ["ssh", "-F", os.environ["LAB_FOLDER"] + "/ssh_config", "lab", _console.command("python3")]
        done = subprocess.run(words, input=_console.program(request), capture_output=True, timeout=180, check=True)
        told = json.loads(done.stdout)
        assert "error" not in told, told
        return (base64.b64decode(told["stdout"]) + base64.b64decode(told["stderr"])).decode()

    return run


def stat(mkl):
    told = mkl("channel", "stat", "lab", "--json")
    assert told.status == 0, told.err
    return json.loads(told.out)["channels"]


def test_stat_knows_each_channel_of_the_layout(mkl):
    told = stat(mkl)
    assert sorted(told) == ["beat-db", "beat-web", "pair", "table"]
    assert (told["beat-web"]["slots"], told["beat-web"]["size"], told["beat-web"]["peer"]) == (16, 64, "up")
    assert (told["table"]["kind"], told["table"]["bytes"], told["table"]["writer"]) == ("shared_memory", 65536, 1)


def test_the_host_looks_after_the_channel_of_two_instances(mkl, host):
    assert stat(mkl)["pair"]["ends"] == "up,up"
    assert not host.file("/dev/mkchan/pair").exists


def test_stat_as_a_table(mkl):
    told = mkl("channel", "stat", "lab")
    assert [line.split()[0] for line in told.out.splitlines()] == ["channel", "beat-db", "beat-web", "pair", "table"]


@pytest.mark.parametrize("name", ["beat-web", "beat-db"])
def test_the_other_kernel_answers_each_ping(mkl, name):
    told = mkl("channel", "ping", "lab", name, "--count", "5", "--json")
    assert told.status == 0, told
    times = json.loads(told.out)["rtt_ns"]
    assert len(times) == 5
    assert all(0 < one < 200e6 for one in times)


def test_a_message_goes_there_and_its_answer_comes_back(mkl):
    assert mkl("channel", "send", "lab", "beat-web", "echo from the controller").status == 0
    told = mkl("channel", "recv", "lab", "beat-web", "--timeout", "20")
    assert told == Answer(0, "from the controller\n", "")


def test_bytes_of_the_standard_input_are_sent_as_they_are(mkl):
    assert mkl("channel", "send", "lab", "beat-db", "-", given="echo a  b").status == 0
    assert mkl("channel", "recv", "lab", "beat-db", "--timeout", "20").out == "a  b\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("recv", "lab", "beat-db", "--timeout", "1"), "nothing came through beat-db within 1 s; the other end is up"),
        (("send", "lab", "beat-web", "x" * 65), "the message has 65 bytes, and beat-web carries 64 at most"),
        (("ping", "lab", "table"), "table is memory that two kernels map; it carries no messages"),
        (("recv", "lab", "pair"), "pair joins two instances; this machine's host has no end of it"),
        (("ping", "lab", "nobody"), "there is no channel nobody on this machine; there are: beat-db, beat-web, pair, table"),
    ],
)
def test_what_cannot_be_is_a_sentence(mkl, words, sentence):
    assert mkl("channel", *words) == Answer(1, "", f"mkl: {sentence}\n")


def test_what_the_host_writes_into_shared_memory_is_there_in_the_instance(mkl, host, in_web):
    assert host.run("python3 -c %s", WRITE).stdout.split() == ["6"]  # ENXIO behind the end
    address = stat(mkl)["table"]["address"]
    assert "0x0123456789ABCDEF" in in_web(f"devmem {address + 4096:#x} 64")


def test_the_instance_may_map_it_but_not_write(in_web):
    assert "can be opened" in in_web("sh -c 'exec 3</dev/mkchan/table' && echo can be opened")
    assert "Permission denied" in in_web("sh -c 'exec 3<>/dev/mkchan/table'")
    assert "not supported" in in_web("dd if=/dev/mkchan/table of=/dev/null bs=64 count=1")


def test_the_instances_have_their_own_channel(in_web):
    assert in_web("ls /dev/mkchan").split() == ["beat-web", "pair", "table"]
    assert "peer=up" in in_web("grep ^pair /sys/kernel/mkstock/channels")


def test_nothing_in_the_log_of_the_host(trouble):
    assert trouble == []
