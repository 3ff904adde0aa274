# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of this collection, from the file that came with it: no package metadata is searched."""

from __future__ import annotations

import pathlib
import re

TOP = pathlib.Path(__file__).parents[2]


def version() -> str:
    """The version: of a checkout and a wheel in galaxy.yml, of a collection that Galaxy installed in MANIFEST.json."""
    for name, pattern in (("galaxy.yml", r"^version:\s*[\"']?([^\s\"']+)"), ("MANIFEST.json", r'"version":\s*"([^"]+)"')):
        try:
            found = re.search(pattern, (TOP / name).read_text(encoding="utf-8"), re.MULTILINE)
        except OSError:
            continue
        if found:
            return found.group(1)
    return "of unknown version"
