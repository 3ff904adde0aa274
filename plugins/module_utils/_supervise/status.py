# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is told of the supervision of a host: whether it is installed, runs, and what it knows; reads only."""

from __future__ import annotations

import os
from typing import Any, Dict

from .._converge import files, lock
from . import mortem
from .install import UNIT
from .loop import STATUS
from .main import PATH
from .restore import RESTORED


def status(root: str) -> Dict[str, Any]:
    """{"installed", "running", "pid", "instances": see core.Entry.state, "restored": see restore.restore, "post_mortem": [folders]}."""
    told = files.read_json(os.path.join(root, STATUS))
    told = told if isinstance(told, dict) else {}
    running = lock.is_held(root, PATH)
    return {
        "installed": os.path.exists(os.path.join(root, UNIT)),
        "running": running,
        "pid": told.get("pid") if running else None,
        "instances": told.get("instances") or {} if running else {},
        "restored": files.read_json(os.path.join(root, RESTORED)),
        "post_mortem": ["/%s/%s" % (mortem.FOLDER, name) for name in mortem.listed(root)],
    }
