# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a rollout as the playbook takes them: each reads what was seen of the hosts, decides, and writes the ledger and the report.

What was seen of a host is `{"look": host.look()}`, or `{"failed": true, "msg": ...}`, or `{"unreachable": true, "msg": ...}`, each with
`wanted`, the digest of the layout that it is to have, where that could be read.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from . import gate, host, waves
from .ledger import Ledger, LedgerError, Shelf, rollout_digest, write

Plain = dict[str, t.Any]


class RolloutError(Exception):
    """The rollout does not begin or go on; the text is a sentence, result what the task returns besides."""

    def __init__(self, message: str, **result: t.Any) -> None:
        self.result = result
        super().__init__(message)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user says. report: a file on the controller, empty for none. process: the ansible-playbook that the lock belongs to."""

    waves: tuple[t.Any, ...] = waves.DEFAULT
    budget: t.Any = 0
    returns: str = "wave"
    dry_run: bool = False
    folder: str = ""
    report: str = ""
    process: int = 0
    who: str = "somebody"


def check(settings: Settings, hosts: t.Sequence[str]) -> Plain:
    """Refuse what cannot be meant, before a host is touched. Returns owner and who, for the leases. Raises RolloutError."""
    try:
        waves.sizes(settings.waves)
        gate.budget(settings.budget, len(hosts))
    except (waves.WaveError, gate.BudgetError) as error:
        raise RolloutError(f"{error}; no host was touched") from error
    if settings.dry_run:
        return {"owner": "", "who": settings.who}
    shelf = Shelf(settings.folder)
    _or_sentence(shelf.lock, settings.process, f"{len(hosts)} hosts")
    return {"owner": _or_sentence(shelf.owner), "who": settings.who}


def plan(settings: Settings, seen: t.Mapping[str, Plain], canaries: t.Collection[str] = ()) -> Plain:
    """Judge every host and plan the waves. Raises RolloutError when too many would refuse; then nothing was changed."""
    shelf = Shelf(settings.folder)
    digest = rollout_digest(one["wanted"] for one in seen.values() if one.get("wanted"))
    ledger = _or_sentence(shelf.open, digest)
    unsettled = ledger.unsettled
    _begin(ledger, settings, unsettled)
    for name in set(ledger.hosts) - set(seen):
        del ledger.hosts[name]
    for name, one in seen.items():
        _judge(ledger, name, one, name in unsettled)
    fleet = [
        waves.Host(name, one.get("kind") or "", one["state"] == "done", name in canaries)
        for name, one in ledger.hosts.items()
        if one["state"] in ("planned", "done")
    ]
    planned = waves.plan(fleet, waves.sizes(settings.waves))
    ledger.waves = [
        {**dataclasses.asdict(wave), "hosts": list(wave.hosts), "begun": None, "seconds": None, "gate": None} for wave in planned
    ]
    for wave in planned:
        for name in wave.hosts:
            ledger.hosts[name]["wave"] = wave.number
    decision = gate.start(ledger.states, gate.budget(settings.budget, len(seen)))
    ledger.say(f"{len(seen)} hosts were looked at: {decision.reason}")
    ledger.outcome = ("dry run" if settings.dry_run else "open") if decision.go else "refused"
    told = {
        "digest": digest,
        "go": decision.go,
        "reason": decision.reason,
        "waves": [{key: wave[key] for key in ("number", "label", "canary", "hosts")} for wave in ledger.waves],
        "hosts": [name for wave in planned for name in wave.hosts],
        "text": text(ledger),
    }
    _write(settings, ledger)
    if not decision.go:
        raise RolloutError(decision.reason + "".join(f"\n{name}: {ledger.hosts[name]['reason']}" for name in decision.damaged[:20]), **told)
    return told


def leased(settings: Settings, results: t.Mapping[str, Plain]) -> None:
    """Every host that answers has to be ours before anything is written to one. Raises RolloutError."""
    lost = {
        name: str(one.get("msg", "it does not say why")) for name, one in results.items() if one.get("failed") and not one.get("timedout")
    }
    if lost:
        _close(settings)
        shown = "".join(f"\n{name}: {why}" for name, why in list(lost.items())[:20])
        raise RolloutError(f"{len(lost)} hosts could not be reserved for this rollout, nothing was changed:{shown}")


def open_wave(settings: Settings, digest: str, number: int) -> Plain:
    """A wave begins. Written down before its hosts are touched, so that whoever resumes knows which those are."""
    ledger = _ledger(settings, digest)
    wave = ledger.waves[number - 1]
    wave["begun"] = time.time()
    for name in wave["hosts"]:
        ledger.set(name, "applying")
    ledger.say(f"wave {number} ({wave['label']}) begins: {len(wave['hosts'])} hosts")
    _write(settings, ledger)
    return {"hosts": wave["hosts"]}


def applied(settings: Settings, digest: str, number: int, results: t.Mapping[str, Plain]) -> Plain:
    """What came of the change of each host. Returns touched: those to look at before the next wave, of this wave and all before."""
    ledger = _ledger(settings, digest)
    wave = ledger.waves[number - 1]
    for name in wave["hosts"]:
        one = results.get(name) or {}
        why = str(one.get("msg") or "its task did not come to an end")
        if one.get("ok"):
            ledger.set(name, "changed")
        elif one.get("unreachable") or one.get("timedout"):
            ledger.set(name, "unreachable", why)
        else:
            ledger.set(name, "stuck" if one.get("stuck") else "failed", why)
    wave["seconds"] = round(time.time() - wave["begun"], 1)
    _write(settings, ledger)
    return {
        "touched": [name for name, one in ledger.hosts.items() if one.get("wave") and one["wave"] <= number and one["state"] != "returned"]
    }


def decide(settings: Settings, digest: str, number: int, seen: t.Mapping[str, Plain]) -> Plain:
    """Whether the next wave may begin, by a fresh look at every host touched so far. Returns go, reason, take_back {host: before}."""
    ledger = _ledger(settings, digest)
    wave = ledger.waves[number - 1]
    for name, one in seen.items():
        _look_again(ledger, name, one)
    allowed = gate.budget(settings.budget, len(ledger.hosts))
    last = number == len(ledger.waves)
    decision = gate.after(ledger.states, wave["hosts"], wave["canary"], allowed, settings.returns, last)
    back = {
        name: ledger.hosts[name]["before"] for name in decision.take_back if ledger.hosts[name]["before"] != ledger.hosts[name]["wanted"]
    }
    wave["gate"] = {"go": decision.go, "reason": decision.reason}
    ledger.outcome = "open" if decision.go else "stopped"
    ledger.say(f"gate of wave {number}: {decision.reason}")
    _write(settings, ledger)
    return {"go": decision.go, "reason": decision.reason, "take_back": back, "text": text(ledger)}


def returned(settings: Settings, digest: str, results: t.Mapping[str, Plain], seen: t.Mapping[str, Plain]) -> Plain:
    """What came of taking back. A host is returned when it says itself that it has its earlier layout."""
    ledger = _ledger(settings, digest)
    for name, result in results.items():
        one, look = ledger.hosts[name], (seen.get(name) or {}).get("look")
        why = one["reason"]
        trouble = str(result.get("msg") or "") if result.get("failed") or result.get("unreachable") else ""
        if look is None:
            ledger.set(name, "unreachable", "it could not be taken back: it does not answer; " + _finish(name, one))
        elif look["digest"] == one["before"]:
            ledger.set(name, "returned", why or "its wave was taken back")
        else:
            ledger.set(name, "stuck", f"it could not be taken back: {trouble or 'it still has the new layout'}; {_finish(name, one)}")
    back = sum(ledger.hosts[name]["state"] == "returned" for name in results)
    ledger.say(f"{back} of {len(results)} hosts have their earlier layout again")
    _write(settings, ledger)
    return {"text": text(ledger)}


def end(settings: Settings, digest: str) -> Plain:
    """The last word, whatever came of it."""
    ledger = _ledger(settings, digest)
    if ledger.outcome == "open":
        ledger.outcome = "finished"
    done = sum(state in ("done", "healthy") for state in ledger.states.values())
    ledger.say(f"the rollout is {ledger.outcome}: {done} of {len(ledger.hosts)} hosts have the layout and are well")
    _write(settings, ledger)
    _close(settings)
    return {"text": text(ledger)}


def text(ledger: Ledger) -> list[str]:
    """The rollout in lines: its waves, each host with its state and what it costs, and what is left out."""
    lines = [f"rollout {ledger.digest[:12]}, {len(ledger.hosts)} hosts, {len(ledger.waves)} waves, {ledger.outcome}"]
    width = max((len(name) for name in ledger.hosts), default=4)
    for wave in ledger.waves:
        lines.append(f"wave {wave['number']} ({wave['label']}): {len(wave['hosts'])} hosts")
        lines += [_host_line(name, ledger.hosts[name], width) for name in wave["hosts"]]
    rest = [name for name, one in ledger.hosts.items() if not one.get("wave")]
    if rest:
        lines.append("in no wave:")
        lines += [_host_line(name, ledger.hosts[name], width) for name in rest]
    return lines


def _host_line(name: str, one: Plain, width: int) -> str:
    blackout = f"; blackout: {host.blackout_line(one.get('blackout') or {})}" if one["state"] == "planned" else ""
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"  {name:{width}}  class {one.get('kind') or 'not known'}  {one['state']}{reason}{blackout}"


def _begin(ledger: Ledger, settings: Settings, unsettled: set[str]) -> None:
    ledger.attempts += 1
    ledger.settings = {"waves": [str(one) for one in settings.waves], "budget": str(settings.budget), "return": settings.returns}
    if not ledger.begun:
        ledger.begun = time.time()
        return
    cut = f"; the controller was lost in a wave, whose {len(unsettled)} hosts are looked at again" if unsettled else ""
    ledger.say(f"attempt {ledger.attempts} of this rollout{cut}")


def _judge(ledger: Ledger, name: str, one: Plain, unsettled: bool) -> None:
    """The state of a host before the first wave. What an earlier attempt changed and no gate passed is planned once more."""
    earlier = ledger.hosts.get(name) or {}
    look = one.get("look")
    ledger.hosts[name] = {"before": earlier.get("before"), "wanted": one.get("wanted"), "kind": earlier.get("kind"), "wave": None}
    if look is None:
        state = "unreachable" if one.get("unreachable") or one.get("timedout") else "skipped"
        ledger.set(name, state, str(one.get("msg") or "it does not answer"))
        return
    ledger.kinds[look["kind"]] = host.kind_line(look["kind_words"])
    ledger.hosts[name].update(kind=look["kind"], blackout=look["blackout"], plan=look["plan"])
    if look["digest"] != look["wanted"] or "before" not in earlier:
        ledger.hosts[name]["before"] = look["digest"]
    if look["refused"]:
        ledger.set(name, "skipped", "; ".join(look["refused"]))
    elif look["done"] and not unsettled:
        ledger.set(name, "done")
    elif look["digest"] == look["wanted"] and look["ill"] and not look["plan"] and not unsettled:
        ledger.set(name, "sick", "before this rollout already: " + "; ".join(look["ill"]))
    else:
        ledger.set(name, "planned")


def _look_again(ledger: Ledger, name: str, one: Plain) -> None:
    state, look = ledger.hosts[name]["state"], one.get("look")
    if look is None:
        if one.get("unreachable") or one.get("timedout"):
            ledger.set(name, "unreachable", str(one.get("msg") or "it does not answer"))
        else:
            ledger.set(name, "sick", str(one.get("msg") or "it could not be looked at"))
    elif state in ("stuck", "returned"):
        return
    elif one.get("check"):
        ledger.set(name, "sick", str(one["check"]))
    elif look["digest"] == look["wanted"]:
        wrong = look["ill"] or look["refused"]
        ledger.set(name, "healthy" if look["done"] else "sick", "; ".join(wrong))
    elif state == "failed" or (state == "unreachable" and look["digest"] == ledger.hosts[name]["before"]):
        ledger.set(name, "failed", ledger.hosts[name]["reason"])
    else:
        ledger.set(name, "sick", f"it has the layout {str(look['digest'])[:12]} instead of {look['wanted'][:12]}")


def _finish(name: str, one: Plain) -> str:
    """The one command that takes a host back later."""
    how = (
        f"-e multikernel_rollback_to={one['before'][:12]} multikernel.core.rollback"
        if one["before"]
        else "-e multikernel_state=absent multikernel.core.apply"
    )
    return f"when it answers: ansible-playbook --limit {name} {how}"


def _ledger(settings: Settings, digest: str) -> Ledger:
    ledger: Ledger | None = _or_sentence(Shelf(settings.folder).load, digest)
    if ledger is None:
        raise RolloutError(f"the ledger of the rollout {digest[:12]} is gone; run the playbook again: hosts tell themselves what they have")
    return ledger


def _write(settings: Settings, ledger: Ledger) -> None:
    """The ledger, unless nothing is to be changed; and the report of the run as far as it came."""
    if not settings.dry_run:
        _or_sentence(Shelf(settings.folder).save, ledger)
    if settings.report:
        from .._report import rollout as page  # only who wants a report waits for it

        _or_sentence(write, settings.report, page.page(ledger))


def _close(settings: Settings) -> None:
    if not settings.dry_run:
        _or_sentence(Shelf(settings.folder).unlock, settings.process)


def _or_sentence(function: t.Any, *arguments: t.Any) -> t.Any:
    try:
        return function(*arguments)
    except LedgerError as error:
        raise RolloutError(str(error)) from error
