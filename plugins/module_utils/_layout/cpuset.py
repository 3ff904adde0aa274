# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""CPU lists in the kernel's own list format."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional

# CONFIG_NR_CPUS of x86-64 ends at 8192; APIC ids are sparse and reach 2^32 - 2, so that ranges, not ids, are bounded.
_LONGEST_RANGE = 8192
# All ranges together: 0-8191,0-8191,... is short to write and long to hold.
_LONGEST_LIST = 65536
_SHOWN = 100
_LARGEST_ID = (1 << 32) - 2
_PART = r"(?P<first>[0-9]+|N)(?:-(?P<last>[0-9]+|N)(?::(?P<used>[0-9]+)(?:/(?P<group>[0-9]+))?)?)?"
WRITTEN = (_PART,)


class CpuListError(ValueError):
    """A text is no CPU list; the text is a sentence for its author."""


def parse(text: str, last: Optional[int] = None) -> List[int]:
    """Return the CPU numbers of a list like ``0-3,8``, ``0-31:2/4`` or ``10-14:2``, in the order written, repetitions kept.

    ``0-31:2/4`` is the kernel's group form (Documentation/admin-guide/kernel-parameters.rst, "cpu lists"): the first 2 of
    every 4. ``10-14:2`` is the stride form of taskset(1): every second. ``N`` is the machine's last CPU and ``all`` means
    0-N; both need `last`. The order is kept because the first CPU of an instance is its boot CPU; repetitions are kept
    for the rule that refuses them. An empty text is the empty list. Raises CpuListError.
    """
    cpus: List[int] = []
    stripped = text.strip()
    if not stripped:
        return cpus
    if stripped == "all":
        stripped = "0-N"
    for part in stripped.split(","):
        cpus.extend(_parse_part(part.strip(), text, last))
        if len(cpus) > _LONGEST_LIST:
            raise CpuListError("{0} is no CPU list: it names more than {1} CPUs".format(_show(text), _LONGEST_LIST))
    return cpus


def format(cpus: Iterable[int]) -> str:
    """Return CPU numbers as the shortest plain list, ascending: ``[0, 1, 2, 8]`` is ``0-2,8``."""
    spans: List[List[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return ",".join(str(first) if first == last else "{0}-{1}".format(first, last) for first, last in spans)


def _parse_part(part: str, text: str, last_cpu: Optional[int]) -> List[int]:
    match = re.fullmatch(_PART, part)
    if not match:
        raise CpuListError(
            "{0} is no CPU list: {1} is neither a number nor a range; write it like 0-3,8 or 0-31:2/4".format(_show(text), _show(part))
        )
    first = _number(match.group("first"), text, last_cpu)
    if match.group("last") is None:
        return [first]
    last = _number(match.group("last"), text, last_cpu)
    if last < first:
        raise CpuListError("{0} is no CPU list: the range {1} runs backwards".format(_show(text), _show(part)))
    if last - first >= _LONGEST_RANGE:
        raise CpuListError("{0} is no CPU list: the range {1} holds more than {2} CPUs".format(_show(text), _show(part), _LONGEST_RANGE))
    if match.group("used") is None:
        return list(range(first, last + 1))
    if match.group("group") is None:
        used, group = 1, _number(match.group("used"), text, None)
    else:
        used, group = _number(match.group("used"), text, None), _number(match.group("group"), text, None)
    if not 1 <= used <= group:
        raise CpuListError(
            "{0} is no CPU list: in {1} the group must hold at least one CPU and as many as are used".format(_show(text), _show(part))
        )
    return [cpu for cpu in range(first, last + 1) if (cpu - first) % group < used]


def _number(written: str, text: str, last_cpu: Optional[int]) -> int:
    if written != "N":
        # Python refuses to read thousands of digits as a number, so those are not even tried.
        digits = written.lstrip("0") or "0"
        if len(digits) > 10 or int(digits) > _LARGEST_ID:
            raise CpuListError("{0} is no CPU list: {1} is larger than any APIC id".format(_show(text), _clipped(written)))
        return int(digits)
    if last_cpu is None:
        raise CpuListError(
            "{0} cannot be resolved here: N and all mean the last CPU of a machine that is not known yet".format(_show(text))
        )
    return last_cpu


def _show(text: str) -> str:
    return repr(_clipped(text))


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
