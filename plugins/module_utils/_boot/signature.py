# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Detached signatures of image files: PATH.sig, as ssh-keygen(1) makes it (PROTOCOL.sshsig), held against a file of allowed signers.

    ssh-keygen -Y sign -n multikernel-image -f KEY PATH

What is verified are bytes, and not a path: whoever reads a file hands on each piece that was read, so that the digest of those very
bytes can be what is loaded later. The signature and the allowed signers are read once as well, and it is copies of them that are used.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from typing import Any, Dict, List, Optional

NAMESPACE = "multikernel-image"
SUFFIX = ".sig"
TOOL = "ssh-keygen"
PLACES = "/usr/bin:/bin:/usr/local/bin"
LIMITS = {"signature": 1 << 16, "list of signers": 1 << 20}  # bytes
PATIENCE = 60.0  # seconds; the tool has hashed all by the time that it is asked


class SignatureError(Exception):
    """A sentence: why a signature does not hold."""


class Check:
    """Holds the bytes of one file against its signature; begin() and end() belong together, and neither raises."""

    def __init__(self, path: str, signers: str) -> None:
        self.path, self.signers = path, signers
        self.by: Optional[str] = None
        self.error: Optional[str] = None
        self._folder: Optional[str] = None
        self._tool: Optional[subprocess.Popen[bytes]] = None

    def begin(self) -> None:
        """Find out who has signed, and start the tool that the bytes are for."""
        try:
            self._begin()
        except SignatureError as error:
            self.error = str(error)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.error = "the signature of %s cannot be checked: %s" % (self.path, getattr(error, "strerror", None) or error)

    def update(self, piece: bytes) -> None:
        """Take the next bytes of the file."""
        if self._tool is None or self._tool.stdin is None:
            return
        with contextlib.suppress(OSError):  # it has ended already, and says why at the end
            self._tool.stdin.write(piece)

    def end(self) -> Dict[str, Optional[str]]:
        """{"by": who signed these bytes, as the list of signers calls them, "error": why they count as signed by nobody}; one is None."""
        if self._tool is not None:
            self._verdict(self._tool)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        return {"by": None if self.error else self.by, "error": self.error}

    def _begin(self) -> None:
        tool = shutil.which(TOOL, path=PLACES)
        if tool is None:
            raise SignatureError("the signature of %s cannot be checked: there is no %s; install OpenSSH's client" % (self.path, TOOL))
        parts = {
            "signature": _read(self.path + SUFFIX, "signature", self.path),
            "signers": _read(self.signers, "list of signers", self.path),
        }
        self._folder = tempfile.mkdtemp(prefix="multikernel-")  # 0700
        kept = {}
        for name, content in parts.items():
            kept[name] = os.path.join(self._folder, name)
            with open(kept[name], "wb") as file:
                file.write(content)
        both = ["-f", kept["signers"], "-s", kept["signature"]]
        found = _run([tool, "-Y", "find-principals", *both])
        names = found.stdout.decode("utf-8", "replace").splitlines()
        if found.returncode or not names:
            raise SignatureError("%s%s was made by nobody of whom %s knows" % (self.path, SUFFIX, self.signers))
        self.by = names[0]
        words = [tool, "-Y", "verify", "-n", NAMESPACE, "-I", self.by, *both]
        self._tool = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"LC_ALL": "C"}
        )

    def _verdict(self, tool: subprocess.Popen[bytes]) -> None:
        try:
            tool.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            tool.kill()
            tool.wait()
            self.error = "the signature of %s cannot be checked: %s does not end" % (self.path, TOOL)
            return
        if tool.returncode:
            self.error = "%s is not what %s%s signs for %s: the file was changed, or it was signed for another purpose than %s" % (
                self.path,
                self.path,
                SUFFIX,
                self.by,
                NAMESPACE,
            )


def _run(words: List[str]) -> Any:
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C"},
        timeout=PATIENCE,
        check=False,
    )


def _read(path: str, what: str, image: str) -> bytes:
    """A small file that only its owner, root or this user, can have written. Raises SignatureError, OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SignatureError("%s has no %s: there is no %s" % (image, what, path)) from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise SignatureError("the %s of %s, %s, is no regular file" % (what, image, path))
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise SignatureError("the %s of %s, %s, can be written by others; it must be root's, with mode 0644" % (what, image, path))
        if found.st_size > LIMITS[what]:
            raise SignatureError("the %s of %s, %s, has %d bytes: it is none" % (what, image, path, found.st_size))
        with os.fdopen(os.dup(file), "rb") as opened:
            return opened.read(LIMITS[what])
    finally:
        os.close(file)
