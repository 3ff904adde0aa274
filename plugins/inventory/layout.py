# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each declared instance as a host below its machine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: layout
short_description: List the instances of layouts as hosts
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Reads layouts from files, and from the variables C(multikernel_layout) and C(multikernel_layout_file) of the machines that the inventory
    sources before this one have. Each instance becomes a host, with variables that tell what it is and how its console is reached.
  - Nothing is asked of a machine; an instance that is listed is declared, not known to run.
  - The file of this source ends in C(layouts.yml) or C(layouts.yaml).
extends_documentation_fragment:
  - ansible.builtin.constructed
requirements:
  - pydantic
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [multikernel.core.layout]
  layouts:
    description: Layouts in files.
    type: list
    elements: dict
    default: []
    suboptions:
      file:
        description: The file with the layout, below the folder of this source when it is no absolute path.
        type: str
        required: true
      key:
        description: The key of the layout in the file, in dots, when it is not the whole file.
        type: str
      machine:
        description: The machine that the layout is for; left out, it is the layout's own name. It is added when there is none.
        type: str
  machines:
    description:
      - Whether to look at the variables of the machines of earlier sources, C(group_vars) and C(host_vars) beside these included.
      - A relative C(multikernel_layout_file) is looked for below the folder of this source.
    type: bool
    default: true
  hostname:
    description: Jinja2 expression that gives a host's name; it may use all variables of the instance.
    type: str
    default: multikernel_machine ~ '.' ~ multikernel_instance
  absent:
    description: Whether to list instances whose state is C(absent), too.
    type: bool
    default: false
notes:
  - Groups are C(multikernel_machines) and C(multikernel_instances), and for instances C(multikernel_machine_NAME),
    C(multikernel_image_NAME) and C(multikernel_trust_NAME).
  - Variables are C(multikernel_machine), C(multikernel_instance), C(multikernel_image), C(multikernel_cpus), C(multikernel_memory) (bytes),
    C(multikernel_channels), C(multikernel_console), C(multikernel_trust), C(multikernel_state), and C(ansible_connection).
seealso:
  - plugin: multikernel.core.mktty
    plugin_type: connection
"""

EXAMPLES = r"""
# layouts.yml: every machine with the variable multikernel_layout or multikernel_layout_file, from an inventory before this one
#   ansible-inventory -i machines.yml -i layouts.yml --graph
plugin: multikernel.core.layout

---
# One file, another way of naming, and a group for each number of cores
plugin: multikernel.core.layout
layouts:
  - file: layouts/edge.yml
    machine: edge-1
hostname: multikernel_instance ~ '-on-' ~ multikernel_machine
keyed_groups:
  - prefix: cores
    key: multikernel_cpus.count | default(multikernel_cpus.ids | length, true) | string
"""

import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources
from ansible_collections.multikernel.core.plugins.plugin_utils._instances import InventoryError, described, layout_of_data, layout_of_file


class InventoryModule(BaseInventoryPlugin, Constructable):
    """What Ansible loads."""

    NAME = "multikernel.core.layout"

    def verify_file(self, path: str) -> bool:
        """Whether the name of the source is one for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("layouts.yml", "layouts.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Add the instances of all layouts."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        folder = os.path.dirname(os.path.abspath(path))
        try:
            for number, entry in enumerate(self.get_option("layouts")):
                self._add_file(entry, number, folder)
            if self.get_option("machines"):
                for machine in list(inventory.hosts.values()):
                    self._add_machine(machine, folder)
        except InventoryError as error:
            raise AnsibleParserError(str(error)) from None

    def _add_file(self, entry: t.Any, number: int, folder: str) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise InventoryError(f"layouts[{number}] names no file; write file: PATH, and perhaps key and machine")
        if unknown := sorted(set(map(str, entry)) - {"file", "key", "machine"}):
            raise InventoryError(f"layouts[{number}] has an unknown key {unknown[0]!r}; there are file, key and machine")
        layout = layout_of_file(os.path.join(folder, entry["file"]), entry.get("key"))
        machine = str(entry.get("machine") or layout["name"])
        self.inventory.add_host(machine)
        self._add_instances(machine, layout)

    def _add_machine(self, machine: t.Any, folder: str) -> None:
        variables = self._variables(machine)
        given = {name: variables[name] for name in ("multikernel_layout", "multikernel_layout_file") if variables.get(name) is not None}
        if len(given) == 2:
            raise InventoryError(f"{machine.name} has both multikernel_layout and multikernel_layout_file; give it one of them")
        for name, value in given.items():
            self.templar.available_variables = {**variables, "inventory_hostname": machine.name}
            try:
                value = self.templar.template(value)
            except AnsibleError as error:
                raise InventoryError(f"the variable {name} of {machine.name} cannot be rendered: {error}") from None
            if name == "multikernel_layout":
                self._add_instances(machine.name, layout_of_data(value, f"the variable multikernel_layout of {machine.name}"))
            elif value:
                self._add_instances(machine.name, layout_of_file(os.path.join(folder, str(value)), None))

    def _variables(self, machine: t.Any) -> dict[str, t.Any]:
        """The variables of a host with those of its groups, as far as an inventory can know them."""
        sources = getattr(self.inventory, "processed_sources", [])
        everyone = self.inventory.groups["all"]
        groups = [everyone, *(group for group in machine.get_groups() if group is not everyone)]  # not yet in it while sources are read
        found = get_group_vars(groups)
        found = combine_vars(found, get_vars_from_inventory_sources(self.loader, sources, groups, "all"))
        found = combine_vars(found, machine.get_vars())
        return dict(combine_vars(found, get_vars_from_inventory_sources(self.loader, sources, [machine], "all")))

    def _add_instances(self, machine: str, layout: dict[str, t.Any]) -> None:
        self._join("multikernel_machines", machine)
        for instance, variables in described(machine, layout).items():
            if variables["multikernel_state"] != "absent" or self.get_option("absent"):
                self._add_instance(self._name(machine, instance, variables), variables)

    def _name(self, machine: str, instance: str, variables: dict[str, t.Any]) -> str:
        expression = self.get_option("hostname")
        try:
            name = self._compose(expression, variables)
        except AnsibleError as error:
            raise InventoryError(f"the expression hostname fails for {machine}, instance {instance}: {error}") from None
        if not isinstance(name, str) or not name.strip():
            raise InventoryError(f"the expression hostname gives no name for {machine}, instance {instance}: {expression}")
        if name in self.inventory.hosts:
            raise InventoryError(f"the instance {instance} of {machine} would be the host {name}, which there is already; change hostname")
        return name

    def _add_instance(self, name: str, variables: dict[str, t.Any]) -> None:
        self.inventory.add_host(name)
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        self._join("multikernel_instances", name)
        for kind in ("machine", "image", "trust"):
            if variables[f"multikernel_{kind}"]:
                self._join(f"multikernel_{kind}_{variables[f'multikernel_{kind}']}", name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        everything = combine_vars(variables, self.inventory.get_host(name).get_vars())
        self._add_host_to_composed_groups(self.get_option("groups"), everything, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), everything, name, strict=strict)

    def _join(self, group: str, host: str) -> None:
        allowed = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in group)
        # as everywhere in Ansible, a name that is no variable name is only left alone when the user says so
        name = group if constants.TRANSFORM_INVALID_GROUP_CHARS == "ignore" else allowed
        self.inventory.add_group(name)
        self.inventory.add_host(host, group=name)
