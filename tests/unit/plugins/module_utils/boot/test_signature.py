# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of image files: made by the real ssh-keygen, and broken in each way that a signature can be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import signature
from ansible_collections.multikernel.core.plugins.module_utils._boot.inspect import HEAD, inspect

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen", path=signature.PLACES) is None, reason="there is no ssh-keygen")
SIGNERS = "/etc/multikernel/allowed_signers"
NOISE = bytes(range(256)) * 2


class Signed:
    """An image with a signature of builder@example, and the list that names its key."""

    def __init__(self, folder):
        self.folder, self.image, self.signers = folder, folder / "web.cpio", folder / "allowed_signers"
        self.key("builder")
        public = (folder / "builder.pub").read_text()
        self.signers.write_text(f'builder@example namespaces="multikernel-image" {public}')
        self.signers.chmod(0o644)
        self.image.write_bytes(b"070701" + os.urandom(2 * HEAD))
        self.sign()

    def key(self, name):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True, timeout=60)

    def sign(self, key="builder", namespace="multikernel-image"):
        self.sig.unlink(missing_ok=True)
        words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self.folder / key, self.image]
        subprocess.run(words, check=True, capture_output=True, timeout=60)
        self.sig.chmod(0o644)

    @property
    def sig(self):
        return self.folder / "web.cpio.sig"

    def told(self):
        return inspect(str(self.image), signers={SIGNERS: str(self.signers)})

    def error(self):
        found = self.told()["signatures"][SIGNERS]
        assert found["by"] is None
        return found["error"].replace(str(self.folder), "")


@pytest.fixture
def signed(tmp_path):
    return Signed(tmp_path)


def test_who_signed_is_told_with_the_digest_of_the_same_bytes(signed):
    told = signed.told()
    assert told["signatures"] == {SIGNERS: {"by": "builder@example", "error": None}}
    assert told["sha256"] == hashlib.sha256(signed.image.read_bytes()).hexdigest()
    assert told["kind"] == "initrd" and told["error"] is None


def test_nothing_is_left_behind(signed, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    signed.told()
    signed.image.write_bytes(b"070701")
    signed.told()
    assert list(place.iterdir()) == []


def test_nobody_asked_for_a_signature(signed):
    assert inspect(str(signed.image))["signatures"] == {}


@pytest.mark.parametrize("at", [0, HEAD + 1, -1])
def test_one_changed_byte_is_found(signed, at):
    content = bytearray(signed.image.read_bytes())
    content[at] ^= 1
    signed.image.write_bytes(bytes(content))
    assert signed.error().startswith("/web.cpio is not what /web.cpio.sig signs for builder@example")


def test_there_is_no_signature(signed):
    signed.sig.unlink()
    assert signed.error() == "/web.cpio has no signature: there is no /web.cpio.sig"


def test_somebody_else_has_signed(signed):
    signed.key("stranger")
    signed.sign("stranger")
    assert signed.error() == "/web.cpio.sig was made by nobody of whom /allowed_signers knows"


def test_it_was_signed_for_another_purpose(signed):
    signed.sign(namespace="file")
    assert "was made by nobody" in signed.error() or "for another purpose" in signed.error()


def test_a_list_without_purposes_does_not_make_any_purpose_good(signed):
    signed.signers.write_text("builder@example " + (signed.folder / "builder.pub").read_text())
    signed.sign(namespace="file")
    assert "for another purpose" in signed.error()


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN SSH SIGNATURE-----\n", NOISE, b"\0" * 70000], ids=["empty", "begun", "noise", "huge"]
)
def test_a_signature_that_is_none(signed, content):
    signed.sig.write_bytes(content)
    assert signed.error().split(":")[0] in (
        "/web.cpio.sig was made by nobody of whom /allowed_signers knows",
        "the signature of /web.cpio, /web.cpio.sig, has 70000 bytes",
    )


@pytest.mark.parametrize("content", [b"", b"nonsense\n", NOISE], ids=["empty", "nonsense", "noise"])
def test_a_list_that_is_none(signed, content):
    signed.signers.write_bytes(content)
    assert signed.error() == "/web.cpio.sig was made by nobody of whom /allowed_signers knows"


def test_a_list_that_is_missing(signed):
    signed.signers.unlink()
    assert signed.error() == "/web.cpio has no list of signers: there is no /allowed_signers"


@pytest.mark.parametrize("name", ["web.cpio.sig", "allowed_signers"])
def test_a_link_is_not_followed(signed, name):
    (signed.folder / name).rename(signed.folder / "elsewhere")
    (signed.folder / name).symlink_to("elsewhere")
    assert signed.error().startswith("the signature of /web.cpio cannot be checked: ")


@pytest.mark.parametrize("name", ["web.cpio.sig", "allowed_signers"])
def test_a_pipe_does_not_keep_anybody_waiting(signed, name):
    (signed.folder / name).unlink()
    os.mkfifo(signed.folder / name)
    assert signed.error().endswith("is no regular file")


def test_a_list_that_others_can_write_is_not_believed(signed):
    signed.signers.chmod(0o666)
    assert signed.error().endswith("can be written by others; it must be root's, with mode 0644")


def test_without_the_tool_nothing_counts_as_signed(signed, monkeypatch):
    monkeypatch.setattr(signature, "PLACES", str(signed.folder))
    assert signed.error() == "the signature of /web.cpio cannot be checked: there is no ssh-keygen; install OpenSSH's client"


def test_a_tool_that_hangs_is_ended(signed, monkeypatch):
    tool = signed.folder / "ssh-keygen"
    tool.write_text('#!/bin/sh\n[ "$2" = verify ] || { echo builder@example; exit 0; }\nexec sleep 60\n')
    tool.chmod(0o755)
    monkeypatch.setattr(signature, "PLACES", str(signed.folder))
    monkeypatch.setattr(signature, "PATIENCE", 0.3)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    signed.image.write_bytes(b"070701")
    assert signed.error() == "the signature of /web.cpio cannot be checked: ssh-keygen does not end"
