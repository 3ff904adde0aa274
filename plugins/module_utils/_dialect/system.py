# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The one door to the machine: files below a root folder, physical memory, system calls, time. Tests put a simulated kernel here."""

from __future__ import annotations

import errno
import os
import time
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from .._boot import assemble, content, kernel_file, kexec, kexec_file, payload
from .._host import console, files, mounts, physmem
from .._host import facts as host_facts
from .base import DialectError

LONGEST = 1 << 21  # bytes of a kernel file: two of the longest device trees (fdt.LARGEST)


class System:
    """A machine as seen through `root` ("/" is this machine)."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.stopped: Optional[str] = None  # the signal that asked for an end
        self.asked: Optional[str] = None  # the same, and kept when the change was taken back
        self._kept = content.Kept()

    def facts(
        self,
        images: Iterable[str] = (),
        remembered: Optional[Dict[str, Any]] = None,
        signers: Optional[Dict[str, List[str]]] = None,
    ) -> Dict[str, Any]:
        """The facts bundle of the host; remembered fills the topology of CPUs that are offline, signers are those of image files.

        What the image files held is kept until forget(), so that what is judged is read once, and is what is loaded.
        """
        collected: Dict[str, Any] = host_facts.collect(self.root, images, remembered, signers, self._kept)
        return collected

    def forget(self) -> None:
        """Let go of what image files held."""
        self._kept.drop()

    def memory_now(self, facts: Dict[str, Any]) -> Dict[str, Any]:
        """The same facts with the memory, and what of it may be given away, as they are at this moment."""
        return host_facts.with_memory(self.root, facts)

    def read(self, path: str) -> Optional[str]:
        """The text of a file, None when it cannot be read."""
        text: Optional[str] = files.read(self.root, path)
        return text

    def exists(self, path: str) -> bool:
        """Whether a path exists."""
        return bool(files.exists(self.root, path))

    def write(self, path: str, text: str) -> None:
        """One write(2) to a kernel file. Raises DialectError with the kernel's reason."""
        try:
            handle = os.open(files.path_below(self.root, path), os.O_WRONLY)
            try:
                os.write(handle, text.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise DialectError("the kernel refused %r for /%s: %s" % (text, path, error.strerror)) from error

    def stop_dma(self, address: str) -> None:
        """Clear the bus master bit of a PCI function: it reaches no memory and raises no MSI from then on. Raises DialectError."""
        path = files.path_below(self.root, "sys/bus/pci/devices/%s/config" % address)
        try:
            handle = os.open(path, os.O_RDWR)
            try:
                command = os.pread(handle, 2, 4)
                if len(command) == 2 and command[0] & 4:
                    os.pwrite(handle, bytes([command[0] & ~4, command[1]]), 4)
            finally:
                os.close(handle)
        except OSError as error:
            raise DialectError("the DMA of PCI device %s cannot be stopped: %s" % (address, error.strerror)) from error

    def read_bytes(self, path: str) -> Optional[bytes]:
        """All bytes of a kernel file, or more than the longest one has; None when it cannot be read.

        A file that the kernel makes anew for each read(2) may come out torn: fdt.complete() tells most of that.
        """
        try:
            return files.content(files.path_below(self.root, path), LONGEST)  # a file without an end is no tree
        except OSError:
            return None

    def write_bytes(self, path: str, blob: bytes) -> None:
        """Exactly one write(2) of a blob to a kernel file. Raises DialectError with the kernel's errno, also when it took only a part."""
        try:
            handle = os.open(files.path_below(self.root, path), os.O_WRONLY)
            try:
                taken = os.write(handle, blob)
            finally:
                os.close(handle)
        except OSError as error:
            raise DialectError("the kernel refused %d bytes for /%s: %s" % (len(blob), path, error.strerror), error.errno) from error
        if taken != len(blob):
            raise DialectError("the kernel took only %d of %d bytes for /%s" % (taken, len(blob), path), errno.EIO)

    def listdir(self, path: str) -> List[str]:
        """Sorted names in a folder. Raises DialectError when it cannot be read."""
        try:
            return sorted(os.listdir(files.path_below(self.root, path)))
        except OSError as error:
            raise DialectError("/%s cannot be listed: %s" % (path, error.strerror), error.errno) from error

    def rmdir(self, path: str) -> None:
        """Remove a folder. Raises DialectError with the kernel's errno."""
        try:
            os.rmdir(files.path_below(self.root, path))
        except OSError as error:
            raise DialectError("the kernel refused to remove /%s: %s" % (path, error.strerror), error.errno) from error

    def mount_kernfs(self) -> None:
        """Mount the multikernel file system at /sys/fs/multikernel unless it is. Raises DialectError."""
        try:
            mounts.mount(self.root)
        except OSError as error:
            raise DialectError("/%s cannot be mounted: %s" % (mounts.PLACE, error.strerror), error.errno) from error

    def unmount_kernfs(self) -> None:
        """Unmount it from /sys/fs/multikernel. Raises DialectError."""
        try:
            mounts.unmount(self.root)
        except OSError as error:
            raise DialectError("/%s cannot be unmounted: %s" % (mounts.PLACE, error.strerror), error.errno) from error

    def open_console(self, instance: int) -> Optional[console.Console]:
        """The host's end of the console of the instance of this id, None where there is none."""
        return console.open_at(self.root, instance)

    def unpacked(self, path: str, digest: Optional[str] = None) -> kernel_file.KernelFile:
        """A kernel for kexec_file_load(2), unpacked where it is a bzImage. Raises DialectError."""
        try:
            return kernel_file.prepare(files.path_below(self.root, path), True, digest, kept=self._kept)
        except (OSError, ValueError, payload.PayloadError) as error:
            raise DialectError("the kernel %s cannot be unpacked: %s" % (path, error)) from error

    def file_load(
        self,
        kernel: Union[str, memoryview],
        initrd: Optional[str],
        cmdline: str,
        instance: int,
        digests: Tuple[Optional[str], Optional[str]] = (None, None),
    ) -> None:
        """kexec_file_load(2): a kernel (path, or its bytes) and an initrd (path) for the instance of this id.

        What is at a path must have its sha256 of digests, and the very bytes that were held against it are loaded. Raises DialectError.
        """
        image = self._content(kernel, digests[0]) if isinstance(kernel, str) else kernel
        other = None if initrd is None else self._content(initrd, digests[1])
        self._call(kexec_file.load, image, other, cmdline, instance, self._filesystems())

    def _content(self, path: str, digest: Optional[str]) -> memoryview:
        try:
            return self._kept.read(files.path_below(self.root, path), digest).data
        except ValueError as error:
            raise DialectError(str(error)) from error
        except OSError as error:
            raise DialectError("%s cannot be read: %s" % (path, error.strerror), error.errno) from error

    def file_unload(self, instance: int) -> None:
        """kexec_file_load(2) with the unload flag: the kernel does not ask whether the instance runs. Raises DialectError."""
        self._call(kexec_file.unload, instance, self._filesystems())

    def command(self, number: int, instance: int) -> None:
        """reboot(2) with EXEC, HALT or HALT_FORCE (see kexec_file) for the instance of this id. Raises DialectError."""
        self._call(kexec_file.command, number, instance, self._filesystems())

    def probe(self, kind: str, what: Any, name: str, limit: float) -> Any:
        """Begin to ask an instance from outside, see probes.begin; what is returned is polled, and never blocks."""
        from . import probes  # sockets and processes: most instances are asked for their heartbeat alone

        return probes.begin(kind, what, name, limit)

    def physical(self, address: int, size: int) -> Optional[bytes]:
        """Bytes of physical memory, None when they cannot be read."""
        data: Optional[bytes] = physmem.read(address, size, self.root)
        return data

    def assemble(self, spec: Any) -> Any:
        """The segments of an image, ready to be loaded."""
        try:
            return assemble.assemble(spec, self._kept)
        except (OSError, ValueError) as error:
            raise DialectError("the image of %s cannot be prepared: %s" % (spec.name, error)) from error

    def load(self, entry: int, segments: Any) -> None:
        """kexec_load(2) with the multikernel flag."""
        self._call(kexec.load, entry, segments)

    def unload(self) -> None:
        """kexec_load(2) with the multikernel flag and no segments: the kernel drops up to ten images."""
        self._call(kexec.unload)

    def boot(self, cpu: int) -> None:
        """reboot(2) with the multikernel command: starts an image on an offline CPU."""
        self._call(kexec.boot, cpu)

    def nonce(self) -> int:
        """64 random bits that mark one boot of one instance; never 0."""
        return (int.from_bytes(os.urandom(8), "little") >> 1) + 1

    def monotonic(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let seconds pass."""
        time.sleep(seconds)

    def _filesystems(self) -> str:
        return files.path_below(self.root, kexec_file.FILESYSTEMS)

    @staticmethod
    def _call(function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except kexec.KexecError as error:
            raise DialectError(str(error), error.errno) from error
        except OSError as error:
            raise DialectError("%s cannot be read: %s" % (error.filename or "the image", error.strerror), error.errno) from error
