# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a layout as an inventory tells of them."""

from __future__ import annotations

import typing as t

from ._missing import MissingLibraryError
from ._model.errors import LayoutErrors
from ._model.layout import load_layout
from ._subject import Subject

CONNECTION = "multikernel.core.mktty"


class InventoryError(Exception):
    """A layout cannot be listed; a sentence, or one for each error with its file and line."""


def layout_of_file(path: str, key: str | None) -> dict[str, t.Any]:
    """The canonical layout in a file. Raises InventoryError."""
    return _read(path, lambda: Subject.of_file(path, key))


def layout_of_data(raw: t.Any, what: str) -> dict[str, t.Any]:
    """The canonical layout in a variable, which `what` names. Raises InventoryError."""
    return _read(what, lambda: Subject.of_data(raw))


def _read(what: str, subject: t.Callable[[], Subject]) -> dict[str, t.Any]:
    try:
        found = subject()
        return load_layout(found.raw, found.locator)
    except LayoutErrors as errors:
        raise InventoryError("\n".join([f"{what} is no valid layout:", *(str(error) for error in errors.errors)])) from None
    except MissingLibraryError as error:
        raise InventoryError(str(error)) from None


def described(machine: str, layout: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """The host variables of each instance of a canonical layout by its name; multikernel_memory is in bytes."""
    return {
        name: {
            "multikernel_machine": machine,
            "multikernel_instance": name,
            "multikernel_image": one["image"],
            "multikernel_cpus": one["cpus"],
            "multikernel_memory": one["memory"]["size"],
            "multikernel_channels": sorted(key for key, channel in layout["channels"].items() if name in channel["between"]),
            "multikernel_console": (one["console"] or {}).get("device"),
            "multikernel_trust": one["trust"],
            "multikernel_state": one["state"],
            "ansible_connection": CONNECTION,
        }
        for name, one in layout["instances"].items()
    }
