# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that the action plugins add to a result, so that a playbook only has to print them."""

from __future__ import annotations

import typing as t

from . import isolation, machine


def add_pictures(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result of the module with picture, table_text and isolation in place of the large `facts`.

    Where the module says nothing about the machine (it failed early, or nothing is declared), the result stays as it is.
    """
    shown = {key: value for key, value in result.items() if key != "facts"}
    facts, placed = result.get("facts"), result.get("placed")
    if placed:
        shown["picture"] = machine.draw(placed, facts, result)
        shown["table_text"] = machine.table(result.get("instances") or [])
        shown["isolation"] = isolation.summary(placed, facts)
    return shown
