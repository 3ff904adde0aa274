#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell of one stage of an update; everything is done in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: update
short_description: Update one instance, stage by stage, while it serves
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Brings one instance to another image, command line, size or set of channels, as a new layout says, in stages that can be taken back.
  - Side by side where the machine has spare cores and memory. The new kernel, the successor, boots beside the old one, which serves until
    both change places; then the old one is stopped.
  - Stop-start where there is no room for two. Then the module says beforehand how long the instance will be away, from the starts that were
    measured on the host, and goes on only when the new layout has C(policy.disruption=allow).
  - The role C(update) runs the stages in their order, with the tasks of a service in between, and takes everything back when one fails.
options:
  stage:
    description:
      - V(begin) judges the new layout, looks for room, boots the successor of O(name) beside it and waits for its health. The host keeps
        its present layout. Where there is no room, nothing is changed yet.
      - V(watch) listens to the new kernel for O(soak) seconds, and fails when it ends or falls silent.
      - V(switch) lets both change places. The successor gets the name and the channels of the old one, and the new layout is the host's.
      - V(back) is the inverse of V(switch).
      - V(retire) stops the old kernel and ends the update; applying the new layout changes nothing then.
      - V(retreat) stops the successor and ends the update; applying the old layout changes nothing then.
      - V(status) says how far an update has come, and what finishes or undoes it; it changes nothing.
    type: str
    choices: [begin, watch, switch, back, retire, retreat, status]
    required: true
  name:
    description:
      - The name of the instance, required for O(stage=begin). Another stage with the name of another instance is refused.
    type: str
  layout:
    description:
      - The new layout, for O(stage=begin). It may differ from the present one in this instance, its image, its channels, and the policy.
      - It is checked and brought into its canonical form on the controller.
    type: dict
  file:
    description:
      - A layout file on the controller, in place of O(layout).
    type: path
  soak:
    description:
      - How many seconds O(stage=watch) listens.
    type: float
    default: 10.0
extends_documentation_fragment: [multikernel.core.apply]
notes:
  - How far an update has come is kept on the host, so that another controller, or none, can go on.
  - In the middle of an update no other layout is applied; M(multikernel.core.layout) with O(multikernel.core.layout#module:state=absent)
    takes back everything all the same.
  - An update speaks the dialect C(rfc) alone; another one is refused.
seealso:
  - module: multikernel.core.layout
  - module: multikernel.core.instance
"""

EXAMPLES = r"""
- name: Boot the new kernel of web beside the old one
  multikernel.core.update:
    stage: begin
    name: web
    file: layouts/edge-box-new.yml
  become: true

- name: Listen to it for a minute
  multikernel.core.update:
    stage: watch
    soak: 60
  become: true

- name: Let it take over
  multikernel.core.update:
    stage: switch
  become: true

- name: Stop the old one
  multikernel.core.update:
    stage: retire
  become: true
"""

RETURN = r"""
stage:
  description:
    - How far the update has come now. V(none), V(begun), V(switched), V(lost) (nothing of it runs, since its beginning was cut off
      and undone or the host was booted since), or V(done) (only the record of it is left).
  returned: success
  type: str
  sample: begun
way:
  description: V(side-by-side) or V(stop-start); null without an update.
  returned: success
  type: str
  sample: side-by-side
instance:
  description: The instance that is updated; null without an update.
  returned: success
  type: str
  sample: web
digest:
  description: SHA-256 of the new layout; null without an update.
  returned: success
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
say:
  description: What was done, or what is so, and what would finish or undo it; sentences.
  returned: success
  type: list
  elements: str
  sample: ["web is updated side-by-side"]
why:
  description: Why there is no room for two kernels; empty where there is.
  returned: O(stage=begin)
  type: list
  elements: str
  sample: ["the instances ask for 4 CPUs (db: 2, web: 1, web.next: 1), but this machine has 4 and the host keeps 1, which leaves 3"]
blackout:
  description: How many seconds the instance will be away, 0 side by side, null when that was never measured.
  returned: O(stage=begin)
  type: float
  sample: 0.0
plan:
  description: The steps; see M(multikernel.core.layout).
  returned: when there are any
  type: list
  elements: dict
  sample:
    - {do: channel_rename, say: call channel svc.next svc, instance: web, undo: call channel svc svc.next again}
steps:
  description: The steps that were done, with the seconds that each took; empty in check mode.
  returned: when there are any
  type: list
  elements: dict
  sample:
    - {do: channel_rename, say: call channel svc.next svc, seconds: 0.001, result: {}}
instances:
  description: What runs; see M(multikernel.core.layout).
  returned: when something was changed
  type: list
  elements: dict
  sample:
    - {name: web, state: running, cpus: [2]}
findings:
  description: What the rules find remarkable, or why the update is refused.
  returned: when there are any
  type: list
  elements: dict
  sample: []
recovered:
  description: What was undone of a stage that was cut off.
  returned: success
  type: list
  elements: str
  sample: []
undone:
  description: What was taken back.
  returned: failure of a step
  type: list
  elements: str
  sample: ["stop web.next (CPU 3)"]
console:
  description: The last words of the kernel that failed.
  returned: failure
  type: list
  elements: str
  sample: ["mailbox: Kernel panic - not syncing: VFS: Unable to mount root fs"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, do one stage, return."""
    module = AnsibleModule(
        argument_spec={
            "stage": {"type": "str", "choices": ["begin", "watch", "switch", "back", "retire", "retreat", "status"], "required": True},
            "name": {"type": "str"},
            "layout": {"type": "dict"},
            "file": {"type": "path"},
            "soak": {"type": "float", "default": 10.0},
            "lock_timeout": {"type": "float", "default": 30.0},
            "health_timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    _code.keep(module.check_mode)
    from ..module_utils._converge import run, update

    wish = module.params
    options = run.Options(lock_timeout=wish["lock_timeout"], health_timeout=wish["health_timeout"])
    try:
        result = update.run(wish["stage"], wish["name"], wish["layout"], wish["soak"], check=module.check_mode, options=options)
    except run.ApplyError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
