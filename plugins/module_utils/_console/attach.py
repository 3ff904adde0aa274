# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The console of an instance for a person: what is typed goes in, what it says comes out; runs on the machine, after relay.py.

The two files are one program there: this one uses names of relay.py and imports nothing of the collection.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Any

# as a part of the collection; on the machine the names are there already, and this line is left out
from .relay import Device, Lock, RelayError, resolve

GONE = 3  # the exit status when there is no console, or no more


def attach(instance: str, wait: float, root: str = "/", stdin: int = 0, stdout: int = 1) -> int:
    """Until the end of stdin (0) or of the instance (GONE, after one sentence on standard error)."""
    try:
        number = resolve(instance, root)
        with Lock(number, wait, root):
            device = Device(number, root)
            try:
                return _between(device, stdin, stdout)
            finally:
                device.close()
    except RelayError as error:
        sys.stderr.write("mkl: %s\n" % error)
        return GONE


def _between(device: Any, stdin: int, stdout: int) -> int:
    os.write(2, b"attached\n")
    poll = select.poll()
    poll.register(device.fd, select.POLLIN)
    poll.register(stdin, select.POLLIN)
    typed = b""
    while True:
        events = dict(poll.poll(20 if typed else 1000))
        if stdin in events:
            data = os.read(stdin, 4096)
            if not data:
                return 0
            typed += data
        if device.fd in events:
            data = device.read(0)
            while data:
                data = data[os.write(stdout, data) :]
        if typed:
            typed = typed[device.write(typed[:2000]) :]
