# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which dialect a host is spoken to in: one line for each."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .base import Dialect, DialectError
from .rfc import Rfc


def _kernfs(*arguments: Any) -> Dialect:
    from .kernfs import Kernfs  # a sixth of all that an apply imports, and a host speaks one dialect

    return Kernfs(*arguments)


DIALECTS: Dict[str, Callable[..., Dialect]] = {
    "rfc": Rfc,
    "kernfs": _kernfs,
}


def choose(
    facts: Dict[str, Any],
    system: Any,
    health_within: float,
    console_logs: Mapping[str, str],
    asked: str = "auto",
    adopt: Sequence[str] = (),
    kept: Optional[Dict[str, Any]] = None,
) -> Dialect:
    """The dialect of the host: the one asked for, else the one in which its instances were made, else the one that its facts name.

    A host without multikernel gets the RFC's, whose probe then says what is missing. facts["dialect"]["name"] becomes the chosen one.
    Raises DialectError when the one asked for is not offered, or the instances of the host were made in another.
    """
    told = facts["dialect"]
    offered = told.get("offers") or [told["name"]]
    used = _used(kept, facts)
    name = asked if asked != "auto" else used if used is not None and used in offered else str(told["name"])
    if name not in offered and asked != "auto":
        raise DialectError("this host does not speak the dialect %s; it offers: %s" % (name, ", ".join(offered)))
    if used is not None and used != name and told["name"] != "none":
        raise DialectError(
            "what runs on this host was made in the dialect %s, and %s is asked for; take it back with state: absent first" % (used, name)
        )
    if name in DIALECTS:
        told["name"] = name
    return DIALECTS.get(name, Rfc)(system, health_within, console_logs, adopt)


def _used(kept: Optional[Dict[str, Any]], facts: Dict[str, Any]) -> Optional[str]:
    """The dialect in which something was made in this boot of the host that is still remembered."""
    if kept is None or kept.get("boot_id") != facts["boot_id"]:
        return None
    made = kept.get("made") or {}
    if not kept.get("instances") and not any(made.values()):
        return None
    return str(kept.get("dialect") or "rfc")


def offline(facts: Dict[str, Any]) -> Dialect:
    """The dialect that the facts name, for placing and planning without the host."""
    return DIALECTS.get(facts["dialect"]["name"], Rfc)(None, 0.0, {})
