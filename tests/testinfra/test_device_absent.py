# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After `state: absent` the host's own driver has the card again."""

from __future__ import annotations

CARD = "/sys/bus/pci/devices/0000:01:00.0"


def test_driver_of_the_host_has_the_card_again(host):
    assert host.file(f"{CARD}/driver").linked_to.endswith("/e1000e")
    assert host.file(f"{CARD}/driver_override").content_string.strip() == "(null)"


def test_host_can_use_the_card_again(host):
    done = host.run("ip link set eth2 up && sleep 4 && cat /sys/class/net/eth2/address /sys/class/net/eth2/operstate")
    assert done.stdout.split() == ["52:54:00:00:09:02", "up"]
