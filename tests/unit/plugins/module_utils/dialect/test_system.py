# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the machine stays below its root, and turns what the kernel refuses into sentences."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import assemble, fdt, kexec, kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.system import System
from ansible_collections.multikernel.core.plugins.module_utils._host import mounts


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


def test_bytes_are_read_to_their_end_by_chunks(tmp_path, monkeypatch):
    blob = fdt.build(fdt.Node("", {"fill": bytes(10000)}))
    (tmp_path / "tree").write_bytes(blob)
    reads, read = [], os.read
    monkeypatch.setattr(os, "read", lambda handle, size: reads.append(size) or read(handle, min(size, 4096)))
    assert System(str(tmp_path)).read_bytes("tree") == blob
    assert len(reads) == 4
    assert System(str(tmp_path)).read_bytes("none") is None


def test_a_file_without_an_end_is_not_read_for_ever(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/zero").symlink_to("/dev/zero")
    assert len(System(str(tmp_path)).read_bytes("dev/zero")) < 4 << 20


def test_a_blob_is_one_write_and_a_short_one_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "new").write_bytes(b"")
    sizes, write = [], os.write
    monkeypatch.setattr(os, "write", lambda handle, blob: sizes.append(len(blob)) or write(handle, blob[:4096]))
    system = System(str(tmp_path))
    system.write_bytes("new", b"x" * 4096)
    with pytest.raises(DialectError, match="took only 4096 of 5000 bytes for /new") as error:
        system.write_bytes("new", b"y" * 5000)
    assert sizes == [4096, 5000] and error.value.errno == errno.EIO


def test_errors_of_trees_and_folders_keep_their_errno(tmp_path):
    system = System(str(tmp_path))
    for call, words in (
        (lambda: system.write_bytes("new", b"x"), "the kernel refused 1 bytes for /new: No such file"),
        (lambda: system.listdir("none"), "/none cannot be listed: No such file"),
        (lambda: system.rmdir("none"), "the kernel refused to remove /none: No such file"),
    ):
        with pytest.raises(DialectError, match=words) as error:
            call()
        assert error.value.errno == errno.ENOENT
    (tmp_path / "tx_2").mkdir()
    assert system.listdir("/") == ["tx_2"]
    system.rmdir("tx_2")
    assert system.listdir("") == []


def test_the_file_system_is_mounted_only_where_it_is_not(tmp_path, monkeypatch):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mounts").write_text("none /sys/fs/multikernel multikernel rw 0 0\n")
    assert mounts.mounted(str(tmp_path)) is True
    System(str(tmp_path)).mount_kernfs()
    (tmp_path / "proc/mounts").write_text("sysfs /sys sysfs rw 0 0\nbroken\n")
    assert mounts.mounted(str(tmp_path)) is False
    (tmp_path / "proc/mounts").unlink()
    assert mounts.mounted(str(tmp_path)) is None
    assert mounts.source("none /sys/fs/multikernel multikernel rw 0 0\n") == "none"
    assert mounts.source("broken\nnone /sys/fs/multikernel tmpfs rw 0 0\n") is None
    with pytest.raises(DialectError, match="/sys/fs/multikernel cannot be mounted: ") as error:
        System(str(tmp_path)).mount_kernfs()  # there is no such folder
    assert error.value.errno in (errno.ENOENT, errno.EPERM, errno.ENODEV)


def test_images_and_commands_of_instances_are_refused_on_a_stock_kernel(tmp_path):
    system = System(str(tmp_path))
    for call in (
        lambda: system.file_load(b"kernel", None, "", 1),
        lambda: system.file_unload(1),
        lambda: system.command(kexec_file.EXEC, 1),
    ):
        with pytest.raises(DialectError, match="knows no file system type") as error:
            call()
        assert error.value.errno == errno.ENOSYS
    with pytest.raises(DialectError, match=r"/none/vmlinux cannot be read: No such file") as error:
        system.file_load("/none/vmlinux", None, "", 1)
    assert error.value.errno == errno.ENOENT


def test_a_kernel_without_the_file_system_is_a_sentence(tmp_path):
    """No kernel that runs this test offers the type, and nobody below root may mount: either is told."""
    with pytest.raises(DialectError, match=r"^/sys/fs/multikernel cannot be mounted: "):
        System(str(tmp_path)).mount_kernfs()


def test_what_cannot_be_unmounted_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "mounted", lambda *_arguments: None)
    with pytest.raises(DialectError, match=r"^/sys/fs/multikernel cannot be unmounted: "):
        System(str(tmp_path)).unmount_kernfs()


def test_a_kernel_that_is_another_than_was_verified_is_not_unpacked(tmp_path):
    (tmp_path / "kernel").write_bytes(b"other" * 100)
    for path, digest in (("/kernel", "0" * 64), ("/none", None)):
        with pytest.raises(DialectError, match="the kernel %s cannot be unpacked: " % path):
            System(str(tmp_path)).unpacked(path, digest)


def test_only_the_very_bytes_that_were_looked_at_are_loaded(tmp_path):
    (tmp_path / "kernel").write_bytes(b"other")
    system = System(str(tmp_path))
    with pytest.raises(DialectError, match="/kernel has sha256 .*, %s was expected" % ("0" * 64)):
        system.file_load("/kernel", None, "", 1, ("0" * 64, None))
    with pytest.raises(DialectError, match="/initrd cannot be read: No such file or directory"):
        system.file_load("/kernel", "/initrd", "", 1)


def test_a_file_that_vanishes_under_a_system_call_is_a_sentence(monkeypatch):
    def gone(*_arguments):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/srv/tiny")

    monkeypatch.setattr(kexec_file, "unload", gone)
    with pytest.raises(DialectError, match="/srv/tiny cannot be read: No such file or directory"):
        System().file_unload(1)
