# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Keeps this package unpacked and compiled on the host until it restarts.

Ansible sends a module as an archive, and Python compiles what it imports from an archive anew in each run. That is most of the time of a
run that changes nothing. So the first run unpacks the package below /run/multikernel/code, under the digest of its own bytes, and
imports it from there; Python keeps the compiled code beside it. What is there is believed only when nobody else can have put it there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from typing import List, Optional, Tuple

FOLDER = "/run/multikernel/code"
KEPT = 2  # packages; the one in use and the one before it


def keep(check: bool, folder: str = FOLDER) -> Optional[str]:
    """Import the rest of this package from its unpacked form from now on, and make that unless it is there. Returns where it lies.

    None, and everything is imported as Ansible sent it: in check mode (a look leaves nothing behind) when nothing is there yet, where the
    package came in no archive, or where the folder cannot be used or is not this user's alone. Never raises for any of these.
    """
    archive = getattr(globals().get("__loader__"), "archive", None)
    package = sys.modules.get(str(__package__))
    if archive is None or package is None:
        return None
    try:
        files = _files(archive)
        place = os.path.join(folder, _digest(files))
        if not _is_ours(folder) or not _is_ours(place):
            if check:
                return None
            _unpack(files, folder, place)
    except (OSError, zipfile.BadZipFile):
        return None
    package.__path__.insert(0, place)
    return place


def _files(archive: str) -> List[Tuple[str, bytes]]:
    """(path below the package, content) of every file of this package in the archive, in order."""
    prefix = str(__package__).replace(".", "/") + "/"
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.startswith(prefix) and name.endswith(".py"))
        return [(name[len(prefix) :], opened.read(name)) for name in names]


def _digest(files: List[Tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(b"%s\0%d\0" % (name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _is_ours(path: str) -> bool:
    """Whether path is a folder. Raises PermissionError when it is none of ours, or when others may write to it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(path)
    return True


def _unpack(files: List[Tuple[str, bytes]], folder: str, place: str) -> None:
    """Write the files to place in one go, and remove all but the newest of what is there besides."""
    os.makedirs(folder, 0o700, exist_ok=True)
    _is_ours(folder)
    fresh = tempfile.mkdtemp(dir=folder, prefix=".")
    try:
        for name, content in files:
            path = os.path.join(fresh, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        os.rename(fresh, place)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not os.path.isdir(place):  # somebody else was faster
            raise
    others = [os.path.join(folder, name) for name in os.listdir(folder) if os.path.join(folder, name) != place]
    for path in sorted(others, key=os.path.getmtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
