# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that the action plugins add to a result, so that a playbook only has to print them."""

from __future__ import annotations

import json
import typing as t

from . import isolation, machine


def add_pictures(result: dict[str, t.Any], keep_facts: bool = False) -> dict[str, t.Any]:
    """The result of the module with picture, table_text and isolation; the large `facts` go unless they are what was asked for.

    The facts may be JSON text. Where the module says nothing about the machine (it failed, or nothing is declared), no picture is added.
    """
    shown = {key: value for key, value in result.items() if keep_facts or key != "facts"}
    facts, placed = result.get("facts"), result.get("placed")
    if isinstance(facts, str):
        facts = json.loads(facts)
    given = (result.get("invocation") or {}).get("module_args")
    if isinstance(given, dict) and given.get("layout"):
        # Ansible copies a result several times for each host; the layout is in it already, as `placed`
        shown["invocation"] = {"module_args": {**given, "layout": result.get("digest")}}
    if result.get("instances") is not None:
        shown["table_text"] = machine.table(result["instances"])
    if placed:
        shown["picture"] = machine.draw(placed, facts, result)
        shown["isolation"] = isolation.summary(placed, facts)
    return shown
