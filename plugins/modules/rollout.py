#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Take one step of a rollout on the controller
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - The playbook C(multikernel.core.rollout) is made of these steps. They plan the waves, decide at the gates, and write the ledger and the
    report of the rollout. No connection to a host is made.
  - What was seen of the hosts is read from variables of these hosts, which are named here.
options:
  step:
    description:
      - V(begin) checks the other options and takes the lock of the controller, V(leased) checks that all leases were had, V(plan) judges
        all hosts and plans the waves, V(wave) opens one, V(applied) takes down what came of it, V(gate) decides what happens next,
        V(returned) takes down what was taken back, V(end) closes the ledger and gives the lock back.
    type: str
    choices: [begin, leased, plan, wave, applied, gate, returned, end]
    required: true
  hosts:
    description: The hosts that the step is about.
    type: list
    elements: str
    default: []
  seen:
    description: Name of the variable of each host that holds a result of M(multikernel.core.rollout_look).
    type: str
    default: ""
  results:
    description: Name of the variable of each host that holds what came of its change, with C(ok) or C(failed), and C(msg).
    type: str
    default: ""
  canary:
    description: Name of a variable that is true for hosts that are wished for as canaries.
    type: str
    default: ""
  digest:
    description: The rollout, as O(step=plan) returned it.
    type: str
    default: ""
  wave:
    description: The number of the wave, from 1.
    type: int
    default: 0
  waves:
    description:
      - How much of the fleet has the layout after each wave. The first is C(N per class), the last V(100%), those between are shares or
        numbers of hosts.
    type: list
    elements: raw
    default: [1 per class, 10%, 50%, 100%]
  budget:
    description: How many hosts may come to harm before the rollout stops, as a number or a share.
    type: raw
    default: 0
  returns:
    description: Whether a rollout that stops takes back its last V(wave), V(all) waves, or V(none).
    type: str
    choices: [wave, all, none]
    default: wave
  folder:
    description: The folder of the ledgers and of the lock. Default is C(multikernel/rollout) in the state folder of the user.
    type: str
    default: ""
  report:
    description: A file on the controller for the report, as a self-contained HTML page. It is written anew at each step.
    type: str
    default: ""
  dry_run:
    description: Plan only. Neither ledger nor lock are written.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: As O(dry_run=true), and the report is not written either.
  diff_mode:
    support: none
    description: The ledger is no state of a machine.
  platform:
    support: full
    platforms: linux
    description: The controller.
seealso:
  - module: multikernel.core.rollout_look
  - module: multikernel.core.lease
"""

EXAMPLES = r"""
- name: Plan the waves of a fleet
  multikernel.core.rollout:
    step: plan
    hosts: "{{ ansible_play_hosts_all }}"
    seen: seen
    waves: [2 per class, 25%, 100%]
    budget: 1%
    dry_run: true
  run_once: true
"""

RETURN = r"""
digest:
  description: What the rollout is known by.
  returned: O(step=plan)
  type: str
  sample: 4cb0bdf4ab5d9a6d1c7c3f1d2c2bdf5f4e4e25a2f8a7cf2b9b9d8a4a2a9d7c11
waves:
  description: The waves, each with number, label, canary and hosts.
  returned: O(step=plan)
  type: list
  elements: dict
  sample:
    - {number: 1, label: 1 per class, canary: true, hosts: [edge-1]}
hosts:
  description: The hosts that are to be changed, or those of the wave.
  returned: O(step=plan), O(step=wave)
  type: list
  elements: str
  sample: [edge-1, edge-2]
owner:
  description: The word by which this controller marks its leases; empty in a dry run.
  returned: O(step=begin)
  type: str
  sample: be5ffa98875f4b4a80566da61973ca93
who:
  description: The controller in words for people.
  returned: O(step=begin)
  type: str
  sample: ops@deploy-1
touched:
  description: The hosts to look at before the gate.
  returned: O(step=applied)
  type: list
  elements: str
  sample: [edge-1]
go:
  description: Whether the rollout goes on.
  returned: O(step=plan), O(step=gate)
  type: bool
  sample: true
reason:
  description: Why, in a sentence.
  returned: O(step=plan), O(step=gate)
  type: str
  sample: every host that was changed is well; the next wave may begin
take_back:
  description: The hosts to take back, each with the digest of the layout that it had, null where it had none.
  returned: O(step=gate)
  type: dict
  sample: {edge-1: null}
text:
  description: The rollout in lines.
  returned: O(step=plan), O(step=gate), O(step=returned), O(step=end)
  type: list
  elements: str
  sample: ["rollout 4cb0bdf4ab5d, 2 hosts, 1 waves, finished"]
"""
