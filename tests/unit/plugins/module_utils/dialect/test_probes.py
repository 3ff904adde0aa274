# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and connections that hang are ended after their limit, with all that they have started; nobody waits for them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import time

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._dialect import probes


def answer(probe, patience=10.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        begin = time.monotonic()
        told = probe.poll()
        assert time.monotonic() - begin < 1.0, "a poll blocks"
        if told is not None:
            return told
        time.sleep(0.01)
    raise AssertionError("no answer")


def shell(script, limit=5.0):
    return probes.begin("command", ["/bin/sh", "-c", script], "web", limit)


def words_of(number):
    with contextlib.suppress(OSError):
        return pathlib.Path("/proc", number, "cmdline").read_bytes()
    return b""


def processes_with(mark):
    return [number for number in os.listdir("/proc") if number.isdigit() and mark.encode() in words_of(number)]


def test_a_command_is_well_when_it_says_so():
    assert answer(shell("exit 0")) == (True, "the command /bin/sh says that it is well")


def test_a_command_that_fails_is_quoted():
    assert answer(shell("echo no route; printf '\\033[31m' >&2; exit 3")) == (
        False,
        "the command /bin/sh ended with status 3: no route [31m",
    )
    assert answer(shell("kill -9 $$"))[1] == "the command /bin/sh was killed by signal 9"


def test_a_command_that_hangs_is_killed_with_its_children():
    mark = "31%05d" % os.getpid()
    probe = shell("trap '' TERM; sleep %s & sleep %s" % (mark, mark), limit=0.3)
    assert answer(probe) == (False, "the command /bin/sh did not end within 0.3 s and was killed")
    end = time.monotonic() + 5
    while processes_with("sleep\0" + mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes_with("sleep\0" + mark) == []


def test_a_command_that_talks_without_end_is_killed_too():
    assert "did not end within 0.3 s" in answer(shell("yes", limit=0.3))[1]


def test_what_is_quoted_is_bounded():
    told = answer(shell("head -c 100000 /dev/zero | tr '\\0' x; exit 1"))[1]
    assert told.endswith("xxx")
    assert len(told) < 500


def test_a_command_knows_about_whom_it_is_asked_and_little_else(monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    assert answer(shell('[ "$MULTIKERNEL_INSTANCE" = web ] && [ -z "$SECRET" ] && [ "$PWD" = / ]'))[0]


@pytest.mark.parametrize("path", ["/nowhere/ask", "/etc/passwd", "/etc"])
def test_a_command_that_cannot_be_run_is_hopeless(path):
    probe = probes.begin("command", [path], "web", 5.0)
    well, sentence = answer(probe)
    assert not well
    assert sentence.startswith("the command %s cannot be run: " % path)
    assert probe.hopeless == sentence


def test_a_probe_that_is_closed_is_over():
    probe = shell("sleep 77")
    probe.close()
    probe.close()
    assert answer(probe) == (False, "the command /bin/sh was ended")


def test_a_port_that_accepts_is_well():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert answer(probes.begin("tcp", {"host": "127.0.0.1", "port": port}, "web", 5.0)) == (True, "127.0.0.1 port %d answers" % port)


def test_a_port_that_refuses_is_not():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    told = answer(probes.begin("tcp", {"host": "127.0.0.1", "port": port}, "web", 5.0))
    assert told == (False, "127.0.0.1 port %d cannot be reached: Connection refused" % port)


def test_a_port_that_does_not_answer_is_given_up():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        crowd = [socket.socket() for _one in range(8)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        told = answer(probes.begin("tcp", {"host": "127.0.0.1", "port": port}, "web", 0.3))
        for one in crowd:
            one.close()
    assert told == (False, "127.0.0.1 port %d did not answer within 0.3 s" % port)


def test_a_family_that_the_host_has_not_is_no_traceback():
    assert answer(probes.begin("tcp", {"host": "::ffff:ffff", "port": 9}, "web", 0.2))[0] is False
