#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell: one instance of the host's layout is started, stopped or restarted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: Start, stop or restart one instance of the layout of a host
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Works on the layout that the host has, as M(multikernel.core.layout) applied it last. Everything else stays as it is.
  - A stopped instance is kept in the host's layout as C(state=defined). Applying the original layout starts it again.
options:
  name:
    description:
      - The name of the instance in the layout.
    type: str
    required: true
  state:
    description:
      - V(started) starts the instance unless it runs.
      - V(stopped) ends it and gives its CPUs back to the host.
      - V(restarted) stops it if it runs, loads its image again and starts it; this is always a change.
    type: str
    choices: [started, stopped, restarted]
    default: started
extends_documentation_fragment: [multikernel.core.apply]
notes:
  - Asking for it is the consent to disturb this one instance, whatever C(policy.disruption) says.
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: Restart the kernel that serves the web
  multikernel.core.instance:
    name: web
    state: restarted
  become: true

- name: Stop it and give its CPU back
  multikernel.core.instance:
    name: web
    state: stopped
  become: true
"""

RETURN = r"""
digest:
  description: SHA-256 of the canonical layout that the host has now.
  returned: success
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
plan:
  description: The steps from what is to what is wanted; empty when nothing is to do.
  returned: success
  type: list
  elements: dict
  sample:
    - {do: stop, say: stop web (CPU 2), instance: web, undo: load debian for web at 0x40000000; boot web on CPU 2}
steps:
  description: The steps that were done, with the seconds that each took; empty in check mode.
  returned: always, but when the change was refused
  type: list
  elements: dict
  sample:
    - {do: stop, say: stop web (CPU 2), seconds: 0.021, result: {}}
before:
  description: The host before, in short.
  returned: success
  type: dict
  sample: {digest: 4cb0bdf4, cpus_online: [0, 1, 3], instances: {web: {state: running, cpus: [2]}}}
after:
  description: The host after, in short; in check mode as it would be.
  returned: success
  type: dict
  sample: {digest: 9a01e7c2, cpus_online: [0, 1, 2, 3], instances: {}}
instances:
  description: What runs, and the kind of evidence for each property (V(observed), V(remembered) or V(unverifiable)).
  returned: success
  type: list
  elements: dict
  sample:
    - {name: web, state: running, cpus: [2], image: debian, uname: 6.1.0-56-amd64, beats: 12, evidence: {state: observed}}
findings:
  description: What the rules find remarkable, or why the change is refused.
  returned: always
  type: list
  elements: dict
  sample: []
unverifiable:
  description: What nothing on this host can confirm.
  returned: success
  type: list
  elements: str
  sample: []
table:
  description: The text of C(/proc/multikernel).
  returned: success
  type: str
  sample: "Type        Start Address   Segments\n----------  --------------  --------\nNo kimages loaded\n"
recovered:
  description: What was undone of an earlier apply that was cut off.
  returned: success
  type: list
  elements: str
  sample: []
placed:
  description: The layout with the CPUs and addresses that were chosen.
  returned: success
  type: dict
  sample: {version: 1, name: edge-box}
diff:
  description: The layout before and after as text, and the steps.
  returned: success
  type: dict
  sample: {before: "", after: ""}
undone:
  description: What was taken back.
  returned: failure of a step
  type: list
  elements: str
  sample: [stop web (CPU 2)]
console:
  description: The last words of the instance that failed.
  returned: failure of a step
  type: list
  elements: str
  sample: ["mailbox: Kernel panic - not syncing: VFS: Unable to mount root fs"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, apply, return."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "default": "started"},
            "lock_timeout": {"type": "float", "default": 30.0},
            "health_timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    _code.keep(module.check_mode)
    from ..module_utils._converge import desired, run

    wish = module.params
    options = run.Options(lock_timeout=wish["lock_timeout"], health_timeout=wish["health_timeout"])
    try:
        result = desired.instance(wish["name"], wish["state"], check=module.check_mode, options=options)
    except run.ApplyError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
