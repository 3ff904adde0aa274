# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal holds what was written to its end, tolerates what was not, and does not grow for ever."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import files, journal, store


def kinds(book):
    return [record["kind"] for record in journal.read(book.path)]


def test_an_apply_without_end_is_interrupted(tmp_path):
    book = journal.Journal(str(tmp_path))
    assert book.interrupted() == []
    apply = book.begin({"digest": "x"})
    book.write("step", {"number": 0})
    assert [record["kind"] for record in book.interrupted()] == ["begin", "step"]
    assert {record["apply"] for record in book.interrupted()} == {apply}
    book.end("applied")
    assert book.interrupted() == []


def test_only_the_last_apply_counts(tmp_path):
    book = journal.Journal(str(tmp_path))
    book.begin({})
    book.end("applied")
    book.begin({"digest": "second"})
    assert [record["digest"] for record in book.interrupted()] == ["second"]


def test_every_cut_of_the_last_line_leaves_the_lines_before(tmp_path):
    book = journal.Journal(str(tmp_path))
    book.begin({})
    book.write("step", {"number": 0})
    whole = open(book.path, "rb").read()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        with open(book.path, "wb") as file:
            file.write(whole[:length])
        assert kinds(book) == ["begin"]


def test_a_line_that_was_tampered_with_ends_the_journal(tmp_path):
    book = journal.Journal(str(tmp_path))
    book.begin({})
    book.write("step", {"number": 0})
    book.write("done", {"number": 0})
    text = open(book.path, encoding="utf-8").read().replace('"number": 0', '"number": 7', 1)
    with open(book.path, "w", encoding="utf-8") as file:
        file.write(text)
    assert kinds(book) == ["begin"]


def test_what_follows_a_torn_line_can_be_read(tmp_path):
    book = journal.Journal(str(tmp_path))
    apply = book.begin({})
    with open(book.path, "ab") as file:
        file.write(b"0123 {half")
    again = journal.Journal(str(tmp_path))
    again.resume(apply)
    again.end("recovered")
    assert kinds(again) == ["begin", "end"]


def test_the_beginning_and_the_end_are_on_the_disk_and_what_is_between_can_be_read(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    book = journal.Journal(str(tmp_path))
    book.begin({})
    assert synced == [os.path.getsize(book.path)]
    book.write("step", {})
    assert kinds(book) == ["begin", "step"]
    assert len(synced) == 1
    book.end("applied")
    assert synced[1:] == [os.path.getsize(book.path)]


def test_a_long_journal_loses_what_is_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "KEEP", 2000)
    book = journal.Journal(str(tmp_path))
    for _number in range(20):
        book.begin({"filler": "x" * 200})
        book.end("applied")
    assert os.path.getsize(book.path) < 3000
    book.begin({"filler": "x" * 3000})
    assert len(journal.Journal(str(tmp_path)).interrupted()) == 1


def test_what_was_read_to_its_end_is_not_read_twice(tmp_path, monkeypatch):
    book = journal.Journal(str(tmp_path))
    book.begin({})
    book.end("applied")
    reads = []
    scan = journal._scan
    monkeypatch.setattr(journal, "_scan", lambda path: reads.append(path) or scan(path))
    again = journal.Journal(str(tmp_path))
    assert again.interrupted() == []
    again.begin({})
    again.end("applied")
    assert reads == [book.path]
    again.begin({})  # it is longer now
    again.end("applied")
    assert len(reads) == 2
    assert kinds(again) == ["begin", "end"] * 3


def test_a_torn_end_is_cut_off_by_who_looked_before(tmp_path):
    book = journal.Journal(str(tmp_path))
    book.begin({})
    with open(book.path, "ab") as file:
        file.write(b"0123 {half")
    again = journal.Journal(str(tmp_path))
    assert len(again.interrupted()) == 1
    again.begin({})
    again.end("applied")
    assert kinds(again) == ["begin", "begin", "end"]


@pytest.mark.parametrize("damage", ["", "{", "[1]", "{}", '{"version": 2}'])
def test_a_damaged_state_is_no_state(tmp_path, damage):
    path = tmp_path / store.STATE
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    assert store.Store(str(tmp_path)).state() is None


def test_a_reader_never_sees_a_part_of_a_file(tmp_path, monkeypatch):
    path = str(tmp_path / "a" / "state.json")
    files.replace_json(path, {"old": 1})
    monkeypatch.setattr(os, "rename", lambda *_names: (name for name in ()).throw(OSError("power cut")))
    with pytest.raises(OSError, match="power cut"):
        files.replace_json(path, {"new": 2})
    assert files.read_json(path) == {"old": 1}
