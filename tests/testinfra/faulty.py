# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `layout` on a lab machine, with system calls that fail, or that it does not live to make; for tests.

The module is sent once, by Ansible, and kept there as Ansible packed it: what is run is the same program with the same arguments, but
below strace(1), whose option inject= lets the N-th call of a kind fail, or holds the program before it.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from machine import Machine as Qemu

CALLS = "write,fsync,rename,unlink,unlinkat,mkdir,rmdir,mount,umount2,ftruncate,kexec_load,kexec_file_load,reboot"
#: A line of strace -y that is a change of the machine, or of what is remembered of it.
CHANGE = re.compile(r"^\d+ +(?P<call>\w+)\((?:\d+<(?P<open>[^>]*)>|\"(?P<path>[^\"]*)\")?")
OURS = ("/sys/", "/var/lib/multikernel", "/run/multikernel/lock", "/run/multikernel/instances")
KERNEL = ("kexec_load", "kexec_file_load", "reboot", "mount", "umount2")
FAST = "--seccomp-bpf"  # only the calls that are traced stop, which saves most of the time; an injected signal does not come with it
# $1 is how strace is called, $2 how many of its lines come before the point: behind those the program stands still. Says which processes
# the program and strace are, which go on standing.
UNTIL_IT_STANDS = """
: >/run/trace
$1 >/run/said 2>&1 & below=$!
while kill -0 $below 2>/dev/null; do
    read -r program </proc/$below/task/$below/children
    now="$(wc -l </run/trace) $(cat /proc/$program/task/*/stat 2>/dev/null | grep -c ') t ')"
    if [ "$now" = "$before" ] && [ "${now% *}" -ge $2 ] && [ "${now#* }" -gt 0 ]; then
        echo $program $below
        exit 0
    fi
    before=$now
    sleep 0.5
done
cat /run/said
exit 1
"""
KILLED = 137  # what a shell calls SIGKILL


class Point(NamedTuple):
    """A system call of a run: its kind, that it is the number-th of this kind, and the file that it is about."""

    call: str
    number: int
    path: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.path}".strip()


class Outcome(NamedTuple):
    """How a run of the module ended: its exit status, what it answered, all that it wrote."""

    status: int
    answer: dict[str, Any]
    text: str

    @property
    def says(self) -> str:
        """The sentence of a refusal."""
        return str(self.answer.get("msg", ""))


class Machine:
    """A lab machine where the layout is applied (`apply`) and taken back (`absent`)."""

    def __init__(self, host: Any, layout: Path) -> None:
        self.host = host
        self._send("apply", f"file={layout}")
        self._send("absent", "state=absent")
        self.memory = self._memory()
        self.cpus = host.check_output("nproc")

    def _send(self, name: str, arguments: str) -> None:
        """Run the module by Ansible, and keep what Ansible sent."""
        inventory = Path(os.environ["LAB_FOLDER"]) / "inventory.yml"
        self.host.check_output("rm -rf ~/.ansible/tmp/*")
        words = ["ansible", "all", "-i", str(inventory), "-m", "multikernel.core.layout", "-a", arguments]
        environment = {**os.environ, "ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        # onto the disk, where it is still wanted after a power cut
        self.host.check_output(f"mv ~/.ansible/tmp/*/AnsiballZ_layout.py /root/{name}.py && sync")

    def run(self, name: str, strace: str = "", around: str = "") -> Outcome:
        """Run `apply` or `absent`; strace: its options, around: words before the command."""
        below = f"strace -f -qq -y -o /run/trace {strace}" if strace else ""
        done = self.host.run(f"{around} {below} python3 /root/{name}.py 2>&1; exit $?")  # ssh does not tell of signals
        found = re.search(r"^\{.*\}$", done.stdout, re.MULTILINE)
        return Outcome(done.rc, json.loads(found[0]) if found else {}, done.stdout)

    def points(self, name: str) -> list[Point]:
        """The changes that a run makes, in their order. It makes them."""
        outcome = self.run(name, f"{FAST} -e trace={CALLS}")
        assert outcome.status == 0, outcome.text
        counts: dict[str, int] = {}
        points = []
        for line in self.host.check_output("cat /run/trace").splitlines():
            found = CHANGE.match(line)
            if found:
                call, path = found["call"], found["open"] or found["path"] or ""
                counts[call] = counts.get(call, 0) + 1
                if call in KERNEL or path.startswith(OURS):
                    points.append(Point(call, counts[call], path))
        assert len(points) > 20, points
        return points

    def hold(self, name: str, point: Point) -> str:
        """Run until the point, and hold it before that for an hour; the processes that stand there, the program and strace."""
        held = f"-e trace={point.call} -e inject={point.call}:delay_enter=3600s:when={point.number}"
        below = f"strace -f -qq -y {FAST} -o /run/trace {held} python3 /root/{name}.py"
        done = self.host.run(f"set -- '{below}' {point.number - 1}\n{UNTIL_IT_STANDS}")
        assert done.rc == 0, f"it never stood before {point}: {done.stdout}{done.stderr}"
        return str(done.stdout.strip())

    def kill_at(self, name: str, point: Point) -> None:
        """Run until the point, which is not done any more: it is killed there, with strace, which would keep the dead for that hour."""
        processes = self.hold(name, point)
        program = processes.split()[0]
        self.host.check_output(f"kill -KILL {processes} && while [ -e /proc/{program} ]; do sleep 0.1; done")

    def cut_power_at(self, name: str, point: Point) -> None:
        """Run until the point, which is not done any more: the machine loses its power there."""
        self.hold(name, point)
        self.loses_power()

    def apply(self) -> Outcome:
        """Apply, to the end: both instances run, and a second time there is nothing to do."""
        done = self.run("apply")
        assert done.status == 0, done.text
        again = self.run("apply")
        assert (again.status, again.answer.get("changed")) == (0, False), again.text
        assert {one["name"]: one["state"] for one in again.answer["instances"]} == {"one": "running", "two": "running"}
        return done

    def absent(self) -> Outcome:
        """Take everything back, to the end."""
        done = self.run("absent")
        assert done.status == 0, done.text
        self.whole()
        return done

    def is_whole(self) -> bool:
        """Whether the host has all its CPUs and all its memory, and nobody else has anything."""
        return (self.host.check_output("nproc"), self._memory(), self._others()) == (self.cpus, self.memory, "")

    def whole(self) -> None:
        """Hold it to that."""
        assert (self.host.check_output("nproc"), self._memory(), self._others()) == (self.cpus, self.memory, "")

    def _memory(self) -> str:
        return str(self.host.check_output("grep MemTotal /proc/meminfo"))

    def _others(self) -> str:
        """What the kernel's own files say of instances, pool, images, and a mounted interface; the two dialects have different ones."""
        words = "cat /sys/kernel/mkstock/instances /sys/kernel/mkstock/pool; grep multikernel /proc/mounts; tail -n +3 /proc/multikernel"
        said = str(self.host.run(f"({words}) 2>/dev/null").stdout)
        return said.replace("No kimages loaded", "").strip()

    def loses_power(self) -> None:
        """Kill QEMU, and with it whatever the guest has not flushed to its disk; the same QEMU boots that disk again."""
        qemu = Qemu(Path(os.environ["LAB_FOLDER"]))
        boot, process = self._boot(), qemu.pid
        assert process
        command = Path(f"/proc/{process}/cmdline").read_text().split("\0")[:-1]
        if "-loadvm" in command:  # it went on from a kept state
            at = command.index("-loadvm")
            del command[at : at + 2]
        end = os.pidfd_open(process)
        os.kill(process, signal.SIGKILL)
        select.select([end], [], [])  # it has let go of disk and port, which its last thread holds
        os.close(end)
        subprocess.run(command, cwd=qemu.folder, check=True)
        last = time.monotonic() + 300
        while True:
            try:
                if self._boot() != boot:
                    return
            except (RuntimeError, AssertionError):  # so testinfra tells that ssh came to nothing
                pass
            assert time.monotonic() < last, "the machine did not come back"
            time.sleep(2)

    def _boot(self) -> str:
        return str(self.host.check_output("cat /proc/sys/kernel/random/boot_id"))
