# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Puts the supervisor onto a host, or takes it away: a copy of this package, a program that runs it, and a unit of systemd.

    /usr/lib/multikernel/DIGEST/multikernel/     this package, by the digest of its files
    /usr/lib/multikernel/current                 a link to DIGEST, replaced by a rename: whoever starts the program gets all of one release
    /usr/lib/multikernel/multikernel-layout      the program
    /etc/systemd/system/multikernel-layout.service

Nothing of it is fetched from anywhere: it is the code that runs here, out of the archive that Ansible has sent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from typing import Any, Callable, Dict, List, Optional, Tuple

from .._converge import files
from . import main  # it is what is installed: Ansible sends what is imported

PACKAGE = __name__.rpartition("._supervise")[0]
HOME = "usr/lib/multikernel"
PROGRAM = HOME + "/multikernel-layout"
CURRENT = HOME + "/current"
NAME = "multikernel-layout.service"
UNIT = "etc/systemd/system/" + NAME

PROGRAM_TEXT = """\
#!/usr/bin/python3
# Put here by multikernel.core. What it runs lies in {home}/current.
import os
import sys

sys.path.insert(0, os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "current")))
from multikernel{main} import main  # noqa: E402

sys.exit(main())
"""

UNIT_TEXT = """\
# Put here by multikernel.core. Boot with the word `nomultikernel` to leave the instances down once.
[Unit]
Description=Multikernel instances of this host: brings them back after a boot, and supervises them
Documentation=https://github.com/multikernel/core/blob/main/docs/health.md
After=mkstock.service local-fs.target network.target
Wants=mkstock.service
ConditionPathExists=/etc/multikernel/layout.json
ConditionKernelCommandLine=!nomultikernel

[Service]
Type=notify
ExecStart={python} /{program}
Restart=on-failure
RestartSec=5
WatchdogSec=120
TimeoutStartSec=180
TimeoutStopSec=90
KillMode=mixed

[Install]
WantedBy=multi-user.target
"""

Run = Callable[[List[str]], Tuple[int, str, str]]


class InstallError(Exception):
    """It could not be put there or taken away; the text is a sentence."""


def sources() -> Dict[str, bytes]:
    """The files of this package by their path in it: those of the archive that Ansible has sent, else of the folder that it lies in.

    Not those of the folder where there is an archive: the files of other modules are there as well (_code.py), and a release would
    have another name after each module that ran.
    """
    archive = getattr(getattr(sys.modules.get(PACKAGE), "__loader__", None), "archive", None)
    if archive is not None:
        prefix = PACKAGE.replace(".", "/") + "/"
        with zipfile.ZipFile(archive) as zipped:
            names = [name for name in zipped.namelist() if name.startswith(prefix) and name.endswith(".py")]
            return {name[len(prefix) :]: zipped.read(name) for name in sorted(names) if _is_ours(name[len(prefix) :])}
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = {}
    for folder, _folders, names in sorted(os.walk(top)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), top)
            if name.endswith(".py") and _is_ours(path):
                with open(os.path.join(folder, name), "rb") as file:
                    found[path] = file.read()
    return found


def _is_ours(path: str) -> bool:
    return path.startswith("_") and ("/" in path or path == "__init__.py")


def digest(package: Dict[str, bytes]) -> str:
    """What a release is called by."""
    total = hashlib.sha256()
    for name, data in sorted(package.items()):
        total.update(("%s %d\n" % (name, len(data))).encode() + data)
    return total.hexdigest()[:16]


def manage(present: Optional[bool], python: str, run: Run, check: bool, root: str = "/") -> Dict[str, Any]:
    """Have it there (true), or not (false), or leave it as it is (None); see ensure for the rest. Raises InstallError."""
    if present is None:
        return {"changed": False, "digest": None, "running": None, "steps": []}
    return ensure(root, python, run, check) if present else remove(root, run, check)


def ensure(root: str, python: str, run: Run, check: bool = False, restart: bool = True) -> Dict[str, Any]:
    """Put it there, start it at each boot and now.

    python: the interpreter it is to run by; run: runs a command and returns (status, output, errors);
    restart: whether one that runs already is started anew when its release changed. Returns {"changed", "digest", "running", "steps"};
    running is null where this host is not run by systemd. Raises InstallError.
    """
    package = sources()
    release = digest(package)
    wanted = {
        PROGRAM: PROGRAM_TEXT.format(home="/" + HOME, main=main.__name__[len(PACKAGE) :]),
        UNIT: UNIT_TEXT.format(python=python, program=PROGRAM),
    }
    stale = [path for path, text in sorted(wanted.items()) if _text(root, path) != text]
    fresh = not _is_current(root, release)
    said = ["put release %s to /%s" % (release, HOME)] if fresh else []
    said += ["write /%s" % path for path in stale]
    try:
        if not check:
            if fresh:
                _put(root, package, release)
            for path in stale:
                files.replace(os.path.join(root, path), wanted[path])
                os.chmod(os.path.join(root, path), 0o755 if path == PROGRAM else 0o644)
    except OSError as error:
        raise InstallError("the supervisor cannot be put to /%s: %s" % (HOME, error)) from error
    running: Optional[bool] = None
    if os.path.isdir(os.path.join(root, "run/systemd/system")):
        said += _start(run, bool(fresh or stale), restart, check)
        running = True
    return {"changed": bool(said), "digest": release, "running": running, "steps": said}


def remove(root: str, run: Run, check: bool = False) -> Dict[str, Any]:
    """Take it away; instances go on. Returns as ensure does. Raises InstallError."""
    said: List[str] = []
    if os.path.exists(os.path.join(root, UNIT)):
        said.append("stop and remove %s" % NAME)
        if not check and os.path.isdir(os.path.join(root, "run/systemd/system")):
            _call(run, ["systemctl", "disable", "--now", NAME])
    there = os.path.lexists(os.path.join(root, HOME))
    said += ["remove /%s" % HOME] if there else []
    try:
        if not check and said:
            files.remove(os.path.join(root, UNIT))
            if there:
                shutil.rmtree(os.path.join(root, HOME))
    except OSError as error:
        raise InstallError("the supervisor cannot be taken away: %s" % error) from error
    if said and not check and os.path.isdir(os.path.join(root, "run/systemd/system")):
        _call(run, ["systemctl", "daemon-reload"])
    return {"changed": bool(said), "digest": None, "running": False, "steps": said}


def _start(run: Run, changed: bool, restart: bool, check: bool) -> List[str]:
    enabled = run(["systemctl", "is-enabled", "--quiet", NAME])[0] == 0
    active = run(["systemctl", "is-active", "--quiet", NAME])[0] == 0
    said = [] if enabled else ["start %s at each boot" % NAME]
    again = active and changed and restart
    said += ["start %s" % NAME] if not active else ["start %s anew" % NAME] if again else []
    if check or not (said or changed):
        return said
    _call(run, ["systemctl", "daemon-reload"])
    if not enabled:
        _call(run, ["systemctl", "enable", "--quiet", NAME])
    if not active or again:
        _call(run, ["systemctl", "restart", NAME])
    return said


def _call(run: Run, words: List[str]) -> None:
    status, out, err = run(words)
    if status:
        raise InstallError("%s ended with status %d: %s" % (" ".join(words), status, (err or out).strip() or "it said nothing"))


def _put(root: str, package: Dict[str, bytes], release: str) -> None:
    """The files of a release, then the link to it, then away with the earlier ones."""
    home = os.path.join(root, HOME)
    folder = os.path.join(home, release)
    part = folder + ".part"
    os.makedirs(home, mode=0o755, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    for name, data in package.items():
        path = os.path.join(part, "multikernel", name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            files.write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(part, folder)
    link = os.path.join(root, CURRENT)
    beside = link + ".new"
    files.remove(beside)
    os.symlink(release, beside)
    os.rename(beside, link)
    files.sync_folder(home)
    for name in os.listdir(home):
        if name not in (release, "current", os.path.basename(PROGRAM)):
            shutil.rmtree(os.path.join(home, name), ignore_errors=True)


def _is_current(root: str, release: str) -> bool:
    try:
        return os.readlink(os.path.join(root, CURRENT)) == release and os.path.isdir(os.path.join(root, HOME, release))
    except OSError:
        return False


def _text(root: str, path: str) -> Optional[str]:
    try:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None
