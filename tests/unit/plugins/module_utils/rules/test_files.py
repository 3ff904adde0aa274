# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files on a real (constructed) machine: what is wrong with a kernel is found out from its bytes."""

from __future__ import annotations

import hashlib
import shutil
import struct

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import facts
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine

from .support import HOSTS, MIB, good_layout

CODE = 64 * 1024


def bzimage(**changes):
    """A file that has the header of a kernel and nothing behind it that could run."""
    fields = {
        "setup_sects": (0x1F1, "<B", 4),
        "syssize": (0x1F4, "<I", CODE // 16),
        "boot_flag": (0x1FE, "<H", 0xAA55),
        "magic": (0x202, "<4s", b"HdrS"),
        "version": (0x206, "<H", 0x20F),
        "loadflags": (0x211, "<B", 1),
        "kernel_alignment": (0x230, "<I", 2 * MIB),
        "relocatable_kernel": (0x234, "<B", 1),
        "min_alignment": (0x235, "<B", 21),
        "xloadflags": (0x236, "<H", 0x7F),
        "cmdline_size": (0x238, "<I", 2047),
        "payload_length": (0x24C, "<I", 1024),
        "pref_address": (0x258, "<Q", 16 * MIB),
        "init_size": (0x260, "<I", 32 * MIB),
    }
    image = bytearray(5 * 512 + CODE)
    for name, (offset, form, value) in fields.items():
        struct.pack_into(form, image, offset, changes.get(name, value))
    return bytes(image)


GOOD = bzimage()


@pytest.fixture
def failures(tmp_path):
    """Return a function from the bytes of a kernel (None: no file) to the ids of the rules on images that fail."""

    def judge(kernel, sha256=None, kind="file"):
        root = tmp_path / "root"
        shutil.copytree(HOSTS / "lab-mkstock", root)
        (root / "boot").mkdir()
        (root / "srv").mkdir()
        if kind == "folder":
            (root / "boot" / "vmlinuz").mkdir()
        elif kernel is not None:
            (root / "boot" / "vmlinuz").write_bytes(kernel)
        (root / "srv" / "web.cpio").write_bytes(b"070701" + b"0" * 104)
        (root / "srv" / "tiny").write_bytes(b"\xf4" * 64)
        layout = good_layout()
        layout["images"]["debian"]["kernel"]["sha256"] = sha256
        paths = ["/boot/vmlinuz", "/srv/web.cpio", "/srv/tiny"]
        found = engine.judge(layout, facts.collect(root=str(root), images=paths))
        group = {one["id"]: one["group"] for one in engine.rules()}
        assert not [finding for finding in found if group[finding.rule] in ("image", "kernel") and finding.verdict == "unknown"]
        return [finding.rule for finding in found if group[finding.rule] in ("image", "kernel") and finding.verdict == "fail"]

    return judge


def test_a_good_kernel_passes(failures):
    assert failures(GOOD, hashlib.sha256(GOOD).hexdigest()) == []


def test_a_swapped_kernel_is_noticed(failures):
    assert failures(GOOD, hashlib.sha256(GOOD + b"\0").hexdigest()) == ["img-digest"]


@pytest.mark.parametrize(
    ("kernel", "rules"),
    [
        (None, ["img-readable"]),
        (b"", ["img-readable"]),
        (b"#!/bin/sh\necho I am no kernel\n" * 100, ["img-format"]),
        (b"\x7fELF\x01\x01\x01" + b"\0" * 100, ["img-format"]),
        (GOOD[:600], ["bz-truncated"]),
        (GOOD[:4096], ["bz-truncated"]),
        (GOOD[:-4096], ["bz-truncated"]),
        (bzimage(xloadflags=0), ["bz-xlf64"]),
        (bzimage(xloadflags=1), ["bz-above4g"]),
        (bzimage(version=0x20B), ["bz-protocol"]),
        (bzimage(boot_flag=0), ["bz-bootflag"]),
        (bzimage(loadflags=0), ["bz-loadhigh"]),
        (bzimage(relocatable_kernel=0), ["bz-relocatable"]),
        (bzimage(kernel_alignment=3 * MIB), ["bz-align-sane"]),
        (bzimage(init_size=1024 * MIB), ["bz-init-fits"]),
        (bzimage(payload_length=2 * CODE), ["bz-payload"]),
    ],
    ids=[
        "missing",
        "empty",
        "script",
        "elf32",
        "cut-in-header",
        "cut-in-code",
        "cut-at-end",
        "32-bit",
        "below-4g-only",
        "old-protocol",
        "boot-flag",
        "zimage",
        "not-relocatable",
        "alignment",
        "too-big",
        "payload",
    ],
)
def test_what_is_wrong_with_a_kernel_is_named_by_one_rule(failures, kernel, rules):
    assert failures(kernel) == rules


def test_a_folder_is_no_kernel(failures):
    assert failures(None, kind="folder") == ["img-readable"]
