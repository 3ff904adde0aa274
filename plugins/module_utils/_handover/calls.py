# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""kexec_file_load(2) of the host's own next kernel, and the jump into it, on x86_64."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import time
from typing import Optional

from .._boot import kexec
from .._boot.kexec_file import NO_INITRAMFS, SYS_KEXEC_FILE_LOAD, UNLOAD

_REBOOT_KEXEC = 0x45584543
_REFUSED = {
    errno.EPERM: "it needs root and kernel.kexec_load_disabled = 0",
    errno.ENOEXEC: "the kernel does not accept the file",
    errno.EBUSY: "another kexec operation is in progress",
    errno.ENOMEM: "the host has no room for it",
    errno.EADDRNOTAVAIL: "the host has no room for it outside of what is kept off",
    errno.EKEYREJECTED: "its signature is not valid for this host",
    errno.ENOSYS: "this kernel has no kexec_file_load (CONFIG_KEXEC_FILE)",
}


def load(kernel: str, initrd: Optional[str], cmdline: str) -> None:
    """Load it; it takes the place of one that was loaded before. Raises kexec.KexecError or OSError."""
    text = ctypes.create_string_buffer(cmdline.encode("utf-8", "surrogateescape"))
    with open(kernel, "rb") as image:
        ram = open(initrd, "rb") if initrd is not None else None  # noqa: SIM115
        try:
            flags = 0 if ram is not None else NO_INITRAMFS
            handle = -1 if ram is None else ram.fileno()
            failed = kexec.system_call(SYS_KEXEC_FILE_LOAD, image.fileno(), handle, len(text), ctypes.addressof(text), flags)
        finally:
            if ram is not None:
                ram.close()
    if failed:
        raise kexec.refused("cannot load the next kernel", failed, _REFUSED)


def unload() -> None:
    """Drop what was loaded. Raises kexec.KexecError."""
    failed = kexec.system_call(SYS_KEXEC_FILE_LOAD, -1, -1, 0, 0, UNLOAD)
    if failed:
        raise kexec.refused("cannot unload the next kernel", failed, _REFUSED)


def leave(delay: float) -> None:
    """Go into the loaded kernel after delay seconds, from a process that nobody waits for: with systemd where it runs, else at once."""
    if os.fork():
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)
        time.sleep(delay)
        if os.path.isdir("/run/systemd/system"):
            subprocess.call(["systemctl", "kexec"])
        else:
            os.sync()
            kexec.system_call(kexec.SYS_REBOOT, kexec.MAGIC1, kexec.MAGIC2, _REBOOT_KEXEC, 0)
    finally:
        os._exit(0)
