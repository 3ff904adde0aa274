# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages that treat the collection as users and Galaxy do: ansible-test, the targets' Pythons, the artifact and the wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from .base import LOGS, TOP, WORK, Counts, Stage, command, junit, long, show

OLDEST, NEWEST = "3.8", "3.13"
# ansible-test would run the controller's tests, too, on each Python that ansible-core supports; those have their own stage.
RING = ["tests/unit/plugins/module_utils/", "tests/unit/plugins/modules/"]
# What cuts the same stories at every place takes as long as all the rest: on the newest Python, it is left to the long runs.
CUTS = {
    f"tests/unit/plugins/module_utils/{name}.py" for name in ("converge/test_recover", "converge/test_kernfs_recover", "supervise/test_day")
}
ISOLATED = {"PYTHONPATH": None, "ANSIBLE_COLLECTIONS_PATH": None}


def interpreters() -> dict[str, str]:
    """Working Pythons of this machine by version."""
    listing = subprocess.run([TOP / "scripts/pythons"], check=True, capture_output=True, text=True).stdout
    return dict(line.split(maxsplit=1) for line in listing.splitlines())


def targets() -> list[str]:
    """The oldest and the newest Python of targets that this machine has; says so when they are not 3.8 and 3.13."""
    here = list(interpreters())
    wanted = [version for version in (OLDEST, NEWEST) if version in here]
    if wanted == [OLDEST, NEWEST]:
        return wanted
    chosen = sorted({here[0], here[-1]}, key=here.index) if here else []
    missing = " and ".join(version for version in (OLDEST, NEWEST) if version not in here)
    print(f"      Python {missing} is not on this machine, and no package registry ships it.")
    print(f"      The target ring runs on Python {', '.join(chosen) or '-'} instead; syntax38 holds its source against 3.8.")
    return chosen


def ring_tests(version: str) -> list[str]:
    """The folders of tests that run on this Python, or the files in them."""
    if version != NEWEST or long():
        return RING
    every = {path.relative_to(TOP).as_posix() for folder in RING for path in (TOP / folder).rglob("test_*.py")}
    if not every > CUTS:
        raise LookupError(f"not every one of {', '.join(sorted(CUTS))} is there")
    return sorted(every - CUTS)


def ring() -> Counts:
    """Unit tests of module_utils and modules under ansible-test, which hides everything else from them."""
    total = Counts()
    wanted = targets()
    for version in wanted:
        report = WORK / f"ansible_collections/multikernel/core/tests/output/junit/python{version}-modules-units.xml"
        shutil.rmtree(report.parent, ignore_errors=True)
        words: list[str | Path] = [
            TOP / "scripts/ansible-test",
            "units",
            "--venv",
            "--python",
            version,
            "--requirements",
            "--color",
            "no",
            "--num-workers",
            "2",
            *ring_tests(version),
        ]
        status, output = command(f"units-{version}", [sys.executable, *words], limit=900)
        counts = Counts()
        for found in sorted(report.parent.glob(f"python{version}-*.xml")):
            counts += junit(found)
        if status or not counts.passed:
            show(output)
            counts += Counts(failed=0 if counts.failed else 1)
        print(f"      Python {version}: {counts}", flush=True)
        total += counts
    return total + Counts(skipped=2 - len(wanted))


def module_on_target(version: str, interpreter: str) -> Counts:
    """One real module run by that interpreter, packed by Ansible as for a remote host: nothing but the target ring goes along."""
    words = [
        "ansible",
        "localhost",
        "-c",
        "local",
        "-i",
        "localhost,",
        "-m",
        "multikernel.core.layout_info",
        "-e",
        f"ansible_python_interpreter={interpreter}",
    ]
    status, output = command(f"module-{version}", words, limit=120, environment={"ANSIBLE_NOCOLOR": "1"})
    if status == 0 and "SUCCESS" in output:
        return Counts(passed=1)
    show(output)
    return Counts(failed=1)


def modules() -> Counts:
    """The read-only module works on every Python of targets that is here."""
    total = Counts()
    for version, interpreter in interpreters().items():
        total += module_on_target(version, interpreter)
    return total


def sanity() -> Counts:
    """All sanity tests of ansible-test on all Pythons of this machine; the collection has no ignore file."""
    ignored = sorted(path.name for path in (TOP / "tests/sanity").glob("ignore*"))
    if ignored:
        print(f"      tests/sanity must hold no ignore file, but has {', '.join(ignored)}")
    runner: list[str | Path] = [sys.executable, TOP / "scripts/ansible-test", "sanity"]
    _status, listing = command("sanity-list", [*runner, "--list-tests"], limit=300)
    names = [line.strip() for line in listing.splitlines() if re.fullmatch(r"[a-z0-9-]+", line.strip())]
    status, output = command("sanity", [*runner, "--local", "--color", "no"], limit=1200)
    counts = Counts(passed=len(names))
    if status:
        show(
            "\n".join(
                line for line in output.splitlines() if line.startswith(("ERROR", "FATAL")) or re.match(r"[a-z0-9-]+( --python|$)", line)
            )
            or output
        )
        bad = {line.split()[0] for line in output.partition("FATAL: The ")[2].splitlines()[1:] if line.strip()} & set(names)
        counts = Counts(passed=len(names) - len(bad), failed=max(len(bad), 1))
    print(f"      {len(names)} sanity tests, Python {', '.join(interpreters())}")
    return counts + Counts(failed=len(ignored))


def plugins_of(listing: str) -> set[str]:
    """Names in the JSON that `ansible-doc --list --json` prints."""
    start = listing.find("{")
    return set(json.loads(listing[start:])) if start >= 0 else set()


def modules_of_the_checkout() -> set[str]:
    return {f"multikernel.core.{path.stem}" for path in (TOP / "plugins/modules").glob("[a-z]*.py")}


def artifact() -> Counts:
    """ansible-galaxy builds the tarball, installs it elsewhere, and Ansible finds and documents every module in it."""
    place = WORK / "artifact"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    home = {"ANSIBLE_HOME": str(place / "home"), "PYTHONPATH": None, "ANSIBLE_COLLECTIONS_PATH": str(place / "installed")}
    total = _step("artifact-build", ["ansible-galaxy", "collection", "build", "--output-path", place, source_copy()], home)
    built = sorted(place.glob("multikernel-core-*.tar.gz"))
    if not built:
        return total
    total += _step("artifact-install", ["ansible-galaxy", "collection", "install", "--offline", "-p", place / "installed", built[0]], home)
    root = place / "installed/ansible_collections/multikernel/core"
    strangers = [
        str(path.relative_to(root)) for path in root.rglob("*") if path.name in LEFTOVERS or path.relative_to(root).as_posix() in UNUSED
    ]
    if strangers:
        print(f"      the artifact carries what nobody runs: {', '.join(strangers[:10])}")
    total += Counts(passed=int(not strangers), failed=int(bool(strangers)))
    return total + _documented("artifact-doc", ["ansible-doc", "--list", "--json", "multikernel.core"], home)


LEFTOVERS = {"__pycache__", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ansible"}
UNUSED = {"tests", "benchmarks", "molecule", "scripts", "Makefile", "pyproject.toml", "dist", "build"}


def source_copy() -> Path:
    """The copy of the files that git tracks, made for ansible-test: what is built must not depend on leftovers in the checkout."""
    command("copy", [sys.executable, TOP / "scripts/ansible-test", "sanity", "--list-tests"], limit=300)
    return WORK / "ansible_collections/multikernel/core"


def _step(name: str, words: list[str | Path], environment: dict[str, str | None], limit: float = 300) -> Counts:
    status, output = command(name, words, limit=limit, environment=environment, cwd=LOGS)
    if status:
        show(output)
    return Counts(passed=int(status == 0), failed=int(status != 0))


def _documented(name: str, words: list[str | Path], environment: dict[str, str | None]) -> Counts:
    status, output = command(name, words, limit=120, environment=environment, cwd=LOGS)
    absent = modules_of_the_checkout() - (plugins_of(output) if status == 0 else set())
    if absent:
        print(f"      ansible-doc does not find {', '.join(sorted(absent))}")
        show(output)
    return Counts(passed=int(not absent), failed=int(bool(absent)))


def wheel() -> Counts:
    """The wheel installs into an empty environment with its real dependencies; Ansible, mkl and pytest find what it brings."""
    place = WORK / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment: dict[str, str | None] = {**ISOLATED, "ANSIBLE_HOME": str(place / "home")}
    total = _step(
        "wheel-build", [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", place, source_copy()], environment
    )
    built = sorted(place.glob("*.whl"))
    if not built:
        return total
    bin_folder = place / "venv/bin"
    total += _step("wheel-venv", [sys.executable, "-m", "venv", place / "venv"], environment)
    total += _step(
        "wheel-install",
        [bin_folder / "python", "-m", "pip", "-qq", "install", built[0], f"ansible-core=={pinned('ansible-core')}", "pytest"],
        environment,
        600,
    )
    environment["PATH"] = f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"
    total += _documented("wheel-doc", [bin_folder / "ansible-doc", "--list", "--json", "multikernel.core"], environment)
    examples = sorted((TOP / "examples/layouts").glob("*.yml"))
    total += _step("wheel-mkl", [bin_folder / "mkl", "validate", *examples[:1]], environment)
    total += _step("wheel-schema", [bin_folder / "mkl", "schema"], environment)
    return total + _step("wheel-pytest", [bin_folder / "python", "-m", "pytest", "--fixtures", "-q"], environment)


def pre_commit() -> Counts:
    """pre-commit itself runs the hook of this checkout in a small repository: a good layout passes, a bad one is refused with its place."""
    place = WORK / "pre-commit"
    shutil.rmtree(place, ignore_errors=True)
    layouts = place / "user" / "layouts"
    layouts.mkdir(parents=True)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    environment: dict[str, str | None] = {**ISOLATED, "PRE_COMMIT_HOME": str(place / "home"), "GIT_CONFIG_GLOBAL": os.devnull}
    total = _step("pre-commit-venv", [sys.executable, "-m", "venv", place / "venv"], environment)
    program = place / "venv/bin/pre-commit"
    install: list[str | Path] = [place / "venv/bin/python", "-m", "pip", "-qq", "install", *_group("pre-commit")]
    total += _step("pre-commit-install", install, environment, 600)
    # pre-commit clones the repository of a hook; ours as git sees it now, committed or not.
    source = shutil.copytree(source_copy(), place / "hook", ignore=shutil.ignore_patterns(".git", *LEFTOVERS))
    for name in (".pre-commit-hooks.yaml", "pyproject.toml"):
        shutil.copyfile(TOP / name, source / name)
    good = (TOP / "examples/layouts/minimal.yml").read_text()
    (layouts / "good.yml").write_text(good)
    (place / "user/.pre-commit-config.yaml").write_text(
        json.dumps({"repos": [{"repo": f"file://{source}", "rev": "hook", "hooks": [{"id": "multikernel-validate"}]}]})
    )
    for folder in (source, place / "user"):
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "test"], ["tag", "hook"]):
            step: list[str | Path] = [*git, "-C", folder, *words]
            total += _step(f"pre-commit-git-{folder.name}-{words[0]}", step, environment)
    run: list[str | Path] = ["env", "-C", place / "user", program, "run", "--color=never", "--all-files"]
    total += _step("pre-commit-good", run, environment, 900)
    (layouts / "bad.yml").write_text(good.replace("memory:", "memry:", 1))
    total += _step("pre-commit-add", [*git, "-C", place / "user", "add", "-A"], environment)
    status, output = command("pre-commit-bad", run, limit=300, environment=environment, cwd=LOGS)
    line = next(number for number, text in enumerate((layouts / "bad.yml").read_text().splitlines(), 1) if "memry" in text)
    told = status == 1 and f"layouts/bad.yml:{line}:" in output and "memry" in output
    if not told:
        print(f"      pre-commit ended with {status} for a bad layout; wanted 1 and its line {line}")
        show(output)
    return total + Counts(passed=int(told), failed=int(not told))


def _group(name: str) -> list[str]:
    """The packages of a dependency group of pyproject.toml."""
    wanted: list[str] = tomllib.loads((TOP / "pyproject.toml").read_text())["dependency-groups"][name]
    return wanted


def pinned(package: str) -> str:
    """The version of a development tool in pyproject.toml."""
    found = re.search(rf'"{re.escape(package)}==([^"]+)"', (TOP / "pyproject.toml").read_text())
    if found is None:
        raise LookupError(f"pyproject.toml pins no {package}")
    return found.group(1)


STAGES = [
    Stage("ring", "the target ring's unit tests pass on the oldest and the newest Python of targets", ring),
    Stage("artifact", "the Galaxy artifact builds, installs and documents itself", artifact),
    Stage("wheel", "the wheel installs into an empty environment and works there", wheel),
    Stage("pre-commit", "pre-commit itself takes the hook from this checkout; it passes a good layout and refuses a bad one", pre_commit),
]

# One process each, the longest first. The others look into the copy of the checkout that ansible-test works on, so they come before.
SINGLE = [
    Stage("sanity", "all sanity tests of ansible-test pass, without an ignore file", sanity, beside=True),
    Stage("modules", "a module, packed by Ansible, runs on every Python of targets that is here", modules, beside=True),
]
