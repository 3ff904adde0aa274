# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accelerator really runs a guest here: /dev/kvm may open and a guest may still never get past its firmware, so one is booted."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qmp import Qmp, QmpError

MARK = b"multikernel-accelerator-works"
# without -arch-capabilities QEMU aborts where the outer hypervisor hides the register behind the bit it shows
CPU = {"kvm": "host,-arch-capabilities", "tcg": "max"}
FATAL = ("internal-error", "shutdown", "guest-panicked", "io-error")


def choose(wanted: str, qemu: str, kernel: Path, busybox: Path, cache: Path, deadline: float) -> dict[str, str]:
    """Return ``{"accel": kvm|tcg, "why": sentence}``. `wanted` other than ``auto`` is taken as it is."""
    if wanted != "auto":
        return {"accel": wanted, "why": f"qemu_lab_accel says {wanted}"}
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return {"accel": "tcg", "why": "/dev/kvm is not there or may not be used"}
    verdict = cache / f"accel-{_key(qemu, kernel)}.json"
    if verdict.exists():
        known: dict[str, str] = json.loads(verdict.read_text())
        return known
    found = _boot(qemu, kernel, busybox, cache, deadline)
    partial = verdict.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(found))
    partial.rename(verdict)
    return found


def _key(qemu: str, kernel: Path) -> str:
    """What the verdict hangs on: QEMU, the guest kernel, the kernel and the processor of this machine."""
    version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    parts = [version, kernel.name, str(kernel.stat().st_size), platform.release(), *models[:1]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _initrd(folder: Path, busybox: Path) -> Path:
    tree = folder / "i"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "busybox").write_bytes(busybox.read_bytes())
    (tree / "bin" / "busybox").chmod(0o755)
    init = tree / "init"
    init.write_text(f"#!/bin/busybox sh\n/bin/busybox echo {MARK.decode()}\n/bin/busybox poweroff -f\n")
    init.chmod(0o755)
    (tree / "dev").mkdir()
    names = "\n".join(["bin", "bin/busybox", "dev", "init"])
    with (folder / "initrd").open("wb") as archive:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), stdout=archive, cwd=tree, check=True)
    return folder / "initrd"


def _boot(qemu: str, kernel: Path, busybox: Path, cache: Path, deadline: float) -> dict[str, str]:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="probe.") as name:
        folder = Path(name)
        command = [
            qemu, "-M", "q35", "-accel", "kvm", "-cpu", CPU["kvm"], "-smp", "2", "-m", "512", "-display", "none", "-nic", "none",
            "-no-reboot", "-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
            "-kernel", str(kernel), "-initrd", str(_initrd(folder, busybox)), "-append", "console=ttyS0 quiet panic=-1",
        ]  # fmt: skip
        start = time.monotonic()
        with (folder / "errors").open("wb") as errors:
            guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            while time.monotonic() - start < deadline:
                time.sleep(0.2)
                console = folder / "console"
                if console.exists() and MARK in console.read_bytes():
                    return {"accel": "kvm", "why": f"a guest booted under KVM in {time.monotonic() - start:.1f} s"}
                state = _state(folder / "qmp", guest)
                if state in FATAL:
                    return {"accel": "tcg", "why": f"a guest under KVM ended with '{state}' after {time.monotonic() - start:.1f} s"}
            return {"accel": "tcg", "why": f"a guest under KVM did not get to user space within {deadline:.0f} s"}
        finally:
            guest.kill()
            guest.wait()


def _state(path: Path, guest: subprocess.Popen[bytes]) -> str:
    if guest.poll() is not None:
        return "shutdown"
    try:
        with Qmp(path, timeout=2.0) as qmp:
            return str(qmp.ask("query-status")["status"])
    except QmpError:
        return "starting"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accel", default="auto", choices=["auto", "kvm", "tcg", "tcg,thread=single"])
    parser.add_argument("--qemu", default="qemu-system-x86_64")
    parser.add_argument("--kernel", type=Path, required=True)
    parser.add_argument("--busybox", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--deadline", type=float, default=15.0)
    args = parser.parse_args()
    json.dump(choose(args.accel, args.qemu, args.kernel, args.busybox, args.cache, args.deadline), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
