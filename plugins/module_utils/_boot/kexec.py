# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""kexec_load(2) and reboot(2) with the multikernel flag, on x86_64.

The calls can do harm: a bad pointer leaves a kernel lock held, an odd CPU number is an oops, and memory in use is overwritten without
complaint. So everything that can be known beforehand is checked here, and what the kernel then refuses becomes a sentence. Whether
the memory is free is the caller's to prove. Source: the RFC "kernel: Introduce multikernel architecture support", patches 1, 6, 7.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Dict, List, Optional, Sequence

from .assemble import Segment

SYS_REBOOT = 169
SYS_KEXEC_LOAD = 246
KEXEC_MULTIKERNEL = 0x10
MAX_SEGMENTS = 16

TABLE = "/proc/multikernel"
CPUS = "/sys/devices/system/cpu"

MAGIC1 = 0xFEE1DEAD
MAGIC2 = 672274793
"""Without them reboot(2) does nothing."""

_PAGE = 4096
_MAX_ADDRESS = 1 << 52
_REBOOT_MULTIKERNEL = 0x4D4B4C49

_LOAD_ERRORS: Dict[int, str] = {
    errno.EADDRNOTAVAIL: "a segment is not page aligned or lies beyond the physical memory",
    errno.EINVAL: "the kernel refuses the segments, or it has no multikernel support (CONFIG_KEXEC_JUMP is needed, too)",
    errno.EFAULT: "a segment's bytes could not be read; part of them may have been copied",
    errno.EPERM: "it needs root, kernel.kexec_load_disabled = 0, kernel.kexec_load_limit_reboot not used up, and no kernel lockdown",
    errno.EBUSY: "another kexec operation is in progress, or the memory belongs to a running instance",
    errno.ENOMEM: "the host has no memory left for the list of images",
    errno.ENOSYS: "this kernel has no kexec_load",
}
_BOOT_ERRORS: Dict[int, str] = {
    errno.EPERM: "it needs root (CAP_SYS_BOOT)",
    errno.EBUSY: "the CPU is online in the host or runs another instance, or another kexec operation is in progress",
    errno.EINVAL: "no multikernel image is loaded, or the CPU is not present",
    errno.EIO: "the CPU did not arrive at the image's entry in time",
    errno.EFAULT: "the kernel could not read the argument",
    errno.ENOMEM: "the host has no memory left for the start of a CPU",
}


class KexecError(OSError):
    """A call that the kernel refused, or that was not made because it could not be right; errno is set, str() is a sentence."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(number, sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return "%s (%s)" % (self.sentence, errno.errorcode.get(self.errno or 0, str(self.errno)))


class _KexecSegment(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("bufsz", ctypes.c_size_t),
        ("mem", ctypes.c_size_t),
        ("memsz", ctypes.c_size_t),
    ]


def load(entry: int, segments: Sequence[Segment]) -> None:
    """Load an image: the bytes of *segments* go to their physical addresses at once; *entry* is where a CPU will start.

    Raises KexecError with a sentence. The caller has proved that the memory is free.
    """
    problem = _bad_segments(entry, segments)
    if problem:
        raise KexecError(errno.EINVAL, "cannot load the image: %s" % problem)
    buffers = [_buffer(segment) for segment in segments]
    array = (_KexecSegment * len(segments))()
    for row, segment, buffer in zip(array, segments, buffers):
        row.buf = ctypes.cast(buffer, ctypes.c_void_p) if buffer is not None else None
        row.bufsz = len(segment.data)
        row.mem = segment.address
        row.memsz = segment.memsz
    failed = system_call(SYS_KEXEC_LOAD, entry, len(segments), ctypes.addressof(array), KEXEC_MULTIKERNEL)
    if failed:
        raise refused("cannot load the image with entry 0x%x" % entry, failed, _LOAD_ERRORS)


def unload(table: str = TABLE) -> int:
    """Remove every multikernel image from the kernel's list; running instances and other kexec images are left alone.

    Returns how many images went. Raises KexecError when the kernel refuses or images stay.
    """
    before = rows = multikernel_rows(table)
    while rows:
        failed = system_call(SYS_KEXEC_LOAD, 0, 0, 0, KEXEC_MULTIKERNEL)
        if failed:
            raise refused("cannot unload the multikernel images", failed, _LOAD_ERRORS)
        left = multikernel_rows(table)
        if left >= rows:
            raise KexecError(errno.EBUSY, "the kernel accepted to unload, yet %d multikernel images stay in %s" % (left, table))
        rows = left  # the RFC kernel removes ten at a time
    return before


def boot(cpu: int, cpus: str = CPUS) -> None:
    """Start the first loaded multikernel image on the host's logical *cpu*, which must be present and offline.

    Returns when the CPU was sent off: only the instance's own word proves that it runs. Raises KexecError with a sentence.
    """
    problem = _bad_cpu(cpu, cpus)
    if problem:
        raise KexecError(*problem)
    argument = ctypes.c_int(cpu)
    failed = system_call(SYS_REBOOT, MAGIC1, MAGIC2, _REBOOT_MULTIKERNEL, ctypes.addressof(argument))
    if failed:
        raise refused("cannot start an instance on CPU %d" % cpu, failed, _BOOT_ERRORS)


def multikernel_rows(table: str = TABLE) -> int:
    """How many multikernel images the kernel lists; raises KexecError when there is no table, so no multikernel support."""
    try:
        with open(table, encoding="ascii", errors="replace") as file:
            words = [line.split() for line in file]
    except FileNotFoundError:
        raise KexecError(errno.ENOSYS, "this kernel has no multikernel support: there is no %s" % table) from None
    # by white space, never by column: the type overflows its own
    return sum(1 for row in words if row and row[0] == "multikernel")


def _bad_segments(entry: int, segments: Sequence[Segment]) -> Optional[str]:
    if not 1 <= len(segments) <= MAX_SEGMENTS:
        return "it has %d segments, the kernel takes 1 to %d" % (len(segments), MAX_SEGMENTS)
    for segment in segments:
        if segment.address % _PAGE or segment.memsz % _PAGE or segment.memsz <= 0:
            return "%s at 0x%x (0x%x bytes) is not made of whole pages" % (segment.what, segment.address, segment.memsz)
        if segment.address < 0 or segment.address + segment.memsz > _MAX_ADDRESS:
            return "%s at 0x%x lies beyond any physical memory" % (segment.what, segment.address)
        if len(segment.data) > segment.memsz:
            return "%s has %d bytes for 0x%x bytes of memory" % (segment.what, len(segment.data), segment.memsz)
    ordered = sorted(segments, key=lambda segment: segment.address)
    for left, right in zip(ordered, ordered[1:]):
        if left.address + left.memsz > right.address:
            return "%s at 0x%x overlaps %s at 0x%x" % (left.what, left.address, right.what, right.address)
    if not any(segment.address <= entry < segment.address + segment.memsz for segment in segments):
        return "its entry 0x%x lies in none of its segments" % entry
    return None


def _bad_cpu(cpu: Any, cpus: str) -> Any:
    if isinstance(cpu, bool) or not isinstance(cpu, int) or cpu < 0:
        return errno.EINVAL, "CPU %r is no CPU number" % (cpu,)
    folder = os.path.join(cpus, "cpu%d" % cpu)
    if not os.path.isdir(folder):
        return errno.EINVAL, "CPU %d is not present in this machine" % cpu
    try:
        with open(os.path.join(folder, "online"), encoding="ascii") as file:
            online = file.read().strip() != "0"
    except FileNotFoundError:
        online = True  # a CPU without this file cannot go offline: usually the boot CPU
    if online:
        return errno.EBUSY, "CPU %d is online in the host; take it offline first" % cpu
    return None


def _buffer(segment: Segment) -> Any:
    """Something that ctypes can take the address of and that keeps the bytes where they are; no copy for bytes and writable views."""
    if not len(segment.data):
        return None
    if isinstance(segment.data, bytes):
        return ctypes.c_char_p(segment.data)
    if segment.data.readonly:
        return ctypes.c_char_p(bytes(segment.data))
    return (ctypes.c_char * len(segment.data)).from_buffer(segment.data)


def system_call(number: int, *arguments: int) -> int:
    """A system call with integer arguments; 0 or the errno."""
    if os.uname().machine != "x86_64" or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise KexecError(errno.ENOSYS, "multikernel system calls are known for x86_64 only, this is %s" % os.uname().machine)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    words: List[ctypes.c_ulong] = [ctypes.c_ulong(argument) for argument in arguments]
    if syscall(ctypes.c_long(number), *words) == 0:
        return 0
    return ctypes.get_errno() or errno.EIO


def refused(what: str, number: int, sentences: Dict[int, str]) -> KexecError:
    """The error of a call that the kernel refused with this errno, in the words of *sentences* where they have it."""
    return KexecError(number, "%s: %s" % (what, sentences.get(number, os.strerror(number))))
