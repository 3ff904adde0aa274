# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots a stock Debian kernel in QEMU with mkstock and runs the module's test suites inside it.

No disk and no network: kernel and initramfs are given to QEMU directly. What an instance is given is a stock Debian kernel,
too. Output is TAP-like, one `ok` or `not ok` line per check; the exit status is 0 when every check of every suite passed.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"
DEFAULT_RELEASE = subprocess.run([SCRIPTS / "stock-release"], check=True, capture_output=True, text=True).stdout.strip()
SUITES = sorted(path.stem for path in (HERE / "guest/suites").glob("*.sh"))
UP_MARK = "# guest up"
PASSED_MARK = "# passed"


class Failure(Exception):
    """A sentence for the person who started the run."""


def say(text: str) -> None:
    print(text, flush=True)


def output_of(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failure(f"{command[0]} failed with status {done.returncode}")
    return done.stdout.strip()


def cache_root() -> Path:
    given = os.environ.get("MULTIKERNEL_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multikernel"


# --- initramfs: the cpio format "newc", see Documentation/driver-api/early-userspace/buffer-format.rst


def cpio_entry(name: str, mode: int, data: bytes) -> bytes:
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def initramfs(files: dict[str, tuple[int, bytes]]) -> bytes:
    folders = sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."})
    parts = [cpio_entry(name, 0o040755, b"") for name in folders]
    parts += [cpio_entry(name, 0o100000 | mode, data) for name, (mode, data) in files.items()]
    return b"".join([*parts, cpio_entry("TRAILER!!!", 0, b"")])


# --- what is inside a bzImage: an instance starts seconds earlier when it need not decompress itself


def vmlinux_of(image: Path) -> bytes:
    data = image.read_bytes()
    setup = ((data[0x1F1] or 4) + 1) * 512
    offset, length = (int.from_bytes(data[at : at + 4], "little") for at in (0x248, 0x24C))
    payload = data[setup + offset : setup + offset + length - 4]
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout
    raise Failure(f"{image} is compressed in a way that this script does not know")


def cached_vmlinux(release: str, image: Path) -> bytes:
    path = cache_root() / "vmlinux" / release
    if not path.exists():
        say(f"# extracting vmlinux of {release}")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(vmlinux_of(image))
        part.rename(path)
    return path.read_bytes()


def driver_of(release: str) -> bytes:
    """The driver of QEMU's PCI Express network card; it needs no other module."""
    modules = Path(output_of(SCRIPTS / "kernel-tree", "--print", "modules", release))
    path = next(modules.rglob("e1000e.ko*"))
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


# --- a machine whose firmware is UEFI: Debian's OVMF, and its set of keys for tests, whose private half everybody knows

OVMF = Path("/usr/share/OVMF")
KEYS = Path("/usr/share/ovmf")
FLASHES = {"uefi": ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), "secureboot": ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd")}


class Signed(NamedTuple):
    """What a firmware that has keys lets run: the stock kernel with one more signature beside Debian's, and mkstock."""

    image: Path
    module: Path


def signed(release: str, image: Path, module: Path, work: Path) -> Signed:
    """Sign both by the key that the firmware has in its `db`."""
    if not shutil.which("sbsign"):
        raise Failure("sbsign is missing: install sbsigntool")
    made = Signed(work / "vmlinuz.signed", work / "mkstock.signed.ko")
    say(f"# signing {image.name} and mkstock by the key of OVMF for tests")
    certificate = KEYS / "PkKek-1-snakeoil.pem"
    output_of("openssl", "pkey", "-in", KEYS / "PkKek-1-snakeoil.key", "-passin", "pass:snakeoil", "-out", work / "key")
    output_of("sbsign", "--key", work / "key", "--cert", certificate, "--output", made.image, image)
    sign_file = Path(output_of(SCRIPTS / "kernel-tree", "--print", "headers", release)) / "scripts/sign-file"
    output_of(sign_file, "sha256", work / "key", certificate, module, made.module)
    return made


def flashes(firmware: str, work: Path) -> list[str]:
    """The words for QEMU: its code is not written to, its variables are a copy; where it has keys, only itself writes to them."""
    code, variables = (OVMF / name for name in FLASHES[firmware])
    if not variables.exists():
        raise Failure(f"{variables} is missing: install ovmf")
    own = work / variables.name
    shutil.copyfile(variables, own)
    words = ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}", "-drive", f"if=pflash,format=raw,unit=1,file={own}"]
    return [*words, "-global", "driver=cfi.pflash01,property=secure,value=on"] if firmware == "secureboot" else words


def failing_module(release: str, work: Path) -> Path:
    """mkstock, built so that its allocations fail when they are told to; see failing/failing.h."""
    folder = work / "failing"
    shutil.copytree(HERE.parent.parent / "roles/stock_kernel/files/mkstock", folder)
    for source in (HERE / "failing").iterdir():
        shutil.copy(source, folder)
    with (folder / "Kbuild").open("a", encoding="utf-8") as kbuild:
        kbuild.write("mkstock-y += failing.o\nccflags-y += -include $(src)/failing.h\n")
    return Path(output_of(SCRIPTS / "build-mkstock", release, folder))


class Parts:
    """Everything that is built before a guest boots. *programs* are run in host and instance, *suites* beside those of this folder.

    With *keys*, what a firmware that has keys lets run is there as well.
    """

    def __init__(
        self,
        host: str,
        instance: str,
        work: Path,
        programs: Sequence[Path] = (),
        suites: Sequence[Path] = (),
        following: str = "",
        failing: bool = False,
        keys: bool = False,
    ) -> None:
        busybox = shutil.which("busybox")
        if not busybox:
            raise Failure("busybox is missing: install busybox-static")
        tool = work / "mkt"
        sources = sorted((HERE / "tool").glob("*.[cS]"))
        output_of("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", tool, *sources)
        self.image = Path(output_of(SCRIPTS / "kernel-tree", "--print", "vmlinuz", host))
        instance_image = Path(output_of(SCRIPTS / "kernel-tree", "--print", "vmlinuz", instance))
        common = {"bin/busybox": (0o755, Path(busybox).read_bytes()), "bin/sh": (0o755, b"#!/bin/busybox sh\n")}
        common["bin/sh"] = common["bin/busybox"]
        common.update({f"bin/{program.name}": (0o755, program.read_bytes()) for program in (tool, *programs)})

        inner = dict(common)
        inner["init"] = (0o755, (HERE / "guest/instance-init").read_bytes())
        inner["e1000e.ko"] = (0o644, driver_of(instance))
        inner["bin/console"] = (0o755, (HERE.parent.parent / "examples/images/agent/console").read_bytes())
        inner["mkstock.ko"] = (0o644, Path(output_of(SCRIPTS / "build-mkstock", instance)).read_bytes())
        outer = dict(common)
        outer["init"] = (0o755, (HERE / "guest/init").read_bytes())
        for library in ("lib.sh", "kernfs.sh"):
            outer[library] = (0o644, (HERE / "guest" / library).read_bytes())
        for suite in [*sorted((HERE / "guest/suites").glob("*.sh")), *suites]:
            outer[f"suites/{suite.name}"] = (0o644, suite.read_bytes())
        outer["e1000e.ko"] = (0o644, driver_of(host))
        module = Path(output_of(SCRIPTS / "build-mkstock", host))
        outer["mkstock.ko"] = (0o644, module.read_bytes())
        self.work, self.signed = work, signed(host, self.image, module, work) if keys else None
        if self.signed:
            outer["signed.ko"] = (0o644, self.signed.module.read_bytes())
        outer["instance.gz"] = (0o644, gzip.compress(initramfs(inner), 1, mtime=0))
        outer["vmlinux"] = (0o644, cached_vmlinux(instance, instance_image))
        outer["vmlinuz"] = (0o644, instance_image.read_bytes())
        # what the host goes into by kexec, where a suite does that
        outer["next.ko"] = (0o644, Path(output_of(SCRIPTS / "build-mkstock", following or host)).read_bytes())
        outer["next-vmlinuz"] = (0o644, Path(output_of(SCRIPTS / "kernel-tree", "--print", "vmlinuz", following or host)).read_bytes())
        if failing:
            outer["failing.ko"] = (0o644, failing_module(host, work).read_bytes())
        self.initrd = work / "host.cpio"
        self.initrd.write_bytes(initramfs(outer))


def wish_of(suite: str, name: str) -> str | None:
    """What a suite asks for in a line `# machine: NAME=VALUE`."""
    mark, path = f"# machine: {name}=", HERE / f"guest/suites/{suite}.sh"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith(mark):
            return line.removeprefix(mark).strip()
    return None


class Guest:
    """One boot of the host kernel; its console line by line."""

    def __init__(self, parts: Parts, suite: str, logs: Path, machine: argparse.Namespace) -> None:
        append = f"console=ttyS0,115200 quiet rdinit=/init panic=-1 mktest={suite}"
        append += f" {wish_of(suite, 'append') or ''} {machine.append}"
        firmware = wish_of(suite, "firmware") or machine.firmware
        secure = firmware == "secureboot" and parts.signed
        command = ["nice", "-n", "5", machine.qemu, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", machine.cpu]
        command += ["-smp", wish_of(suite, "cpus") or "4", "-m", wish_of(suite, "memory") or machine.memory]
        command += (wish_of(suite, "devices") or "").split()
        command += ["-display", "none", "-no-reboot", "-nic", "none", "-monitor", "none"]
        command += ["-serial", "stdio", "-serial", f"file:{logs}/{suite}-ttyS1.log", "-serial", f"file:{logs}/{suite}-ttyS2.log"]
        command += [] if firmware == "bios" else flashes(firmware, parts.work)
        command += ["-kernel", str(secure.image if secure else parts.image), "-initrd", str(parts.initrd), "-append", append]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.log = (logs / f"{suite}.log").open("w", encoding="utf-8")
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        assert self.process.stdout
        for raw in self.process.stdout:
            self.lines.put(raw.decode("utf-8", "replace").rstrip())
        self.lines.put(None)

    def line(self, deadline: float) -> str | None:
        """The next line; None at the end or at the deadline (time.monotonic)."""
        try:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None
        if line is not None:
            self.log.write(line + "\n")
            self.log.flush()
        return line

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


def run_suite(guest: Guest, boot_limit: float, limit: float) -> tuple[bool, int, int]:
    """(whether the guest came up, checks passed, checks failed or missing)."""
    started = time.monotonic()
    up, good, bad, finished = False, 0, 0, False
    while True:
        line = guest.line(started + (limit if up else boot_limit))
        if line is None:
            break
        if UP_MARK in line:
            up = True
        good += line.startswith("ok ")
        bad += line.startswith("not ok ")
        finished |= line.startswith(PASSED_MARK)
        if line.startswith(("ok ", "not ok ", "#", "1..")):
            say(line)
    if up and not finished and not bad:
        say("not ok - the guest ended before its suite did")
        bad += 1
    return up, good, bad


def command_line() -> argparse.ArgumentParser:
    """The words of this program; a program beside it that boots a guest by them takes its machine from here."""
    parser = argparse.ArgumentParser(prog="run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", help=f"suites to run (default: all of {', '.join(SUITES)})")
    parser.add_argument("--host", default=DEFAULT_RELEASE, metavar="RELEASE", help="kernel of the host (default: %(default)s)")
    parser.add_argument("--instance", metavar="RELEASE", help="kernel of the instances (default: the host's)")
    parser.add_argument("--next", metavar="RELEASE", help="kernel that the host goes into by kexec (default: the host's)")
    parser.add_argument("--qemu", default="qemu-system-x86_64", help="QEMU program (default: %(default)s)")
    parser.add_argument("--cpu", default="max", help="QEMU CPU model (default: %(default)s)")
    parser.add_argument("--memory", default="2688", help="memory of the machine in MiB (default: %(default)s)")
    parser.add_argument("--append", default="", help="more kernel parameters for the host")
    parser.add_argument(
        "--firmware", default="bios", choices=["bios", *FLASHES], help="of suites that do not name one themselves (default: %(default)s)"
    )
    parser.add_argument("--long", action="store_true", help="let suites that draw at random go on for much longer")
    parser.add_argument("--boot-limit", type=float, default=120, metavar="S", help="deadline for the boot (default: %(default)s s)")
    parser.add_argument(
        "--limit", type=float, default=900, metavar="S", help="deadline for a suite, ten times that if --long (default: %(default)s s)"
    )
    parser.add_argument("--logs", type=Path, help="where consoles are kept (default: below the cache)")
    return parser


def main() -> int:
    parser = command_line()
    args = parser.parse_args()
    if args.long:
        args.append, args.limit = f"{args.append} mktest_long", 10 * args.limit
    elsewhere = {suite for suite in SUITES if not args.host.startswith(wish_of(suite, "release") or "")}
    wanted = args.suite or [suite for suite in SUITES if suite not in elsewhere]
    if unknown := sorted(set(wanted) - set(SUITES)):
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    if unfit := sorted(elsewhere & set(wanted)):
        parser.error(f"{unfit[0]} runs on a host kernel {wish_of(unfit[0], 'release')}* alone")

    # scripts/run names a folder of this checkout: another checkout's run beside this one has consoles of the same names
    logs = args.logs or Path(os.environ.get("MULTIKERNEL_WORK") or cache_root()) / "kernel-test" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # A folder of this run alone: another run beside it has another kernel's module under the same name.
    with tempfile.TemporaryDirectory(prefix="run-", dir=logs.parent) as work:
        failing = any(wish_of(suite, "module") == "failing" for suite in wanted)
        keys = "secureboot" in (args.firmware, *(wish_of(suite, "firmware") for suite in wanted))
        parts = Parts(args.host, args.instance or args.host, Path(work), following=args.next or "", failing=failing, keys=keys)
        counts = [suite_counts(parts, suite, logs, args) for suite in wanted]
    passed_checks, failed_checks = (sum(column) for column in zip(*counts, strict=True))
    say(f"{passed_checks} passed, {failed_checks} failed")
    return 1 if failed_checks else 0


def suite_counts(parts: Parts, suite: str, logs: Path, args: argparse.Namespace) -> tuple[int, int]:
    """Run one suite, a second time when its guest does not come up; (checks passed, checks failed)."""
    say(f"# suite {suite}: host {args.host}, instances {args.instance or args.host}")
    started = time.monotonic()
    for attempt in (1, 2):
        guest = Guest(parts, suite, logs, args)
        try:
            up, good, bad = run_suite(guest, args.boot_limit, args.limit)
        finally:
            guest.stop()
        if up:
            break
        say(f"# the guest did not come up in {args.boot_limit:.0f} s (attempt {attempt} of 2)")
        bad = 1
    say(f"# suite {suite}: {good} ok, {bad} not ok, {time.monotonic() - started:.0f} s; console in {logs}/{suite}.log")
    return good, bad


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"run: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
