# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an apply of molecule/shared/layouts/regrouped.yml: db runs on two cores, tiny is gone."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("name", "cores"), [("db", 2), ("web", 1)])
def test_linux_instance_has_the_cores_it_was_given(multikernel, releases, name, cores):
    instance = multikernel.instance(name)
    assert instance.is_running
    assert instance.is_beating(within=10)
    assert instance.nproc == cores
    assert instance.uname in releases


def test_what_the_layout_has_no_more_is_gone(multikernel):
    assert not multikernel.instance("tiny").exists
    assert multikernel.cpus_online == [0]
