#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell: facts, state and findings of a host; nothing is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: layout_info
short_description: Tell what a host is, what it runs, and what speaks against a layout
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Returns the facts of the machine that layouts are judged by, the state of its instances with the kind of evidence for each
    property, and the layout that it has.
  - With a layout it also returns what the rules find in it on this machine, where everything would be placed, and the plan.
  - Changes nothing, and needs no multikernel support on the host. Without root, what only root may read is null.
options:
  layout:
    description:
      - A layout to judge, as it is written in a layout file.
    type: dict
  file:
    description:
      - A layout file on the controller, in place of O(layout).
    type: path
  images:
    description:
      - Kernels and initrds on the host to look into, besides those of the layout, so that the facts tell of them.
    type: list
    elements: path
    default: []
  bundle:
    description:
      - A file on the controller to write the facts to, as a bundle that O(ignore:facts) of M(multikernel.core.layout_validate) and
        C(mkl validate --facts) judge layouts by, offline. See C(schemas/facts.schema.json).
      - A folder that is there, or a path that ends in a slash, gets a file with the name of the host in the inventory.
      - The file is written only when it would change. In check mode it is not written.
    type: path
  redact:
    description:
      - Take out of the facts, on the host, what tells whose machine it is. Host name and boot id become null, UUIDs zeros, and of the
        command line only words that divide the machine stay whole. What layouts are judged by stays.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed on the host. In check mode, O(bundle) is not written.
  diff_mode:
    support: none
    description: Nothing is changed, so there is no difference to show.
  platform:
    support: full
    platforms: linux
    description: x86_64 hosts with a kernel that has multikernel support, or with mkstock.
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: Collect the facts of a machine
  multikernel.core.layout_info:
  become: true
  register: machine

- name: Store the facts of each machine beside the inventory
  multikernel.core.layout_info:
    images: [/boot/vmlinuz]
    bundle: "{{ inventory_dir }}/facts/"
    redact: true
  become: true

- name: Judge a layout on this machine
  multikernel.core.layout_info:
    file: layouts/edge-box.yml
  become: true
  register: judged
"""

RETURN = r"""
facts:
  description: The facts bundle of the machine; null means not known.
  returned: success
  type: dict
  sample: {version: 1, hostname: edge-1, cpus: {present: [0, 1, 2, 3], online: [0, 1, 3], boot: 0}}
state:
  description: What was observed of the host's instances, images, channels and pool.
  returned: success
  type: dict
  sample: {version: 1, digest: null, instances: {}, images: []}
layout:
  description: The canonical layout that this host is to have, null when none was applied.
  returned: success
  type: dict
  sample: null
digest:
  description: Its SHA-256.
  returned: success
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
history:
  description: Digests of the layouts that a rollback can go back to, the oldest first.
  returned: success
  type: list
  elements: str
  sample: []
instances:
  description: What runs, and the kind of evidence for each property (V(observed), V(remembered) or V(unverifiable)).
  returned: success
  type: list
  elements: dict
  sample:
    - {name: web, state: running, cpus: [2], image: debian, uname: 6.1.0-56-amd64, beats: 12, evidence: {state: observed}}
table:
  description: The text of C(/proc/multikernel).
  returned: success
  type: str
  sample: "Type        Start Address   Segments\n----------  --------------  --------\nNo kimages loaded\n"
supervisor:
  description:
    - Whether the supervisor of instances is installed and runs, how it finds each instance, what it brought back after the last boot of the
      host (C(restored), null when it never had to), and the folders of what was kept of instances that died, the oldest first.
  returned: success
  type: dict
  sample:
    installed: true
    running: true
    pid: 312
    instances: {web: {state: alive, why: null, restart: always, restarts: 1, restart_in: null}}
    restored: null
    post_mortem: [/var/lib/multikernel/post-mortem/web-20260301T101500]
findings:
  description: What the rules find in the given layout on this machine, and whether an earlier apply was cut off.
  returned: success
  type: list
  elements: dict
  sample: []
placed:
  description: The given layout with the CPUs and addresses that would be chosen, null without one or when it does not fit.
  returned: success
  type: dict
  sample: null
plan:
  description: The steps to the given layout, null without one or when it is refused.
  returned: success
  type: list
  elements: dict
  sample:
    - {do: cpu_offline, say: take CPU 2 offline in the host, instance: web, undo: bring CPU 2 online in the host}
predicted:
  description:
    - How many seconds each instance that the plan stops and starts again will be away, by the starts that were measured on this host.
    - Null for an instance of which no start was measured yet.
  returned: success
  type: dict
  sample: {web: {seconds: 3.1, stop: 0.02, load: 0.3, boot: 2.8, starts: 5, of: instance}}
bundle:
  description: The file on the controller that holds the facts.
  returned: when O(bundle) is given
  type: str
  sample: /srv/fleet/facts/edge-1.json
picture:
  description: Who owns which CPUs and memory, drawn as lines of text; added on the controller.
  returned: when there is a placed layout
  type: str
  sample: "edge-box on edge-1: 4 CPUs, 2.0 GiB of memory"
table_text:
  description: The instances as a table in text; added on the controller.
  returned: success
  type: str
  sample: "NAME  STATE    CPUS  MEMORY  IMAGE  UNAME -R  BEATS  EVIDENCE"
isolation:
  description: What does and does not separate these kernels, as lines of text; added on the controller.
  returned: when there is a placed layout
  type: str
  sample: "Isolation grade D: no IOMMU confines all devices. No hypervisor stands between host and web."
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, look, return."""
    module = AnsibleModule(
        argument_spec={
            "layout": {"type": "dict"},
            "file": {"type": "path"},
            "images": {"type": "list", "elements": "path", "default": []},
            "bundle": {"type": "path"},
            "redact": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    _code.keep(module.check_mode)
    from ..module_utils._converge import info, run
    from ..module_utils._host import bundle
    from ..module_utils._supervise import status

    try:
        result = info.info(module.params["layout"], images=module.params["images"])
    except run.ApplyError as error:
        module.fail_json(msg=error.message, **error.details)
    result["supervisor"] = status.status("/")
    if module.params["redact"]:
        result["facts"] = bundle.redact(result["facts"])
        result["state"] = dict(result["state"], boot_id=None)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
