# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is still to be sent for a pool, of what is there."""

from __future__ import annotations

from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_pool


def test_memory_at_an_old_place_is_not_the_old_memory():
    """A pool of 128 and 512 MiB is taken again, and the kernel puts the 512 where the 128 were."""
    had = [{"base": 0x58000000, "size": 128 << 20, "node": 0}, {"base": 0x60000000, "size": 512 << 20, "node": 0}]
    now = [{"base": 0x58000000, "size": 512 << 20, "node": 0}, {"base": 0x78000000, "size": 128 << 20, "node": 0}]
    bases = {one["base"] for one in had}
    assert kernfs_pool._difference({"cpus": [], "memory": now}, [], [], had, [], [], bases) == ([], [], [], [])
    missing = kernfs_pool._difference({"cpus": [], "memory": now[:1]}, [], [], had, [], [], bases)[2]
    assert missing == had[:1]
    assert kernfs_pool._difference({"cpus": [], "memory": now}, [], [], [], had, [], bases)[3] == []
