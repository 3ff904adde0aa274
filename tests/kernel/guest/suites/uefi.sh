# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1091  # it is there in the guest
# machine: firmware=uefi
# The suite `core` on a host that UEFI has started, which is what hosts on bare metal have; `run --firmware uefi` does it for each suite.
. /lib.sh
ok "UEFI has started this host" test -d /sys/firmware/efi
. /suites/core.sh
