# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about every file: its licence is stated, it stays one idea long, it names no machine."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

SPDX = re.compile(r"SPDX-License-Identifier: (\S+)|GNU General Public License v3\.0\+")
# Formats without comments, texts that carry their licence by COPYING, and data.
WITHOUT_COMMENTS = {".json", ".md", ".rst", ".txt", ".dts", ".golden", ".svg", ".html", ".out", ".expected", ".log"}
CODE = {".py", ".sh", ".yml", ".yaml", ".toml", ".c", ".h", ".S", ".lds", ".j2", ".cfg", ".ini", ".mk"}


def needs_licence(path: Path, text: str) -> bool:
    """Code and settings name their licence; data, prose and empty files need not."""
    if not text.strip() or "fixtures" in path.parts or "golden" in path.parts or path.suffix in WITHOUT_COMMENTS:
        return False
    return path.suffix in CODE or path.name in ("Makefile", "Kbuild") or text.startswith("#!")


def licence_of(path: Path) -> str:
    """The licence that a file must have by the place where it lies."""
    if path.parts[:2] == ("plugins", "module_utils"):
        return "BSD-2-Clause"
    if path.parts[:2] == ("roles", "stock_kernel") and path.suffix in (".c", ".h", ".S", ".lds"):
        return "GPL-2.0-only"
    if path.parts[:3] == ("tests", "kernel", "failing"):  # compiled into mkstock
        return "GPL-2.0-only"
    return "GPL-3.0-or-later"


def test_every_file_names_its_licence(texts: dict[Path, str]) -> None:
    silent = [str(path) for path, text in texts.items() if needs_licence(path, text) and not SPDX.search("\n".join(text.splitlines()[:12]))]
    assert not silent, f"no SPDX-License-Identifier in the first lines of: {silent}"


def test_the_licence_fits_the_place(texts: dict[Path, str]) -> None:
    wrong = []
    for path, text in texts.items():
        if path.suffix not in (".py", ".c", ".h", ".S"):
            continue
        found = SPDX.search("\n".join(text.splitlines()[:12]))
        if found and (found.group(1) or "GPL-3.0-or-later") != licence_of(path):
            wrong.append(f"{path} says {found.group(1)}, its place asks for {licence_of(path)}")
    assert not wrong, wrong


def test_python_files_stay_one_idea_long(texts: dict[Path, str]) -> None:
    long = [
        f"{path}: {len(text.splitlines())} lines" for path, text in texts.items() if path.suffix == ".py" and len(text.splitlines()) > 600
    ]
    assert not long, f"over 600 lines, is a file missing? {long}"


def registry_hosts() -> set[str]:
    """Hosts of this machine's package sources, and the public defaults (spelled in parts: this file is searched, too)."""
    found = {"pypi" + ".org", "files." + "pythonhosted.org", "registry." + "npmjs.org", "deb." + "debian.org"}
    sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    said = "\n".join(path.read_text(errors="replace") for path in sources if path.is_file())
    said += subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    for host in re.findall(r"https?://([^/\s'\"]+)", said):
        found.add(host.rpartition("@")[2].partition(":")[0])
    return {host for host in found if "." in host}


def test_no_file_names_a_registry_host(texts: dict[Path, str]) -> None:
    hosts = registry_hosts()
    named = [f"{path}: {host}" for path, text in texts.items() for host in hosts if host in text]
    assert not named, f"package sources belong to the machine's settings: {named}"


def leaves_early(text: str) -> list[str]:
    """The pipes of a shell script with pipefail whose reader may leave before its writer is done: that ends the script, now and then."""
    if not text.startswith("#!") or not re.search(r"^set -.*pipefail", text, re.MULTILINE):
        return []
    reader = re.compile(r"\|\s*(?:head\b|grep -\w*q|sed [^|]*;q\}|awk [^|]*\bexit\b)")
    return [line.strip() for line in text.splitlines() if reader.search(line.split(" # ")[0])]


def test_no_script_ends_because_a_reader_left_early(texts: dict[Path, str]) -> None:
    found = [f"{path}: {line}" for path, text in texts.items() for line in leaves_early(text)]
    assert not found, f"the writer dies of SIGPIPE and pipefail tells nobody why: {found}"
    assert leaves_early("#!/bin/bash\nset -eu -o pipefail\napt-cache show x | head -n 1\n"), "this test would find one"


def test_no_file_names_a_path_of_one_machine(top: Path, texts: dict[Path, str]) -> None:
    places = re.compile(r"(?<![\w.$}>-])/(?:work|home/[a-z]\w*|Users/\w+)/")
    named = [f"{path}: {found.group()}" for path, text in texts.items() for found in [places.search(text)] if found]
    named += [f"{path}: {top}" for path, text in texts.items() if len(top.parts) > 2 and f"{top}/" in text]
    assert not named, f"a path that only one machine has: {named}"


def test_no_merge_is_left_half_done(texts: dict[Path, str]) -> None:
    marker = re.compile(r"^(?:<{7}|>{7}) |^={7}$", re.MULTILINE)
    found = [str(path) for path, text in texts.items() if marker.search(text)]
    assert not found, f"markers of a merge conflict: {found}"


def test_json_files_parse(top: Path, files: list[Path]) -> None:
    broken = []
    for path in files:
        if path.suffix == ".json" and "invalid" not in str(path):
            try:
                json.loads((top / path).read_text())
            except ValueError as error:
                broken.append(f"{path}: {error}")
    assert not broken, broken


def test_sanity_has_no_ignore_file(files: list[Path]) -> None:
    ignored = [str(path) for path in files if path.parts[:2] == ("tests", "sanity") and path.name.startswith("ignore")]
    assert not ignored, f"the findings of ansible-test are mended, not ignored: {ignored}"


def test_no_name_is_a_mere_underscore(top: Path, files: list[Path]) -> None:
    """ansible-test's pylint refuses it, minutes later than this test does."""
    found = [
        f"{path}:{node.lineno}"
        for path in files
        if path.suffix == ".py"
        for node in ast.walk(ast.parse((top / path).read_text(), str(path)))
        if (isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == "_")
    ]
    assert not found, f"a name that says what it is not used for, such as _turn: {found}"
