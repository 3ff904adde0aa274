# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening for a line takes a console from nobody, and leaves it to others afterwards."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._console.relay import Lock
from ansible_collections.multikernel.core.plugins.module_utils._dialect.gates import Listener


class Console:
    """The host's end of a console on which some chunks come."""

    def __init__(self, *chunks):
        self.chunks, self.closed = list(chunks), False

    def read(self):
        return self.chunks.pop(0) if self.chunks else b""

    def close(self):
        self.closed = True


class Host:
    """A root folder, what was said on a console before, and what comes on it now."""

    def __init__(self, root, console, tail=None):
        self.root, self.console, self.tail, self.opened = str(root), console, tail, 0

    def read(self, path):
        assert path == "sys/kernel/mkstock/tty/3"
        return self.tail

    def open_console(self, number):
        assert number == 3
        self.opened += 1
        return self.console


def test_a_line_in_two_parts_is_one_line(tmp_path):
    host = Host(tmp_path, Console(b"boot\r\nweb: re", b"ady\r\n"))
    listener = Listener(host, "^web: ready$", 3)
    assert [listener.heard(), listener.heard()] == [False, True]
    listener.close()
    assert host.console.closed
    with Lock(3, 0.0, host.root):
        pass


def test_what_was_said_before_counts(tmp_path):
    assert Listener(Host(tmp_path, None, "web: ready\n"), "^web: ready$", 3).heard()


def test_a_console_that_somebody_uses_is_left_to_him(tmp_path):
    host = Host(tmp_path, Console(b"ready\n"), "booting\n")
    listener = Listener(host, "ready", 3)
    with Lock(3, 0.0, host.root):
        assert not listener.heard()
        assert host.opened == 0
    assert listener.heard(), "he has gone, so that it can be opened now"
    listener.close()
    listener.close()


def test_a_host_without_this_console_hears_only_what_was_said(tmp_path):
    host = Host(tmp_path, None, "booting\n")
    listener = Listener(host, "ready", 3)
    assert not listener.heard()
    with Lock(3, 0.0, host.root):
        pass
    listener.close()


@pytest.mark.parametrize("opened", [Console(), None])
def test_without_a_number_nothing_is_heard(tmp_path, opened):
    host = Host(tmp_path, Console(b"ready\n"))
    listener = Listener(host, "ready", None, opened)
    assert not listener.heard()
    listener.close()
    assert host.opened == 0
    assert opened is None or not opened.closed, "whoever opened it closes it"
