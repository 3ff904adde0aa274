#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_look
short_description: Look at a host as a rollout has to know it
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Runs M(multikernel.core.layout_info) with the layout that the host is to have, and keeps of its result what the playbook C(rollout)
    plans and judges by. That is little enough to hold for thousands of hosts.
options:
  layout:
    description:
      - The layout that the host is to have. One of O(layout) and O(file) is needed.
    type: dict
  file:
    description:
      - A layout file on the controller, in place of O(layout).
    type: path
requirements:
  - pydantic >= 2.10 (on the controller)
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: none
    description: Nothing is changed, so there is no difference to show.
  platform:
    support: full
    platforms: linux
    description: What layout_info runs on.
seealso:
  - module: multikernel.core.layout_info
  - module: multikernel.core.rollout
"""

EXAMPLES = r"""
- name: Which hosts would refuse the layout, and how long their instances would be away
  multikernel.core.rollout_look:
    file: layouts/edge-box.yml
  become: true
  register: seen
"""

RETURN = r"""
wanted:
  description: Digest of the layout that the host is to have. Also there when the host does not answer.
  returned: when the layout can be read
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
look:
  description:
    - C(kind) is the class of the machine, C(kind_words) the facts that it stands for, C(digest) the layout that the host has, C(refused)
      why it would refuse the wanted one, C(plan) the steps to it, C(done) whether nothing is to do and all is well, C(ill) what is
      wrong with it where it has the wanted layout, C(blackout) the predicted seconds of each instance that would be stopped (null when
      none was measured).
  returned: success
  type: dict
  sample: {kind: 3857bc04b9b1, digest: null, refused: [], plan: [], done: false, ill: [], blackout: {web: 3.1}}
"""
