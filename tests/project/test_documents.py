# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises of the documents: links lead somewhere, commands exist, the layouts shown are valid."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.multikernel.core.plugins.plugin_utils import _cli
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md")), *sorted((TOP / "roles").glob("*/README.md"))]
EXAMPLES = sorted((TOP / "examples/layouts").glob("*.yml"))


def by_name(path: Path) -> str:
    return str(path.relative_to(TOP))


def commands(document: Path) -> list[str]:
    """Indented lines and shell blocks that look like commands, without their remarks."""
    text = document.read_text()
    lines = [line[4:] for line in text.splitlines() if re.match(r" {4}\S", line)]
    for block in re.findall(r"```(?:sh|shell|console|bash)\n(.*?)```", text, re.DOTALL):
        lines += block.splitlines()
    return [line.partition("  #")[0].strip().removeprefix("$ ") for line in lines]


def layouts(document: Path) -> list[str]:
    """YAML blocks that are whole layouts."""
    blocks = re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    return [block for block in blocks if block.startswith("version:")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("http://", "https://", "mailto:", "#")):
            continue
        if not (document.parent / target.partition("#")[0]).exists():
            broken.append(target)
    assert not broken, broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_make_targets_exist(document: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", document.read_text())) | {
        word for line in commands(document) if line.startswith("make ") for word in line.split()[1:2]
    }
    assert named <= known, f"no such make target: {named - known}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_scripts_and_subcommands_exist(document: Path) -> None:
    text = document.read_text()
    missing = {name for name in re.findall(r"\bscripts/[a-z][\w/.-]*", text) if not (TOP / name.rstrip(".")).exists()}
    assert not missing, f"no such script: {missing}"
    stages = subprocess.run([TOP / "scripts/test", "--list"], check=True, capture_output=True, text=True).stdout
    known = {line.split()[0] for line in stages.splitlines()}
    for line in commands(document):
        if "scripts/test" in line:
            wanted = {word for word in line.partition("scripts/test")[2].split() if not word.startswith("-")}
            assert wanted <= known, f"{line}: no such stage"


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_mkl_commands_parse(document: Path) -> None:
    for line in commands(document):
        found = re.match(r"(?:scripts/run )?mkl (.*)", line)
        if found:
            words = found.group(1).partition(">")[0].partition("|")[0].split()
            try:
                _cli.parser().parse_args(words)
            except SystemExit as error:
                pytest.fail(f"{line!r} is no mkl command (exit {error.code})")


def test_playbooks_and_modules_of_the_readme_exist() -> None:
    names = set(re.findall(r"multikernel\.core\.([a-z_]+)", (TOP / "README.md").read_text()))
    known = {
        path.stem
        for folder in ("plugins/modules", "plugins/connection", "plugins/inventory", "playbooks")
        for path in (TOP / folder).glob("*.*")
    }
    assert names <= known, f"the README names what is not there: {names - known}"


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if layouts(path)], ids=by_name)
def test_layouts_in_documents_are_valid(document: Path) -> None:
    for text in layouts(document):
        _valid(yaml.safe_load(text))


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_every_example_is_valid(example: Path) -> None:
    _valid(yaml.safe_load(example.read_text()))


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_every_example_follows_the_published_schema(example: Path) -> None:
    """What an editor says of an example is what the collection says."""
    schema = json.loads((TOP / "schemas/layout.schema.json").read_text())
    errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(example.read_text()))]
    assert not errors, errors


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_mkl_says_so_too(example: Path) -> None:
    words = [sys.executable, "-m", "ansible_collections.multikernel.core.plugins.plugin_utils._cli", "validate", str(example)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _valid(raw: Any) -> None:
    try:
        canonical = load_layout(raw)
    except LayoutErrors as error:
        pytest.fail(str(error))
    assert load_layout(canonical) == canonical, "the canonical form of a layout is a layout, and its own canonical form"
