# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of runbooks runs what stands there, and finds out when a page promises something else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))

import runbook

PAGES = sorted((TOP / "docs/runbooks").glob("*.md"))


def page(*blocks: str, first: str = "Nothing is set.") -> str:
    return "\n\n".join(["# A page", first, *blocks]) + "\n"


def commands(text: str) -> str:
    return f"```sh\n{text}\n```"


def shown(text: str, lead: str = runbook.SHOWS) -> str:
    return f"{lead}\n\n```text\n{text}\n```"


def run(text: str, timeout: float = 20.0) -> None:
    runbook.run(runbook.parse(text), timeout)


def test_blocks_are_run_in_order_and_what_one_leaves_the_next_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        page(
            commands(f"cd {tmp_path}\nwho='a b'"), "Then:", commands('echo "$who in $PWD" > said'), commands("cat said"), shown("a b in …")
        )
    )
    assert (tmp_path / "said").read_text() == f"a b in {tmp_path}\n"
    assert f"a b in {tmp_path}" in capsys.readouterr().out


def test_a_command_that_fails_anywhere_in_a_block_fails_the_page() -> None:
    for text in ("false\ntrue", "true\nfalse | true", "exit 3"):
        with pytest.raises(runbook.RunbookError, match="line 5: the page says that it works, and its status is"):
            run(page(commands(text)))


def test_a_failure_that_the_page_promises_must_come() -> None:
    run(page(commands("echo so it is >&2; exit 4"), shown("so it is", runbook.FAILS)))
    with pytest.raises(runbook.RunbookError, match="the page says that it fails, and its status is 0"):
        run(page(commands("echo so it is"), shown("so it is", runbook.FAILS)))


def test_what_is_shown_must_be_there_in_this_order() -> None:
    run(page(commands("printf '%s\\n' one two three"), shown("one\n…\nthree")))
    for wrong in ("three\none", "four", "one\none"):
        with pytest.raises(runbook.RunbookError, match="the output does not have it there"):
            run(page(commands("printf '%s\\n' one two three"), shown(wrong)))


def test_dots_stand_for_anything_within_a_line_only() -> None:
    assert runbook.missing(["gap of … ms"], "a gap of 12.5 ms\n") is None
    assert runbook.missing(["gap of … ms"], "a gap of\n12.5 ms\n") == "gap of … ms"
    assert runbook.missing(["a   b"], "x a b y\n") is None
    assert runbook.missing(["a.b"], "acb\n") == "a.b"


def test_the_variables_of_the_first_paragraph_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(commands('test "$INVENTORY" = here'), first="`INVENTORY` is an inventory,\nand `LAYOUT` a layout; `web` is a name.")
    monkeypatch.setenv("INVENTORY", "here")
    monkeypatch.delenv("LAYOUT", raising=False)
    with pytest.raises(runbook.RunbookError, match="they are not: LAYOUT"):
        run(text)
    monkeypatch.setenv("LAYOUT", "there")
    run(text)


def test_a_block_that_does_not_end_is_cut_off_and_its_words_are_kept() -> None:
    with pytest.raises(runbook.RunbookError, match=r"(?s)not done within 0\.5 s.*begun"):
        run(page(commands("echo begun\nsleep 60")), timeout=0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (page("No commands."), "no block of commands"),
        (page("```sh\ntrue"), "the block has no end"),
        (page(shown("alone")), "follows no block of commands"),
        (page(commands("true"), "Words between.", shown("lost")), "follows no block of commands"),
    ],
)
def test_a_page_that_nobody_could_follow_is_refused(text: str, words: str) -> None:
    with pytest.raises(runbook.RunbookError, match=words):
        runbook.parse(text)


def test_the_status_of_the_runner_tells(tmp_path: Path) -> None:
    for text, status in ((commands("true"), 0), (commands("false"), 1)):
        (tmp_path / "page.md").write_text(page(text))
        done = subprocess.run([sys.executable, TOP / "tests/runbook.py", tmp_path / "page.md"], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_every_runbook_can_be_followed_and_shows_what_comes_of_it(path: Path) -> None:
    read = runbook.parse(path.read_text())
    assert any(block.shows for block in read.blocks)
