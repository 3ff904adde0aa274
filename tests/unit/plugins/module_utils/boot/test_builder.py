# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What scripts/instance-image builds: an initramfs with the agent, and the tiny payload, which is run here as a process."""

from __future__ import annotations

import ctypes
import faulthandler
import gzip
import lzma
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import (
    elf,
    initramfs,
    inspect,
    mailbox,
    params,
)

ROOT = Path(elf.__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "instance_image.py"
NEEDS_GCC = pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("objcopy") is None, reason="no gcc and binutils here")

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 11), reason="the builder runs on a controller: Python 3.11 or newer"),
    pytest.mark.skipif(not SCRIPT.is_file(), reason="scripts/ is not part of an installed collection"),
]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-B", str(SCRIPT), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        check=False,
    )


@pytest.fixture
def busybox(vmlinux: Callable[..., bytes], stored: Callable[..., str]) -> str:
    """Something that passes for a static busybox."""
    return stored(vmlinux(), "busybox")


def contents(path: str) -> Dict[str, initramfs.Part]:
    with open(path, "rb") as file:
        return {part.path: part for part in initramfs.parse(gzip.decompress(file.read()))}


def module(stored: Callable[..., str], release: str, name: str, pack: Callable[[bytes], bytes] = bytes) -> str:
    text = b"\x7fELF module\0vermagic=" + release.encode() + b" SMP preempt mod_unload modversions \0"
    return stored(pack(text), name)


def test_an_image_holds_agent_busybox_and_a_module_for_each_kernel(busybox: str, stored: Callable[..., str], tmp_path: Path) -> None:
    first = module(stored, "6.1.0-56-amd64", "first.ko")
    second = module(stored, "6.12.95", "second.ko.xz", lzma.compress)
    work = stored(b"#!/bin/sh\n", "work")
    os.chmod(work, 0o755)
    output = str(tmp_path / "deep" / "image")
    done = run(
        "--busybox", busybox, "--module", first, "--module", second, "--add", work + ":etc/multikernel/workload", "--output", output,
        PATH="/nowhere",  # without strip, the modules stay as they are
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, output + "\n", "")
    found = contents(output)
    assert found["init"].data == (ROOT / "examples/images/agent/init").read_bytes()
    assert found["bin/sh"].data == b"busybox"
    assert found["lib/mkstock/6.1.0-56-amd64.ko"].data.startswith(b"\x7fELF")
    assert found["lib/mkstock/6.12.95.ko"].data.startswith(b"\x7fELF")
    assert found["etc/multikernel/workload"].mode & 0o777 == 0o755
    assert inspect.inspect(output)["kind"] == "initrd"


def test_the_same_input_gives_the_same_file_below_the_cache(busybox: str, tmp_path: Path) -> None:
    first = run("--busybox", busybox, MULTIKERNEL_CACHE=str(tmp_path / "cache"))
    path = Path(first.stdout.strip())
    assert path.parent.parent == tmp_path / "cache" / "images"
    written = path.stat().st_mtime_ns
    os.utime(busybox, (1, 1))
    second = run("--busybox", busybox, MULTIKERNEL_CACHE=str(tmp_path / "cache"))
    assert second.stdout == first.stdout
    assert path.stat().st_mtime_ns == written, "an equal file is left alone"


def test_a_driver_comes_with_what_it_needs_in_the_order_of_loading(busybox: str, vmlinux: Callable[..., bytes], tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules" / "6.1.0-x"
    for name, needs in (("e1000e", b"ptp"), ("ptp", b"pps-core"), ("pps_core", b"")):
        data = vmlinux() + b"\0depends=" + needs + b"\0vermagic=6.1.0-x SMP \0"
        (folder / "kernel").mkdir(parents=True, exist_ok=True)
        packed = name == "ptp"
        (folder / "kernel" / (name + (".ko.xz" if packed else ".ko"))).write_bytes(lzma.compress(data) if packed else data)
    output = tmp_path / "image.gz"
    # without strip the bytes stay as they are: these are no real modules
    done = run("--busybox", busybox, "--driver", "%s:e1000e" % folder, "--output", str(output), PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    names = [name for name in contents(str(output)) if name.startswith("lib/drivers/6.1.0-x/")]
    assert sorted(name.rsplit("/", 1)[1] for name in names) == ["e1000e-00-pps_core.ko", "e1000e-01-ptp.ko", "e1000e-02-e1000e.ko"]


def test_a_driver_that_is_not_there_is_told(busybox: str, tmp_path: Path) -> None:
    done = run("--busybox", busybox, "--driver", "%s:e1000e" % tmp_path, "--output", str(tmp_path / "image.gz"))
    assert (done.returncode, done.stderr) == (1, "instance-image: there is no module e1000e below %s\n" % tmp_path)


def test_what_cannot_run_is_refused(vmlinux: Callable[..., bytes], busybox: str, stored: Callable[..., str], tmp_path: Path) -> None:
    for arguments, sentence in (
        (["--busybox", stored(vmlinux(interp=True), "dynamic")], "needs shared libraries"),
        (["--busybox", stored(b"text", "text")], "is no busybox"),
        (["--busybox", busybox, "--module", stored(b"text", "text.ko")], "is no kernel module"),
        (["--busybox", busybox, "--module", stored(b"\x7fELF", "bare.ko")], "no vermagic"),
        (["--busybox", busybox, "--add", "file"], "names no path inside the image"),
        (["--busybox", str(tmp_path / "missing")], "No such file"),
    ):
        done = run(*arguments, "--output", str(tmp_path / "out"), PATH="/nowhere")
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()


def test_the_agent_is_a_script_that_a_posix_shell_can_read() -> None:
    assert subprocess.run(["sh", "-n", str(ROOT / "examples/images/agent/init")], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox here")
def test_without_the_module_the_agent_writes_the_mailbox_itself(tmp_path: Path) -> None:
    """Its functions, run by busybox with a devmem that notes what it is told."""
    text = (ROOT / "examples/images/agent/init").read_text()
    functions = text[text.index("# offset, room in bytes, text") : text.index("beat_by_module()")]
    script = tmp_path / "script"
    script.write_text(
        'MAILBOX=0x140000000\npoke() { printf "%s %s %s\\n" "$@"; }\n' + functions + '\npoke_text 0x40 192 "6.1.0 Linux, a name"\n'
    )
    said = subprocess.run(["busybox", "sh", str(script)], stdout=subprocess.PIPE, check=True).stdout.decode()
    page = bytearray(mailbox.blank(1))
    page[0x40:0x100] = b"\xff" * 192
    for line in said.splitlines():
        offset, width, value = line.split()
        assert width == "64"
        struct.pack_into("<Q", page, int(offset), int(value, 16))
    assert mailbox.parse(bytes(page))["uname"] == "6.1.0 Linux, a name"
    assert page[0x100] == 0
    assert 0xFF not in page[0x40:0x100]


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox here")
def test_the_agent_reads_its_words_attaches_channels_and_obeys(tmp_path: Path) -> None:
    """The agent's own text, told other places for what only an instance has, and commands that only say that they were run."""
    text = (ROOT / "examples/images/agent/init").read_text()
    functions = text[text.index("say() {") : text.index("# offset, room in bytes, text")]
    for there, here in (
        ("/proc/cmdline", "cmdline"),
        ("/dev/kmsg", "log"),
        ("/proc/sysrq-trigger", "sysrq"),
        ('serve "$channel" &', "true"),
    ):
        assert there in functions
        functions = functions.replace(there, here)
    words = "quiet multikernel.name=web multikernel.mailbox=0x40000000 * multikernel.channel=beat@0x5e000000:1 multikernel.channel=b@0x1:0"
    (tmp_path / "cmdline").write_text(words + "\n")
    stand_ins = "CONTROL=.\nCHANNELS=\n" + "".join(
        '%s() { echo "%s $*" >>ran; }\n' % (name, name) for name in ("halt", "poweroff", "reboot")
    )
    body = (
        "exec 3>answers\nread_words\necho $NAME $MAILBOX $CHANNELS\n"
        "for channel in $CHANNELS; do attach $channel; cat channels; done\n"
        'for message in halt poweroff reboot panic "echo  two  words" "format c:"; do obey "$message"; done\n'
    )
    (tmp_path / "script").write_text(stand_ins + functions + body)
    done = subprocess.run(["busybox", "sh", "script"], cwd=str(tmp_path), stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().splitlines() == [
        "web 0x40000000 beat@0x5e000000:1 b@0x1:0",
        "add beat 0x5e000000 1",
        "add b 0x1 0",
    ]
    assert (tmp_path / "ran").read_text().splitlines() == ["halt -f", "poweroff -f", "reboot -f"]
    assert (tmp_path / "sysrq").read_text() == "c\n"
    assert (tmp_path / "answers").read_text() == " two  words", "what it does not know gets no answer: two agents would talk for ever"
    assert "does not know: format c:" in (tmp_path / "log").read_text()


@pytest.fixture
def tiny(tmp_path: Path) -> bytes:
    """The payload without what only a kernel may do: a process cannot load descriptor tables or sleep by hlt."""
    built, flat = str(tmp_path / "tiny.o"), str(tmp_path / "tiny")
    subprocess.run(["gcc", "-m64", "-DIN_A_PROCESS", "-c", "-o", built, str(ROOT / "examples/images/tiny/tiny.S")], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", built, flat], check=True)
    return Path(flat).read_bytes()


@NEEDS_GCC
def test_the_tiny_payload_is_one_marked_file_without_loose_ends(tmp_path: Path) -> None:
    output = str(tmp_path / "tiny.bin")
    done = run("--tiny", "--output", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, output + "\n", "")
    assert inspect.inspect(output)["kind"] == "flat"
    assert inspect.inspect(output)["size"] < 8192
    built = str(tmp_path / "tiny.o")
    subprocess.run(["gcc", "-m64", "-c", "-o", built, str(ROOT / "examples/images/tiny/tiny.S")], check=True)
    with open(built, "rb") as file:
        assert b".rela.text" not in file.read(), "nobody would apply a relocation"


def test_without_a_compiler_the_builder_says_what_to_install(tmp_path: Path) -> None:
    done = run("--tiny", "--output", str(tmp_path / "tiny.bin"), PATH="/nowhere")
    assert done.returncode == 1
    assert "no program 'gcc' on this machine; install gcc and binutils" in done.stderr


def start(code: bytes, words: str) -> Tuple[int, mmap.mmap]:
    """Run a flat payload in a process of its own: (process id, its mailbox). It has no privileged instruction but in and out."""
    text = mmap.mmap(-1, 4096 * 2, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    text[: len(code)] = code
    box = mmap.mmap(-1, 4096)
    box[:] = mailbox.blank(77)
    line = ctypes.create_string_buffer(words.encode())
    zero_page = ctypes.create_string_buffer(params.build(None, 0, 0, ctypes.addressof(line), None, []), 4096)
    entry = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(text)))
    arguments = ctypes.addressof(ctypes.c_char.from_buffer(box)), ctypes.addressof(zero_page)
    child = os.fork()
    if child == 0:
        faulthandler.disable()  # a fault is what one test waits for
        signal.alarm(20)
        entry(*arguments)
        os._exit(1)
    return child, box


def stop(child: int) -> int:
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def wait_for(question: Callable[[], Any], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if question():
            return True
        time.sleep(0.01)
    return False


@NEEDS_GCC
def test_tiny_tells_its_name_and_beats_by_the_frequency_it_is_given(tiny: bytes) -> None:
    assert tiny[8:16] == inspect.FLAT_MAGIC
    # 20 MHz: a real TSC counts one such second in some hundredths
    child, box = start(tiny, "console=ttyS3 multikernel.name=rt tsc_early_khz=20000 quiet")
    try:
        assert wait_for(lambda: mailbox.parse(box[:])["beats"] >= 3)
        found = mailbox.parse(box[:])
    finally:
        stop(child)
    assert found["release"] == "tiny"
    assert found["uname"].startswith("tiny 1.0 flat payload")
    assert (found["state"], found["nproc"], found["nonce"], found["valid"]) == ("running", 1, 77, True)
    assert 0 < found["tsc_first"] < found["tsc_last"]
    assert found["tsc_last"] - found["tsc_first"] >= (found["beats"] - 1) * 20000000 // 16, "eight beats a second, half as early at most"


@NEEDS_GCC
def test_tiny_waits_for_its_time_by_the_tsc(tiny: bytes) -> None:
    child, box = start(tiny, "tsc_early_khz=900000000")
    try:
        assert wait_for(lambda: mailbox.parse(box[:])["beats"])
        time.sleep(0.2)
        assert mailbox.parse(box[:])["beats"] == 1
    finally:
        stop(child)


@NEEDS_GCC
def test_tiny_touches_a_uart_only_when_it_is_given_one(tiny: bytes) -> None:
    """In a process, port I/O is a fault: it must come with the word, and (see above) not without."""
    child, _box = start(tiny, "x earlycon=uart8250,io,0x2e8,115200")
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
