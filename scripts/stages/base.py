# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage of the tests is, and how one is run: limits, logs, counts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOP = Path(os.environ["MULTIKERNEL_CHECKOUT"])
CACHE = Path(os.environ["MULTIKERNEL_CACHE"])
WORK = Path(os.environ["MULTIKERNEL_WORK"])
TREE = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
LOGS = WORK / "log"
LONG = "MULTIKERNEL_LONG"  # set where the long runs are wanted; tests/testinfra/conftest.py asks for it, too
SHOWN_ON_FAILURE = 150  # lines
# Lines that say why, in the words of Ansible, pytest, ansible-test, the kernel harness and compilers; they are said once more at the end.
REASON = re.compile(r"fatal: \[|\[ERROR\]|ERROR: |^not ok |^E   |^FAILED |: error: ")
FRAME = re.compile(r"\x1b\[[0-9;]*m|^[\s│]+", re.MULTILINE)  # colours, and the bar that molecule draws beside a playbook
REASONS: list[str] = []
_RUNNING: set[subprocess.Popen[bytes]] = set()
REASONS_OF_ONE, REASON_LENGTH = 12, 600


def long() -> bool:
    """Whether the long runs are wanted."""
    return bool(os.environ.get(LONG))


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


@dataclass(frozen=True)
class Stage:
    """One part of the tests: a name to call it by, what a pass promises, and the function that runs it."""

    name: str
    promise: str
    run: Callable[[], Counts]
    quick: bool = False
    long: bool = False  # only where it is named, or with the long runs
    beside: bool = False  # may run at the same time as its neighbours in the list that may, too


def run(stage: Stage) -> tuple[Counts, float]:
    """Run one stage and return its counts and seconds. A stage that breaks counts as one failure: it never ends the run."""
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        counts = stage.run()
    except Exception:  # noqa: BLE001  # the other stages still have something to tell
        traceback.print_exc(file=sys.stdout)
        counts = Counts(failed=1)
    return counts, time.monotonic() - began


def command(
    name: str,
    words: Sequence[str | Path],
    *,
    limit: float,
    cwd: Path = TOP,
    environment: Mapping[str, str | None] | None = None,
    follow: bool = False,
) -> tuple[int, str]:
    """Run a command for at most ``limit`` seconds; return its exit status (124 after the limit) and its output.

    ``environment`` changes variables, None removes one. With ``follow`` the lines are shown as they come, for commands that take minutes.
    The output is also kept in the log folder as ``NAME.log``.
    """
    variables = dict(os.environ)
    for variable, value in (environment or {}).items():
        if value is None:
            variables.pop(variable, None)
        else:
            variables[variable] = value
    log = LOGS / f"{name}.log"
    with log.open("wb") as sink:
        # A session of its own, so that the limit ends the command and everything it started, and nothing else.
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _RUNNING.add(process)
        try:
            status = _wait(process, limit, log if follow else None)
        finally:
            _RUNNING.discard(process)
    return status, log.read_text(errors="replace")


def _wait(process: subprocess.Popen[bytes], limit: float, follow: Path | None) -> int:
    deadline = time.monotonic() + limit
    shown = 0
    while True:
        try:
            status = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = None
        if follow is not None:
            shown = _show_from(follow, shown)
        if status is not None:
            return status
        if time.monotonic() > deadline:
            print(f"      the limit of {limit:.0f} s is over; stopping it", flush=True)
            _end(process)
            return 124


def _show_from(log: Path, position: int) -> int:
    with log.open("rb") as source:
        source.seek(position)
        text = source.read()
    sys.stdout.write(text.decode(errors="replace"))
    sys.stdout.flush()
    return position + len(text)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started, also what has a session of its own, as the plays of molecule do; not what went its own way."""
    family = _family(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(member, number)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue


def _family(leader: int) -> list[int]:
    """The process groups of a process and of all that descend from it, the youngest generation first."""
    children: dict[int, list[tuple[int, int]]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _state, parent, group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]  # proc_pid_stat(5)
            children.setdefault(int(parent), []).append((int(stat.parent.name), int(group)))
    groups, left = [leader], [leader]
    while left:
        for child, its_group in children.get(left.pop(), []):
            left.append(child)
            if its_group not in groups:
                groups.append(its_group)
    return groups[::-1]


def end_all() -> None:
    """End every command that is under way."""
    for process in list(_RUNNING):
        _end(process)


def reasons(text: str) -> None:
    """Keep the lines that say why, for the end."""
    lines = FRAME.sub("", FRAME.sub("", text)).splitlines()
    REASONS.extend([line.strip()[:REASON_LENGTH] for line in lines if REASON.search(line)][:REASONS_OF_ONE])


def show(text: str) -> None:
    """Print the end of a failed command's output."""
    reasons(text)
    lines = text.splitlines()
    if len(lines) > SHOWN_ON_FAILURE:
        print(f"      ... the last {SHOWN_ON_FAILURE} of {len(lines)} lines; all of them lie in {LOGS}")
    print("\n".join("      " + line for line in lines[-SHOWN_ON_FAILURE:]), flush=True)


def check(name: str, words: Sequence[str | Path], *, limit: float, **options: object) -> Counts:
    """Run a command that is one test: it passes with exit status 0."""
    status, output = command(name, words, limit=limit, **options)  # type: ignore[arg-type]
    if status == 0:
        return Counts(passed=1)
    show(output)
    return Counts(failed=1)


def counted(name: str, words: Sequence[str | Path], *, limit: float, follow: bool = False) -> Counts:
    """Run a command that counts its own checks in its last line. A bad end, or no check that passed, is a failure more."""
    status, output = command(name, words, limit=limit, follow=follow)
    counts = closing_line(output) or Counts()
    if not counts.passed or (status and not counts.failed):
        counts += Counts(failed=1)
    if counts.failed:
        (reasons if follow else show)(output)  # what was followed has been seen
    return counts


def pytest(name: str, words: Sequence[str | Path], *, limit: float, through: Sequence[str] = (), **options: object) -> Counts:
    """Run pytest, by the module and words of ``through`` where there are some, and take the counts from its own report.

    No test at all is a failure.
    """
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    status, output = command(
        name,
        [sys.executable, *through, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *words],
        limit=limit,
        **options,  # type: ignore[arg-type]
    )
    counts = junit(report)
    if status != 0:
        show(output)
        if not counts.failed:
            counts += Counts(failed=1)
    return counts


def junit(report: Path) -> Counts:
    """The counts of a JUnit XML file; a file that is missing or broken has none."""
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))
    except (OSError, ET.ParseError):
        return Counts()
    total = Counts()
    for suite in suites:
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total += Counts(max(int(suite.get("tests", 0)) - failed - skipped, 0), failed, skipped)
    return total


CLOSING = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)


def closing_line(output: str) -> Counts | None:
    """The counts of the last line of the form ``N passed, N failed[, N skipped]``, or None without one."""
    found = CLOSING.findall(output)
    return Counts(*(int(number or 0) for number in found[-1])) if found else None
