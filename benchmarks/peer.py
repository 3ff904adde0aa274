# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A public peer beside ours in the same run: kerf 0.4.0 and the validator that it runs before every change.

It is installed from the package index into an environment of its own, below the cache of this checkout. Where that cannot be, the
comparison is left out, and why is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

VERSION = "0.4.0"
PACKAGE = f"kerf-multikernel=={VERSION}"
COUNTS = (10, 100, 1000)
HERE = Path(__file__).resolve().parent


def run(runs: int = 9) -> dict[str, Any]:
    """{"milliseconds": {count: median}, ...} of the peer, or {"skipped": why}."""
    try:
        python = _environment()
    except (OSError, subprocess.SubprocessError) as error:
        return {"skipped": f"{PACKAGE} could not be installed: {_last_line(error)}"}
    words = [str(python), str(HERE / "peer_subject.py"), str(runs), *map(str, COUNTS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False, env=_plain())
    if done.returncode:
        return {"skipped": f"{PACKAGE} could not be measured: {done.stderr.strip().splitlines()[-1:] or done.returncode}"}
    told: dict[str, Any] = json.loads(done.stdout)
    return {"package": PACKAGE, **told}


def _environment() -> Path:
    """The Python of the peer's environment; made where it is missing. Raises OSError or SubprocessError."""
    cache = Path(os.environ.get("MULTIKERNEL_CACHE") or Path.home() / ".cache/multikernel")
    folder = cache / f"peer-kerf-{VERSION}"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=300, env=_plain())
        (folder / "ready").write_text("")
    return python


def _plain() -> dict[str, str]:
    """The environment without our own paths."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def _last_line(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    return str(text).strip().splitlines()[-1] if str(text).strip() else type(error).__name__


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
