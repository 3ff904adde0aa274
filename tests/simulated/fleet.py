# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of hosts on one machine, for what only the controller does: its cost, and the order in which it goes about.

A simulated host is a folder with the /proc and /sys of a machine (one of tests/unit/fixtures/hosts), its own /etc, /var and /run, and
the /usr of this machine. Ansible reaches it by the connection `local` with a Python that is started below chroot(2), so that the modules
run unchanged and find the folder as their machine. **No kernel is behind it**: a layout for it may define instances, not run them. What
is true of kernels is tested on lab machines.

The folders are mounted in a mount namespace of their own, which ends with the command that is run in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
FIXTURES = TOP / "tests/unit/fixtures/hosts"
PYTHON = "/usr/bin/python3"

#: Runs the module like a target would, and writes down the processor time that it took: that is no cost of the controller.
_METERED = """\
#!{python} -SEs
import os, resource, sys
child = os.fork()
if child == 0:
    os.chroot({root!r})
    os.chdir("/")
    # a target has not the environment of the controller
    os.execve({python!r}, [{python!r}, *sys.argv[1:]], {{"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}})
status = os.waitpid(child, 0)[1]
both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
line = "%.6f\\n" % sum(one.ru_utime + one.ru_stime for one in both)
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
os.write(log, line.encode())
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


class Fleet:
    """`count` simulated hosts below `folder`. releases: the kernels that they say they run, in turn; each makes a class of machines."""

    def __init__(self, folder: Path, count: int, releases: Sequence[str] = ("6.1.0-56-amd64",), machine: str = "lab-mkstock") -> None:
        self.folder = folder
        self.names = [f"host-{number:04}" for number in range(count)]
        self.log = folder / "target-seconds"
        for number, name in enumerate(self.names):
            self._make(name, machine, releases[number % len(releases)])

    def root(self, name: str) -> Path:
        """The root folder of a host."""
        return self.folder / name / "root"

    def inventory(self, variables: Mapping[str, Any] | None = None, count: int | None = None) -> Path:
        """Write an inventory of the first `count` hosts (all of them, when it is left out), with these variables."""
        shared = {"ansible_connection": "local", "ansible_pipelining": True, **(variables or {})}
        each = {name: {"ansible_python_interpreter": str(self.folder / name / "python")} for name in self.names[:count]}
        path = self.folder / "inventory.json"
        path.write_text(json.dumps({"all": {"vars": shared, "hosts": each}}))
        return path

    def command(self, words: Sequence[str]) -> list[str]:
        """The command that runs `words` in a mount namespace where every host is complete."""
        script = self.folder / "mounts"
        script.write_text("set -e\n" + "".join(f"mount --bind /usr {self.root(name)}/usr\n" for name in self.names) + 'exec "$@"\n')
        namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        return [*namespace, "sh", str(script), *words]

    def run(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that reaches the hosts; its output as text. environment: more of it than there is."""
        return subprocess.run(
            self.command(words),
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def target_seconds(self) -> tuple[float, int]:
        """Processor seconds that modules took since the last call, and how many there were."""
        try:
            lines = self.log.read_text().split()
        except FileNotFoundError:
            return 0.0, 0
        self.log.unlink()
        return sum(map(float, lines)), len(lines)

    def _make(self, name: str, machine: str, release: str) -> None:
        root = self.root(name)
        shutil.copytree(FIXTURES / machine, root, symlinks=True)
        for folder in ("usr", "etc", "var/lib", "run", "tmp", "root", "dev"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        # /lib of the fixture holds files of its machine, and the loader of this one lies in /lib64
        (root / "lib64").symlink_to("usr/lib64")
        (root / "bin").symlink_to("usr/bin")
        (root / "proc/sys/kernel/hostname").write_text(f"{name}\n")
        (root / "proc/sys/kernel/osrelease").write_text(f"{release}\n")
        (root / "srv").mkdir()
        (root / "srv/tiny.bin").write_bytes(b"\x90" * 4096)
        for link in Path("/usr/lib").glob("*-linux-gnu*"):
            (root / "lib").mkdir(exist_ok=True)
            (root / "lib" / link.name).symlink_to(f"../usr/lib/{link.name}")
        (root / "dev/null").touch()
        python = self.folder / name / "python"
        python.write_text(_METERED.format(python=PYTHON, root=str(root), log=str(self.log)))
        python.chmod(0o755)


def layout(name: str = "simulated", instances: int = 2) -> dict[str, Any]:
    """A layout that a simulated host can have: its instances are defined, none is started."""
    return {
        "version": 1,
        "name": name,
        "host": {"cpus": "0"},
        "pool": {"memory": [{"base": 0x40000000, "size": "512MiB"}]},
        "images": {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}},
        "instances": {
            f"one{number}": {"image": "tiny", "cpus": str(number + 1), "memory": "16MiB", "state": "defined"} for number in range(instances)
        },
    }


def playbook(folder: Path, name: str, text: str) -> Path:
    """Write a playbook; leading spaces that all its lines share are dropped."""
    path = folder / f"{name}.yml"
    path.write_text(textwrap.dedent(text))
    return path
