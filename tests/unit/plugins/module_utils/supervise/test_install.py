# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor is put to the host whole, runs from there without the collection, and is taken away without a trace."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._supervise import install


class Systemctl:
    """Remembers what was called; is-enabled and is-active answer by what was called before."""

    def __init__(self):
        self.calls, self.enabled, self.active, self.broken = [], False, False, ()

    def __call__(self, words):
        assert words[0] == "systemctl"
        if words[1] in ("is-enabled", "is-active"):
            return (0 if (self.enabled if words[1] == "is-enabled" else self.active) else 3), "", ""
        self.calls.append(words[1])
        if words[1] in self.broken:
            return 1, "", "Job failed\n"
        self.enabled = self.enabled or words[1] == "enable"
        self.active = self.active or words[1] == "restart"
        if words[1] == "disable":
            self.enabled = self.active = False
        return 0, "", ""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return str(tmp_path)


@pytest.fixture
def systemctl():
    return Systemctl()


def tree(root):
    return sorted(str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*") if not path.is_dir() and "run/" not in str(path))


def test_it_is_put_there_started_and_kept(root, systemctl):
    told = install.ensure(root, "/usr/bin/python3", systemctl)
    assert (told["changed"], told["running"], systemctl.calls) == (True, True, ["daemon-reload", "enable", "restart"])
    again = install.ensure(root, "/usr/bin/python3", systemctl)
    assert (again["changed"], again["steps"], len(systemctl.calls)) == (False, [], 3)
    unit = pathlib.Path(root, install.UNIT)
    assert "ExecStart=/usr/bin/python3 /usr/lib/multikernel/multikernel-layout\n" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    assert os.access(os.path.join(root, install.PROGRAM), os.X_OK)


def test_check_mode_says_it_and_does_nothing(root, systemctl):
    told = install.ensure(root, "/usr/bin/python3", systemctl, check=True)
    assert (told["changed"], tree(root), systemctl.calls) == (True, [], [])
    install.ensure(root, "/usr/bin/python3", systemctl)
    before = tree(root)
    told = install.remove(root, systemctl, check=True)
    assert (told["changed"], tree(root), systemctl.active) == (True, before, True)


def test_another_release_takes_the_place_of_the_one_before(root, systemctl, monkeypatch):
    old = install.ensure(root, "/usr/bin/python3", systemctl)["digest"]
    real = install.sources()
    monkeypatch.setattr(install, "sources", lambda: dict(real, **{"_supervise/new.py": b"# new\n"}))
    new = install.ensure(root, "/usr/bin/python3", systemctl)
    assert new["digest"] != old
    assert systemctl.calls[3:] == ["daemon-reload", "restart"]
    home = pathlib.Path(root, install.HOME)
    assert sorted(one.name for one in home.iterdir()) == sorted([new["digest"], "current", "multikernel-layout"])
    assert (home / "current/multikernel/_supervise/new.py").exists()


def test_it_is_taken_away_whole(root, systemctl):
    install.ensure(root, "/usr/bin/python3", systemctl)
    told = install.remove(root, systemctl)
    assert (told["changed"], tree(root), systemctl.calls[3:]) == (True, [], ["disable", "daemon-reload"])
    assert not install.remove(root, systemctl)["changed"]


def test_a_start_that_fails_is_a_sentence(root, systemctl):
    systemctl.broken = ("restart",)
    with pytest.raises(install.InstallError, match=r"systemctl restart multikernel-layout\.service ended with status 1: Job failed"):
        install.ensure(root, "/usr/bin/python3", systemctl)


def test_a_disk_without_room_leaves_the_old_release(root, systemctl, monkeypatch):
    old = install.ensure(root, "/usr/bin/python3", systemctl)["digest"]

    def full(*_what):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install, "sources", lambda: {"__init__.py": b"", "_supervise/main.py": b"# new\n"})
    monkeypatch.setattr(install.files, "write_all", full)
    with pytest.raises(install.InstallError, match=r"cannot be put to /usr/lib/multikernel: .* No space left"):
        install.ensure(root, "/usr/bin/python3", systemctl)
    assert os.readlink(os.path.join(root, install.CURRENT)) == old


def test_a_host_without_systemd_gets_the_files(tmp_path, systemctl):
    told = install.ensure(str(tmp_path), "/usr/bin/python3", systemctl)
    assert (told["changed"], told["running"], systemctl.calls) == (True, None, [])
    assert install.remove(str(tmp_path), systemctl)["changed"]
    assert systemctl.calls == []


def test_what_is_there_runs_without_the_collection(root, systemctl):
    """The program of the host, started with an argument: it imports everything, and refuses."""
    install.ensure(root, sys.executable, systemctl)
    program = os.path.join(root, install.PROGRAM)
    done = subprocess.run([sys.executable, "-I", program, "x"], capture_output=True, text=True, check=False, cwd="/", env={"PATH": "/bin"})
    assert (done.returncode, done.stderr) == (2, "usage: multikernel-layout (no arguments; started by multikernel-layout.service)\n")


PLACE = "ansible_collections/multikernel/core/plugins/module_utils"
SOURCES = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
from {PLACE.replace("/", ".")} import _code
_code.keep(False, sys.argv[2])
from {PLACE.replace("/", ".")}._supervise import install
print(json.dumps([install.__file__, sorted(install.sources())]))
"""


def test_a_release_is_what_the_module_brings_whatever_other_modules_have_brought(tmp_path):
    """The unpacked tree serves all modules; the supervisor would be another one, and be started anew, after each of them."""
    top = pathlib.Path(install.__file__).parents[1]
    every = sorted(str(path.relative_to(top)) for path in top.rglob("*.py"))
    other = "_handover/judge.py"
    assert other in every

    def told(name, files):
        archive = tmp_path / name
        with zipfile.ZipFile(archive, "w") as opened:
            parts = PLACE.split("/")
            for end in range(1, len(parts)):
                opened.writestr("/".join(parts[:end]) + "/__init__.py", "")
            for path in files:
                opened.write(top / path, f"{PLACE}/{path}")
        words = [sys.executable, "-c", SOURCES, str(archive), str(tmp_path / "code")]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, cwd="/")
        return json.loads(done.stdout)

    mine = [path for path in every if path != other]
    place, alone = told("mine.zip", mine)
    told("all.zip", every)
    assert list((tmp_path / "code").rglob(other)), "the tree has taken in the other module's file"
    assert told("mine.zip", mine) == [place, alone]
    assert other not in alone and "_supervise/main.py" in alone
