#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell of one apply; everything is done in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: layout
short_description: Make a host run the kernels of a layout
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - A layout says which Linux kernels run side by side on one x86 machine, each with its image, CPU cores, memory and IPI channels.
  - This module compares the layout with the host, plans the change, makes it step by step, reads back whether it is so, and takes
    everything back when it is not. Applying the same layout again changes nothing.
  - An apply that was cut off by a crash is undone first, from the journal below C(/var/lib/multikernel).
options:
  layout:
    description:
      - The layout, as it is written in a layout file. Required unless O(file) is given or O(state=absent).
      - It is checked and brought into its canonical form on the controller.
    type: dict
  file:
    description:
      - A layout file on the controller, in place of O(layout).
    type: path
  state:
    description:
      - V(present) makes the host have the layout.
      - V(absent) takes back what the journal says was made here (instances, CPUs, memory), and nothing else.
    type: str
    choices: [present, absent]
    default: present
  console_logs:
    description:
      - Names of instances and, for each, a file on the host where its console is recorded. The last lines are part of the error
        when the instance fails. One kernel cannot read the serial port of another, so this is only for hosts where something
        else records it.
    type: dict
    default: {}
  dialect:
    description:
      - Which multikernel interface of the host to speak, where it offers several (mkstock with C(abi=both)).
      - V(auto) takes the one in which the host's instances were made, else V(kernfs) where C(/sys/fs/multikernel) is there, else V(rfc).
    type: str
    choices: [auto, rfc, kernfs]
    default: auto
  adopt:
    description:
      - Names of instances that somebody else made on the host and that are to belong to this layout from now on (dialect kernfs).
      - An adopted instance that has the CPUs and memory of the layout goes on; that it boots the image of the layout is taken for
        granted, since no kernel tells. An instance that is named neither here nor in the journal is never touched.
    type: list
    elements: str
    default: []
  service:
    description:
      - Whether the supervisor C(multikernel-layout.service) is on the host. It brings the layout back after a boot without a controller,
        finds instances that died, keeps what can be saved of them, and starts them again as their C(restart) says.
      - V(true) puts it to C(/usr/lib/multikernel) after the apply and starts it now and at each boot; V(false) takes it away. Left out,
        nothing is done about it. With O(state=absent), V(true) takes it away, too.
      - On a host without systemd, the files are put there and nothing is started.
    type: bool
extends_documentation_fragment: [multikernel.core.apply]
attributes:
  diff_mode:
    support: full
    description: Shows the layout before and after, the CPU and memory map, and the steps in words.
notes:
  - A running instance is restarted only when the layout has C(policy.disruption=allow). Stopping it is permitted when the layout names
    it with C(state=absent), V(defined) or V(loaded); an instance that a layout no longer names needs C(policy.disruption=allow).
  - An instance that ended (panicked, halted, powered off) is started again. One that runs and no longer reports is left alone, and is
    restarted when the layout has C(restart=on-failure) or V(always) for it.
  - Instances boot side by side where the kernel can choose an image by its entry (mkstock), else one after the other.
  - A signal in the middle (a connection that breaks) takes the change back before the module ends.
seealso:
  - module: multikernel.core.instance
  - module: multikernel.core.rollback
"""

EXAMPLES = r"""
- name: Run two kernels side by side
  multikernel.core.layout:
    layout:
      version: 1
      name: edge-box
      host: {cpus: "0-1"}
      pool:
        memory:
          - {base: 0x40000000, size: 512MiB}
      images:
        debian:
          kernel: {path: /boot/vmlinuz-6.1.0-56-amd64}
          initrd: {path: /srv/multikernel/web.cpio.gz}
      instances:
        web:
          image: debian
          cpus: {count: 1}
          memory: 256MiB
  become: true

- name: See what would change
  multikernel.core.layout:
    file: layouts/edge-box.yml
  become: true
  check_mode: true
  diff: true

- name: Give everything back to the host
  multikernel.core.layout:
    state: absent
  become: true
"""

RETURN = r"""
digest:
  description: SHA-256 of the canonical layout, null when O(state=absent).
  returned: success
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
plan:
  description: The steps from what is to what is wanted, in their order; empty when nothing is to do.
  returned: success
  type: list
  elements: dict
  sample:
    - {do: cpu_offline, say: take CPU 2 offline in the host, instance: web, undo: bring CPU 2 online in the host}
steps:
  description: The steps that were done, with the seconds that each took; empty in check mode.
  returned: always, but when the layout was refused
  type: list
  elements: dict
  sample:
    - {do: boot, say: boot web on CPU 2, seconds: 0.012, result: {cpu: 2}}
before:
  description: The host before, in short.
  returned: success
  type: dict
  sample: {digest: null, cpus_online: [0, 1, 2, 3], instances: {}}
after:
  description: The host after, in short; in check mode as it would be.
  returned: success
  type: dict
  sample: {digest: 4cb0bdf4, cpus_online: [0, 1, 3], instances: {web: {state: running, cpus: [2]}}}
instances:
  description: What runs, and the kind of evidence for each property (V(observed), V(remembered) or V(unverifiable)).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web
      state: running
      cpus: [2]
      memory: {base: 1073741824, size: 268435456}
      image: debian
      uname: 6.1.0-56-amd64
      beats: 12
      evidence: {state: observed, cpus: observed, memory: observed, uname: observed, image: remembered}
findings:
  description: What the rules find remarkable, or why the layout is refused.
  returned: always
  type: list
  elements: dict
  sample:
    - rule: plan.disruption
      severity: error
      verdict: fail
      message: "web runs and would be restarted: its CPUs change from 2 to 2,3"
      path: [instances, web]
      hint: "set policy.disruption: allow to permit it, or put back what changed"
unverifiable:
  description: What nothing on this host can confirm.
  returned: success
  type: list
  elements: str
  sample: ["that web owns CPU 2 and nothing else: this kernel does not tell, the journal remembers"]
table:
  description: The text of C(/proc/multikernel), or of C(/proc/kimage) in the dialect kernfs.
  returned: success
  type: str
  sample: "Type        Start Address   Segments\n----------  --------------  --------\nNo kimages loaded\n"
recovered:
  description: What was undone of an earlier apply that was cut off.
  returned: success
  type: list
  elements: str
  sample: []
service:
  description:
    - What was done about the supervisor, in steps, and whether it runs (null where there is no systemd, or O(service) was left out).
  returned: success
  type: dict
  sample: {changed: true, digest: 0f4c2c1e5b7a9d13, running: true, steps: [start multikernel-layout.service]}
placed:
  description: The layout with the CPUs and addresses that were chosen, null when O(state=absent).
  returned: success
  type: dict
  sample: {version: 1, name: edge-box}
picture:
  description: The machine as text, with each instance on its CPUs and in its memory.
  returned: success, when there is a layout
  type: str
  sample: "CPU  0    1    2    3"
table_text:
  description: RV(instances) as a table of text.
  returned: success, when there is a layout
  type: str
  sample: "web  running  CPU 2  256 MiB"
isolation:
  description: What does and does not separate the kernels, way by way, and the grade that the facts prove, as text.
  returned: success, when there is a layout
  type: str
  sample: "Isolation grade D: no IOMMU confines all devices. No hypervisor stands between host and web."
undone:
  description: What was taken back.
  returned: failure of a step
  type: list
  elements: str
  sample: [stop web (CPU 2), bring CPU 2 online in the host]
console:
  description: The last words of the instance that failed.
  returned: failure of a step
  type: list
  elements: str
  sample: ["mailbox: Kernel panic - not syncing: VFS: Unable to mount root fs"]
"""

import json
import sys

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, apply, return."""
    module = AnsibleModule(
        argument_spec={
            "layout": {"type": "dict"},
            "file": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "lock_timeout": {"type": "float", "default": 30.0},
            "health_timeout": {"type": "float", "default": 60.0},
            "console_logs": {"type": "dict", "default": {}},
            "dialect": {"type": "str", "choices": ["auto", "rfc", "kernfs"], "default": "auto"},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "service": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    _code.keep(module.check_mode)
    from ..module_utils._converge import run
    from ..module_utils._supervise import install

    wish = module.params
    options = run.Options(
        lock_timeout=wish["lock_timeout"],
        health_timeout=wish["health_timeout"],
        console_logs=wish["console_logs"],
        dialect=wish["dialect"],
        adopt=wish["adopt"],
    )
    try:
        result = run.apply(wish["layout"], state=wish["state"], check=module.check_mode, options=options)
    except run.ApplyError as error:
        module.fail_json(msg=error.message, **error.details)
    # The facts are for the pictures that the controller draws. As text, they are one value to Ansible, which marks each value of a result.
    result["facts"] = json.dumps(result["facts"])
    try:
        present = None if wish["service"] is None else wish["service"] and wish["state"] == "present"
        result["service"] = install.manage(present, sys.executable, module.run_command, module.check_mode)
    except install.InstallError as error:
        module.fail_json(msg="%s; the layout itself is as it was wanted" % error, **result)
    module.exit_json(**dict(result, changed=result["changed"] or result["service"]["changed"]))


if __name__ == "__main__":
    main()
