# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts bundles on the controller: files from other machines, read without trusting them."""

from __future__ import annotations

import json
import os
import typing as t

from ..module_utils._host.bundle import VERSION
from ._model.errors import LayoutError, LayoutErrors, dotted
from ._model.spelling import show
from ._pydantic import ValidationError

#: A machine with 8192 CPUs and a memory block for each 128 MiB of 12 TiB has a bundle of less than half of this.
MAX_BYTES = 32 << 20
#: As many as a machine may have CPUs; each wrong key makes an error, and each error takes a KiB of memory.
MAX_KEYS = 1 << 16
_SHOWN = 3


def read_facts(path: str) -> dict[str, t.Any]:
    """A facts bundle from a JSON file, as `mkl facts` or layout_info wrote it; what it leaves out is null.

    Raises LayoutErrors with a sentence that names the file: it cannot be read, is no JSON, is of another version, or a part of it
    has not the form that it must have.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise _refused(f"the facts {path} are too large: {os.path.getsize(path)} bytes, at most {MAX_BYTES} are read")
        with open(path, "rb") as file:
            raw = json.loads(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise _refused(f"the facts {path} cannot be read: {error.strerror}") from None
    except LayoutErrors:
        raise
    except ValueError as error:
        raise _refused(f"the facts {path} are no JSON: {error}") from None
    except RecursionError:
        raise _refused(f"the facts {path} are no JSON that can be read: they are nested too deeply") from None
    # layout_info's result carries the bundle in its key `facts`; both are welcome.
    if isinstance(raw, dict) and isinstance(raw.get("facts"), dict):
        raw = raw["facts"]
    return checked(raw, path)


def checked(raw: t.Any, path: str) -> dict[str, t.Any]:
    """The bundle when it has the form of one, with null for what it leaves out; path: its name in sentences. Raises LayoutErrors."""
    # Imported here: its many models take as long as those of the layout, and most commands need no facts.
    from ._model import facts as model

    version = raw.get("version") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or version is None or isinstance(version, bool) or not isinstance(version, int):
        raise _refused(f"{path} is no facts bundle of version {VERSION}", "mkl facts writes one")
    if version != VERSION:
        newer = version > VERSION
        raise _refused(
            f"{path} is a facts bundle of version {version}, this release reads version {VERSION}",
            "judge it with the release that wrote it" if newer else "mkl facts collects them anew",
        )
    if _widest(raw, 3) > MAX_KEYS:
        raise _refused(f"the facts {path} are damaged: a part of them has more than {MAX_KEYS} keys", "mkl facts collects them anew")
    try:
        return model.complete(raw)
    except ValidationError as error:
        faults = model.faults(error)
    missing = [fault for fault in faults if fault[1] == "missing"]
    if missing:
        raise _refused(f"the facts {path} have no {dotted(missing[0][0])}", "mkl facts collects them anew")
    told = "; ".join(f"{dotted(where)} is {show(value)}: {expected}" for where, _kind, value, expected in faults[:_SHOWN])
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    raise _refused(f"the facts {path} are damaged: {told}{more}", "mkl facts collects them anew")


def _widest(value: t.Any, depth: int) -> int:
    """The number of keys of the largest mapping, down to a depth."""
    if not isinstance(value, dict) or not depth:
        return 0
    return max(len(value), *(_widest(item, depth - 1) for item in value.values()), 0) if len(value) <= MAX_KEYS else len(value)


def _refused(sentence: str, hint: str | None = None) -> LayoutErrors:
    return LayoutErrors([LayoutError((), sentence, hint)])
