# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to a machine so that it uses one of its consoles: a program of the target ring, whole, with one request."""

from __future__ import annotations

import json
import shlex
import typing as t
from pathlib import Path

from ..module_utils import _console

_FOLDER = Path(_console.__file__).parent


def program(request: dict[str, t.Any]) -> bytes:
    """The relay with its request, for the standard input of a Python; see _console/relay.py for both."""
    return source("relay") + b"\nmain(" + repr(json.dumps(request)).encode() + b")\n"


def source(name: str) -> bytes:
    """The text of a program of module_utils/_console, which imports nothing of the collection."""
    return (_FOLDER / f"{name}.py").read_bytes()


def command(python: str, *arguments: str) -> str:
    """The line for the machine's shell that runs such a program as root: as it is, or by sudo without a password."""
    words = shlex.join([python, *(arguments or ("-",))])
    return f'if [ "$(id -u)" = 0 ]; then exec {words}; else exec sudo -n {words}; fi'
