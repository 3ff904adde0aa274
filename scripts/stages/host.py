# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages that need nothing but the virtual environment: linters, types, unit tests, drift of generated files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .base import TOP, TREE, WORK, Counts, Stage, check, command, counted, long, pytest, show

# the release that the lab, the demo and the scenarios boot when they are told no other
STOCK = subprocess.run([TOP / "scripts/stock-release"], check=True, capture_output=True, text=True).stdout.strip()
COLLECTION = "ansible_collections.multikernel.core"
# What acts on a machine must have at least so many of its branches tested, in percent.
ACTING, BRANCHES = ("_converge", "_dialect"), 95
COVERAGE = {"COVERAGE_FILE": str(WORK / "coverage"), "COVERAGE_RCFILE": str(TOP / "pyproject.toml")}


def ruff() -> Counts:
    return check("ruff", ["ruff", "check", "--no-cache", "--output-format=concise", "."], limit=120)


def mypy() -> Counts:
    """Both rings and the thin plugins as one package, then the helpers of the tests."""
    shared: list[str | Path] = ["mypy", "--config-file", TOP / "pyproject.toml", "--cache-dir", WORK / "mypy"]
    collection = check(
        "mypy", [*shared, "-p", f"{COLLECTION}.plugins"], limit=600, cwd=TREE, environment={"MYPYPATH": str(TREE), "PYTHONPATH": None}
    )
    programs = ["scripts/test", "scripts/ansible-test", "scripts/generate"]
    paths = {"MYPYPATH": f"scripts:{TREE}", "PYTHONPATH": None}
    scripts = check("mypy-scripts", [*shared, "--scripts-are-modules", *programs], limit=300, environment=paths)
    # This one runs from a bare checkout and finds the target ring by its folder, so it is read in that light.
    paths["MYPYPATH"] = "plugins/module_utils"
    scripts += check("mypy-image", [*shared, "scripts/instance_image.py"], limit=300, environment=paths)
    return collection + scripts


def shell() -> Counts:
    """Every tracked file that starts as a shell script."""
    _status, listing = command("tracked", ["git", "ls-files", "-co", "--exclude-standard"], limit=60)
    scripts = [name for name in listing.splitlines() if _is_shell(TOP / name)]
    return check("shellcheck", ["shellcheck", "--severity=warning", "--exclude=SC2187", *scripts], limit=120)


def _is_shell(path: Path) -> bool:
    if not path.is_file() or path.suffix == ".j2":
        return False
    with path.open("rb") as source:
        first = source.readline(80)
    return first.startswith(b"#!") and first.split()[-1].rpartition(b"/")[2] in (b"sh", b"bash", b"-eu", b"-e")


def yaml() -> Counts:
    return check("yamllint", ["yamllint", "--strict", "."], limit=120)


def drift() -> Counts:
    """Generated files are what their generator makes now."""
    return check("drift", [sys.executable, TOP / "scripts/generate", "--check"], limit=120)


def project() -> Counts:
    return pytest("project", ["tests/project"], limit=300)


def tree() -> Counts:
    """Unit tests look into a stock kernel where one lies in the cache, and the lab boots it: fetched once, before both."""
    return check("tree", ["scripts/kernel-tree", STOCK], limit=900)


def units() -> Counts:
    """The unit tests; and the branches of converging and of the dialects that they take, each package by itself."""
    for old in WORK.glob("coverage*"):
        old.unlink()
    words = ["-n", "2", "--dist", "worksteal", "tests/unit"]
    counts = pytest("units", words, limit=1200, through=["-m", "coverage", "run"], environment=COVERAGE)
    _coverage("combine", "-q")
    _taken("plugins", "*/plugins/*")
    for package in ACTING:
        files = f"*/module_utils/{package}/*"
        enough = _taken(package, files) >= BRANCHES
        if not enough:
            show(f"fewer than {BRANCHES} % of the branches of {package} are taken\n{_coverage('report', '--include=' + files)}")
        counts += Counts(passed=int(enough), failed=int(not enough))
    return counts


def _taken(name: str, files: str) -> float:
    """Print and return how many branches of some files were taken, in percent; 0 where nothing was measured."""
    report = WORK / f"coverage-{name}.json"
    said = _coverage("json", "-q", "-o", str(report), "--include=" + files)
    if not report.exists():
        show(said)
        return 0.0
    totals = json.loads(report.read_text())["totals"]
    share: float = 100.0 * totals["covered_branches"] / max(totals["num_branches"], 1)
    print(f"      {name}: {totals['covered_branches']} of {totals['num_branches']} branches taken, {share:.1f} %")
    return share


def _coverage(*words: str) -> str:
    _status, output = command("coverage", [sys.executable, "-m", "coverage", *words], limit=120, environment=COVERAGE)
    return output


def crash() -> Counts:
    """Applies, removals and updates cut at every point, over random layouts and histories."""
    cuts, limit = ("100000", 7200) if long() else ("3000", 600)
    return counted("crash", [sys.executable, "-m", "tests.crash", "--cuts", cuts], limit=limit, follow=long())


def simulated() -> Counts:
    """Playbooks over hosts that are folders: hundreds of them need no machine."""
    return pytest("simulated", ["-n", "2", "tests/simulated"], limit=900)


def lint() -> Counts:
    return check("ansible-lint", ["ansible-lint", "--offline", "--strict"], limit=300)


def docs() -> Counts:
    """Plugin documentation and change log are well formed."""
    plugins = check("docs", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."], limit=300)
    return plugins + check("changelog", ["antsibull-changelog", "lint"], limit=120)


def syntax38() -> Counts:
    """The target ring uses nothing that came after Python 3.8, by its syntax and by the names it uses."""
    words = ["vermin", "--target=3.8-", "--violations", "--no-tips", "--no-parse-comments"]
    status, output = command("vermin", [*words, "plugins/module_utils", "plugins/modules"], limit=120)
    if status:
        show(output)
    return Counts(passed=int(status == 0), failed=int(status != 0))


STAGES = [
    Stage("ruff", "no lint in any Python file", ruff, quick=True),
    Stage("mypy", "types hold in strict mode, both rings", mypy, quick=True),
    Stage("shell", "no warning in any shell script", shell, quick=True),
    Stage("yaml", "YAML files keep the house style", yaml, quick=True),
    Stage("drift", "schema and generated documents equal their source", drift, quick=True),
    Stage("project", "the repository keeps its own rules", project, quick=True),
    Stage("tree", f"the stock kernel {STOCK} is in the cache, unpacked", tree),
    Stage("units", "unit tests pass on the controller's Python, and take the branches of what acts on a machine", units, quick=True),
    Stage("crash", "a change that is cut at any point is finished or undone by the next command", crash),
    Stage("simulated", "a rollout keeps its promises over simulated hosts", simulated),
    Stage("syntax38", "the target ring uses nothing newer than Python 3.8", syntax38, quick=True),
]

# one process each
SINGLE = [
    Stage("lint", "ansible-lint, profile production", lint, quick=True, beside=True),
    Stage("docs", "plugin documentation and change log are well formed", docs, beside=True),
]
