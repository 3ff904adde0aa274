# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The time stamp counter: an instance has no other clock, and must be told its frequency."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, Dict, List, Optional

from .._layout.units import whole
from . import cpu, dialect, files

_CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0"


def tsc(root: str) -> Dict[str, Any]:
    """Return frequency in kHz, the two flags of an invariant counter, and the host's own clock source."""
    flags = cpu.flags(root)
    return {
        "khz": _khz(root, flags),
        "constant": None if flags is None else "constant_tsc" in flags,
        "nonstop": None if flags is None else "nonstop_tsc" in flags,
        "clocksource": files.word(root, _CLOCKSOURCE + "/current_clocksource"),
    }


def _khz(root: str, flags: Optional[List[str]]) -> Optional[int]:
    told = dialect.mkstock_info(root).get("tsc_khz", "")
    return whole(told) or _khz_of_log(root) or _khz_of_bogomips(root, flags)


def _khz_of_log(root: str) -> Optional[int]:
    """Read the calibration from the kernel's log (arch/x86/kernel/tsc.c); the refined one is the later line."""
    found = None
    for match in re.finditer(r"tsc: (?:Refined TSC clocksource calibration:|Detected) ([0-9]{1,9})\.([0-9]{3}) MHz", _log(root)):
        found = int(match.group(1)) * 1000 + int(match.group(2))
    return found


def _khz_of_bogomips(root: str, flags: Optional[List[str]]) -> Optional[int]:
    """Derive it from bogomips = 2 * TSC MHz, which holds only where delays run on the counter (lpj_fine), to 5 kHz."""
    available = (files.read(root, _CLOCKSOURCE + "/available_clocksource") or "").split()
    first = next(iter(cpu.cpuinfo(root).values()), {})
    match = re.fullmatch(r"([0-9]{1,9})\.([0-9]{2})", first.get("bogomips", ""))
    if "constant_tsc" not in (flags or []) or "tsc" not in available or not match:
        return None
    return (int(match.group(1)) * 100 + int(match.group(2))) * 5


def _log(root: str) -> str:
    """Return what is left of the kernel's log. /dev/kmsg gives one record a read and blocks at the end without O_NONBLOCK."""
    records = []
    try:
        descriptor = os.open(files.path_below(root, "dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        for _record in range(100000):
            try:
                record = os.read(descriptor, 8192)
            except OSError as error:
                if error.errno == errno.EPIPE:  # records were overwritten meanwhile; the next read goes on
                    continue
                break
            if not record:
                break
            records.append(record)
    finally:
        os.close(descriptor)
    return b"".join(records).decode("utf-8", "replace")
