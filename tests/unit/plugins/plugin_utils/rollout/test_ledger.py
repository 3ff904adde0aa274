# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: replaced as a whole, told apart from damage; the lock: one rollout at a time, and no dead one in the way."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout.ledger import Ledger, LedgerError, Shelf, rollout_digest

DIGEST = "4cb0" * 16


@pytest.fixture
def shelf(tmp_path: pathlib.Path) -> Shelf:
    return Shelf(str(tmp_path / "ledger"))


def test_a_ledger_comes_back_as_it_was_written(shelf: Shelf) -> None:
    ledger = shelf.open(DIGEST)
    ledger.set("edge-1", "planned", kind="aa", wave=1)
    ledger.say("it began")
    os.makedirs(shelf.folder, exist_ok=True)
    shelf.save(ledger)
    assert shelf.load(DIGEST) == ledger
    assert sorted(os.listdir(shelf.folder)) == [f"{DIGEST}.json"], "nothing is left beside it"


def test_since_is_when_the_state_changed() -> None:
    ledger = Ledger(DIGEST)
    ledger.set("edge-1", "applying", now=1.0)
    ledger.set("edge-1", "applying", "still", now=2.0)
    assert (ledger.hosts["edge-1"]["since"], ledger.hosts["edge-1"]["reason"]) == (1.0, "still")
    ledger.set("edge-1", "healthy", now=3.0)
    assert ledger.hosts["edge-1"]["since"] == 3.0
    with pytest.raises(ValueError, match="no state"):
        ledger.set("edge-1", "fine")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "{", '{"version": 2, "digest": "x"}', json.dumps({"version": 1, "digest": DIGEST, "more": 1})]
)
def test_a_damaged_ledger_is_a_sentence_that_says_what_to_do(shelf: Shelf, text: str) -> None:
    os.makedirs(shelf.folder)
    pathlib.Path(shelf.path(DIGEST)).write_text(text)
    with pytest.raises(LedgerError, match=r"cannot be used .*move it away: hosts that have the layout are recognised without it"):
        shelf.open(DIGEST)


def test_a_digest_names_a_file_and_nothing_else(shelf: Shelf) -> None:
    with pytest.raises(LedgerError, match="no digest"):
        shelf.load("../../etc/passwd")


def test_a_rollout_of_one_layout_is_known_by_its_digest_and_one_of_many_by_all_of_them() -> None:
    assert rollout_digest([DIGEST, DIGEST]) == DIGEST
    many = rollout_digest(["b" * 64, "a" * 64])
    assert many == rollout_digest(["a" * 64, "b" * 64, "a" * 64])
    assert many not in ("a" * 64, "b" * 64)


def test_two_rollouts_at_a_time_are_refused_with_who_is_at_it(shelf: Shelf) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            shelf.lock(other.pid, "40 hosts")
            with pytest.raises(LedgerError, match=rf"another rollout is at it: process {other.pid} of user .*for 40 hosts"):
                shelf.lock(os.getpid(), "2 hosts")
            shelf.unlock(os.getpid())
            with pytest.raises(LedgerError):
                shelf.lock(os.getpid(), "2 hosts")
        finally:
            other.kill()
    shelf.lock(os.getpid(), "2 hosts")  # who had it is dead: nobody has to clean up after a killed controller
    shelf.lock(os.getpid(), "2 hosts")
    shelf.unlock(os.getpid())
    assert "lock.json" not in os.listdir(shelf.folder)


def test_a_recycled_process_id_is_no_holder(shelf: Shelf) -> None:
    shelf.lock(os.getpid(), "2 hosts")
    record = pathlib.Path(shelf.folder) / "lock.json"
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, "pid": os.getppid(), "started": told["started"] - 1}))
    shelf.lock(os.getpid(), "2 hosts")


def test_the_owner_is_the_same_for_all_rollouts_of_a_folder(shelf: Shelf, tmp_path: pathlib.Path) -> None:
    assert shelf.owner() == shelf.owner() != Shelf(str(tmp_path / "other")).owner()


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="rollout_folder names another"):
        Shelf(str(tmp_path / "file")).lock(os.getpid(), "2 hosts")


def test_what_was_touched_and_never_judged_is_unsettled() -> None:
    ledger = Ledger(DIGEST, waves=[{"hosts": ["a"], "gate": {"go": True}}, {"hosts": ["b", "c"], "gate": None}])
    for name, state, wave in (("a", "healthy", 1), ("b", "changed", 2), ("c", "failed", 2), ("d", "planned", 3)):
        ledger.set(name, state, wave=wave)
    assert ledger.unsettled == {"b"}
