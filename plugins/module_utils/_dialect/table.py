# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The text files of the RFC dialect and of mkstock, as data.

/proc/multikernel has two header lines and one row for each kexec image. The type may overflow its column, so rows are split
by white space. Lines of mkstock's files are `key=value` words.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

TYPES = ("default", "crash", "multikernel")

_WORD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def images(text: Optional[str]) -> List[Dict[str, Any]]:
    """Rows of /proc/multikernel in load order: {"type", "entry", "segments"}; duplicates stay, odd lines are skipped."""
    rows = []
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in TYPES and words[1].startswith("0x") and words[2].isdigit():
            rows.append({"type": words[0], "entry": int(words[1], 16), "segments": int(words[2])})
    return rows


def instances(text: Optional[str]) -> Optional[List[Dict[str, Any]]]:
    """Lines of mkstock's `instances`: {"entry", "cpus", "apic_ids", "memory": [[base, size]], "state", "text"}; None without the file."""
    if text is None:
        return None
    found = []
    for line in text.splitlines():
        words = _words(line)
        if "entry" in words:
            found.append(
                {
                    "entry": int(words["entry"], 16),
                    "cpus": _numbers(words.get("cpus")),
                    "apic_ids": _numbers(words.get("apic")),
                    "memory": _memory(words.get("memory")),
                    "state": words.get("state", "running"),
                    "text": words.get("text", ""),
                }
            )
    return found


def channels(text: Optional[str]) -> Optional[Dict[str, Dict[str, Any]]]:
    """Lines of mkstock's `channels` by name: {"address", "end", "attached", "peer", "beats", "sent", "received", "rejected"}."""
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        head = line.split(None, 2)
        if len(head) < 2 or not head[1].startswith("0x"):
            continue
        words = _words(line)
        found[head[0]] = {
            "address": int(head[1], 16),
            "end": int(words.get("end") or 0),
            "attached": True,
            "peer": words.get("peer"),
            "beats": int(words.get("beats") or 0),
            "sent": int(words.get("sent") or 0),
            "received": int(words.get("received") or 0),
            "rejected": int(words.get("rejected") or 0),
        }
    return found


def pool(text: Optional[str]) -> Optional[List[List[int]]]:
    """Lines `0xSTART 0xSIZE` as [base, size]; None without the file."""
    if text is None:
        return None
    return [[int(words[0], 16), int(words[1], 16)] for words in (line.split() for line in text.splitlines()) if len(words) == 2]


def _words(line: str) -> Dict[str, str]:
    return {key: value[1:-1] if value.startswith('"') else value for key, value in _WORD.findall(line)}


def _numbers(text: Optional[str]) -> List[int]:
    return [int(one) for one in (text or "").split(",") if one]


def _memory(text: Optional[str]) -> List[List[int]]:
    return [[int(part, 16) for part in one.split("+")] for one in (text or "").split(",") if "+" in one]
