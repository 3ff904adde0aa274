# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The 8250 UARTs of the machine: what a console can be."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from . import files


def uarts(root: str) -> Optional[List[Dict[str, Any]]]:
    """Return device, I/O port and IRQ of each UART; port None for a memory-mapped one. None when not readable (root only)."""
    text = files.read(root, "proc/tty/driver/serial")
    if text is None:
        return None
    found = []
    for line in text.splitlines():
        match = re.match(r"([0-9]+): uart:(\S+)(?: port:([0-9A-Fa-f]{1,16}))?(?: mmio:0x[0-9A-Fa-f]+)?(?: irq:([0-9]{1,9}))?", line)
        if match and match.group(2) != "unknown":
            number, _kind, port, irq = match.groups()
            found.append(
                {
                    "device": "ttyS" + number,
                    "port": int(port, 16) if port else None,
                    "irq": int(irq) if irq else None,
                }
            )
    return found
