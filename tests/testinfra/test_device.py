# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a layout with a device promises: the second kernel drives the card, the host does not, and the wire between them works."""

from __future__ import annotations

CARD = "/sys/bus/pci/devices/0000:01:00.0"


def test_no_driver_of_the_host_has_the_card_or_can_get_it(host):
    if host.file(f"{CARD}/driver").exists:  # dialect kernfs: the module's own, which cannot be taken off
        assert host.file(f"{CARD}/driver").linked_to.endswith("/multikernel")
    else:
        assert host.file(f"{CARD}/driver_override").content_string.strip() == "multikernel"
    host.run("echo 0000:01:00.0 > /sys/bus/pci/drivers/e1000e/bind")
    assert "e1000e" not in host.run(f"readlink {CARD}/driver").stdout


def test_second_kernel_runs_and_drives_the_card(console, multikernel):
    assert multikernel.instance("net").is_beating(within=10)
    text = console("com2")
    assert "e1000e 0000:01:00.0" in text
    assert "pci=off" not in text


def test_second_kernel_sees_no_other_bus(console):
    listed = [line.split("has pci ")[1].split()[0] for line in console("com2").splitlines() if "has pci " in line]
    assert listed == ["0000:01:00.0"]


def test_second_kernel_answers_ping_of_the_hosts_kernel(host):
    done = host.run("/root/busybox ping -c 4 -W 5 10.9.0.2")
    assert "4 packets transmitted, 4 packets received" in done.stdout, done.stdout


def test_answers_come_from_the_card_that_was_given(host):
    host.run("/root/busybox ping -c 1 -W 5 10.9.0.2")
    assert "52:54:00:00:09:02" in host.run("ip neigh show dev eth1").stdout


def test_host_kernel_is_sound(host):
    trouble = host.run("dmesg | grep -E 'Oops|BUG:|soft lockup|rcu.*stall|general protection|Call Trace'")
    assert trouble.stdout == ""
