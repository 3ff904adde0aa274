# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Keeps this package unpacked and compiled on the host until it restarts.

Ansible sends a module as an archive, and Python compiles what it imports from an archive anew in each run. That is most of the time of a
run that changes nothing. So the first run unpacks the package below /run/multikernel/code and imports it from there; Python keeps the
compiled code beside it. Modules differ in which files of the package they bring: one tree serves them all, and takes in what it lacks
when all that both have is the same. What is there is believed only when nobody else can have put it there.

    code/tree-X/...             the files
    code/tree-X/manifest.json   {path below the package: digest of the file as it was packed}; what is not in it is not there yet
    code/lock                   held while a tree is chosen and filled
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
from typing import Dict, Iterator, Optional

FOLDER = "/run/multikernel/code"
TREE = "tree-"
MANIFEST = "manifest.json"
KEPT = 2  # trees; the one in use and the one before it
LOCAL_HEADER, NAME_LENGTH = 30, 26  # bytes of a file's header in a zip archive, and where in it two lengths begin

Manifest = Dict[str, str]


def keep(check: bool, folder: str = FOLDER) -> Optional[str]:
    """Import the rest of this package from its unpacked form from now on, and make that unless it is there. Returns where it lies.

    None, and everything is imported as Ansible sent it: in check mode (a look leaves nothing behind) when it is not there yet, where the
    package came in no archive, or where the folder cannot be used or is not this user's alone. Never raises for any of these.
    """
    archive = getattr(globals().get("__loader__"), "archive", None)
    package = sys.modules.get(str(__package__))
    if archive is None or package is None:
        return None
    try:
        wanted = _packed(archive)
        place = _find(folder, wanted)
        if place is None and not check:
            with _locked(folder):
                place = _fill(folder, archive, wanted)
    except (OSError, ValueError, zipfile.BadZipFile, struct.error):
        return None
    if place is not None:
        package.__path__.insert(0, place)
    return place


def _packed(archive: str) -> Manifest:
    """The files of this package in the archive. As they are packed: to unpack them all takes longer than all else here does."""
    found = {}
    with zipfile.ZipFile(archive) as opened, open(archive, "rb") as packed:
        content = packed.read()
        for info in opened.infolist():
            if not info.filename.startswith(_prefix()) or not info.filename.endswith(".py"):
                continue
            # the local header has a length of its own for what it says besides the name (APPNOTE.TXT 4.3.7)
            begin = info.header_offset + LOCAL_HEADER + sum(struct.unpack_from("<HH", content, info.header_offset + NAME_LENGTH))
            digest = hashlib.sha256(content[begin : begin + info.compress_size])
            found[info.filename[len(_prefix()) :]] = "%d-%s" % (info.file_size, digest.hexdigest())
    return found


def _prefix() -> str:
    return str(__package__).replace(".", "/") + "/"


def _find(folder: str, wanted: Manifest) -> Optional[str]:
    """The tree that has all these files."""
    for place, there in _trees(folder).items():
        if all(there.get(name) == digest for name, digest in wanted.items()):
            return place
    return None


def _trees(folder: str) -> Dict[str, Manifest]:
    """The trees with their files, the one that was changed last first. Raises PermissionError, OSError, ValueError."""
    found = {}
    for name in os.listdir(folder) if _is_ours(folder) else ():
        place = os.path.join(folder, name)
        if name.startswith(TREE) and _is_ours(place):
            found[place] = _read(place)
    return {place: found[place] for place in sorted(found, key=os.path.getmtime, reverse=True)}


def _read(place: str) -> Manifest:
    try:
        with open(os.path.join(place, MANIFEST), encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def _is_ours(path: str) -> bool:
    """Whether path is a folder. Raises PermissionError when it is none of ours, or when others may write to it."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(path)
    return True


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    os.makedirs(folder, 0o700, exist_ok=True)
    _is_ours(folder)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: str, archive: str, wanted: Manifest) -> str:
    """Take the files into a tree that has nothing else under their names, or into a new one; keep the newest trees only."""
    trees = _trees(folder)
    fit = [place for place, there in trees.items() if all(there.get(name, digest) == digest for name, digest in wanted.items())]
    place = fit[0] if fit else tempfile.mkdtemp(dir=folder, prefix=TREE)
    there = trees.get(place, {})
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(set(wanted) - set(there)):
            path = os.path.join(place, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(path, opened.read(_prefix() + name))
    _write(os.path.join(place, MANIFEST), json.dumps({**there, **wanted}, sort_keys=True).encode())
    for old in list(_trees(folder))[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def _write(path: str, content: bytes) -> None:
    """In one go: whoever imports it meanwhile sees all of it or nothing."""
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.replace(path + ".new", path)
