# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work beside: it goes on meanwhile, what comes of it is what it returns or raises, and it never outlives who began it."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host.beside import Beside


def test_it_goes_on_meanwhile() -> None:
    asked, answered = threading.Event(), threading.Event()

    def work() -> str:
        assert asked.wait(10)
        answered.set()
        return "done"

    with Beside(work) as one:
        asked.set()  # work() waits for this, so that it would never end if it were done first
        assert answered.wait(10)
    assert one.result() == "done"


def test_what_it_raises_is_raised_where_the_result_is_asked_for() -> None:
    def work() -> None:
        raise MemoryError("no room")

    with Beside(work) as one:
        pass
    with pytest.raises(MemoryError, match="no room"):
        one.result()


def test_it_is_waited_for_when_the_other_work_fails() -> None:
    ended = []
    go = threading.Event()

    def work() -> None:
        assert go.wait(10)
        ended.append(True)

    def both() -> None:
        with Beside(work):
            threading.Timer(0.05, go.set).start()
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        both()
    assert ended == [True]


def test_without_a_thread_it_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    with Beside(lambda: done.append(True)) as one:
        assert done == [True]
    assert one.result() is None
