# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two applies never work at once; the second one waits, and then says who the first one is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import lock, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine

DIGEST = "4cb0bdf4ab5d9a6d" * 4
HOLDER = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.readline()"


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self):
        self.now, self.naps = 0.0, 0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.naps += 1


def hold(tmp_path, monkeypatch, digest=DIGEST):
    monkeypatch.setenv("SUDO_USER", "alice")
    return lock.Lock(str(tmp_path), 0, digest)


def test_the_second_one_waits_and_says_who(tmp_path, monkeypatch):
    clock = Clock()
    with hold(tmp_path, monkeypatch):
        with pytest.raises(lock.LockError) as caught:
            with lock.Lock(str(tmp_path), 7, "x", clock, clock.sleep):
                pytest.fail("two hold the lock")
    assert str(caught.value).startswith("another apply holds the lock after waiting 7 s: process %d of user alice, since 20" % os.getpid())
    assert str(caught.value).endswith(", for layout 4cb0bdf4ab5d")
    assert 7 <= clock.now < 7.2


def test_a_removal_is_named_as_such(tmp_path, monkeypatch):
    with hold(tmp_path, monkeypatch, None):
        with pytest.raises(lock.LockError, match="for the removal of the layout"):
            lock.Lock(str(tmp_path), 0, "x").__enter__()


def test_it_goes_on_when_the_first_one_is_done(tmp_path, monkeypatch):
    first = hold(tmp_path, monkeypatch)
    first.__enter__()
    clock = Clock()

    def nap(seconds):
        clock.sleep(seconds)
        if clock.naps == 3:
            first.__exit__()

    with lock.Lock(str(tmp_path), 30, "x", clock, nap):
        assert clock.naps == 3


def test_a_dead_holder_holds_nothing(tmp_path):
    path = tmp_path / lock.PATH
    path.parent.mkdir(parents=True)
    path.write_text('{"pid": 1, "user": "ghost", "since": "1970-01-01 00:00:00", "digest": "%s"}' % DIGEST)
    with lock.Lock(str(tmp_path), 0, "x"):
        pass


def test_an_apply_that_finds_the_lock_held_by_another_process_changes_nothing(tmp_path):
    machine = Machine(tmp_path)
    path = tmp_path / lock.PATH
    path.parent.mkdir(parents=True)
    path.write_text('{"pid": 4711, "user": "bob", "since": "2026-11-22 12:00:00", "digest": "%s"}' % DIGEST)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(run.ApplyError) as caught:
            run.apply(simulated.layout(), options=run.Options(lock_timeout=0.2), system=machine)
        other.stdin.close()
    assert caught.value.message == (
        "another apply holds the lock after waiting 0.2 s: process 4711 of user bob, since 2026-11-22 12:00:00, for layout 4cb0bdf4ab5d"
    )
    assert machine.online == {0, 1, 2, 3}
    assert run.apply(simulated.layout(), system=machine)["changed"]


def test_check_mode_needs_no_lock(tmp_path, monkeypatch):
    with hold(tmp_path, monkeypatch):
        assert run.apply(simulated.layout(), check=True, options=run.Options(lock_timeout=0), system=Machine(tmp_path))["changed"]


def test_a_holder_that_left_no_note_is_still_respected(tmp_path, monkeypatch):
    with hold(tmp_path, monkeypatch):
        (tmp_path / lock.PATH).write_text("")
        with pytest.raises(lock.LockError, match=r"^another apply holds the lock after waiting 0 s$"):
            lock.Lock(str(tmp_path), 0, "x").__enter__()


def test_a_lock_that_cannot_be_opened_is_a_sentence(tmp_path):
    (tmp_path / "run").write_text("a file where a folder should be")
    with pytest.raises(run.ApplyError, match=r"^the lock /run/multikernel/lock cannot be opened: "):
        run.apply(simulated.layout(), system=Machine(tmp_path))


def test_a_user_without_a_name_is_a_number(tmp_path, monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(lock.pwd, "getpwuid", lambda _uid: {}["uid"])
    with lock.Lock(str(tmp_path), 0, None):
        with pytest.raises(lock.LockError, match="of user %d, since" % os.getuid()):
            lock.Lock(str(tmp_path), 0, "x").__enter__()
