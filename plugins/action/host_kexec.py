# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs both halves of a host's kexec, and waits between them until the host answers in another boot."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module

MODULE = "host_kexec"
#: What the module of the next kernel needs to be there before it is asked: the boot, and whether mkstock has judged the record.
ASK = "cat /proc/sys/kernel/random/boot_id /sys/kernel/mkstock/adopted"
PAUSE = 2.0
#: How long a host may take to go down by itself; one that still answers in its old boot then did not leave.
LEAVES = 120.0

Plain = dict[str, t.Any]


class ActionModule(ActionBase):
    """One module run before and one after; in check mode only the first, which changes nothing."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Plain | None = None) -> Plain:
        """Leave, wait, arrive."""
        super().run(tmp, task_vars)
        arguments = {key: value for key, value in self._task.args.items() if key not in ("stage", "before")}
        left = run_module(self, MODULE, dict(arguments, stage="leave"), task_vars)
        if left.get("failed") or self._task.check_mode:
            return left
        begin = time.monotonic()
        trouble = self._wait(left["boot_id"], begin, float(arguments.get("timeout", 600.0)))
        if trouble:
            return {**left, "failed": True, "msg": trouble}
        away = round(time.monotonic() - begin, 1)
        before = {key: left[key] for key in ("boot_id", "online", "instances")}
        words = {**arguments, "stage": "arrive", "before": before}
        told = run_module(self, MODULE, words, task_vars)
        return {**left, **told, "away": away}

    def _wait(self, boot_id: str, begin: float, timeout: float) -> str | None:
        """Until the host answers in another boot with mkstock loaded. Returns why it did not, else None."""
        said = "nothing"
        while (spent := time.monotonic() - begin) < timeout:
            words = self._ask()
            same = words[:1] == [boot_id]
            if words and not same and len(words) > 2 and words[2] != "pending":
                return None
            if same and spent > LEAVES:
                return f"it answers in the same boot {spent:.0f} s after it was told to leave: its kexec did not happen (see its journal)"
            if words:
                said = "its old boot" if same else "a new boot without mkstock"
            time.sleep(PAUSE)
        return f"the host did not answer as it should within {timeout:g} s; last heard: {said}"

    def _ask(self) -> list[str]:
        with contextlib.suppress(AnsibleError, AttributeError, NotImplementedError):
            self._connection.reset()
        try:
            answer = self._low_level_execute_command(ASK)
        except (AnsibleConnectionFailure, AnsibleError):
            return []
        return str(answer.get("stdout", "")).split()
