# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An initramfs is the same bytes for the same parts, and what cpio unpacks."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import initramfs
from hypothesis import given
from hypothesis import strategies as st

PARTS = [
    initramfs.file("/init", b"#!/bin/sh\n", 0o755),
    initramfs.symlink("bin/sh", "busybox"),
    initramfs.file("lib/mkstock/6.1.ko", b"\x7fELF" * 1001),
    initramfs.directory("tmp", 0o1777),
    initramfs.character_device("dev/console", 5, 1),
]


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert initramfs.build(PARTS) == initramfs.build(PARTS[::-1])
    assert initramfs.build(PARTS)[4:8] == b"\0\0\0\0", "no time in the gzip header"
    assert gzip.decompress(initramfs.build(PARTS)) == initramfs.build(PARTS, compress=False)


def test_parents_are_added_before_their_children() -> None:
    paths = [part.path for part in initramfs.parse(initramfs.build(PARTS, False))]
    assert paths == ["bin", "bin/sh", "dev", "dev/console", "init", "lib", "lib/mkstock", "lib/mkstock/6.1.ko", "tmp"]


def test_what_was_written_is_read_back() -> None:
    found = {part.path: part for part in initramfs.parse(initramfs.build(PARTS, False))}
    for part in PARTS:
        assert found[part.path] == part


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio here")
def test_cpio_unpacks_it(tmp_path: Path) -> None:
    archive = initramfs.build([part for part in PARTS if not part.path.startswith("dev")], False)
    assert len(archive) % 512 == 0
    subprocess.run(["cpio", "-id", "--quiet"], cwd=str(tmp_path), input=archive, check=True)
    assert (tmp_path / "init").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "lib/mkstock/6.1.ko").read_bytes() == b"\x7fELF" * 1001
    assert (tmp_path / "bin/sh").is_symlink()


@given(contents=st.lists(st.binary(max_size=70), max_size=6))
def test_any_contents_survive(contents: "list[bytes]") -> None:
    parts = [initramfs.file("f%d" % number, content) for number, content in enumerate(contents)]
    assert initramfs.parse(initramfs.build(parts, False)) == parts


@pytest.mark.parametrize("path", ["", "/", "../up", "a/../b", "a\0b"])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path inside an initramfs"):
        initramfs.file(path, b"")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([initramfs.file("a", b""), initramfs.file("/a", b"")], "would hold /a twice"),
        ([initramfs.file("a", b""), initramfs.file("a/b", b"")], "/a is no directory, so /a/b cannot lie in it"),
    ],
)
def test_parts_that_exclude_each_other_are_refused(parts: List[initramfs.Part], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        initramfs.build(parts)


def test_damage_is_told_with_its_place() -> None:
    archive = initramfs.build(PARTS, False)
    with pytest.raises(ValueError, match="truncated"):
        initramfs.parse(archive[: archive.index(b"ELF")])
    with pytest.raises(ValueError, match="damaged at byte 0"):
        initramfs.parse(b"no archive")
    with pytest.raises(ValueError, match="no hexadecimal numbers"):
        initramfs.parse(b"070701" + b"x" * 104)


def test_a_negative_size_is_no_size() -> None:
    """int() reads it; an entry that ends before it begins would be read for ever."""
    with pytest.raises(ValueError, match="no hexadecimal numbers"):
        initramfs.parse(b"070701" + b"0" * 48 + b"-0000070" + b"0" * 48 + b"\0" * 200)
