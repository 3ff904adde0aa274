# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The system calls get what the kernel expects, never what would harm it, and their errors become sentences."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import kexec
from ansible_collections.multikernel.core.plugins.module_utils._boot.assemble import Segment
from ansible_collections.multikernel.core.plugins.module_utils._boot.kexec import KexecError

Call = Tuple[int, ...]


class Row(ctypes.Structure):
    """struct kexec_segment, declared once more: the test must not believe the code's own."""

    _fields_ = [("buf", ctypes.c_uint64), ("bufsz", ctypes.c_uint64), ("mem", ctypes.c_uint64), ("memsz", ctypes.c_uint64)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> List[Call]:
    """Record system calls instead of making them."""
    made: List[Call] = []

    def record(*call: int) -> int:
        made.append(call)
        return 0

    monkeypatch.setattr(kexec, "system_call", record)
    return made


def refusing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(kexec, "system_call", lambda *_call: number)


def page(data: Any = b"x", address: int = 0x40000000, memsz: int = 4096) -> Segment:
    return Segment(data, address, memsz, "the page")


def test_bytes_and_views_reach_the_kernel_without_a_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * 4096 + b"kernel" * 1000)
    seen = []

    def read_back(number: int, entry: int, count: int, array: int, flags: int) -> int:
        for row in (Row * count).from_address(array):
            seen.append((ctypes.string_at(row.buf, row.bufsz) if row.bufsz else row.buf, row.mem, row.memsz))
        seen.append((number, entry, count, flags))
        return 0

    monkeypatch.setattr(kexec, "system_call", read_back)
    with open(str(tmp_path / "file"), "rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    kexec.load(
        0x40000010,
        [page(b"head"), page(mapped[4096:], 0x41000000, 8192), page(b"", 0x30000), page(memoryview(b"read only"), 0x42000000)],
    )
    assert seen == [
        (b"head", 0x40000000, 4096),
        (b"kernel" * 1000, 0x41000000, 8192),
        (0, 0x30000, 4096),
        (b"read only", 0x42000000, 4096),
        (246, 0x40000010, 4, 0x10),
    ]


def test_a_view_of_a_file_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    view = memoryview(bytearray(b"kernel" * 1000))
    where = ctypes.addressof(ctypes.c_char.from_buffer(view))
    seen = []

    def note(_number: int, _entry: int, count: int, array: int, _flags: int) -> int:
        seen.extend(row.buf for row in (Row * count).from_address(array))
        return 0

    monkeypatch.setattr(kexec, "system_call", note)
    kexec.load(0x40000000, [page(view, memsz=8192)])
    assert seen == [where]


@pytest.mark.parametrize(
    ("segments", "sentence"),
    [
        ([], "it has 0 segments"),
        ([page(address=0x40000000 + 0x1000 * number) for number in range(17)], "it has 17 segments, the kernel takes 1 to 16"),
        ([page(address=0x40000800)], "not made of whole pages"),
        ([page(memsz=100)], "not made of whole pages"),
        ([page(memsz=0)], "not made of whole pages"),
        ([page(data=b"x" * 5000)], "has 5000 bytes for 0x1000"),
        ([page(address=1 << 52)], "beyond any physical memory"),
        ([page(memsz=8192), page(address=0x40001000)], "overlaps"),
        ([page(address=0x50000000)], "its entry 0x40000000 lies in none of its segments"),
    ],
)
def test_bad_segments_never_reach_the_kernel(calls: List[Call], segments: List[Segment], sentence: str) -> None:
    with pytest.raises(KexecError, match=sentence):
        kexec.load(0x40000000, segments)
    assert calls == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EADDRNOTAVAIL, "beyond the physical memory"),
        (errno.EINVAL, "CONFIG_KEXEC_JUMP"),
        (errno.EFAULT, "could not be read"),
        (errno.EPERM, "kexec_load_disabled = 0"),
        (errno.EBUSY, "another kexec operation"),
        (errno.ENOMEM, "no memory left"),
        (errno.EIO, "nput/output error"),
    ],
)
def test_every_errno_of_a_load_is_a_sentence(monkeypatch: pytest.MonkeyPatch, number: int, sentence: str) -> None:
    refusing(monkeypatch, number)
    with pytest.raises(KexecError, match=sentence) as caught:
        kexec.load(0x40000000, [page()])
    assert caught.value.errno == number
    assert errno.errorcode[number] in str(caught.value)
    assert "0x40000000" in caught.value.sentence


def table(images: int, others: int = 1) -> str:
    head = "Type        Start Address   Segments\n----------  --------------  --------\n"
    rows = "default     0x000001000000         4\n" * others + "multikernel  0x000050000000         1\n" * images
    return head + (rows or "No kimages loaded\n")


def test_unload_goes_on_until_the_table_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "multikernel"
    path.write_text(table(23))
    left = [23]
    made = []

    def ten_at_a_time(*call: int) -> int:
        made.append(call)
        left[0] = max(0, left[0] - 10)
        path.write_text(table(left[0]))
        return 0

    monkeypatch.setattr(kexec, "system_call", ten_at_a_time)
    assert kexec.unload(str(path)) == 23
    assert made == [(246, 0, 0, 0, 0x10)] * 3


def test_an_empty_table_needs_no_call(calls: List[Call], tmp_path: Path) -> None:
    (tmp_path / "multikernel").write_text(table(0))
    assert kexec.unload(str(tmp_path / "multikernel")) == 0
    (tmp_path / "multikernel").write_text(table(0, 0))
    assert kexec.unload(str(tmp_path / "multikernel")) == 0
    assert calls == [], "loads and unloads are counted by kexec_load_limit_reboot"


def test_images_that_stay_are_an_error(calls: List[Call], tmp_path: Path) -> None:
    (tmp_path / "multikernel").write_text(table(2))
    with pytest.raises(KexecError, match="yet 2 multikernel images stay"):
        kexec.unload(str(tmp_path / "multikernel"))
    assert len(calls) == 1


def test_a_refused_unload_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "multikernel").write_text(table(1))
    refusing(monkeypatch, errno.EPERM)
    with pytest.raises(KexecError, match="cannot unload the multikernel images: it needs root"):
        kexec.unload(str(tmp_path / "multikernel"))


def test_a_kernel_without_support_is_named(tmp_path: Path) -> None:
    with pytest.raises(KexecError, match="no multikernel support") as caught:
        kexec.unload(str(tmp_path / "multikernel"))
    assert caught.value.errno == errno.ENOSYS


@pytest.fixture
def cpus(tmp_path: Path) -> str:
    """Four CPUs: 0 cannot go offline, 1 is online, 2 and 3 are offline."""
    for number, online in ((0, None), (1, "1\n"), (2, "0\n"), (3, "0\n")):
        folder = tmp_path / ("cpu%d" % number)
        folder.mkdir()
        if online:
            (folder / "online").write_text(online)
    return str(tmp_path)


def test_booting_names_the_cpu_by_reference(monkeypatch: pytest.MonkeyPatch, cpus: str) -> None:
    seen = []

    def read_back(number: int, magic1: int, magic2: int, command: int, argument: int) -> int:
        seen.append((number, magic1, magic2, command, ctypes.c_int.from_address(argument).value))
        return 0

    monkeypatch.setattr(kexec, "system_call", read_back)
    kexec.boot(3, cpus)
    assert seen == [(169, 0xFEE1DEAD, 672274793, 0x4D4B4C49, 3)]


@pytest.mark.parametrize(
    ("cpu", "number", "sentence"),
    [
        (-1, errno.EINVAL, "CPU -1 is no CPU number"),
        (True, errno.EINVAL, "CPU True is no CPU number"),
        ("2", errno.EINVAL, "CPU '2' is no CPU number"),
        (4, errno.EINVAL, "CPU 4 is not present"),
        (1 << 40, errno.EINVAL, "is not present"),
        (1, errno.EBUSY, "CPU 1 is online in the host; take it offline first"),
        (0, errno.EBUSY, "CPU 0 is online"),
    ],
)
def test_odd_and_busy_cpus_never_reach_the_kernel(calls: List[Call], cpus: str, cpu: Any, number: int, sentence: str) -> None:
    with pytest.raises(KexecError, match=sentence) as caught:
        kexec.boot(cpu, cpus)
    assert caught.value.errno == number
    assert calls == []


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EIO, "did not arrive"), (errno.EBUSY, "runs another"), (errno.EINVAL, "no multikernel image")]
)
def test_every_errno_of_a_boot_is_a_sentence(monkeypatch: pytest.MonkeyPatch, cpus: str, number: int, sentence: str) -> None:
    refusing(monkeypatch, number)
    with pytest.raises(KexecError, match="cannot start an instance on CPU 2: .*" + sentence):
        kexec.boot(2, cpus)


def test_the_errno_of_a_real_call_comes_back() -> None:
    close, sched_yield = 3, 24
    assert kexec.system_call(close, (1 << 32) - 1) == errno.EBADF
    assert kexec.system_call(sched_yield) == 0


def test_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Linux", "host", "6.1.0", "#1", "aarch64")))
    with pytest.raises(KexecError, match="x86_64 only, this is aarch64"):
        kexec.load(0x40000000, [page()])
