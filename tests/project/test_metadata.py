# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about what the collection says of itself: one version, every module documented, nothing listed that is not there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
MODULES = sorted(path for path in (TOP / "plugins/modules").glob("[a-z]*.py"))
ROLES = sorted(path for path in (TOP / "roles").iterdir() if path.is_dir()) if (TOP / "roles").is_dir() else []
PLAYBOOKS = sorted((TOP / "playbooks").glob("*.yml"))
# Playbooks and tests outside the repository use these names. Reserved for what is not built yet: role update, playbooks update and rollout.
FIXED_MODULES = {"layout", "layout_validate", "layout_info", "image", "instance", "rollback"}
FIXED_ROLES = {"host_prepare", "stock_kernel", "image", "layout", "qemu_lab"}
FIXED_PLAYBOOKS = {"validate", "apply", "verify", "rollback"}


def load(path: str) -> Any:
    return yaml.safe_load((TOP / path).read_text())


def constants(path: Path) -> dict[str, str]:
    """The string constants at the top of a module file."""
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def pyproject() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text())


def test_one_version_in_all_places() -> None:
    assert load("galaxy.yml")["version"] == pyproject()["project"]["version"]


def test_every_fixed_name_is_there() -> None:
    assert {path.stem for path in MODULES} >= FIXED_MODULES
    assert {path.name for path in ROLES} >= FIXED_ROLES
    assert {path.stem for path in PLAYBOOKS} >= FIXED_PLAYBOOKS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_document_themselves(path: Path) -> None:
    said = constants(path)
    documentation = yaml.safe_load(said.get("DOCUMENTATION", ""))
    assert documentation and documentation["module"] == path.stem
    assert documentation["short_description"]
    assert said.get("RETURN") is not None, "no RETURN"
    examples = yaml.safe_load(said.get("EXAMPLES", ""))
    used = {key for task in examples for key in _keys(task)}
    assert f"multikernel.core.{path.stem}" in used, f"EXAMPLES never call multikernel.core.{path.stem}"


def _keys(task: Any) -> set[str]:
    """Keys of a task, or of the tasks of a play."""
    found = set(task)
    for inner in ("tasks", "block", "pre_tasks", "post_tasks"):
        for nested in task.get(inner, []):
            found |= _keys(nested)
    return found


def test_every_action_has_the_module_that_documents_it() -> None:
    actions = {path.stem for path in (TOP / "plugins/action").glob("[a-z]*.py")}
    assert actions <= {path.stem for path in MODULES}


def test_action_groups_name_every_module() -> None:
    groups = load("meta/runtime.yml")["action_groups"]
    assert set(groups["all"]) == {path.stem for path in MODULES}
    assert set(groups["layout"]) <= set(groups["all"])


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_roles_check_their_arguments_and_explain_themselves(role: Path) -> None:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    assert "main" in specs
    defaults_file = role / "defaults/main.yml"
    defaults = set(yaml.safe_load(defaults_file.read_text()) or {}) if defaults_file.exists() else set()
    assert defaults <= set(specs["main"].get("options", {})), "a default without an entry in argument_specs"
    readme = (role / "README.md").read_text()
    assert f"multikernel.core.{role.name}" in readme


def test_roles_and_playbooks_need_nothing_that_stays_in_the_checkout() -> None:
    """An installed collection has no scripts, tests or molecule; what ships must not reach for them."""
    ignored = set(load("galaxy.yml")["build_ignore"])
    assert {"scripts", "tests", "molecule"} <= ignored
    shipped = [*PLAYBOOKS, *(path for role in ROLES for path in (role / "tasks").rglob("*.yml"))]
    reaching = [
        f"{path.relative_to(TOP)}: {found}"
        for path in shipped
        for found in re.findall(r"(?:role_path|playbook_dir) *(?:\}\}|~ *')/\.\./(?:\.\./)?[\w-]+", path.read_text())
        if found.rpartition("/")[2] in ignored
    ]
    assert len(shipped) > 15
    assert not reaching, reaching


@pytest.mark.parametrize("name", ["scripts", "entry-points"])
def test_entry_points_lead_somewhere(name: str) -> None:
    table = pyproject()["project"][name]
    targets = table.values() if name == "scripts" else [target for group in table.values() for target in group.values()]
    for target in targets:
        module, _colon, function = target.partition(":")
        path = TOP.joinpath(*module.split(".")[3:]).with_suffix(".py")
        assert path.is_file(), f"{target}: there is no {path.relative_to(TOP)}"
        if function:
            defined = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
            assert function in defined


def test_the_wheel_asks_for_what_the_execution_environment_asks_for() -> None:
    lines = (TOP / "meta/ee-requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    assert wanted == {line for line in pyproject()["project"]["dependencies"] if not line.startswith("ansible-core")}


def test_changelog_fragments_use_known_sections() -> None:
    known = {name for name, _title in load("changelogs/config.yaml")["sections"]} | {"release_summary", "trivial"}
    fragments = sorted((TOP / "changelogs/fragments").glob("*.yml"))
    released = (TOP / "changelogs/changelog.yaml").exists()
    assert fragments or released, "neither a fragment nor a release: the change log says nothing"
    for path in fragments:
        assert set(yaml.safe_load(path.read_text())) <= known, path.name


def test_the_artifact_leaves_out_what_nobody_runs(top: Path) -> None:
    ignored = set(load("galaxy.yml")["build_ignore"])
    for name in ("tests", "benchmarks", "molecule", "scripts", ".ci", ".ansible", "dist"):
        assert name in ignored
    for needed in ("plugins", "roles", "playbooks", "meta", "docs", "schemas", "changelogs"):
        assert needed not in ignored
