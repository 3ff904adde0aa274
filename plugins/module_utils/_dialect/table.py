# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The text files of the RFC dialect and of mkstock, as data.

/proc/multikernel has two header lines and one row for each kexec image. The type may overflow its column, so rows are split
by white space. Lines of mkstock's files are `key=value` words. A line with a word where a number belongs is skipped like
any other odd line.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from .._layout.units import whole

TYPES = ("default", "crash", "multikernel")

_WORD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def images(text: Optional[str]) -> List[Dict[str, Any]]:
    """Rows of /proc/multikernel in load order: {"type", "entry", "segments"}; duplicates stay, odd lines are skipped."""
    rows = []
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in TYPES and words[1].startswith("0x"):
            entry, segments = whole(words[1], 16), whole(words[2])
            if entry is not None and segments is not None:
                rows.append({"type": words[0], "entry": entry, "segments": segments})
    return rows


def instances(text: Optional[str]) -> Optional[List[Dict[str, Any]]]:
    """Lines of mkstock's `instances`: {"entry", "cpus", "apic_ids", "memory": [[base, size]], "state", "text", "console"}.

    None without the file.
    """
    if text is None:
        return None
    found = []
    for line in text.splitlines():
        words = _words(line)
        entry = whole(words.get("entry", ""), 16)
        if entry is not None:
            found.append(
                {
                    "entry": entry,
                    "cpus": _numbers(words.get("cpus")),
                    "apic_ids": _numbers(words.get("apic")),
                    "memory": _memory(words.get("memory")),
                    "state": words.get("state", "running"),
                    "text": words.get("text", ""),
                    "console": whole(words.get("console", "")),
                }
            )
    return found


def channels(text: Optional[str]) -> Optional[Dict[str, Dict[str, Any]]]:
    """Lines of mkstock's `channels` by name: {"address", "end", "attached", "peer", "beats", "sent", "received", "rejected"}.

    "end" is "-" where the host only looks after a channel between two instances.
    """
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        head = line.split(None, 2)
        address = whole(head[1], 16) if len(head) > 1 and head[1].startswith("0x") else None
        if address is None:
            continue
        words = _words(line)
        found[head[0]] = {
            "address": address,
            "end": "-" if words.get("end") == "-" else whole(words.get("end", "")) or 0,
            "attached": True,
            "peer": words.get("peer"),
            "beats": whole(words.get("beats", "")) or 0,
            "sent": whole(words.get("sent", "")) or 0,
            "received": whole(words.get("received", "")) or 0,
            "rejected": whole(words.get("rejected", "")) or 0,
        }
    return found


def pool(text: Optional[str]) -> Optional[List[List[int]]]:
    """Lines `0xSTART 0xSIZE` as [base, size]; None without the file."""
    if text is None:
        return None
    found = []
    for words in (line.split() for line in text.splitlines()):
        numbers = [number for number in (whole(word, 16) for word in words) if number is not None]
        if len(words) == len(numbers) == 2:
            found.append(numbers)
    return found


def number_of(text: Optional[str], key: str) -> Optional[int]:
    """The number in a line `key NUMBER` of mkstock's `info`; None where there is none."""
    for words in (line.split() for line in (text or "").splitlines()):
        if len(words) == 2 and words[0] == key:
            return whole(words[1])
    return None


def _words(line: str) -> Dict[str, str]:
    return {key: value[1:-1] if value.startswith('"') else value for key, value in _WORD.findall(line)}


def _numbers(text: Optional[str]) -> List[int]:
    numbers = (whole(one) for one in (text or "").split(","))
    return [number for number in numbers if number is not None]


def _memory(text: Optional[str]) -> List[List[int]]:
    found = []
    for one in (text or "").split(","):
        base, _plus, size = (whole(part, 16) for part in one.partition("+"))
        if base is not None and size is not None:
            found.append([base, size])
    return found
