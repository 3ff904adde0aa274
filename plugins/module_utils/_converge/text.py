# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Before and after as text that reads like the layout file, for diff mode."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, Sequence

from .._layout import cpuset
from .._plan.place import amount, span
from .._plan.steps import Step

_PLAIN = r"[A-Za-z_/][A-Za-z0-9_./ +=-]*"
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "~")
_ADDRESSES = ("base", "address", "low", "entry")


def diff(
    before: Optional[Dict[str, Any]],
    after: Optional[Dict[str, Any]],
    have: Dict[str, Dict[str, Any]],
    want: Dict[str, Dict[str, Any]],
    steps: Sequence[Step],
) -> Dict[str, str]:
    """What Ansible shows with --diff. before and after are canonical layouts (None: none), have and want specs by instance name."""
    shown = {
        "before_header": "layout of the host",
        "before": _side(before, have),
        "after_header": "layout wanted",
        "after": _side(after, want),
    }
    if steps:
        shown["prepared"] = "".join("%d. %s\n" % (number, step.say) for number, step in enumerate(steps, 1))
    return shown


def yaml(value: Any) -> str:
    """Plain JSON data as YAML text: keys sorted, what is null or empty left out, addresses in hexadecimal."""
    return "".join(line + "\n" for line in _lines(_told(value), None))


def _side(layout: Optional[Dict[str, Any]], specs: Dict[str, Dict[str, Any]]) -> str:
    lines = ["# CPU %s: %s\n" % (cpuset.format(one["cpus"]), name) for name, one in sorted(specs.items(), key=lambda item: item[1]["cpus"])]
    for name, one in sorted(specs.items(), key=lambda item: (item[1]["base"] is None, item[1]["base"] or 0)):
        where = "the kernel picks" if one["base"] is None else span((one["base"], one["base"] + one["size"]))
        lines.append("# %s (%s): %s\n" % (where, amount(one["size"]), name))
    return (yaml(layout) if layout else "") + "".join(lines)


def _told(value: Any) -> Any:
    """The same without what says nothing."""
    if isinstance(value, dict):
        told = {key: _told(one) for key, one in value.items()}
        return {key: one for key, one in told.items() if one is not None and one != {} and one != [] and one != ""}
    return [_told(one) for one in value] if isinstance(value, list) else value


def _lines(value: Any, key: Optional[str]) -> List[str]:
    if isinstance(value, dict):
        lines: List[str] = []
        for name, one in sorted(value.items()):
            if isinstance(one, (dict, list)) and not _is_flat(one):
                lines.append("%s:" % _scalar(name, None))
                lines += ["  " + line for line in _lines(one, name)]
            else:
                lines.append("%s: %s" % (_scalar(name, None), _scalar(one, name)))
        return lines
    if isinstance(value, list):
        lines = []
        for one in value:
            inner = _lines(one, key)
            lines += ["- " + inner[0]] + ["  " + line for line in inner[1:]] if inner else []
        return lines
    return [_scalar(value, key)]


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and all(not isinstance(one, (dict, list)) for one in value)


def _scalar(value: Any, key: Optional[str]) -> str:
    if isinstance(value, list):
        return "[%s]" % ", ".join(_scalar(one, None) for one in value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int) and key in _ADDRESSES:
        return hex(value)
    if isinstance(value, int) and key == "size":
        return amount(value).replace(" bytes", "").replace(" ", "")
    if isinstance(value, str) and not (re.fullmatch(_PLAIN, value) and value.strip() == value and value.lower() not in _WORDS):
        return json.dumps(value)
    return str(value)
