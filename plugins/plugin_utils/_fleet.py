# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of many machines would a layout break, and why: one answer for a fleet, from its facts bundles alone.

Each machine has one of four verdicts. ok: everything was judged, and nothing speaks against it. refused: a rule failed, or the
layout has no place there. unknown: nothing failed, but something that would block an apply is not known. unreadable: its bundle
is damaged, so that nothing can be said. Machines with the same verdict for the same reasons form a group.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gc
import multiprocessing
import os
import typing as t

from ._check import failures, judged
from ._facts import read_facts
from ._model.errors import LayoutError, LayoutErrors, Locator
from ._model.spelling import show
from ._subject import finding_line, located

Plain = dict[str, t.Any]

OK, REFUSED, UNKNOWN, UNREADABLE = "ok", "refused", "unknown", "unreadable"
VERDICTS = (OK, REFUSED, UNKNOWN, UNREADABLE)
#: Fewer bundles than this are judged before a second process would have started.
_WORTH_A_PROCESS = 60
_SHOWN_NAMES = 8
_SHOWN_UNKNOWN = 4


@dataclasses.dataclass(frozen=True)
class Machine:
    """What came out for one machine. reasons: the findings behind the verdict, as plain data; sentence: why it is unreadable."""

    name: str
    facts: str
    verdict: str
    reasons: list[Plain] = dataclasses.field(default_factory=list)
    sentence: str | None = None
    warnings: int = 0

    @property
    def key(self) -> tuple[t.Any, ...]:
        """What machines of one group have in common: the same rules at the same places. The numbers in the sentences may differ."""
        return (self.verdict, *sorted({(one["rule"], tuple(map(str, one["path"]))) for one in self.reasons}))


@dataclasses.dataclass(frozen=True)
class Group:
    """Machines that share their reasons. number: as the table shows it, from 1, or None for machines that are ok."""

    number: int | None
    verdict: str
    machines: list[Machine]

    @property
    def reasons(self) -> list[Plain]:
        """The findings as the first machine has them."""
        return self.machines[0].reasons

    @property
    def difference(self) -> str | None:
        """That the sentences of the others name other CPUs or addresses; None where all say the same."""
        if len({tuple(one["message"] for one in machine.reasons) for machine in self.machines}) < 2:
            return None
        return f"the numbers are those of {self.machines[0].name}; the others differ in them"


def bundles(paths: t.Iterable[str]) -> list[str]:
    """The bundles that paths name: files as they are, of folders every *.json in them, by name. Raises LayoutErrors without one."""
    found: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = sorted(entry.path for entry in os.scandir(path) if entry.name.endswith(".json") and entry.is_file())
        if not inside:
            hint = "the playbook multikernel.core.collect writes one for each host"
            raise LayoutErrors([LayoutError((), f"there is no facts bundle (*.json) in the folder {path}", hint)])
        found += inside
    return list(dict.fromkeys(found))


def judge(canonical: Plain, paths: t.Sequence[str], processes: int | None = None) -> list[Machine]:
    """The verdict for each bundle, in the order of the paths. processes: how many at a time (default: one per CPU, when it pays)."""
    if processes is None:
        processes = min(len(os.sched_getaffinity(0)), len(paths) // _WORTH_A_PROCESS)
    if processes < 2:
        return [judge_one(canonical, path) for path in paths]
    # fork: the rules and models are loaded already, and nothing here runs threads.
    with concurrent.futures.ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), initializer=_begin, initargs=(canonical,)
    ) as pool:
        return list(pool.map(_one, paths, chunksize=max(1, len(paths) // (processes * 8))))


def judge_one(canonical: Plain, path: str) -> Machine:
    """The verdict for one bundle; never an exception: a machine that cannot be judged must not hide what is said of the others."""
    try:
        facts = read_facts(path)
    except LayoutErrors as error:
        return Machine(_name(path), path, UNREADABLE, sentence=str(error))
    return verdict(canonical, facts, path)


def verdict(canonical: Plain, facts: Plain, path: str, name: str | None = None) -> Machine:
    """The verdict for facts that were read already. name: what the machine is called (default: its host name, else its file)."""
    name = _printable(name or facts["hostname"] or _name(path))
    try:
        findings, _placed = judged(canonical, facts)
    except Exception as error:  # noqa: BLE001  # facts are other people's data; what no rule foresaw concerns this machine alone
        return Machine(name, path, UNREADABLE, sentence=f"the facts {path} cannot be judged: {type(error).__name__}: {error}")
    told = [finding.to_dict() for finding in findings if finding.blocks]
    warnings = sum(1 for finding in findings if finding.severity == "warning" and finding.verdict == "fail")
    broken = failures(told)
    if broken:
        return Machine(name, path, REFUSED, broken, warnings=warnings)
    return Machine(name, path, UNKNOWN if told else OK, told, warnings=warnings)


def groups(machines: t.Iterable[Machine]) -> list[Group]:
    """Machines by verdict and reasons: the refused first, the largest group first, those that are ok last."""
    together: dict[tuple[t.Any, ...], list[Machine]] = {}
    for machine in machines:
        # Each damaged bundle is damaged in its own way.
        together.setdefault((machine.verdict, machine.facts) if machine.verdict == UNREADABLE else machine.key, []).append(machine)
    order = {REFUSED: 0, UNREADABLE: 1, UNKNOWN: 2, OK: 3}
    ordered = sorted(together.values(), key=lambda group: (order[group[0].verdict], -len(group)))
    return [Group(number if group[0].verdict != OK else None, group[0].verdict, group) for number, group in enumerate(ordered, 1)]


def counts(machines: t.Iterable[Machine]) -> dict[str, int]:
    """How many machines have each verdict."""
    found = dict.fromkeys(VERDICTS, 0)
    for machine in machines:
        found[machine.verdict] += 1
    return found


def to_dict(machines: t.Sequence[Machine], locator: Locator | None = None) -> Plain:
    """The answer as plain data: counts, one entry for each machine with the number of its group, and the groups with their reasons."""
    together = groups(machines)
    number = {machine.facts: group.number for group in together for machine in group.machines}
    return {
        "counts": counts(machines),
        "machines": [
            {
                "name": machine.name,
                "facts": machine.facts,
                "verdict": machine.verdict,
                "group": number[machine.facts],
                "warnings": machine.warnings,
                "message": machine.sentence,
            }
            for machine in machines
        ],
        "groups": [
            {
                "group": group.number,
                "verdict": group.verdict,
                "machines": [machine.name for machine in group.machines],
                "reasons": [_placed(one, locator) for one in group.reasons],
                "message": group.machines[0].sentence,
            }
            for group in together
            if group.number is not None
        ],
    }


def findings(machines: t.Sequence[Machine], locator: Locator | None = None) -> list[Plain]:
    """The reasons of all groups of refused machines as findings, each with the machines in its sentence."""
    return [
        {**_placed(one, locator), "message": f"{one['message']} ({_names(group.machines)})"}
        for group in groups(machines)
        if group.verdict == REFUSED
        for one in group.reasons
    ]


def text(machines: t.Sequence[Machine], locator: Locator | None = None, verbose: bool = False) -> str:
    """The answer for people: a table with one line for each machine, then each group's reasons once.

    Of what is not known only the beginning is shown unless verbose: without the facts of an image, everything about it is not known.
    """
    together = groups(machines)
    number = {machine.facts: group.number for group in together for machine in group.machines}
    width = max([len("MACHINE"), *(len(machine.name) for machine in machines)])
    lines = [f"{'MACHINE':{width}}  VERDICT     WHY"]
    for machine in machines:
        why = f"[{number[machine.facts]}] {_short(machine)}" if number[machine.facts] is not None else ""
        lines.append(f"{machine.name:{width}}  {machine.verdict:10}  {why}".rstrip())
    for group in together:
        if group.number is None:
            continue
        lines += ["", f"[{group.number}] {group.verdict}: {_names(group.machines)}"]
        if group.machines[0].sentence:
            lines.append(f"    {group.machines[0].sentence}")
        shown = group.reasons if verbose or group.verdict != UNKNOWN else group.reasons[:_SHOWN_UNKNOWN]
        lines += [f"    {finding_line(_placed(one, locator))}" for one in shown]
        if len(shown) < len(group.reasons):
            lines.append(f"    and {len(group.reasons) - len(shown)} more (-v shows them)")
        if group.difference:
            lines.append(f"    ({group.difference})")
    said = counts(machines)
    total = len(machines)
    lines += ["", f"{total} machine{'s' if total != 1 else ''}: " + ", ".join(f"{said[one]} {one}" for one in VERDICTS)]
    return "\n".join(lines)


def _placed(finding: Plain, locator: Locator | None) -> Plain:
    """The finding with its place in the text; one that has it already keeps it."""
    return finding if "file" in finding else located(finding, locator)


def _short(machine: Machine) -> str:
    """The rules behind a verdict, as many as fit into a table."""
    if machine.verdict == UNREADABLE:
        return "its bundle cannot be used"
    rules = list(dict.fromkeys(one["rule"] for one in machine.reasons))
    return ", ".join(rules[:4]) + (f" and {len(rules) - 4} more" if len(rules) > 4 else "")


def _names(machines: t.Sequence[Machine]) -> str:
    names = [machine.name for machine in machines]
    if len(names) <= _SHOWN_NAMES:
        return ", ".join(names)
    return f"{len(names)} machines: {', '.join(names[:_SHOWN_NAMES])} and {len(names) - _SHOWN_NAMES} more"


def _name(path: str) -> str:
    return _printable(os.path.splitext(os.path.basename(path))[0])


def _printable(name: str) -> str:
    """A name out of a file as it may stand in a table: one short word, whatever it was."""
    return name if name.isprintable() and len(name) <= 64 else show(name)


_shared: Plain = {}


def _begin(canonical: Plain) -> None:
    # What came with the fork is never garbage; looking at it would copy the parent's memory page by page.
    gc.freeze()
    _shared["canonical"] = canonical


def _one(path: str) -> Machine:
    return judge_one(_shared["canonical"], path)
