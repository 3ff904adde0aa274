#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell: who rolls out to this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Say on a host who rolls out to it
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - A rollout takes a lease on each host before it changes the first one, so that two controllers cannot roll out to one host at a time.
  - A lease ends by itself. It binds rollouts alone; an apply by hand does not ask for it.
options:
  state:
    description:
      - V(taken) takes the lease, or renews it where this owner has it.
      - V(released) gives it back where this owner has it.
    type: str
    choices: [taken, released]
    default: taken
  owner:
    description: A word that only this rollout knows.
    type: str
    required: true
  who:
    description: Who that is, for those who find the lease.
    type: str
    default: somebody
  seconds:
    description: After how many seconds it ends by itself, by the clock of the host.
    type: float
    default: 3600
  take_over:
    description: Take it also from another owner, whose rollout is known to be lost.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Nothing is changed, and whether the lease could be had is not told.
  diff_mode:
    support: none
    description: A lease is no state of the machine that people compare.
  platform:
    support: full
    platforms: linux
    description: Any Linux.
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: Reserve the host for an hour
  multikernel.core.lease:
    owner: 5f0c9f1e3c0a4b0a9d4a1f7d0a6f2b11
    who: ops@deploy-1
  become: true
"""

RETURN = r"""
until:
  description: When it ends, in seconds since 1970 by the clock of the host; null when it was released.
  returned: success
  type: float
  sample: 1795642800.0
taken_from:
  description: Who had it before, when it was taken over.
  returned: success
  type: str
  sample: ops@deploy-2
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, take or release, return."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["taken", "released"], "default": "taken"},
            "owner": {"type": "str", "required": True},
            "who": {"type": "str", "default": "somebody"},
            "seconds": {"type": "float", "default": 3600},
            "take_over": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    wish = module.params
    if module.check_mode:
        module.exit_json(changed=False, until=None, taken_from=None)
    _code.keep(module.check_mode)
    from ..module_utils._converge import lease

    try:
        if wish["state"] == "taken":
            result = lease.take(wish["owner"], wish["who"], wish["seconds"], wish["take_over"])
        else:
            result = lease.release(wish["owner"])
    except lease.LeaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
