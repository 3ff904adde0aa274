# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the machine stays below its root, and turns what the kernel refuses into sentences."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import assemble, kexec
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.system import System


def test_files_are_read_and_written_below_the_root(tmp_path):
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "online").write_text("1")
    system = System(str(tmp_path))
    system.write("sys/online", "0")
    assert (tmp_path / "sys" / "online").read_text() == "0"
    assert system.read("sys/online") == "0"
    assert system.exists("sys/online")
    assert system.read("sys/other") is None
    assert not system.exists("sys/other")


def test_what_the_kernel_refuses_is_a_sentence(tmp_path):
    with pytest.raises(DialectError, match=r"^the kernel refused 'add 1' for /sys/kernel/mkstock/pool: No such file or directory$"):
        System(str(tmp_path)).write("sys/kernel/mkstock/pool", "add 1")


def test_a_write_is_one_write_to_an_existing_file(tmp_path):
    fifo = tmp_path / "file"
    os.mkfifo(str(fifo))
    handle = os.open(str(fifo), os.O_RDONLY | os.O_NONBLOCK)
    System(str(tmp_path)).write("file", "entry=0x1 cpus=2")
    assert os.read(handle, 100) == b"entry=0x1 cpus=2"
    os.close(handle)
    assert stat.S_ISFIFO(os.stat(str(fifo)).st_mode)


def test_a_refused_system_call_is_a_sentence(monkeypatch):
    def refuse(*_arguments):
        raise kexec.KexecError(errno.EPERM, "cannot load the image: it needs root")

    for name in ("load", "unload", "boot"):
        monkeypatch.setattr(kexec, name, refuse)
    system = System()
    for call in (lambda: system.load(0, []), system.unload, lambda: system.boot(1)):
        with pytest.raises(DialectError, match="cannot load the image: it needs root"):
            call()


def test_an_image_that_cannot_be_assembled_is_a_sentence(tmp_path):
    spec = assemble.Spec(
        base=0x40000000, size=64 << 20, apic_ids=[1], bsp_apic_id=0, kernel_path=str(tmp_path / "none"), name="web", nonce=1
    )
    with pytest.raises(DialectError, match=r"the image of web cannot be prepared: .*No such file"):
        System().assemble(spec)


def test_physical_memory_that_no_device_shows_is_none(tmp_path):
    assert System(str(tmp_path)).physical(0x40000000, 4096) is None


def test_a_mark_is_never_zero_and_never_the_same():
    marks = {System().nonce() for _number in range(100)}
    assert len(marks) == 100
    assert all(0 < mark < 1 << 64 for mark in marks)


def test_the_clock_goes_forward_in_sleeps():
    system = System()
    began = system.monotonic()
    system.sleep(0.01)
    assert system.monotonic() - began >= 0.01


def test_facts_of_an_empty_root_are_null_and_no_error(tmp_path):
    facts = System(str(tmp_path)).facts(["/boot/none"], None)
    assert facts["dialect"]["name"] == "none"
    assert facts["images"]["/boot/none"]["exists"] is False
