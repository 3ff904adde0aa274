# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stock kernel for the lab, the demo and the tests: Debian drops kernel packages, and then all must follow at once.

Facts that were captured on a machine, and the demo's output in the README, name the kernel that ran there; they do not follow.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
STOCK = yaml.safe_load((TOP / "roles/qemu_lab/defaults/main.yml").read_text())["qemu_lab_release"]
BACKPORT = yaml.safe_load((TOP / "molecule/backports/host_vars/lab.yml").read_text())["lab_release"]
FOLLOWERS = ["scripts", "molecule", "roles", "examples/layouts", "tests/kernel", "docs", "README.md"]
FOLLOWERS += ["tests/unit/plugins/module_utils/boot"]  # these read the kernel out of the cache, and skip when it is not there


def text_of(path: Path) -> str:
    text = path.read_text(errors="replace")
    return re.sub(r"<!-- demo:begin -->.*?<!-- demo:end -->", "", text, flags=re.DOTALL) if path.name == "README.md" else text


def others(pattern: str, release: str) -> list[str]:
    """Files of the followers that name a release of this pattern other than the given one."""
    words = ["git", "ls-files", "-co", "--exclude-standard", *FOLLOWERS]
    listing = subprocess.run(words, cwd=TOP, check=True, capture_output=True, text=True).stdout
    paths = [path for path in map(TOP.joinpath, listing.splitlines()) if path.is_file()]
    assert len(paths) > 50
    named = [(path, found) for path in paths for found in sorted(set(re.findall(pattern, text_of(path))))]
    return [f"{path.relative_to(TOP)}: {found}" for path, found in named if found != release]


@pytest.mark.parametrize(
    ("pattern", "release"),
    [(r"\b6\.1\.0-\d+-amd64", STOCK), (r"\b6\.12\.\d+\+deb12-amd64", BACKPORT)],
    ids=["stock", "backports"],
)
def test_every_file_names_the_same_kernel(pattern: str, release: str) -> None:
    strangers = others(pattern, release)
    assert not strangers, f"the kernel is {release}, yet others are named: {strangers}"


def test_the_role_documents_its_default() -> None:
    specs = yaml.safe_load((TOP / "roles/qemu_lab/meta/argument_specs.yml").read_text())
    assert specs["argument_specs"]["main"]["options"]["qemu_lab_release"]["default"] == STOCK


def test_programs_read_it_from_there() -> None:
    assert subprocess.run([TOP / "scripts/stock-release"], check=True, capture_output=True, text=True).stdout == f"{STOCK}\n"
    for reader in ("scripts/demo", "scripts/stages/host.py", "tests/kernel/harness.py", "molecule/shared/group_vars/labs.yml"):
        assert "stock-release" in (TOP / reader).read_text(), f"{reader} does not ask scripts/stock-release"
