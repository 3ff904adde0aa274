# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded are the bytes that were checked, whatever becomes of the file meanwhile."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import content, inspect, kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._dialect import base, system

WORDS = b"a kernel"
SHA256 = hashlib.sha256(WORDS).hexdigest()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "kernel").write_bytes(WORDS)
    return tmp_path / "kernel"


def test_a_file_that_is_written_to_afterwards_is_loaded_as_it_was_checked(path):
    read = content.read(str(path), SHA256.upper())
    with open(path, "r+b") as file:
        file.write(b"THE EVIL")
    assert (bytes(read.data), read.sha256) == (WORDS, SHA256)


def test_another_file_is_refused_in_a_sentence(path):
    with pytest.raises(ValueError, match="kernel has sha256 %s, %s was expected" % (SHA256, "0" * 64)):
        content.read(str(path), "0" * 64)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="empty is empty"):
        content.read(str(tmp_path / "empty"))


@pytest.mark.parametrize("which", [0, 1])
def test_the_kernfs_dialect_loads_no_kernel_and_no_initrd_of_another_checksum(path, tmp_path, monkeypatch, which):
    loaded = []
    monkeypatch.setattr(kexec_file, "load", lambda *arguments: loaded.append(arguments))
    machine = system.System(str(tmp_path))
    digests = [SHA256, SHA256]
    machine.file_load("/kernel", "/kernel", "", 1, tuple(digests))
    assert [bytes(one) for one in loaded[0][:2]] == [WORDS, WORDS]
    digests[which] = "0" * 64
    with pytest.raises(base.DialectError, match="was expected"):
        machine.file_load("/kernel", "/kernel", "", 1, tuple(digests))
    assert len(loaded) == 1


def test_what_was_judged_is_what_is_loaded_and_is_read_once(path, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(kexec_file, "load", lambda *arguments: loaded.append(bytes(arguments[0])))
    machine = system.System(str(tmp_path))
    assert machine.facts(["/kernel"])["images"]["/kernel"]["sha256"] == SHA256
    path.write_bytes(b"THE EVIL")
    machine.file_load("/kernel", None, "", 1, (SHA256, None))
    assert loaded == [WORDS]
    machine.forget()
    with pytest.raises(base.DialectError, match="was expected"):
        machine.file_load("/kernel", None, "", 1, (SHA256, None))


def test_what_is_kept_is_used_only_where_its_checksum_is_wanted(path):
    kept = content.Kept()
    kept.hold(str(path), bytearray(b"an older one"), "1" * 64)
    assert bytes(kept.read(str(path)).data) == WORDS
    assert bytes(kept.read(str(path), SHA256).data) == WORDS
    assert bytes(kept.read(str(path), "1" * 64).data) == b"an older one"


def test_what_has_no_room_is_read_anew(path):
    kept = content.Kept(room=len(WORDS) + 3)
    kept.hold(str(path), bytearray(WORDS), SHA256)
    kept.hold("/other", bytearray(b"more"), "2" * 64)
    assert not kept.has_room("/other", 4)
    assert kept.has_room(str(path), len(WORDS) + 3)
    with pytest.raises(FileNotFoundError):
        kept.read("/other", "2" * 64)
    path.unlink()
    assert bytes(kept.read(str(path), SHA256).data) == WORDS


def test_a_file_that_grows_beyond_the_room_while_it_is_read_is_not_kept():
    kept = content.Kept(room=10)
    copy = inspect._Copy("/kernel", 4, kept)
    for _chunk in range(5):
        copy.update(b"more")
    copy.end(SHA256)
    assert (len(copy.data), kept.has_room("/other", 10)) == (0, True)
