#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thin shell of one half of a host's kexec; everything is done in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_kexec
short_description: Take a host into another kernel by kexec while its instances run on
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Loads another kernel for the host, leaves into it by kexec, waits until the host answers in a new boot, and holds every instance
    against the time before. The instances are not stopped; a channel that ends at the host has nobody at its other end meanwhile.
  - The command line of the next kernel is made of the running one's. What reserves memory stays; C(maxcpus=) and C(no_ipi_broadcast=1)
    keep it away from the CPUs of instances; CPUs of the host beyond the first of an instance are brought back afterwards.
  - Refuses what is not proven, with a sentence for each reason, and then nothing was changed.
options:
  kernel:
    description:
      - A bzImage on the host, of the kernel to go into. Required unless O(stage=arrive).
    type: path
  initrd:
    description:
      - The initramfs on the host that belongs to O(kernel).
    type: path
  append:
    description:
      - More words for the command line. Words that decide of memory or CPUs are refused.
    type: list
    elements: str
    default: []
  unproven:
    description:
      - Whether a pair of kernels may be tried that was not measured. Everything else that speaks against it still refuses.
    type: bool
    default: false
  longest_gap:
    description:
      - How many seconds an instance may go without a heartbeat, by its own clock, before it counts as missed. They beat once a second.
    type: float
    default: 2.0
  timeout:
    description:
      - How many seconds the host has until it answers in its next kernel with the instances adopted.
    type: float
    default: 600.0
  lock_timeout:
    description:
      - How many seconds to wait while an apply works on the same host.
    type: float
    default: 30.0
  stage:
    description:
      - The half that a run of the module does; the action plugin runs both, and there is no need to set it.
    type: str
    choices: [leave, arrive]
    default: leave
  before:
    description:
      - What the run with O(stage=leave) returned; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Everything is judged, the command line is returned, and nothing is loaded.
  diff_mode:
    support: none
    description: The command line of the next kernel is returned instead.
  platform:
    support: full
    platforms: linux
    description: x86_64 hosts with a stock kernel and mkstock.
notes:
  - Must be run as root. Each instance must lie in memory that C(memmap=SIZE$BASE) on the host's command line reserves.
  - The boot loader is not changed. Install the kernel as usual, so that a cold start comes up in it, too.
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: Take the host into a newer kernel, the instances run on
  multikernel.core.host_kexec:
    kernel: /boot/vmlinuz-6.1.0-56-amd64
    initrd: /boot/initrd.img-6.1.0-56-amd64
  become: true

- name: See whether it would be done, and with which command line
  multikernel.core.host_kexec:
    kernel: /boot/vmlinuz-6.12.117+deb12-amd64
    initrd: /boot/initrd.img-6.12.117+deb12-amd64
  become: true
  check_mode: true
"""

RETURN = r"""
cmdline:
  description: The command line of the next kernel.
  returned: when the kernel could be judged
  type: str
  sample: root=/dev/vda memmap=252K$0x1000 memmap=512M$0x40000000 no_ipi_broadcast=1 maxcpus=1
release:
  description: The release of the next kernel by its header.
  returned: when the kernel could be judged
  type: str
  sample: 6.1.0-56-amd64
boot_id:
  description: The boot of the host before.
  returned: when the kernel could be judged
  type: str
  sample: 6f1c0d0e-1f0a-4ad8-8b7e-0d4f6a7e1f5b
refusals:
  description: Why the host stays in its kernel.
  returned: when it is refused
  type: list
  elements: str
  sample: ["memory of web is not kept off by memmap= on the host's command line: 0x40000000+0xc000000"]
prerequisites:
  description: What the kernel's own means (KHO, LUO) would need and whether it is there; none of it is used.
  returned: when the kernel could be judged
  type: list
  elements: dict
  sample:
    - {name: KHO, there: false, say: "Kexec HandOver (CONFIG_KEXEC_HANDOVER, Linux 6.16 and newer)"}
adopted:
  description: What mkstock of the next kernel said of the record.
  returned: after a kexec
  type: dict
  sample: {state: adopted, reason: null, adopted: ["instance 0x40003000"], refused: {}}
instances:
  description: For each instance its beats and the seconds of its own clock between the two looks, and the longest time without a beat.
  returned: after a kexec; before it, what each instance told
  type: dict
  sample:
    web: {beats: 41, seconds: 41.7, longest: 1.13, gap: false}
online:
  description: CPUs that were brought back to the host after the kexec; before it, those that it ran on.
  returned: when the kernel could be judged
  type: list
  elements: int
  sample: [2]
away:
  description: Seconds from the order to leave until the host answered again.
  returned: after a kexec
  type: float
  sample: 21.4
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _code


def main() -> None:
    """Read the arguments, do the half that is asked for, return."""
    module = AnsibleModule(
        argument_spec={
            "kernel": {"type": "path"},
            "initrd": {"type": "path"},
            "append": {"type": "list", "elements": "str", "default": []},
            "unproven": {"type": "bool", "default": False},
            "longest_gap": {"type": "float", "default": 2.0},
            "timeout": {"type": "float", "default": 600.0},
            "lock_timeout": {"type": "float", "default": 30.0},
            "stage": {"type": "str", "choices": ["leave", "arrive"], "default": "leave"},
            "before": {"type": "dict", "default": {}},
        },
        required_if=[("stage", "leave", ["kernel"])],
        supports_check_mode=True,
    )
    _code.keep(module.check_mode)
    from ..module_utils._dialect.system import System
    from ..module_utils._handover import handover

    wish = module.params
    try:
        if wish["stage"] == "arrive":
            result = handover.arrive(System(), wish["before"], module.check_mode, wish["longest_gap"])
        else:
            how = handover.Wish(wish["kernel"], wish["initrd"], wish["append"], wish["unproven"], wish["lock_timeout"])
            result = handover.leave(System(), how, module.check_mode)
    except handover.HandoverError as error:
        module.fail_json(msg=error.message, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
