# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what an instance runs: an initramfs with busybox, the agent and mkstock, or the flat payload "tiny".

    scripts/instance-image --module mkstock.ko --output agent.cpio.gz
    scripts/instance-image --tiny --output tiny.bin

The same input gives the same bytes. Without --output the result goes below the cache, under a name that holds its digest. The path of
the result is the only thing printed to the standard output.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))

from _boot import elf, initramfs

IMAGES = ROOT / "examples" / "images"
AGENT = IMAGES / "agent" / "init"
CONSOLE = IMAGES / "agent" / "console"
TINY = IMAGES / "tiny" / "tiny.S"


class ImageError(Exception):
    """The image cannot be built; the text says why and what would help."""


def main() -> int:
    options = arguments()
    try:
        data = tiny() if options.tiny else agent_image(options)
        path = deliver(data, options.output, "tiny.bin" if options.tiny else "agent.cpio.gz")
    except (ImageError, ValueError, OSError) as error:
        print(f"instance-image: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


def arguments() -> argparse.Namespace:
    summary, _blank, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="instance-image", description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="build the flat payload (needs gcc and objcopy) and nothing else")
    parser.add_argument("--output", type=Path, help="where the result goes (default: below the cache)")
    parser.add_argument("--busybox", type=Path, help="a statically linked busybox (default: the one of Debian's busybox-static)")
    parser.add_argument("--init", type=Path, default=AGENT, help="the script that is PID 1 (default: the agent)")
    parser.add_argument(
        "--module", type=Path, action="append", default=[], help="an mkstock.ko; repeat it for several kernels, each finds its own"
    )
    parser.add_argument(
        "--driver",
        action="append",
        default=[],
        metavar="MODULES:NAME",
        help="a driver for a device of the instance, with all that it depends on, out of a folder lib/modules/RELEASE",
    )
    parser.add_argument(
        "--add", action="append", default=[], metavar="FILE:PATH", help="a further file and its path inside; keeps the executable bit"
    )
    return parser.parse_args()


def agent_image(options: argparse.Namespace) -> bytes:
    """An initramfs: busybox, init, one mkstock.ko for each kernel release, further files."""
    parts = [
        initramfs.file("bin/busybox", static_busybox(options.busybox), 0o755),
        initramfs.symlink("bin/sh", "busybox"),
        initramfs.file("init", options.init.read_bytes(), 0o755),
        initramfs.file("bin/console", CONSOLE.read_bytes(), 0o755),
        # the kernel opens it for PID 1 before anything is mounted
        initramfs.character_device("dev/console", 5, 1),
    ]
    parts += [initramfs.directory(path) for path in ("proc", "sys", "run", "tmp", "etc/multikernel")]
    for path in options.module:
        data = module(path)
        parts.append(initramfs.file(f"lib/mkstock/{release_of(data, path)}.ko", data))
    for word in options.driver:
        folder, colon, name = word.rpartition(":")
        if not colon:
            raise ImageError(f"--driver {word} names no folder; write /lib/modules/RELEASE:NAME")
        for number, (path, data) in enumerate(driver(Path(folder), name)):
            parts.append(initramfs.file(f"lib/drivers/{release_of(data, path)}/{name}-{number:02}-{stem_of(path)}.ko", data))
    for word in options.add:
        source, colon, target = word.partition(":")
        if not colon:
            raise ImageError(f"--add {word} names no path inside the image; write FILE:PATH")
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        parts.append(initramfs.file(target, Path(source).read_bytes(), mode))
    return initramfs.build(parts)


def static_busybox(path: Path | None) -> bytes:
    """The bytes of a busybox that runs without any library."""
    found = path or shutil.which("busybox")
    if found is None:
        raise ImageError("there is no busybox on this machine; install the package busybox-static or name one with --busybox")
    data = Path(found).read_bytes()
    try:
        program = elf.parse(data, len(data))
    except ValueError as error:
        raise ImageError(f"{found} is no busybox: {error}") from error
    if program.dynamic:
        raise ImageError(f"{found} needs shared libraries, which the image does not have; install the package busybox-static")
    return data


def module(path: Path) -> bytes:
    """A kernel module, unpacked and without debugging information: busybox's insmod takes no .xz, and memory is dear."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    if not elf.looks_like(data):
        raise ImageError(f"{path} is no kernel module (ELF)")
    if shutil.which("strip") is None:
        return data
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "module.ko"
        copy.write_bytes(data)
        subprocess.run(["strip", "--strip-debug", "--enable-deterministic-archives", str(copy)], check=True)
        return copy.read_bytes()


def driver(folder: Path, name: str) -> list[tuple[Path, bytes]]:
    """A driver below lib/modules/RELEASE and what it needs (.modinfo says), in the order in which they are to be loaded."""
    known = {stem_of(path): path for path in sorted(folder.rglob("*.ko*"))}
    found: dict[str, tuple[Path, bytes]] = {}

    def add(one: str) -> None:
        if one in found:
            return
        if one not in known:
            raise ImageError(f"there is no module {one} below {folder}")
        data = module(known[one])
        needs = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
        for need in needs.group(1).decode().split(",") if needs else []:
            if need:
                add(need.replace("-", "_"))
        found[one] = (known[one], data)

    add(name.replace("-", "_"))
    return list(found.values())


def stem_of(path: Path) -> str:
    """The name of a module as the kernel says it: e1000e of e1000e.ko.xz."""
    return path.name.split(".ko")[0].replace("-", "_")


def release_of(data: bytes, path: Path) -> str:
    """The kernel release that a module was built for, from its vermagic."""
    found = re.search(rb"\0vermagic=([^ \0]+) ", data) or re.match(rb"vermagic=([^ \0]+) ", data)
    if found is None:
        raise ImageError(f"{path} says of no kernel that it was built for it (no vermagic)")
    return found.group(1).decode()


def tiny() -> bytes:
    """The flat payload, assembled by gcc; it has no relocations, so no linker is needed."""
    for program in ("gcc", "objcopy"):
        if shutil.which(program) is None:
            raise ImageError(f"there is no program '{program}' on this machine; install gcc and binutils")
    with tempfile.TemporaryDirectory() as folder:
        built, flat = Path(folder) / "tiny.o", Path(folder) / "tiny.bin"
        subprocess.run(["gcc", "-m64", "-c", "-o", str(built), str(TINY)], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", str(built), str(flat)], check=True)
        return flat.read_bytes()


def deliver(data: bytes, output: Path | None, name: str) -> Path:
    """Write *data* in one go (or leave an equal file alone) and return its path."""
    if output is None:
        output = cache() / "images" / hashlib.sha256(data).hexdigest()[:16] / name
    if output.is_file() and output.read_bytes() == data:
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=output.parent, delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)
    os.replace(file.name, output)
    return output


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("MULTIKERNEL_CACHE") or os.path.join(home, "multikernel"))


if __name__ == "__main__":
    sys.exit(main())
