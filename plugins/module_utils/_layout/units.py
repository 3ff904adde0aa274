# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Sizes, addresses and durations: from what people write to plain numbers, and back."""

from __future__ import annotations

import re
from typing import Optional, Union

_IEC = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SI = {"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE_UNITS = {"": 1, "B": 1, **_IEC, **_SI}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

# x86 page tables carry at most 52 bits of physical address (Intel SDM volume 3, 4.1.4).
PHYSICAL_LIMIT = 1 << 52

# 4096TiB has 16 digits; a fraction of a TiB ends after 40.
_DIGITS = 64
_SHOWN = 100

_DECIMAL = re.compile(r"0*([0-9]{1,64})")
_HEX_DIGITS = re.compile(r"(?:0[xX])?0*([0-9a-fA-F]{1,64})")
# What people write is read by the controller; on a target these are not compiled.
_NUMBER_AND_UNIT = r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)"
_DURATION_PART = r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*"
_HEX = r"0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
WRITTEN = (_NUMBER_AND_UNIT, _DURATION_PART, _HEX)


class UnitError(ValueError):
    """What was written is no size, address or duration; the text is a sentence for its author."""


def whole(text: str, base: int = 10) -> Optional[int]:
    """Return the whole number that a word of a kernel's file is, base 10 or 16 (0x may stand before it); None when it is none.

    int() takes more than kernels write (signs, underscores, digits of other scripts) and raises ValueError on thousands of digits.
    """
    match = (_HEX_DIGITS if base == 16 else _DECIMAL).fullmatch(text)
    return int(match.group(1), base) if match else None


def parse_size(value: Union[str, int]) -> int:
    """Return the size in bytes of a whole number or of a text like ``256MiB``, ``1.5 GiB``, ``500MB``, ``0x1000`` or ``4096``.

    IEC units are powers of 1024, SI units powers of 1000. Bare letters (``512M``) are refused, because
    the kernel reads them as 1024-based and much else as 1000-based. Raises UnitError.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UnitError("{0} is no size; write a number of bytes or a number with a unit, such as 256MiB".format(_show(value)))
    if isinstance(value, int):
        return _bounded(value, value)
    text = value.strip()
    if re.fullmatch(_HEX, text):
        return _bounded(int(text.replace("_", ""), 16), value)
    match = re.fullmatch(_NUMBER_AND_UNIT, text)
    if not match:
        raise UnitError("{0} is no size; write a number of bytes or a number with a unit, such as 256MiB".format(_show(value)))
    number, unit = match.groups()
    if unit not in _SIZE_UNITS:
        raise UnitError(_unknown_size_unit(value, number, unit))
    whole, _dot, fraction = number.partition(".")
    # Python refuses to read thousands of digits as a number, and no size needs more than these.
    if len(whole.lstrip("0")) > _DIGITS or len(fraction.rstrip("0")) > _DIGITS:
        raise UnitError("{0} is no usable size; it must lie between 0 and 4096TiB".format(_show(value)))
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    # Integer arithmetic: floats lose bytes from 8 PiB on, and 0.1GiB must be refused, not rounded.
    scaled = int(whole + fraction) * _SIZE_UNITS[unit]
    size, rest = divmod(scaled, 10 ** len(fraction))
    if rest:
        raise UnitError("{0} is not a whole number of bytes; choose a smaller unit".format(_show(value)))
    return _bounded(size, value)


def format_size(size: int) -> str:
    """Return bytes in the largest IEC unit that divides them exactly (``268435456`` is ``256MiB``), else plain bytes."""
    for unit, factor in reversed(list(_IEC.items())):
        if size and size % factor == 0:
            return "{0}{1}".format(size // factor, unit)
    return str(size)


def parse_address(value: Union[str, int]) -> int:
    """Return the physical address of a whole number or of a hexadecimal text like ``0x4000_0000``. Raises UnitError."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UnitError("{0} is no address; write it in hexadecimal, such as 0x40000000".format(_show(value)))
    if isinstance(value, str):
        if not re.fullmatch(_HEX, value.strip()):
            raise UnitError("{0} is no address; write it in hexadecimal, such as 0x40000000".format(_show(value)))
        address = int(value.strip().replace("_", ""), 16)
    else:
        address = value
    if not 0 <= address < PHYSICAL_LIMIT:
        raise UnitError("{0} is no physical address of an x86 machine; it must lie between 0 and 2^52".format(_show(value)))
    return address


def format_address(address: int) -> str:
    """Return an address as people write it: lower case hexadecimal with 0x."""
    return "0x{0:x}".format(address)


def format_range(base: int, size: int) -> str:
    """Return a physical range as /proc/iomem writes it, last byte included, and its size."""
    words = format_size(size)
    return "0x{0:x}-0x{1:x}, {2}".format(base, base + size - 1, words + " bytes" if words.isdigit() else words)


def parse_duration(value: Union[str, int, float]) -> float:
    """Return seconds of a number (seconds) or of a text like ``30s``, ``500ms``, ``1m30s``. Raises UnitError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnitError("{0} is no duration; write a number with a unit, such as 30s or 500ms".format(_show(value)))
    if not isinstance(value, str):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = -1.0
    else:
        seconds = _parse_duration_text(value)
    if not 0 <= seconds < 1e9:
        raise UnitError("{0} is no usable duration; it must be zero or more and less than 30 years".format(_show(value)))
    return seconds


def format_duration(seconds: float) -> str:
    """Return seconds in the unit people would choose: ``0.5`` is ``500ms``, ``90`` is ``1m30s``."""
    if 0 < seconds < 1:
        return "{0:g}ms".format(seconds * 1000)
    minutes, rest = divmod(seconds, 60)
    if minutes < 1:
        return "{0:g}s".format(seconds)
    return "{0:d}m".format(int(minutes)) + ("{0:g}s".format(rest) if rest else "")


def _parse_duration_text(value: str) -> float:
    text = value.strip()
    part, seconds, at = re.compile(_DURATION_PART), 0.0, 0
    while at < len(text):
        match = part.match(text, at)
        if not match or match.group(2) not in _SECONDS:
            raise UnitError("{0} is no duration; write a number with one of the units {1}".format(_show(value), ", ".join(_SECONDS)))
        seconds += float(match.group(1)) * _SECONDS[match.group(2)]
        at = match.end()
    if not text:
        raise UnitError("a duration is empty; write a number with a unit, such as 30s or 500ms")
    return seconds


def _show(value: object) -> str:
    """What was written, short: a value of megabytes makes no sentence of megabytes."""
    if isinstance(value, int) and abs(value).bit_length() > 256:
        return "a number of {0} bits".format(abs(value).bit_length())
    if isinstance(value, (int, float)):
        return repr(value)
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return repr(text) if isinstance(value, str) else text


def _bounded(size: int, written: Union[str, int]) -> int:
    if not 0 <= size <= PHYSICAL_LIMIT:
        raise UnitError("{0} is no usable size; it must lie between 0 and 4096TiB".format(_show(written)))
    return size


def _unknown_size_unit(value: str, number: str, unit: str) -> str:
    letter = unit[0].upper()
    if letter in "KMGT" and unit.lower() in (letter.lower(), letter.lower() + "b", letter.lower() + "ib"):
        return "the unit of {0} is ambiguous; write {1}{2}iB (powers of 1024) or {1}{2}B (powers of 1000)".format(
            _show(value), number[:_SHOWN], letter
        )
    known = ", ".join(list(_IEC) + ["kB", "MB", "GB", "TB"])
    return "{0} has the unknown unit {1}; the units are B, {2}".format(_show(value), _show(unit), known)
