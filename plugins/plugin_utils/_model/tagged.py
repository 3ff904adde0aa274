# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each part of a layout was written that came through Ansible variables.

ansible-core 2.19 and later tag every value of a playbook, group_vars or host_vars file with its origin. Truth values and
null cannot be tagged; then the place of the nearest part around them is given.
"""

from __future__ import annotations

import typing as t

from .errors import Path, Position


class TaggedData:
    """A layout out of Ansible variables. A Locator."""

    def __init__(self, raw: t.Any) -> None:
        self.raw = raw

    def item(self, path: Path, key: bool = False) -> t.Any:
        """The raw item at `path` (key: its key), else the nearest one around it that has an origin.

        This is what AnsibleError(obj=...) wants in order to show file, line and snippet.
        """
        around = [self.raw]
        for number, part in enumerate(path):
            at = around[-1]
            if isinstance(at, dict) and part in at:
                if key and number == len(path) - 1:
                    around.append(next(name for name in at if name == part))
                    continue
                # Between a mapping and its value stands the key, which has an origin even if the value has none.
                around.append(next(name for name in at if name == part))
                around.append(at[part])
            elif isinstance(at, (list, tuple)) and isinstance(part, int) and part < len(at):
                around.append(at[part])
            else:
                break
        for item in reversed(around):
            if origin(item) is not None:
                return item
        return None

    def position(self, path: Path, key: bool = False) -> Position | None:
        """The place of the value at `path` (key: of its key), else of the nearest part around it."""
        place = origin(self.item(path, key))
        if place is None:
            return None
        file, line, column = place
        return Position(file, line, column)


def origin(item: t.Any) -> tuple[str, int, int] | None:
    """File, line and column of a tagged item; None when it carries none.

    ansible-core offers no public way to read an origin, only to print it with an error, so this looks for the tag by
    its name and is content when there is none.
    """
    tags = getattr(item, "_ansible_tags_mapping", None)
    for kind, tag in tags.items() if tags else ():
        if kind.__name__ == "Origin" and tag.path and tag.line_num:
            return str(tag.path), int(tag.line_num), int(tag.col_num or 1)
    return None
