# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's /dev/mktty without a module: a pseudo-terminal below a root folder, and behind it a real shell on another one.

The shell is the example agent's own /bin/console. Faults: noise (lines of a kernel's log between any two bytes), deafness, a panic.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import select
import signal
import subprocess
import threading
import time
import tty
from pathlib import Path
from typing import Any, Dict, List, Optional

SHELL = Path(__file__).resolve().parents[4] / "examples" / "images" / "agent" / "console"
NOISE = b"[   12.345678] a driver says something of no importance\r\n"


class ConsoleMachine:
    """The machine below root, with one instance `web` of the number 3."""

    def __init__(self, root: Path, shell: Optional[List[str]] = None) -> None:
        self.root = root
        self.noise = 0.0  # how likely a line of noise is before each byte
        self.deaf = False  # what is typed is lost
        self.cut = False  # stop everything
        self.inject = b""
        self.chosen: List[bytes] = []
        self.shell = shell if shell is not None else ["/bin/sh", str(SHELL)]
        self.random = random.Random(7)
        self.machine, device = pty.openpty()
        tty.setraw(self.machine)
        tty.setraw(device)
        self._device = device
        for folder in ("dev", "run", "sys/kernel/mkstock", "var/lib/multikernel"):
            (root / folder).mkdir(parents=True)
        (root / "dev/mktty").symlink_to(os.ttyname(device))
        self.say_instances()
        state = {"version": 1, "instances": {"web": {"spec": {"entry": 0x40003000}}}}
        (root / "var/lib/multikernel/state.json").write_text(json.dumps(state))
        self.instance, self._slave = pty.openpty()
        self._shells = threading.Thread(target=self._respawn, daemon=True)
        self._pump_thread = threading.Thread(target=self._pump, daemon=True)
        self.process: Optional[subprocess.Popen[bytes]] = None
        self._shells.start()
        self._pump_thread.start()

    def say_instances(self, state: str = "running", text: str = "") -> None:
        """What the module's file tells of the instance."""
        line = f'entry=0x40003000 cpus=3 apic=3 memory=0x40000000+0x1000 state={state} text="{text}" console=3\n'
        (self.root / "sys/kernel/mkstock/instances").write_text(line)

    def close(self) -> None:
        """End the shell and the threads."""
        self.cut = True
        while self._shells.is_alive():
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                if self.process is not None:
                    os.killpg(self.process.pid, signal.SIGKILL)
            self._shells.join(0.1)
        self._pump_thread.join(5)
        for fd in (self.machine, self._device, self.instance, self._slave):
            os.close(fd)

    def _respawn(self) -> None:
        name = os.ttyname(self._slave)
        script = 'exec <"$1" >"$1" 2>&1; shift; exec "$@"'
        while not self.cut:
            # A session leader without a terminal gets the first that it opens. Whoever runs the tests in the background of a script has
            # SIGINT ignored, and so would this shell, which nothing could interrupt then.
            words = ["env", "--default-signal=INT", "sh", "-c", script, "sh", name, *self.shell]
            self.process = subprocess.Popen(words, start_new_session=True)
            self.process.wait()
            time.sleep(0.05)

    def _pump(self) -> None:
        first = b""
        while not self.cut:
            ready, _unused, _none = select.select([self.machine, self.instance], [], [], 0.05)
            if self.inject:
                os.write(self.machine, self.inject)
                self.inject = b""
            if self.machine in ready:
                data = os.read(self.machine, 4096)
                # each user of the device begins with the number
                if not first and data.startswith(b"3\n"):
                    self.chosen.append(data[:2])
                    data = data[2:]
                if data and not self.deaf:
                    os.write(self.instance, data)
            if self.instance in ready:
                self._forward(os.read(self.instance, 4096))

    def _forward(self, data: bytes) -> None:
        out = bytearray()
        for byte in data:
            if self.noise and self.random.random() < self.noise:
                out += NOISE
            out.append(byte)
        view = bytes(out)
        while view and not self.cut:
            view = view[os.write(self.machine, view[:2048]) :]


def request(**keys: Any) -> Dict[str, Any]:
    """A request with short times."""
    base = {"instance": "web", "timeout": 10, "wait": 1, "do": "exec", "command": "true", "stdin": None, "limit": 1 << 20}
    return {**base, **keys}
