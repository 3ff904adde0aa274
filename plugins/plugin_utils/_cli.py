# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl: read, judge, plan and draw layouts on this machine, without touching another (but for console and channel).

Exit codes: 0 all is well; 1 the layout is invalid, breaks a rule or cannot be planned; 2 the command was used wrongly or a
file cannot be read; 3 a way between two kernels opened (report --diff), or something is not known (validate --strict). Everything
is printed to standard output, usage errors to standard error.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import typing as t

# Everything else is imported where it is used: an answer that needs no layout must not wait for the libraries that read one.
from ._missing import MissingLibraryError

OK, INVALID, USAGE, NOT_KNOWN = 0, 1, 2, 3

_EPILOG = """\
exit codes:
  0  all is well
  1  the layout is invalid, breaks a rule, or cannot be planned; mkl console: there is no such console, or no more;
     mkl channel: there is no such channel, nothing came, it stayed full, or a ping had no answer
  2  wrong usage, or a file that cannot be read
  3  mkl report --diff: a way between two kernels opened;
     mkl validate --strict: nothing is wrong, but something that would block an apply is not known
  For many machines (mkl validate --facts A B FOLDER): 1 when one of them would refuse the layout, else 2 when a bundle
  cannot be used, else 3 with --strict when something is not known.

examples:
  mkl validate examples/layouts/minimal.yml
  mkl facts --image /boot/vmlinuz > here.json
  mkl validate layout.yml --facts here.json --format sarif > findings.sarif
  mkl validate layout.yml --facts rack-a/ rack-b/host7.json   (which of these machines would it break, and why)
  mkl plan layout.yml --facts here.json
  mkl render layout.yml --facts here.json --format svg > machine.svg
  mkl report layout.yml --facts here.json --diff changed.yml
  mkl validate group_vars/all.yml --key multikernel_layout
  mkl console box1 web                                     (the instance web of the machine that ssh calls box1)
  mkl channel stat box1
  mkl channel ping box1 requests
"""


class UsageError(Exception):
    """A file given on the command line cannot be used; the text is a sentence."""


class _Version(argparse.Action):
    """--version: the version is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_rest: t.Any) -> None:
        from ._version import version

        print(f"mkl {version()}")
        parser.exit()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. arguments: as on the command line, sys.argv when None."""
    # One short run: looking for garbage costs a sixth of it, and what is left behind goes with the process.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _run(parser().parse_args(arguments))
    finally:
        if collecting:
            gc.enable()


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options))
    except (UsageError, MissingLibraryError) as error:
        print(f"mkl: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
        return OK


def parser() -> argparse.ArgumentParser:
    """The command line of mkl."""
    top = argparse.ArgumentParser(
        prog="mkl",
        description="Layouts of several Linux kernels side by side on one machine: check, plan and draw them, offline.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = _command(commands, "validate", validate, "say everything that is wrong with a layout, with file, line and column")
    machines = "judge it for these machines, too (bundles from mkl facts, or folders of them)"
    _layout(command, facts=machines, several=True, files=True)
    command.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="how to report (default: text)")

    command.add_argument("--strict", action="store_true", help="end with 3 when something that would block an apply is not known")
    command.add_argument("-v", "--verbose", action="store_true", help="tell what is not known, too (text only)")

    command = _command(commands, "plan", plan, "show the steps that would make the layout true on a machine")
    _layout(command, facts="the machine (a bundle from mkl facts)", required=True)
    command.add_argument("--state", metavar="S", help="what runs there now (from layout_info; default: nothing runs)")
    command.add_argument("--format", choices=("text", "json"), default="text", help="how to report (default: text)")

    command = _command(commands, "render", render, "draw who owns which CPUs and memory, and say what is not isolated")
    _layout(command, facts="the machine (a bundle from mkl facts); places are chosen for it; several make an overview", several=True)
    command.add_argument("--before", metavar="OLD", help="an older layout file, to be drawn beside it")
    command.add_argument("--state", metavar="S", help="what runs there now (from layout_info), to be drawn beside it with the plan")
    forms = ("text", "svg", "html", "json")
    command.add_argument("--format", choices=forms, default="text", help="text, picture, page or data (default: text)")
    command.add_argument("--ascii", action="store_true", help="draw in plain ASCII (text only)")

    command = _command(commands, "report", report, "say what stops each kernel from reaching each other, way by way")
    _layout(command, facts="the machine (a bundle from mkl facts); without it much is not known")
    command.add_argument("--diff", metavar="NEW", help="a second layout file: tell what opened and closed from FILE to NEW")
    command.add_argument("--kernel", metavar="NAME", action="append", default=[], help="only pairs with this kernel (repeat)")
    command.add_argument("--format", choices=("text", "json"), default="text", help="how to report (default: text)")
    command.add_argument("--ascii", action="store_true", help="write plain ASCII (text only)")

    _command(commands, "schema", schema, "print the JSON Schema of the layout language (2020-12)")

    command = _command(commands, "explain", explain, "say what a rule wants, why, and where that comes from")
    command.add_argument("rule", metavar="RULE", nargs="?", help="id of the rule (default: list all rules)")

    command = _command(commands, "facts", facts, "collect the facts bundle of this machine as JSON (reads only)")
    command.add_argument("--image", metavar="PATH", action="append", default=[], help="look into this kernel or initrd, too (repeat)")
    command.add_argument("--root", metavar="FOLDER", default="/", help="read below this folder instead of /")
    command.add_argument("--redact", action="store_true", help="leave out what tells whose machine it is, not what it can carry")

    command = _command(commands, "console", console, "be the console of a running instance, until Ctrl-]")
    command.description = _CONSOLE
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("machine", metavar="MACHINE", nargs="?", help="where it runs, as ssh calls it (default: this machine)")
    command.add_argument("instance", metavar="INSTANCE", help="its name in the layout of the machine, or the number of its console")
    command.add_argument("--ssh", default="ssh", metavar="COMMAND", help="what reaches MACHINE, such as 'ssh -F lab.conf' (default: ssh)")
    command.add_argument("--python", default="python3", metavar="P", help="the Python of the machine (default: python3)")
    command.add_argument("--wait", type=float, default=5, metavar="S", help="seconds to wait while another uses it (default: 5)")

    _channel_commands(_command(commands, "channel", channel, "look at the channels of a machine, ping, send and receive"))
    return top


_CHANNEL = """\
Look at the channels of a machine, and send and receive through the host's end of one.

It goes through /sys/kernel/mkstock/channels and /dev/mkchan of the machine, which needs root there (by itself or by sudo without a
password) and Python. Each command ends by itself.
"""


def _channel_commands(command: argparse.ArgumentParser) -> None:
    command.description = _CHANNEL
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True, dest="do")
    machine = "where the channel is, as ssh calls it (default: this machine)"
    about = {
        "stat": "tell how each channel is, and what went through it",
        "ping": "ask the other kernel for an answer, and tell how long it took (from interrupt to interrupt)",
        "send": "send one message to the other end",
        "recv": "take messages that nobody has read out of the channel, and print each in a line",
    }
    for action, purpose in about.items():
        one = actions.add_parser(action, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        one.set_defaults(run=channel)
        one.add_argument("machine", metavar="MACHINE", nargs="?", help=machine)
        if action == "stat":
            one.add_argument("--channel", metavar="CHANNEL", help="only this one (default: all)")
        else:
            one.add_argument("channel", metavar="CHANNEL", help="its name in the layout of the machine")
        if action == "send":
            one.add_argument("message", metavar="MESSAGE", help="the text; - for the bytes of the standard input")
        if action in ("send", "recv"):
            one.add_argument("--timeout", type=_seconds, default=5, metavar="S", help="seconds to wait at most (default: 5)")
        if action in ("ping", "recv"):
            number = 3 if action == "ping" else 1
            one.add_argument("--count", type=_count, default=number, metavar="N", help=f"how many at most (default: {number})")
        if action == "ping":
            one.add_argument("--interval", type=_seconds, default=0.2, metavar="S", help="seconds between two (default: 0.2)")
        one.add_argument("--json", action="store_true", help="print what the machine answered, messages as base64")
        one.add_argument("--ssh", default="ssh", metavar="COMMAND", help="what reaches MACHINE (default: ssh)")
        one.add_argument("--python", default="python3", metavar="P", help="the Python of the machine (default: python3)")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no time; write seconds from 0 to 3600")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100000:
        raise argparse.ArgumentTypeError(f"{text} is no count; write a number from 1 to 100000")
    return value


def channel(options: argparse.Namespace) -> int:
    """mkl channel: one request to a machine."""
    from ._channel import run

    return run(options)


_CONSOLE = """\
Be the console of a running instance, until Ctrl-].

It goes through /dev/mktty of the machine, which needs root there (by itself or by sudo without a password) and Python. Nothing is
sent to the instance but what is typed; with the example agent, Enter starts a shell with a prompt. What was said before is not
shown. One at a time has a console: while this runs, the connection plugin mktty waits. Input may be a pipe; after its end,
output goes on for a moment only, so let the last command be one that ends the shell.
"""


def validate(options: argparse.Namespace) -> int:
    """mkl validate: one layout after the other; the worst of them decides the exit code, and none hides the others."""
    if len(options.file) > 1 and options.format != "text":
        raise UsageError(f"--format {options.format} tells of one layout; run mkl validate once for each file")
    codes = []
    for file in options.file:
        try:
            codes.append(_validate(argparse.Namespace(**{**vars(options), "file": file})))
        except UsageError as error:
            if len(options.file) == 1:
                raise
            print(f"mkl: {error}", file=sys.stderr)
            codes.append(USAGE)
    return next(code for code in (INVALID, USAGE, NOT_KNOWN, OK) if code in codes)


def _validate(options: argparse.Namespace) -> int:
    """Errors and findings about one layout in one of three formats."""
    from ._check import Verdict, examine

    verdicts: list[tuple[str | None, Verdict]] = []
    subject, unreadable = _subject(options)
    if subject is not None and _many(options.facts):
        code = _judge_fleet(options, subject)
        if code is not None:
            return code
        options.facts = None  # the layout has errors; they do not depend on the machines
    if subject is None:
        verdicts.append((None, Verdict(errors=unreadable)))
    else:
        for path in options.facts or [None]:
            verdicts.append((path, examine(subject, _facts(path))))
    errors = [error.to_dict() for error in verdicts[0][1].errors]
    findings = [{**finding, "facts": path} if path else finding for path, verdict in verdicts for finding in verdict.findings]
    good = all(verdict.good for _path, verdict in verdicts)
    if options.format == "json":
        _print_json({"valid": good, "digest": verdicts[0][1].digest, "errors": errors, "findings": findings})
    elif options.format == "sarif":
        from ._report.sarif import sarif

        _print_json(sarif(errors, findings, _rules()))
    else:
        _tell(options.file, verdicts, options.verbose)
    if not good:
        return INVALID
    open_ = [one for one in findings if one["severity"] == "error" and one["verdict"] == "unknown"]
    return NOT_KNOWN if options.strict and open_ else OK


def _many(paths: list[str] | None) -> bool:
    """Whether --facts names more than one machine."""
    return paths is not None and (len(paths) > 1 or os.path.isdir(paths[0]))


def _judge_fleet(options: argparse.Namespace, subject: t.Any) -> int | None:
    """mkl validate for several machines: who would break, and why. None when the layout itself has errors."""
    from ..module_utils._layout.canonical import digest
    from . import _fleet
    from ._model.errors import LayoutErrors
    from ._model.layout import load_layout

    try:
        canonical = load_layout(subject.raw, subject.locator)
    except LayoutErrors:
        return None
    try:
        paths = _fleet.bundles(options.facts)
    except LayoutErrors as error:
        raise UsageError(str(error)) from None
    machines = _fleet.judge(canonical, paths)
    said = _fleet.counts(machines)
    if options.format == "text":
        print(_fleet.text(machines, subject.locator, options.verbose))
        print(f"digest {digest(canonical)}")
    else:
        told = {"valid": not said[_fleet.REFUSED], "digest": digest(canonical), "errors": [], **_fleet.to_dict(machines, subject.locator)}
        if options.format == "sarif":
            from ._report.sarif import sarif

            told = sarif([], _fleet.findings(machines, subject.locator), _rules())
        _print_json(told)
    if said[_fleet.REFUSED]:
        return INVALID
    if said[_fleet.UNREADABLE]:
        return USAGE
    return NOT_KNOWN if options.strict and said[_fleet.UNKNOWN] else OK


def plan(options: argparse.Namespace) -> int:
    """mkl plan: the steps in order, each with what takes it back."""
    from ..module_utils._dialect.choice import offline
    from ..module_utils._plan.place import PlacementError
    from ._model.errors import LayoutErrors
    from ._offline import fresh_state, read_state, steps
    from ._subject import finding_line, located

    subject, canonical, digest = _valid(options)
    if canonical is None:
        return INVALID
    bundle = _facts(options.facts) or {}
    try:
        state = read_state(options.state) if options.state else fresh_state(bundle)
    except LayoutErrors as error:
        raise UsageError(str(error)) from None
    try:
        placed = offline(bundle).place(canonical, bundle, state)
        wanted = steps(placed, bundle, state, digest)
    except PlacementError as error:
        for finding in error.findings:
            print(finding_line(located(finding.to_dict(), subject.locator)))
        return INVALID
    if options.format == "json":
        _print_json({"digest": digest, "placed": placed, "plan": [step.to_dict() for step in wanted]})
        return OK
    for number, step in enumerate(wanted, 1):
        print(f"{number:3}. {step.say}")
        for inverse in step.undo:
            print(f"       undo: {inverse.say}")
    print(f"{len(wanted)} steps" if wanted else "nothing to do")
    return OK


def render(options: argparse.Namespace) -> int:
    """mkl render: the machine as a picture, before and after, or a fleet at a glance."""
    from ._report import command

    files = options.facts or []
    code, text = command.render(options.file, options.key, files, options.before, options.state, options.format, options.ascii)
    return _said(code, text)


def report(options: argparse.Namespace) -> int:
    """mkl report: the isolation report, or what changed in it from one layout to another."""
    from ._report import command

    code, text = command.report(options.file, options.key, options.facts, options.diff, options.kernel, options.format, options.ascii)
    return _said(code, text)


def schema(options: argparse.Namespace) -> int:
    """mkl schema: the published schema, byte for byte."""
    from ._model.schema import schema_text

    sys.stdout.write(schema_text())
    return OK


def explain(options: argparse.Namespace) -> int:
    """mkl explain: one rule, or the list of all."""
    rules = {rule["id"]: rule for rule in _rules()}
    if options.rule is None:
        width = max(len(name) for name in rules)
        for name, rule in sorted(rules.items()):
            print(f"{name:{width}}  {rule['severity']:7}  {rule['title']}")
        return OK
    if options.rule not in rules:
        import difflib

        near = difflib.get_close_matches(options.rule, rules, 3)
        raise UsageError(
            f"there is no rule {options.rule!r}; " + (f"did you mean {' or '.join(near)}?" if near else "mkl explain lists all")
        )
    from ._report.explain import explain as told

    print(told(rules[options.rule]))
    return OK


def facts(options: argparse.Namespace) -> int:
    """mkl facts: this machine as a bundle, to be judged and planned for elsewhere."""
    from ..module_utils._host import bundle
    from ..module_utils._host.facts import collect

    collected = collect(options.root, options.image)
    sys.stdout.write(bundle.text(bundle.redact(collected) if options.redact else collected))
    return OK


def console(options: argparse.Namespace) -> int:
    """mkl console: exit code 0 after detaching, 1 when there is no such console (any more)."""
    from ._attach import console as attach

    if options.instance.startswith("-"):
        raise UsageError(f"{options.instance!r} is no name of an instance")
    return OK if attach(options.machine, options.instance, options.ssh, options.python, options.wait) == 0 else INVALID


def _command(commands: t.Any, name: str, run: t.Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:] + ".")
    command.set_defaults(run=run)
    return command


def _layout(command: argparse.ArgumentParser, facts: str, required: bool = False, several: bool = False, files: bool = False) -> None:
    if files:
        command.add_argument("file", metavar="FILE", nargs="+", help="layout files, YAML or JSON; more than one in text only")
    else:
        command.add_argument("file", metavar="FILE", help="layout file, YAML or JSON")
    command.add_argument("--key", metavar="KEY", help="dotted key of the layout in FILE, when it is not the whole file")
    command.add_argument("--facts", metavar="F", help=facts, required=required, **({"action": "extend", "nargs": "+"} if several else {}))


def _said(code: int, text: str) -> int:
    """Print an answer where it belongs: wrong usage is told to standard error."""
    if code == USAGE and "\n" not in text:
        raise UsageError(text)
    print(text)
    return code


def _subject(options: argparse.Namespace) -> tuple[t.Any, list[t.Any]]:
    """The layout of FILE, or what keeps it from being read as YAML. Raises UsageError when there is no such file."""
    from ._model.errors import LayoutErrors
    from ._subject import Subject

    try:
        return Subject.of_file(options.file, options.key), []
    except LayoutErrors as error:
        if any(one.position is None for one in error):
            raise UsageError(str(error)) from None
        return None, error.errors


def _valid(options: argparse.Namespace) -> tuple[t.Any, dict[str, t.Any] | None, str | None]:
    """Subject, canonical layout and digest; when there are errors, they are printed and the layout is None."""
    from ..module_utils._layout.canonical import digest
    from ._model.errors import LayoutErrors
    from ._model.layout import load_layout

    subject, errors = _subject(options)
    if subject is not None:
        try:
            canonical = load_layout(subject.raw, subject.locator)
        except LayoutErrors as error:
            errors = error.errors
        else:
            return subject, canonical, digest(canonical)
    for one in errors:
        print(one)
    return subject, None, None


def _facts(path: str | None) -> dict[str, t.Any] | None:
    from ._facts import read_facts
    from ._model.errors import LayoutErrors

    if path is None:
        return None
    try:
        return read_facts(path)
    except LayoutErrors as error:
        raise UsageError(str(error)) from None


def _rules() -> list[dict[str, t.Any]]:
    """The rules that are known, as plain data."""
    from ..module_utils._rules.engine import rules

    return rules()


def _tell(file: str, verdicts: list[tuple[str | None, t.Any]], verbose: bool) -> None:
    """The text of mkl validate: what is wrong first, then one line of result for each machine."""
    from ._subject import finding_line

    for path, verdict in verdicts:
        for error in verdict.errors:
            print(error)
        for finding in verdict.findings:
            if finding["verdict"] == "fail" or verbose:
                print((f"{path}: " if path and len(verdicts) > 1 else "") + finding_line(finding))
        about = f"{file} for {path}" if path else file
        if verdict.errors:
            count = len(verdict.errors)
            print(f"{about}: invalid, {count} error{'s' if count != 1 else ''}")
            continue
        result = "valid" if verdict.good else "breaks rules"
        counts = verdict.rules
        print(f"{about}: {result}; rules: {counts['pass']} passed, {counts['fail']} failed, {counts['unknown']} not known")
        if path is None and counts["unknown"]:
            print("give --facts to judge it for a machine")
        print(f"digest {verdict.digest}")


def _print_json(value: t.Any) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
