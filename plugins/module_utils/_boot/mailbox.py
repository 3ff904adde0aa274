# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The mailbox page at the base of an instance's memory: what the instance says of itself.

The loader writes the page as part of the image (magic and nonce, the rest zero); from then on only the instance writes. Nothing in
it may be trusted more than the instance itself; the nonce proves that the words are of this boot and not of an earlier one.
Little endian: 0x00 magic, 0x08 beats, 0x10 tsc_first, 0x18 tsc_last (u64); 0x20 state, 0x24 nproc (u32); 0x28 nonce (u64); 0x38 longest
time between two beats in TSC ticks (u64, 0: not measured); 0x40 uname[192], 0x100 text[256] (NUL-terminated).
"""

from __future__ import annotations

import struct
from typing import Any, Dict

SIZE = 4096
MAGIC = 0x31424C49414D4B4D  # "MKMAILB1"
STATES = ("blank", "starting", "running", "panicked", "halted", "restart-requested", "powered-off")

_WORDS = struct.Struct("<QQQQIIQ")
_LONGEST = struct.Struct("<Q")
_AT_LONGEST = 0x38
_UNAME = (0x40, 192)
_TEXT = (0x100, 256)
_USED = _TEXT[0] + _TEXT[1]


def blank(nonce: int) -> bytes:
    """A fresh mailbox page of SIZE bytes. *nonce*: 64 bits that the loader chose for this boot; raises ValueError beyond that."""
    if not 0 <= nonce < 1 << 64:
        raise ValueError("the nonce %d does not fit into 64 bits" % nonce)
    page = bytearray(SIZE)
    _WORDS.pack_into(page, 0, MAGIC, 0, 0, 0, 0, 0, nonce)
    return bytes(page)


def parse(page: bytes) -> Dict[str, Any]:
    """What the page says: valid (the magic is there), beats, tsc_first, tsc_last, state (one of STATES, or "unknown-N"), nproc,
    nonce, longest, uname, release (the first word of uname), text.

    Raises ValueError when fewer bytes are given than the mailbox uses; odd contents never raise.
    """
    if len(page) < _USED:
        raise ValueError("a mailbox has %d bytes, %d were read" % (_USED, len(page)))
    magic, beats, first, last, state, nproc, nonce = _WORDS.unpack_from(page, 0)
    uname = _text(page, *_UNAME)
    return {
        "valid": magic == MAGIC,
        "beats": beats,
        "tsc_first": first,
        "tsc_last": last,
        "state": STATES[state] if state < len(STATES) else "unknown-%d" % state,
        "nproc": nproc,
        "nonce": nonce,
        "longest": _LONGEST.unpack_from(page, _AT_LONGEST)[0],
        "uname": uname,
        "release": uname.split(" ", 1)[0],
        "text": _text(page, *_TEXT),
    }


def _text(page: bytes, offset: int, size: int) -> str:
    raw = bytes(page[offset : offset + size]).split(b"\0", 1)[0]
    decoded = raw.decode("utf-8", "replace")
    # an instance must not be able to send escape sequences to the terminal of whoever reads the report
    return "".join(char if char.isprintable() else " " for char in decoded).strip()
