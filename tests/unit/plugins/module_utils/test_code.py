# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package is unpacked once, imported from there, and what others could have put there is not believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils import _code

PACKAGE = "ansible_collections/multikernel/core/plugins/module_utils"
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.multikernel.core.plugins.module_utils import _code
print(_code.keep(sys.argv[3] == "check", sys.argv[2]))
from ansible_collections.multikernel.core.plugins.module_utils._part import one
print(one.__file__)
print(one.WORD)
"""


@pytest.fixture
def archive(tmp_path):
    """Writes an archive as Ansible makes them, with a word in it; returns its path."""

    def write(word="first", other=None):
        path = tmp_path / f"{word}{other or ''}.zip"
        with open(_code.__file__, encoding="utf-8") as file:
            code = file.read()
        with zipfile.ZipFile(path, "w") as opened:
            parts = PACKAGE.split("/")
            for end in range(1, len(parts) + 1):
                opened.writestr("/".join(parts[:end]) + "/__init__.py", "")
            opened.writestr(PACKAGE + "/_code.py", code)
            opened.writestr(PACKAGE + "/_part/__init__.py", "")
            opened.writestr(PACKAGE + "/_part/one.py", f"WORD = {word!r}\n")
            if other:
                opened.writestr(PACKAGE + "/" + other, "")
        return path

    return write


@pytest.fixture
def run(tmp_path):
    """Runs a program that imports from an archive; returns (what keep() said, the file imported from, the word in it)."""

    def start(path, check=False, folder=None):
        words = [sys.executable, "-c", RUN, str(path), str(folder or tmp_path / "run/code"), "check" if check else "apply"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return tuple(done.stdout.split())

    return start


def test_the_second_run_finds_compiled_code(archive, run, tmp_path):
    path = archive()
    place, file, word = run(path)
    assert file == os.path.join(place, "_part/one.py") and word == "first"
    compiled = list((tmp_path / "run/code").rglob("one.*.pyc"))
    assert len(compiled) == 1
    before = compiled[0].stat().st_mtime_ns
    assert run(path) == (place, file, "first")
    assert compiled[0].stat().st_mtime_ns == before


def test_another_version_is_kept_beside_it_and_the_oldest_goes(archive, run, tmp_path):
    places = []
    for number, word in enumerate(("first", "second", "third")):
        place, _file, said = run(archive(word))
        assert said == word
        os.utime(place, (number, number))
        places.append(place)
    assert sorted((tmp_path / "run/code").glob("tree-*")) == sorted(Path(one) for one in places[1:])


def test_modules_that_bring_different_files_share_what_is_the_same(archive, run):
    place, file, _word = run(archive())
    compiled = os.stat(file)
    assert run(archive(other="_other.py"))[:2] == (place, file)
    assert sorted(json.loads(Path(place, "manifest.json").read_text())) == sorted(
        ["__init__.py", "_code.py", "_other.py", "_part/__init__.py", "_part/one.py"]
    )
    assert os.stat(file).st_mtime_ns == compiled.st_mtime_ns, "what was there is not written again"


def test_a_look_does_not_take_a_tree_that_lacks_something(archive, run):
    place = run(archive())[0]
    assert run(archive(other="_other.py"), check=True)[0] == "None"
    run(archive(other="_other.py"))
    assert run(archive(other="_other.py"), check=True)[0] == place
    assert run(archive(), check=True)[0] == place


def test_what_a_run_that_was_killed_left_is_made_good(archive, run):
    place, file, _word = run(archive())
    Path(place, "manifest.json").unlink()
    Path(file).write_text("WORD = 'torn")
    assert run(archive()) == (place, file, "first")


def test_a_manifest_that_is_none_changes_nothing(archive, run):
    place = run(archive())[0]
    Path(place, "manifest.json").write_text("[1, 2")
    assert run(archive())[0] == "None"


def test_an_archive_that_is_packed_is_read_as_well(archive, run, tmp_path):
    path = archive()
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED) as opened:
        for info in plain.infolist():
            opened.writestr(info.filename, plain.read(info))
    assert run(packed)[2] == "first"


def test_a_look_leaves_nothing_and_uses_what_is_there(archive, run, tmp_path):
    path = archive()
    assert run(path, check=True) == ("None", f"{path}/{PACKAGE}/_part/one.py", "first")
    assert not (tmp_path / "run").exists()
    place = run(path)[0]
    assert run(path, check=True)[0] == place


@pytest.mark.parametrize("which", ["folder", "place"])
def test_what_others_may_write_to_is_not_believed(archive, run, tmp_path, which):
    path = archive()
    place = run(path)[0]
    os.chmod(tmp_path / "run/code" if which == "folder" else place, 0o777)
    assert run(path)[:2] == ("None", f"{path}/{PACKAGE}/_part/one.py")


def test_a_link_is_not_believed(archive, run, tmp_path):
    path = archive()
    place = run(path)[0]
    os.rename(place, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", place)
    assert run(path)[0] == "None"


def test_a_folder_that_cannot_be_made_changes_nothing(archive, run, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(archive(), folder=tmp_path / "file/code")[0] == "None"


def test_without_an_archive_nothing_is_done(tmp_path):
    assert _code.keep(False, str(tmp_path / "code")) is None
    assert not (tmp_path / "code").exists()
