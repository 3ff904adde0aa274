# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a page of docs/runbooks exactly as it is written, and hold what it prints against what the page shows.

    tests/runbook.py docs/runbooks/PAGE.md [--timeout SECONDS]

The first paragraph below the title names the environment variables that the reader sets, as `NAME`; all of them must be set. Each fenced
block `sh` is run in order by bash, in one folder, which the first block begins in the current one; what a block leaves (folder, variables)
the next one finds. A block fails when any command of it fails. A fenced block `text` behind it holds lines of its output:

    It shows:            every line of the text occurs in the output, in this order
    It fails, and shows: the same, and the block ends with a status other than zero

`…` in a line stands for anything within the line; a line of `…` alone for any lines, which may always be there. The number of
blanks does not count.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHOWS, FAILS = "It shows:", "It fails, and shows:"
ANY = "…"
NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")
# What a block leaves behind is written when it ends, however it ends.
AROUND = """set -aeEo pipefail
. "$RUNBOOK_STATE/variables"
cd -- "$(cat "$RUNBOOK_STATE/folder")"
trap 'pwd >"$RUNBOOK_STATE/folder"; export -p >"$RUNBOOK_STATE/variables"' EXIT
. "$RUNBOOK_STATE/block"
"""


class RunbookError(Exception):
    """The page cannot be run, or the machine did not do what the page says; the text says which line of the page."""


@dataclasses.dataclass
class Block:
    """Commands of a page: the line of its fence, the text as it stands there, what the page says that comes of it."""

    line: int
    commands: str
    shows: list[str] = dataclasses.field(default_factory=list)
    fails: bool = False


@dataclasses.dataclass
class Page:
    """A runbook: the variables that its reader sets, and its blocks in order."""

    variables: list[str]
    blocks: list[Block]


def parse(text: str) -> Page:
    """Read a page. Raises RunbookError for one that no reader could follow."""
    lines = text.splitlines()
    page = Page(_variables(lines), [])
    said, number, target = "", 0, None
    while number < len(lines):
        fence = re.fullmatch(r"(`{3,})(\w*)", lines[number].rstrip())
        if fence is None:
            if lines[number].strip():
                said = lines[number].strip()
                target = target if said in (SHOWS, FAILS) else None
            number += 1
            continue
        end = next((other for other in range(number + 1, len(lines)) if lines[other].rstrip() == fence[1]), None)
        if end is None:
            raise RunbookError(f"line {number + 1}: the block has no end")
        inside = lines[number + 1 : end]
        if fence[2] == "sh":
            target = Block(number + 1, "\n".join(inside) + "\n")
            page.blocks.append(target)
        elif fence[2] == "text" and said in (SHOWS, FAILS):
            if target is None:
                raise RunbookError(f"line {number + 1}: '{said}' follows no block of commands")
            target.shows, target.fails = [line for line in inside if line.strip()], said == FAILS
            target = None
        said, number = "", end + 1
    if not page.blocks:
        raise RunbookError("the page has no block of commands (```sh)")
    return page


def _variables(lines: list[str]) -> list[str]:
    """The names in the first paragraph below the title."""
    start = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith(("#", "<!--"))), len(lines))
    end = next((number for number in range(start, len(lines)) if not lines[number].strip()), len(lines))
    return list(dict.fromkeys(NAME.findall("\n".join(lines[start:end]))))


def missing(shows: list[str], output: str) -> str | None:
    """The first line of the page that the output does not have at its place; None when all are there in order."""
    said = [" ".join(line.split()) for line in output.splitlines()]
    place = 0
    for line in shows:
        wanted = " ".join(line.split())
        if wanted == ANY:
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in wanted.split(ANY)))
        found = next((number for number in range(place, len(said)) if pattern.search(said[number])), None)
        if found is None:
            return line
        place = found + 1
    return None


def run(page: Page, timeout: float) -> None:
    """Run every block, showing its output. Raises RunbookError at the first that does other than the page says."""
    unset = [name for name in page.variables if not os.environ.get(name)]
    if unset:
        raise RunbookError(f"the page says that these are set, and they are not: {', '.join(unset)}")
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        (state / "variables").write_text("")
        (state / "folder").write_text(os.getcwd())
        for block in page.blocks:
            begin = time.monotonic()
            print(f"--- line {block.line}\n{block.commands}---", flush=True)
            status, output = _bash(block, state, timeout)
            print(f"{output}--- status {status} after {time.monotonic() - begin:.1f} s", flush=True)
            _judge(block, status, output)


def _bash(block: Block, state: Path, timeout: float) -> tuple[int, str]:
    (state / "block").write_text(block.commands)
    with (state / "output").open("w+", errors="replace") as output:
        done = subprocess.Popen(
            ["bash", "-c", AROUND],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "RUNBOOK_STATE": str(state)},
            start_new_session=True,  # what a block starts ends with it when it takes too long
        )
        try:
            done.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(done.pid, signal.SIGKILL)
            done.wait()
            text = (state / "output").read_text(errors="replace")
            raise RunbookError(f"line {block.line}: not done within {timeout:g} s; it had said:\n{text}") from None
        return done.returncode, (state / "output").read_text(errors="replace")


def _judge(block: Block, status: int, output: str) -> None:
    if (status != 0) != block.fails:
        wanted = "fails" if block.fails else "works"
        raise RunbookError(f"line {block.line}: the page says that it {wanted}, and its status is {status}")
    line = missing(block.shows, output)
    if line is not None:
        raise RunbookError(f"line {block.line}: the page shows this, and the output does not have it there:\n{line}")


def main() -> int:
    summary, _blank, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="a page of docs/runbooks")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that one block may take (default: 600)")
    options = parser.parse_args()
    try:
        run(parse(options.page.read_text()), options.timeout)
    except (RunbookError, OSError) as error:
        print(f"runbook {options.page.name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
