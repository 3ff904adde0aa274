#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell: an earlier layout is applied again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Go back to an earlier layout of a host
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Every host keeps the last twenty layouts that were applied to it. This module applies one of them again.
  - Rolling back twice without O(to) ends where it began.
  - The image files must still be there; when a layout gives their SHA-256, they must have the same contents.
options:
  to:
    description:
      - The digest of the layout to go back to, or its first characters. Default is the layout before the present one.
    type: str
  disruption:
    description:
      - Whether running instances may be restarted or stopped for it. Default is what the earlier layout says in C(policy.disruption).
    type: str
    choices: [refuse, allow]
extends_documentation_fragment: [multikernel.core.apply]
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: Undo the last change of the layout
  multikernel.core.rollback:
    disruption: allow
  become: true

- name: Go back to a known layout
  multikernel.core.rollback:
    to: 4cb0bdf4ab5d
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
picture:
  description: The machine as text, with each instance on its CPUs and in its memory.
  returned: success
  type: str
  sample: "CPU  0    1    2    3"
table_text:
  description: RV(instances) as a table of text.
  returned: success
  type: str
  sample: "web  running  CPU 2  256 MiB"
isolation:
  description: What does and does not separate the kernels, way by way, and the grade that the facts prove, as text.
  returned: success
  type: str
  sample: "Isolation grade D: no IOMMU confines all devices. No hypervisor stands between host and web."
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
            "to": {"type": "str"},
            "disruption": {"type": "str", "choices": ["refuse", "allow"]},
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
        result = desired.rollback(wish["to"], wish["disruption"], check=module.check_mode, options=options)
    except run.ApplyError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
