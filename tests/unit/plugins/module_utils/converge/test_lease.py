# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease on a host: one rollout has it, it ends by itself, it can be taken over in so many words, damage locks nobody out."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import lease


def test_who_has_it_renews_it_and_nobody_else_gets_it(tmp_path):
    root = str(tmp_path)
    assert lease.take("one", "ops@deploy-1", 60, root=root, now=1000.0) == {"changed": True, "until": 1060.0, "taken_from": None}
    assert lease.take("one", "ops@deploy-1", 60, root=root, now=1030.0)["until"] == 1090.0
    with pytest.raises(
        lease.LeaseError, match=r"in the rollout of ops@deploy-1 until .* \(in 20 s\); wait for it, or take it over \(take_over=true"
    ):
        lease.take("two", "ops@deploy-2", 60, root=root, now=1070.0)


def test_it_ends_by_itself(tmp_path):
    root = str(tmp_path)
    lease.take("one", "ops@deploy-1", 60, root=root, now=1000.0)
    assert lease.take("two", "ops@deploy-2", 60, root=root, now=1060.0)["taken_from"] is None


def test_it_can_be_taken_over_and_then_the_first_has_lost_it(tmp_path):
    root = str(tmp_path)
    lease.take("one", "ops@deploy-1", 60, root=root, now=1000.0)
    assert lease.take("two", "ops@deploy-2", 60, True, root, 1001.0)["taken_from"] == "ops@deploy-1"
    with pytest.raises(lease.LeaseError, match="ops@deploy-2"):
        lease.take("one", "ops@deploy-1", 60, root=root, now=1002.0)
    assert not lease.release("one", root)["changed"], "what another one has stays"
    assert lease.release("two", root)["changed"]
    assert not lease.release("two", root)["changed"]
    assert lease.take("one", "ops@deploy-1", 60, root=root, now=1003.0)["taken_from"] is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"owner": "x"}', '{"owner": "x", "until": "soon"}'])
def test_a_damaged_lease_is_none(tmp_path, text):
    root = str(tmp_path)
    path = os.path.join(root, lease.LEASE)
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    assert lease.take("one", "ops", 60, root=root, now=1.0)["taken_from"] is None


def test_a_host_that_cannot_write_it_down_says_so(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(lease.LeaseError, match="/run/multikernel/lease cannot be opened: Not a directory"):
        lease.take("one", "ops", 60, root=str(tmp_path))


def test_a_lease_that_cannot_be_replaced_says_so(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    root = str(tmp_path)
    lease.take("one", "ops", 60, root=root, now=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(lease.files, "replace_json", full)
        with pytest.raises(lease.LeaseError, match=r"/var/lib/multikernel/lease\.json cannot be written: No space left on device"):
            lease.take("one", "ops", 60, root=root, now=2.0)
        patch.setattr(lease.files, "remove", full)
        with pytest.raises(lease.LeaseError, match=r"/var/lib/multikernel/lease\.json cannot be removed: No space left on device"):
            lease.release("one", root)
    assert lease.release("one", root)["changed"]
