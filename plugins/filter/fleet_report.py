# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that puts the verdicts of many hosts together."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.multikernel.core.plugins.plugin_utils import _fleet

DOCUMENTATION = r"""
name: fleet_report
short_description: Say which of many machines a layout would break, and why
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Puts the results of M(multikernel.core.layout_validate) of many hosts into one table, and each reason once, with the machines
    that share it.
positional: as_data
options:
  _input:
    description: The results by the name of the host. Each was made with O(multikernel.core.layout_validate#module:facts) of that host.
    type: dict
    required: true
  as_data:
    description: Give plain data with the keys C(counts), C(machines) and C(groups) instead of text.
    type: bool
    default: false
seealso:
  - module: multikernel.core.layout_validate
"""

EXAMPLES = r"""
- name: Show which machines would refuse their layout
  ansible.builtin.debug:
    msg: "{{ (results | multikernel.core.fleet_report).splitlines() }}"
  vars:
    results: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'judged'))) }}"
"""

RETURN = r"""
_value:
  description: The report, several lines of text, or the data.
  type: raw
"""


def fleet_report(results: t.Any, as_data: bool = False) -> t.Any:
    """One answer for all hosts."""
    if not isinstance(results, dict) or not all(isinstance(one, dict) for one in results.values()):
        raise AnsibleFilterError("fleet_report wants a mapping from hosts to results of multikernel.core.layout_validate")
    machines = [_machine(str(host), result) for host, result in results.items()]
    return _fleet.to_dict(machines) if as_data else _fleet.text(machines)


def _machine(host: str, result: dict[str, t.Any]) -> _fleet.Machine:
    """The verdict of one host under the name that the inventory gives it."""
    told = next(iter(result.get("machines") or []), None)
    if result.get("errors"):
        reasons = [{"rule": "layout-language", "severity": "error", "verdict": "fail", **error} for error in result["errors"]]
        return _fleet.Machine(host, host, _fleet.REFUSED, reasons)
    if told is None:
        return _fleet.Machine(host, host, _fleet.UNREADABLE, sentence=str(result.get("msg") or "it was not judged with its facts"))
    return _fleet.Machine(host, host, told["verdict"], list(told["reasons"]), told["message"], int(told["warnings"]))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filters of this file by name."""
        return {"fleet_report": fleet_report}
