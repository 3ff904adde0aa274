# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that change a host have in common. Ansible has no fragments for return values, so that those stand in each module."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of every module that applies a layout, or a part of one."""

    DOCUMENTATION = r"""
options:
  lock_timeout:
    description:
      - How many seconds to wait while another apply works on the same host. Then the error says who holds the lock.
    type: float
    default: 30.0
  health_timeout:
    description:
      - How many seconds an instance has until it must report, when the layout has no C(health.within) for it.
      - An instance that does not report in time is taken back with everything else that was changed.
    type: float
    default: 60.0
attributes:
  check_mode:
    support: full
    description: The plan is made and returned, and nothing is changed.
  diff_mode:
    support: full
    description: Shows the layout before and after and the steps in words.
  platform:
    support: full
    platforms: linux
    description: x86_64 hosts with a kernel that has multikernel support, or with mkstock.
notes:
  - Must be run as root.
seealso:
  - module: multikernel.core.layout_info
"""
