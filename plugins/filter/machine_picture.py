# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that turn a result of the module layout into text for people."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.multikernel.core.plugins.plugin_utils._report import isolation, machine

DOCUMENTATION = r"""
name: machine_picture
short_description: Draw who owns which CPUs and which memory of a machine
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Draws memory from low to high against the kernels of a placed layout, in box drawing or plain ASCII, at most 100 columns wide.
positional: facts
options:
  _input:
    description: A placed layout, as the key C(placed) of the result of M(multikernel.core.layout), or a canonical layout.
    type: dict
    required: true
  facts:
    description: The facts bundle of the machine, as M(multikernel.core.layout_info) returns it.
    type: dict
  instances:
    description: The instances that a module returned; their states are drawn, too.
    type: list
    elements: dict
    default: []
  ascii:
    description: Use plain ASCII.
    type: bool
    default: false
seealso:
  - plugin: multikernel.core.instance_table
    plugin_type: filter
  - plugin: multikernel.core.isolation_summary
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the machine
  ansible.builtin.debug:
    msg: "{{ (applied.placed | multikernel.core.machine_picture(state.facts, instances=applied.instances)).splitlines() }}"
"""

RETURN = r"""
_value:
  description: The picture, several lines of text.
  type: str
"""


def machine_picture(placed: t.Any, facts: t.Any = None, instances: t.Any = None, ascii: bool = False) -> str:  # pylint: disable=redefined-builtin
    """The machine as a picture."""
    return machine.draw(layout_of(placed, "machine_picture"), facts, {"instances": instances or []}, ascii)


def isolation_summary(placed: t.Any, facts: t.Any = None, ascii: bool = False) -> str:  # pylint: disable=redefined-builtin
    """What does and does not separate these kernels."""
    return isolation.summary(layout_of(placed, "isolation_summary"), facts, ascii)


def instance_table(instances: t.Any, ascii: bool = False) -> str:  # pylint: disable=redefined-builtin
    """One row for each instance."""
    if not isinstance(instances, (list, tuple)):
        raise AnsibleFilterError("instance_table wants the list of instances that the module layout or layout_info returns")
    return machine.table(list(instances), ascii)


def layout_of(value: t.Any, name: str) -> dict[str, t.Any]:
    """The layout that a filter was given. Raises AnsibleFilterError, with what would be right, for anything else."""
    if isinstance(value, dict) and isinstance(value.get("placed"), dict):
        value = value["placed"]
    if not isinstance(value, dict) or "instances" not in value or "pool" not in value:
        raise AnsibleFilterError(f"{name} wants a placed layout: the result of multikernel.core.layout, or its key placed")
    return value


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        """The filters of this file by name."""
        return {"machine_picture": machine_picture, "instance_table": instance_table, "isolation_summary": isolation_summary}
