# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""inspect() tells what a file is and never raises."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot.inspect import inspect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEYS = {"exists", "regular", "size", "sha256", "kind", "error", "header", "elf", "signed", "signatures"}


def test_a_bzimage_is_recognised_with_its_header(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    image = bzimage()
    facts = inspect(stored(image))
    assert set(facts) == KEYS
    assert (facts["exists"], facts["regular"], facts["kind"], facts["error"]) == (True, True, "bzimage", None)
    assert facts["size"] == len(image)
    assert facts["sha256"] == hashlib.sha256(image).hexdigest()
    assert facts["header"]["payload"] == "gzip"


def test_a_vmlinux_is_recognised_with_its_segments(vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    facts = inspect(stored(vmlinux()))
    assert (facts["kind"], facts["error"], facts["header"]) == ("vmlinux", None, None)
    assert facts["elf"]["entry"] == 0x1000000
    assert len(facts["elf"]["loads"]) == 2
    assert (facts["elf"]["multikernel_entry"], facts["signed"]) == (None, False)


def test_the_multikernel_note_and_the_signature_of_a_vmlinux_are_told(vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    facts = inspect(stored(vmlinux(note=0x1000200) + b"~Module signature appended~\n"))
    assert (facts["elf"]["multikernel_entry"], facts["signed"], facts["error"]) == (0x1000200, True, None)


@pytest.mark.parametrize(
    "start", [b"070701", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh9", b"\x5d\0\0\x80", b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd"]
)
def test_initrds_are_recognised_by_what_linux_unpacks(stored: Callable[..., str], start: bytes) -> None:
    facts = inspect(stored(start + b"rest" * 100))
    assert (facts["kind"], facts["error"]) == ("initrd", None)


def test_a_flat_payload_is_recognised_by_its_mark(stored: Callable[..., str]) -> None:
    facts = inspect(stored(b"\xeb\x0e\0\0\0\0\0\0MKFLAT01\xf4"))
    assert (facts["kind"], facts["error"]) == ("flat", None)


def test_the_digest_is_left_out_when_it_is_not_wanted(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    image = bzimage() + b"\0" * (3 << 20)
    facts = inspect(stored(image), want_sha256=False)
    assert (facts["sha256"], facts["size"], facts["error"]) == (None, len(image), None)


def test_a_digest_covers_files_longer_than_one_read(stored: Callable[..., str]) -> None:
    content = os.urandom((2 << 20) + 17)
    assert inspect(stored(content))["sha256"] == hashlib.sha256(content).hexdigest()


def test_bad_files_become_sentences(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> None:
    for content, kind, sentence in (
        (b"", "unknown", "it is empty"),
        (b"#!/bin/sh\n" * 100, "unknown", "it is not a kernel"),
        (bzimage()[:-600], "bzimage", "truncated"),
        (bzimage()[:0x230], "bzimage", "ends before the setup header does"),
        (bzimage(xloadflags=0), "bzimage", "32-bit kernel"),
        (vmlinux(elf_class=1), "vmlinux", "32-bit ELF"),
        (vmlinux(interp=True), "vmlinux", "a program"),
        (vmlinux()[:90], "vmlinux", "truncated"),
    ):
        path = stored(content)
        facts = inspect(path)
        assert facts["kind"] == kind
        assert facts["error"] is not None
        assert facts["error"].startswith(path + ": ")
        assert sentence in facts["error"]


def test_a_damaged_bzimage_still_shows_its_header(bzimage: Callable[..., bytes], stored: Callable[..., str]) -> None:
    assert inspect(stored(bzimage(version=0x0200)))["header"]["version"] == 0x0200


def test_what_is_no_file_is_told_apart(tmp_path: Path) -> None:
    missing = inspect(str(tmp_path / "nothing"))
    assert (missing["exists"], missing["error"]) == (False, "%s: there is no such file" % (tmp_path / "nothing"))
    folder = inspect(str(tmp_path))
    assert (folder["exists"], folder["regular"]) == (True, False)
    assert "it is a directory" in folder["error"]
    os.mkfifo(str(tmp_path / "pipe"))
    assert "a named pipe" in inspect(str(tmp_path / "pipe"))["error"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert "a socket" in inspect(str(tmp_path / "socket"))["error"]
    assert "a character device" in inspect("/dev/null")["error"]
    os.symlink("loop", str(tmp_path / "loop"))
    assert "cannot be read" in inspect(str(tmp_path / "loop"))["error"]
    assert "cannot be read" in inspect("with\0zero")["error"]


def test_links_are_followed(bzimage: Callable[..., bytes], stored: Callable[..., str], tmp_path: Path) -> None:
    os.symlink(stored(bzimage()), str(tmp_path / "vmlinuz"))
    assert inspect(str(tmp_path / "vmlinuz"))["kind"] == "bzimage"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([b"", b"\x7fELF\x02\x01", b"\x7fELF"]), noise=st.binary(max_size=300))
def test_no_bytes_make_it_raise(stored: Callable[..., str], start: bytes, noise: bytes) -> None:
    facts = inspect(stored(start + noise))
    assert set(facts) == KEYS
    assert facts["exists"] is True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0x1F0, 0x270), noise=st.binary(min_size=1, max_size=40), length=st.integers(0, 4000))
def test_no_damage_to_a_bzimage_makes_it_raise(
    bzimage: Callable[..., bytes], stored: Callable[..., str], offset: int, noise: bytes, length: int
) -> None:
    image = bytearray(bzimage())
    image[offset : offset + len(noise)] = noise
    assert set(inspect(stored(bytes(image[:length])))) == KEYS


def test_a_real_kernel_is_recognised(debian_kernel: str) -> None:
    facts = inspect(debian_kernel)
    assert (facts["kind"], facts["error"]) == ("bzimage", None)
    assert facts["header"]["payload"] == "xz"
    assert facts["header"]["xloadflags"] & 3 == 3
