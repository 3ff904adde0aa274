# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `mkl` takes from start to end, as a user meets it: a new process for each run, with byte code on the disk."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import clock

MKL = "ansible_collections.multikernel.core.plugins.plugin_utils._cli"
TOP = Path(__file__).resolve().parents[1]


def run(runs: int = 21) -> dict[str, Any]:
    """Milliseconds of an empty Python, `mkl --version`, and `mkl validate` of a small file alone and for a machine."""
    layout = str(TOP / "examples/layouts/minimal.yml")
    machine = str(TOP / "examples/hosts/lab-4.json")
    with tempfile.TemporaryDirectory() as cache:
        # pip and ansible-galaxy leave byte code beside what they install; a checkout need not have any.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        words = [sys.executable, "-m", MKL]
        commands = {
            "python": ([sys.executable, "-c", "pass"], 0),
            "version": ([*words, "--version"], 0),
            "validate": ([*words, "validate", layout], 0),
            # The machine of the example has no image of the layout's name, so that it fits or is not known: both are an answer.
            "validate_facts": ([*words, "validate", layout, "--facts", machine], 0),
        }
        return {name: clock.measure_command(command, runs, environment, status).to_dict() for name, (command, status) in commands.items()}
