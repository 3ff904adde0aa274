# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share on their way to a host."""

from __future__ import annotations

import typing as t

from ..module_utils._plan import collector
from ._subject import Subject, located


@collector.paused
def run_module(
    action: t.Any, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any] | None, subject: Subject | None = None
) -> dict[str, t.Any]:
    """Run the module of this collection that is called `name` on the host; its result, with findings at their places in the subject.

    For the first host of a play Ansible takes the module's imports apart, two hundred files, in a process that it made for this
    task alone. None of the syntax trees is garbage before the end, and Python's collector looked for it through everything that
    Ansible has in memory: half of the time of it (docs/benchmarks.md).
    """
    result: dict[str, t.Any] = action._execute_module(  # pylint: disable=protected-access
        module_name=f"multikernel.core.{name}", module_args=arguments, task_vars=task_vars
    )
    if subject is not None and result.get("findings"):
        result["findings"] = [located(finding, subject.locator) for finding in result["findings"]]
    return result
