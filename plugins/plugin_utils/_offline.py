# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning without the host: from a facts bundle alone, or with a state that layout_info stored."""

from __future__ import annotations

import json
import typing as t

from ..module_utils._dialect.choice import offline
from ..module_utils._plan.steps import Step
from ._model.errors import LayoutError, LayoutErrors


def fresh_state(facts: dict[str, t.Any]) -> dict[str, t.Any]:
    """The state of a host on which nothing was ever applied, as its facts bundle shows it; the form is that of a dialect."""
    dialect = facts.get("dialect") or {}
    mkstock = dialect.get("provider") == "mkstock"
    kernfs = dialect.get("name") == "kernfs"
    return {
        "version": 1,
        "boot_id": facts.get("boot_id"),
        "digest": None,
        "table": "",
        "images": [],
        "cpus": {"online": facts["cpus"].get("online") or [], "present": facts["cpus"].get("present") or []},
        # a kernfs host has no pool before somebody makes one
        "mounted": bool(dialect.get("mounted")),
        "pool": {"cpus": [], "available": [], "memory": []} if kernfs else dialect.get("pool"),
        "select": mkstock and not dialect.get("strict"),
        "kill": mkstock,
        "instances": {},
        "channels": {} if dialect.get("channels") else None,
        "made": {"cpus": [], "blocks": [], "pool": [], "channels": {}},
        "foreign": {"images": [], "instances": []},
    }


def read_state(path: str) -> dict[str, t.Any]:
    """A state from a JSON file, plain or as the key `state` of a result of layout_info. Raises LayoutErrors."""
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
    except OSError as error:
        raise LayoutErrors([LayoutError((), f"the state {path} cannot be read: {error.strerror}")]) from None
    except ValueError as error:
        raise LayoutErrors([LayoutError((), f"the state {path} is no JSON: {error}")]) from None
    if isinstance(state, dict) and isinstance(state.get("state"), dict):
        state = state["state"]
    if not isinstance(state, dict) or not isinstance(state.get("instances"), dict) or not isinstance(state.get("cpus"), dict):
        raise LayoutErrors([LayoutError((), f"{path} is no observed state", "the module layout_info returns one in its key state")])
    return state


def steps(placed: dict[str, t.Any], facts: dict[str, t.Any], state: dict[str, t.Any], digest: str | None) -> list[Step]:
    """The ordered steps from a state to a placed layout. Raises PlacementError with findings when it may not be done."""
    planned: list[Step] = offline(facts).plan(placed, state, facts, str(digest))
    return planned
