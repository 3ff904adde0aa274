# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about what may import what: the target ring is standard library only, and the rings point one way."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COLLECTION = "ansible_collections.multikernel.core.plugins"
NEWER_THAN_38 = {"tomllib", "zoneinfo", "graphlib"}
STANDARD = set(sys.stdlib_module_names) - NEWER_THAN_38


def sources(top: Path, *folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((top / "plugins" / folder).rglob("*.py"))]
    assert found, f"no Python file below plugins/{folders}: this test has nothing to hold"
    return found


def package_of(top: Path, path: Path) -> list[str]:
    """The dotted package in which a file's relative imports are resolved."""
    parts = path.relative_to(top / "plugins").with_suffix("").parts
    return COLLECTION.split(".") + list(parts[:-1])


def imports(top: Path, path: Path) -> Iterator[str]:
    """Full dotted names of the modules that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package_of(top, path)
                yield ".".join(base[: len(base) - node.level + 1] + ([node.module] if node.module else []))
            else:
                yield node.module or ""


def test_module_utils_import_the_standard_library_and_themselves(top: Path) -> None:
    foreign = [
        f"{path.relative_to(top)} imports {name}"
        for path in sources(top, "module_utils")
        for name in imports(top, path)
        if name.partition(".")[0] not in STANDARD and not name.startswith((f"{COLLECTION}.module_utils", "ansible.module_utils."))
    ]
    assert not foreign, foreign


def test_modules_import_the_target_ring_only(top: Path) -> None:
    foreign = [
        f"{path.relative_to(top)} imports {name}"
        for path in sources(top, "modules")
        for name in imports(top, path)
        if name.partition(".")[0] not in STANDARD and not name.startswith((f"{COLLECTION}.module_utils", "ansible.module_utils."))
    ]
    assert not foreign, foreign


def test_the_target_ring_never_reaches_the_controller_ring(top: Path) -> None:
    wrong = [
        f"{path.relative_to(top)} imports {name}"
        for path in sources(top, "module_utils", "modules")
        for name in imports(top, path)
        if "plugin_utils" in name or "pydantic" in name
    ]
    assert not wrong, wrong


def test_the_target_ring_parses_as_python_38(top: Path) -> None:
    broken = []
    for path in sources(top, "module_utils", "modules"):
        try:
            ast.parse(path.read_text(), str(path), feature_version=(3, 8))
        except SyntaxError as error:
            broken.append(f"{path.relative_to(top)}:{error.lineno}: {error.msg}")
    assert not broken, broken


def test_models_reach_pydantic_by_the_guarded_import_alone(top: Path) -> None:
    """The import sanity test has no pydantic: whoever imports it directly breaks there."""
    direct = [
        str(path.relative_to(top))
        for path in sources(top, "plugin_utils", "action")
        if path.name != "_pydantic.py" and any(name.partition(".")[0] == "pydantic" for name in imports(top, path))
    ]
    assert not direct, direct


@pytest.mark.parametrize("folder", ["module_utils", "modules", "plugin_utils", "action", "filter", "inventory"])
def test_no_plugin_opens_the_published_schema(top: Path, folder: str) -> None:
    """At run time a collection may use meta, plugins, roles and playbooks only; schemas/ is made for others."""
    opening = [
        f"{path.relative_to(top)}:{node.lineno}"
        for path in sorted((top / "plugins" / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_schema_path(node.value)
    ]
    assert not opening, opening


def _is_schema_path(text: str) -> bool:
    """Prose may name the folder, and the schema's own identifier is a web address; a path is one word and neither."""
    return ("layout.schema.json" in text or "schemas/" in text) and len(text.split()) == 1 and not text.startswith("https://")
