# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""kexec_file_load(2) for an instance, and the reboot(2) commands that start and halt it, on x86_64 (kernfs interface).

Stock Linux gives the bits of these flags another meaning: there, the same call would prepare the host's own next kernel. So it is
made only where the kernel knows the file system type "multikernel". What the kernel refuses becomes a sentence with its errno.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import IO, Dict, Optional, Union

from . import kexec

Bytes = Union[bytes, bytearray, memoryview]

SYS_KEXEC_FILE_LOAD = 320
UNLOAD = 0x1
NO_INITRAMFS = 0x4
MULTIKERNEL = 0x10
ID_SHIFT = 5
LAST_ID = 2047
"""The id has 11 bits in the flags."""

EXEC = 0x4D4B4C49
HALT = 0x4D4B4C48
HALT_FORCE = 0x4D4B4C46

FILESYSTEMS = "/proc/filesystems"
LARGEST = 1 << 32
"""Bytes of the largest file that the kernel reads."""

_LOAD_ERRORS: Dict[int, str] = {
    errno.EPERM: "it needs root (CAP_SYS_BOOT), kernel.kexec_load_disabled = 0, kernel.kexec_load_limit_reboot not used up, "
    "and an image with a signature where kernel lockdown or the signature policy asks for one",
    errno.EINVAL: "the kernel does not know these flags, or refuses the command line",
    errno.ENOENT: "the kernel has no instance of this id",
    errno.EBUSY: "the instance already has an image (unload it first), or another kexec operation is in progress",
    errno.ENOEXEC: "the kernel does not accept the image; it takes a vmlinux that was built with CONFIG_MULTIKERNEL",
    errno.ENOMEM: "the instance has too little memory for the image",
    errno.EFBIG: "a file is larger than the kernel reads",
    errno.ENODATA: "the image has no signature, and this host asks for one; a vmlinux unpacked from a signed bzImage has lost it",
    errno.EKEYREJECTED: "the image's signature is not valid for this host; a vmlinux unpacked from a signed bzImage has lost it",
    errno.ENOKEY: "the key of the image's signature is in no keyring of this host",
    errno.ENOSYS: "this kernel has no kexec_file_load (CONFIG_KEXEC_FILE)",
}
_UNLOAD_ERRORS: Dict[int, str] = {
    errno.EPERM: "it needs root (CAP_SYS_BOOT) and kernel.kexec_load_disabled = 0",
    errno.ENOENT: "there is no such instance, or it has no image",
    errno.EBUSY: "another kexec operation is in progress",
    errno.ENOSYS: "this kernel has no kexec_file_load (CONFIG_KEXEC_FILE)",
}
_COMMANDS: Dict[int, str] = {EXEC: "start", HALT: "halt", HALT_FORCE: "force to halt"}
_COMMAND_ERRORS: Dict[int, Dict[int, str]] = {
    EXEC: {
        errno.EPERM: "it needs root (CAP_SYS_BOOT)",
        errno.EINVAL: "it has no image, or no CPU, or this kernel does not know the command",
        errno.ENOENT: "there is no such instance",
        errno.EBUSY: "it is not in the state 'loaded', or another kexec operation is in progress",
        errno.ENOSPC: "what the kernel hands over to it is too long",
    },
    HALT: {
        errno.EPERM: "it needs root (CAP_SYS_BOOT)",
        errno.ENOENT: "there is no such instance",
        errno.EINVAL: "it is not active, or this kernel does not know the command",
        errno.EBUSY: "another kexec operation is in progress",
        errno.ETIMEDOUT: "it did not answer within the 30 s that the kernel waits; it can only be forced",
    },
    HALT_FORCE: {
        errno.EPERM: "it needs root (CAP_SYS_BOOT)",
        errno.ENOENT: "there is no such instance",
        errno.EINVAL: "it is neither active nor loaded, or has no CPU, or this kernel does not know the command",
        errno.EBUSY: "another kexec operation is in progress",
    },
}


def load_flags(instance: int, initrd: bool) -> int:
    """The flags that load an image for the instance of this id; raises KexecError for an id that they cannot hold."""
    return MULTIKERNEL | _id_bits(instance) | (0 if initrd else NO_INITRAMFS)


def unload_flags(instance: int) -> int:
    """The flags that drop the image of the instance of this id; raises KexecError for an id that they cannot hold."""
    return MULTIKERNEL | _id_bits(instance) | UNLOAD


def file_load(kernel_fd: int, initrd_fd: Optional[int], cmdline: str, flags: int, filesystems: str = FILESYSTEMS) -> None:
    """Hand open files and the command line to the kernel, which copies them. Raises KexecError with a sentence.

    With UNLOAD in *flags*, the image goes instead; the kernel does so even under a running instance, so ask its state before.
    """
    number = flags >> ID_SHIFT
    what = "%s the image of instance %d" % ("unload" if flags & UNLOAD else "load", number)
    if not known(filesystems):
        raise kexec.KexecError(
            errno.ENOSYS,
            "cannot %s: this kernel knows no file system type 'multikernel', and the call would mean another thing to it" % what,
        )
    words = cmdline.encode("utf-8", "surrogateescape")
    if b"\0" in words:
        raise kexec.KexecError(errno.EINVAL, "cannot %s: its command line has a NUL in it" % what)
    text = ctypes.create_string_buffer(words)  # it adds the NUL that must be counted
    length, address = (0, 0) if flags & UNLOAD else (len(words) + 1, ctypes.addressof(text))
    initrd = -1 if initrd_fd is None else initrd_fd
    failed = kexec.system_call(SYS_KEXEC_FILE_LOAD, kernel_fd, initrd, length, address, flags)
    if failed:
        raise kexec.refused("cannot " + what, failed, _UNLOAD_ERRORS if flags & UNLOAD else _LOAD_ERRORS)


def load(kernel: Bytes, initrd: Optional[Bytes], cmdline: str, instance: int, filesystems: str = FILESYSTEMS) -> None:
    """Load a kernel and an initrd, given as their bytes, for an instance. Raises KexecError or OSError."""
    flags = load_flags(instance, initrd is not None)
    with _opened(kernel) as image:
        if initrd is None:
            file_load(image.fileno(), None, cmdline, flags, filesystems)
        else:
            with _opened(initrd) as other:
                file_load(image.fileno(), other.fileno(), cmdline, flags, filesystems)


def unload(instance: int, filesystems: str = FILESYSTEMS) -> None:
    """Drop the image of an instance, which must not be active: the kernel does not ask. Raises KexecError."""
    file_load(-1, None, "", unload_flags(instance), filesystems)


def command(number: int, instance: int, filesystems: str = FILESYSTEMS) -> None:
    """EXEC, HALT or HALT_FORCE for the instance of this id; raises KexecError with a sentence.

    EXEC returns at once, whatever becomes of the instance; HALT waits for up to 30 s.
    """
    if number not in _COMMANDS:
        raise kexec.KexecError(errno.EINVAL, "0x%x is no command for an instance" % number)
    what = "cannot %s instance %d" % (_COMMANDS[number], instance)
    if not known(filesystems):
        raise kexec.KexecError(errno.ENOSYS, "%s: this kernel knows no file system type 'multikernel'" % what)
    argument = ctypes.c_int(instance)
    failed = kexec.system_call(kexec.SYS_REBOOT, kexec.MAGIC1, kexec.MAGIC2, number, ctypes.addressof(argument))
    if failed:
        raise kexec.refused(what, failed, _COMMAND_ERRORS[number])


def known(filesystems: str = FILESYSTEMS) -> bool:
    """Whether the kernel knows the file system type of the kernfs interface."""
    try:
        with open(filesystems, encoding="ascii", errors="replace") as file:
            return any(line.split()[-1:] == ["multikernel"] for line in file)
    except OSError:
        return False


def _id_bits(instance: int) -> int:
    if isinstance(instance, bool) or not isinstance(instance, int) or not 1 <= instance <= LAST_ID:
        raise kexec.KexecError(errno.EINVAL, "%r is no id of an instance that kexec_file_load can name: 1 to %d" % (instance, LAST_ID))
    return instance << ID_SHIFT


def _opened(content: Bytes) -> IO[bytes]:
    """A file without a name that has the given bytes: nobody else can write to it."""
    file: IO[bytes]
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("multikernel"), "w+b")
    else:
        import tempfile

        file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        file.write(content)
        file.flush()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
