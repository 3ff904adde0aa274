# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kexec_file_load and the reboot commands get what the kernel expects, only where it knows them, and their errors become sentences."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import kexec, kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._boot.kexec import KexecError


@pytest.fixture
def known(tmp_path: Path) -> str:
    """The file systems of a kernel with multikernel."""
    (tmp_path / "filesystems").write_text("nodev\tsysfs\n\text4\nnodev\tmultikernel\n")
    return str(tmp_path / "filesystems")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[Any, ...]]:
    """What the kernel sees: contents of the files, the command line with its NUL, flags; or the command and the id."""
    seen: List[Tuple[Any, ...]] = []

    def record(number: int, *words: int) -> int:
        if number == 320:
            kernel, initrd, length, address, flags = words
            files = [os.read(one, 100) if one >= 0 else None for one in (kernel, initrd)]
            seen.append((*files, ctypes.string_at(address, length), flags))
        else:
            seen.append((number, *words[:3], ctypes.c_int.from_address(words[3]).value))
        return 0

    monkeypatch.setattr(kexec, "system_call", record)
    return seen


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(kexec, "system_call", lambda *_words: number)


def test_bytes_reach_the_kernel_as_files(known: str, calls: List[Tuple[Any, ...]]) -> None:
    kexec_file.load(b"from a file", bytearray(b"cpio"), "quiet grüße", 7, known)
    kexec_file.load(memoryview(b"unpacked"), None, "", 2047, known)
    assert calls == [
        (b"from a file", b"cpio", "quiet grüße\0".encode(), 0x10 | 7 << 5),
        (b"unpacked", None, b"\0", 0x10 | 0x4 | 0xFFE0),
    ]


def test_an_unload_has_no_files_and_no_command_line(known: str, calls: List[Tuple[Any, ...]]) -> None:
    kexec_file.unload(3, known)
    assert calls == [(None, None, b"", 0x71)]


def test_commands_carry_the_id(known: str, calls: List[Tuple[Any, ...]]) -> None:
    for number in (0x4D4B4C49, 0x4D4B4C48, 0x4D4B4C46):
        kexec_file.command(number, 7, known)
    assert calls == [(169, 0xFEE1DEAD, 672274793, number, 7) for number in (0x4D4B4C49, 0x4D4B4C48, 0x4D4B4C46)]
    assert [number.to_bytes(4, "big") for number in (kexec_file.EXEC, kexec_file.HALT, kexec_file.HALT_FORCE)] == [
        b"MKLI",
        b"MKLH",
        b"MKLF",
    ]


def test_a_stock_kernel_never_sees_the_calls(tmp_path: Path, calls: List[Tuple[Any, ...]]) -> None:
    """There, the flags mean another thing, and the host's own next kernel would be prepared."""
    (tmp_path / "filesystems").write_text("nodev\tsysfs\n\tmultikernelfs\n")
    for call in (load_it, unload_it, exec_it, halt_it, force_it):
        for filesystems in ("filesystems", "none"):
            with pytest.raises(KexecError, match="knows no file system type 'multikernel'") as error:
                call(str(tmp_path / filesystems))
            assert error.value.errno == errno.ENOSYS
    assert calls == []


@pytest.mark.parametrize("number", [0, -1, 2048, True, "1"])
def test_an_id_that_the_flags_cannot_hold_is_refused(known: str, calls: List[Tuple[Any, ...]], number: Any) -> None:
    for call in (lambda: kexec_file.load(b"kernel", None, "", number, known), lambda: kexec_file.unload(number, known)):
        with pytest.raises(KexecError, match="is no id of an instance"):
            call()
    assert calls == []


def test_a_command_line_with_a_nul_is_refused(known: str, calls: List[Tuple[Any, ...]]) -> None:
    with pytest.raises(KexecError, match="command line has a NUL"):
        kexec_file.load(b"kernel", None, "a\0b", 1, known)
    assert calls == []


def test_an_unknown_command_is_refused(known: str, calls: List[Tuple[Any, ...]]) -> None:
    with pytest.raises(KexecError, match="0x1234567 is no command"):
        kexec_file.command(0x1234567, 1, known)
    assert calls == []


def load_it(known: str) -> None:
    kexec_file.load(b"kernel", None, "", 7, known)


def unload_it(known: str) -> None:
    kexec_file.unload(7, known)


def exec_it(known: str) -> None:
    kexec_file.command(kexec_file.EXEC, 7, known)


def halt_it(known: str) -> None:
    kexec_file.command(kexec_file.HALT, 7, known)


def force_it(known: str) -> None:
    kexec_file.command(kexec_file.HALT_FORCE, 7, known)


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        (load_it, errno.EPERM, "cannot load the image of instance 7: it needs root .*kexec_load_disabled = 0.*lockdown"),
        (load_it, errno.EINVAL, "flags, or refuses the command line"),
        (load_it, errno.ENOENT, "no instance of this id"),
        (load_it, errno.EBUSY, "already has an image"),
        (load_it, errno.ENOEXEC, "built with CONFIG_MULTIKERNEL"),
        (load_it, errno.ENOMEM, "too little memory"),
        (load_it, errno.ENODATA, "has no signature.*unpacked from a signed bzImage has lost it"),
        (load_it, errno.EKEYREJECTED, "signature is not valid"),
        (load_it, errno.ENOKEY, "in no keyring"),
        (load_it, errno.ENOSYS, "CONFIG_KEXEC_FILE"),
        (unload_it, errno.ENOENT, "cannot unload the image of instance 7: there is no such instance, or it has no image"),
        (unload_it, errno.EBUSY, "another kexec operation"),
        (exec_it, errno.EINVAL, "cannot start instance 7: it has no image, or no CPU"),
        (exec_it, errno.EBUSY, "not in the state 'loaded'"),
        (exec_it, errno.ENOSPC, "hands over"),
        (exec_it, errno.EPERM, "needs root"),
        (halt_it, errno.ENOENT, "cannot halt instance 7: there is no such instance"),
        (halt_it, errno.EINVAL, "not active"),
        (halt_it, errno.ETIMEDOUT, "within the 30 s that the kernel waits; it can only be forced"),
        (force_it, errno.EINVAL, "cannot force to halt instance 7: it is neither active nor loaded"),
        (force_it, errno.EIO, "Input/output error"),
    ],
)
def test_each_errno_becomes_a_sentence(
    monkeypatch: pytest.MonkeyPatch, known: str, call: Callable[[str], None], number: int, words: str
) -> None:
    refuse(monkeypatch, number)
    with pytest.raises(KexecError, match=words) as error:
        call(known)
    assert error.value.errno == number
