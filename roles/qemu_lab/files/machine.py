# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One QEMU lab machine in a folder of its own: start, stop, status.

The folder holds everything of the machine: ``disk.qcow2`` (overlay on the cached root file system), ``pid``, ``qmp`` (socket),
``com1.log`` (host console), ``com2.log`` to ``com4.log`` (the UARTs that instances get), ``ssh_config``, ``known_hosts``, ``machine.json``.
A machine is ended through its own socket, or by the process id in its own pid file after a look at what that process is.

A boot under emulation takes ten to twenty seconds, so the state after the first boot is kept (``savevm``) below the cache, under a
key of everything that went into it, and later starts of an equal machine go on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accel import CPU
from qmp import Qmp, QmpError

SNAPSHOT = "booted"
MOVES = 8
PATIENCE = 10.0  # seconds for a QEMU that is to end, before it is killed


class MachineError(Exception):
    """A sentence for the person who wanted a machine."""


@dataclass(frozen=True)
class Spec:
    """What a machine is made of; everything here enters the key of the kept state."""

    qemu: str
    accel: str
    machine: str
    cpus: str
    memory: str
    kernel: str
    initrd: str
    root: str
    append: str
    extra: tuple[str, ...]
    keep_free: str

    def key(self) -> str:
        """Key of the kept state. The files are content-addressed by name already, so their names and sizes stand for them."""
        version = subprocess.run([self.qemu, "--version"], capture_output=True, text=True, check=True).stdout
        sizes = [Path(name).stat().st_size for name in (self.kernel, self.initrd, self.root)]
        return hashlib.sha256(json.dumps([version, asdict(self), sizes]).encode()).hexdigest()[:16]


class Machine:
    """The machine that lives in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def pid(self) -> int | None:
        """Process id of the running QEMU; None when it does not run. A recycled number is told apart by the command line."""
        try:
            number = int((self.folder / "pid").read_text())
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return number if str(self.folder / "pid").encode() in words else None

    @property
    def status(self) -> dict[str, Any]:
        """What ``machine.json`` says, and whether it runs."""
        with contextlib.suppress(OSError):
            known: dict[str, Any] = json.loads((self.folder / "machine.json").read_text())
            return {**known, "running": self.pid is not None}
        return {"running": self.pid is not None}

    def start(self, spec: Spec, keys: Path, cache: Path | None, deadline: float, retries: int, reboots: bool = False) -> dict[str, Any]:
        """Boot (or go on from the kept state) until sshd answers; each try has a deadline in seconds.

        With `reboots` a reset boots the machine again. Without, QEMU ends, so that a machine that an instance has reset is not
        mistaken for a sound one.
        """
        if self.pid is not None:
            return {**self.status, "changed": False}
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = cache / f"booted-{spec.key()}.qcow2" if cache else None
        begin = time.monotonic()
        tries, moved, warm = 0, 0, False
        while True:
            warm = kept is not None and kept.exists() and tries == 0
            port = self._launch(spec, kept if warm else None, reboots)
            self._ssh_files(port, keys)
            if not self._answers(port, deadline):
                tries += 1
                self.stop()
                if tries > retries:
                    tail = (self.folder / "com1.log").read_text(errors="replace")[-800:]
                    raise MachineError(
                        f"the machine did not answer on ssh within {deadline:.0f} s, {tries} tries; its console ends with:\n{tail}"
                    )
            elif not warm and self._kernel_lies_in(spec.keep_free):
                moved += 1
                self.stop()
                if moved > MOVES:
                    raise MachineError(f"the kernel put itself into {spec.keep_free} in {moved} boots; add nokaslr to its command line")
            else:
                break
        if kept is not None and not kept.exists():
            self._keep(kept)
        # the clock of a kept state stands where it was kept
        self._ssh(f"date -s @{int(time.time())}")
        made = {
            "changed": True, "port": port, "accel": spec.accel, "warm": warm, "boots": tries + moved + 1, "folder": str(self.folder),
            "seconds": round(time.monotonic() - begin, 1), "key": str(self.folder / "id_ed25519"), "spec": asdict(spec),
        }  # fmt: skip
        (self.folder / "machine.json").write_text(json.dumps(made, indent=1))
        return {**made, "running": True}

    def stop(self) -> bool:
        """End the machine; True when it ran."""
        number = self.pid
        if number is None:
            return False
        with contextlib.suppress(QmpError), Qmp(self.folder / "qmp", timeout=PATIENCE) as qmp:
            qmp.ask("quit")
        for _turn in range(50):
            if self.pid is None:
                break
            time.sleep(0.1)
        else:
            os.kill(number, signal.SIGKILL)
            time.sleep(0.2)
        return True

    def _launch(self, spec: Spec, kept: Path | None, reboots: bool) -> int:
        disk = self.folder / "disk.qcow2"
        for name in ("com1.log", "com2.log", "com3.log", "com4.log"):
            (self.folder / name).write_bytes(b"")
        if kept is not None:
            subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(kept), str(disk)], check=True)
            shutil.copyfile(kept.with_suffix(".com1.log"), self.folder / "com1.log")
        else:
            disk.unlink(missing_ok=True)
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", spec.root, "-F", "raw", str(disk)], check=True)
        port = _free_port()
        # paths relative to the folder where a length limit applies (UNIX sockets); the pid file absolute, it names the machine
        command = [
            spec.qemu, "-name", self.folder.name, "-M", spec.machine, "-accel", "tcg,thread=multi" if spec.accel == "tcg" else spec.accel,
            "-cpu", CPU.get(spec.accel, "max"), "-smp", spec.cpus, "-m", spec.memory, "-display", "none", "-monitor", "none",
            "-action", "reboot=reset" if reboots else "reboot=shutdown",
            "-qmp", "unix:qmp,server=on,wait=off", "-daemonize", "-pidfile", str(self.folder / "pid"),
            "-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net0,romfile=",
            "-drive", "file=disk.qcow2,if=virtio,cache=unsafe,format=qcow2",
            "-kernel", spec.kernel, "-initrd", spec.initrd, "-append", spec.append,
        ]  # fmt: skip
        for number in range(1, 5):
            command += ["-chardev", f"file,id=com{number},path=com{number}.log,append=on", "-serial", f"chardev:com{number}"]
        if kept is not None:
            command += ["-loadvm", SNAPSHOT]
        done = subprocess.run([*command, *spec.extra], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineError(f"QEMU did not start: {done.stderr.strip()}")
        return port

    def _ssh_files(self, port: int, keys: Path) -> None:
        host_key = (keys / "host_ed25519.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
        shutil.copyfile(keys / "id_ed25519", self.folder / "id_ed25519")
        (self.folder / "id_ed25519").chmod(0o600)
        (self.folder / "ssh_config").write_text(
            f"Host *\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {self.folder}/id_ed25519\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder}/known_hosts\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
            "  ConnectTimeout 20\n  GSSAPIAuthentication no\n"
        )

    def _answers(self, port: int, deadline: float) -> bool:
        end = time.monotonic() + deadline
        while time.monotonic() < end and self.pid is not None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as link:
                # QEMU accepts before the guest listens: only the banner says that sshd is there
                link.settimeout(max(0.1, min(5.0, end - time.monotonic())))
                if link.recv(4) == b"SSH-":
                    return True
            time.sleep(0.2)
        return False

    def _kernel_lies_in(self, keep_free: str) -> bool:
        """Whether KASLR put the kernel's own image into the memory that layouts will ask for: it can never be taken from there."""
        if not keep_free:
            return False
        first, last = (int(word, 16) for word in keep_free.split("-"))
        for line in self._ssh("cat /proc/iomem").splitlines():
            words = line.strip().split(" : ")
            if words[-1] in ("Kernel code", "Kernel rodata", "Kernel data", "Kernel bss"):
                start, end = (int(word, 16) for word in words[0].split("-"))
                if start <= last and first <= end:
                    return True
        return False

    def _ssh(self, line: str) -> str:
        command = ["ssh", "-F", str(self.folder / "ssh_config"), "-o", "BatchMode=yes", "lab", line]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise MachineError(f"ssh to the machine failed at '{line}': {done.stderr.strip()}")
        return done.stdout

    def _keep(self, kept: Path) -> None:
        """Store the booted state for the next start; python3 is run once before, so that its pages come along."""
        self._ssh("python3 -c 'import json, ctypes, subprocess, hashlib, zipfile, tempfile, logging, shlex, mmap, fcntl'; sync")
        with Qmp(self.folder / "qmp", timeout=120.0) as qmp:
            trouble = qmp.monitor(f"savevm {SNAPSHOT}").strip()
            if trouble:
                return
            qmp.ask("stop")
            try:
                partial = kept.with_suffix(f".{os.getpid()}")
                subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(self.folder / "disk.qcow2"), str(partial)], check=True)
                shutil.copyfile(self.folder / "com1.log", kept.with_suffix(".com1.log"))
                partial.rename(kept)
            finally:
                qmp.ask("cont")
            qmp.monitor(f"delvm {SNAPSHOT}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spec", help="JSON object with the fields of a machine (start)")
    parser.add_argument("--keys", type=Path, help="folder with id_ed25519 and host_ed25519 (start)")
    parser.add_argument("--cache", type=Path, help="folder for kept states; left out: always boot (start)")
    parser.add_argument("--deadline", type=float, default=120.0)
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--reboots", action="store_true", help="a reboot of the guest boots it again instead of ending it (start)")
    args = parser.parse_args()
    machine = Machine(args.folder.resolve())
    try:
        if args.action == "start":
            raw = json.loads(args.spec)
            spec = Spec(**{**raw, "extra": tuple(raw["extra"])})
            result = machine.start(spec, args.keys, args.cache, args.deadline, args.retries, args.reboots)
        elif args.action == "stop":
            result = {"changed": machine.stop(), "running": False}
        else:
            result = {**machine.status, "changed": False}
    except (MachineError, QmpError, subprocess.SubprocessError) as error:
        print(f"machine {args.folder.name}: {error}", file=sys.stderr)
        return 1
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
