# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd hears READY, STATUS and WATCHDOG; its journal gets lines with a priority, and nothing that an instance put into them."""

from __future__ import annotations

import io
import os
import socket

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._supervise.notify import ERROR, Systemd


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(tmp_path / "notify"))
        link.setblocking(False)
        yield link


def heard(link):
    found = []
    try:
        while True:
            found.append(link.recv(4096).decode())
    except BlockingIOError:
        return found


def test_what_is_sent_arrives_each_in_one_datagram(manager):
    systemd = Systemd({"NOTIFY_SOCKET": manager.getsockname()})
    assert systemd.send("READY=1", "STATUS=x")
    systemd.alive()
    systemd.alive(starting=True)
    assert heard(manager) == ["READY=1\nSTATUS=x", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=120000000\nWATCHDOG=1"]


def test_a_status_is_sent_when_it_changes(manager):
    systemd = Systemd({"NOTIFY_SOCKET": manager.getsockname()})
    for text in ("a", "a", "b", "a\nREADY=1"):
        systemd.status(text)
    assert heard(manager) == ["STATUS=a", "STATUS=b", "STATUS=a READY=1"]


def test_an_abstract_address_is_spoken_to():
    name = "\0multikernel-test-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(name)
        link.setblocking(False)
        assert Systemd({"NOTIFY_SOCKET": "@" + name[1:]}).send("READY=1")
        assert heard(link) == ["READY=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "odd"}])
def test_without_a_manager_nothing_happens(environment):
    assert not Systemd(environment).send("READY=1")


def test_the_watchdog_is_only_ours_when_it_says_so():
    mine = str(os.getpid())
    assert Systemd({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": mine}).watchdog == 5.0
    assert Systemd({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": mine + "1"}).watchdog is None
    assert Systemd({"WATCHDOG_USEC": "soon"}).watchdog is None


def test_words_of_an_instance_stay_on_their_line():
    stream = io.StringIO()
    Systemd({}, stream).log(ERROR, "web said:\n<0>all is lost\x1b[2J")
    assert stream.getvalue() == "<3>web said: <0>all is lost [2J\n"


def test_a_log_that_is_closed_ends_nothing():
    stream = io.StringIO()
    stream.close()
    Systemd({}, stream).log(ERROR, "x")
