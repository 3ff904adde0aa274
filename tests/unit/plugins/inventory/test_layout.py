# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of instances, by ansible-inventory itself: who is listed, under which names, groups and variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

LAYOUT = """\
version: 1
name: box
pool:
  memory: [{base: 0x40000000, size: 512MiB}]
images:
  debian: {kernel: /boot/vmlinuz, initrd: /srv/initrd}
instances:
  web: {image: debian, cpus: "2", memory: 128MiB, console: ttyS1, trust: edge-zone}
  db: {image: debian, cpus: {count: 1}, memory: 128MiB}
  old: {image: debian, cpus: {count: 1}, memory: 128MiB, state: absent}
channels:
  beat: {between: [host, web]}
"""
FLEET = Path(__file__).resolve().parents[4] / "examples" / "layouts" / "fleet"
Answer = tuple[dict[str, t.Any], str]


def listed(tmp_path: Path, source: str, machines: str | Path | None = None) -> Answer:
    """What ansible-inventory --list says, and its warnings."""
    (tmp_path / "layouts.yml").write_text("plugin: multikernel.core.layout\n" + source)
    sources = []
    if isinstance(machines, str):
        (tmp_path / "machines.yml").write_text(machines)
        machines = tmp_path / "machines.yml"
    if machines is not None:
        sources = ["-i", str(machines)]
    command = [sys.executable, "-m", "ansible.cli.inventory", *sources, "-i", str(tmp_path / "layouts.yml"), "--list"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home"), "COLUMNS": "1000"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    # strings that came from a plugin are marked as no templates
    return json.loads(done.stdout, object_hook=lambda one: one.get("__ansible_unsafe", one)), done.stderr


def hosts(inventory: dict[str, t.Any], group: str) -> list[str]:
    return sorted(inventory.get(group, {}).get("hosts", []))


def test_each_instance_of_a_file_is_a_host_below_its_machine(tmp_path: Path) -> None:
    (tmp_path / "box.yml").write_text(LAYOUT)
    inventory, _said = listed(tmp_path, "layouts: [{file: box.yml}]\n")
    assert hosts(inventory, "multikernel_machines") == ["box"]
    assert hosts(inventory, "multikernel_instances") == hosts(inventory, "multikernel_machine_box") == ["box.db", "box.web"]
    assert hosts(inventory, "multikernel_image_debian") == ["box.db", "box.web"]
    assert hosts(inventory, "multikernel_trust_edge_zone") == ["box.web"]
    web = inventory["_meta"]["hostvars"]["box.web"]
    assert web["multikernel_cpus"].pop("ids") == [2]
    assert web == {
        "ansible_connection": "multikernel.core.mktty",
        "multikernel_machine": "box",
        "multikernel_instance": "web",
        "multikernel_image": "debian",
        "multikernel_cpus": web["multikernel_cpus"],
        "multikernel_memory": 128 << 20,
        "multikernel_channels": ["beat"],
        "multikernel_console": "ttyS1",
        "multikernel_trust": "edge-zone",
        "multikernel_state": "running",
    }


def test_names_groups_and_variables_are_composed(tmp_path: Path) -> None:
    (tmp_path / "box.yml").write_text(LAYOUT)
    source = """
layouts: [{file: box.yml, machine: edge-7}]
hostname: multikernel_instance ~ '-on-' ~ multikernel_machine
absent: true
compose: {mib: multikernel_memory // 1048576}
groups: {small: mib < 200}
keyed_groups: [{prefix: state, key: multikernel_state}]
"""
    inventory, _said = listed(tmp_path, source)
    assert hosts(inventory, "multikernel_machine_edge_7") == ["db-on-edge-7", "old-on-edge-7", "web-on-edge-7"]
    assert hosts(inventory, "state_absent") == ["old-on-edge-7"]
    assert len(hosts(inventory, "small")) == 3
    assert inventory["_meta"]["hostvars"]["web-on-edge-7"]["mib"] == 128


def test_machines_bring_their_layouts_in_variables(tmp_path: Path) -> None:
    (tmp_path / "box.yml").write_text(LAYOUT)
    inventory, _said = listed(tmp_path, "", "all: {hosts: {a: {multikernel_layout_file: box.yml}, b: {}}}")
    assert hosts(inventory, "multikernel_instances") == ["a.db", "a.web"]
    assert hosts(inventory, "multikernel_machines") == ["a"]


def test_layouts_of_group_vars_are_rendered_for_each_machine(tmp_path: Path) -> None:
    inventory, _said = listed(tmp_path, "", FLEET / "inventory.yml")
    assert hosts(inventory, "multikernel_machines") == ["edge-1", "edge-2", "rack-1"]
    assert {"edge-1.gateway", "edge-2.gateway", "rack-1.worker-1"} <= set(hosts(inventory, "multikernel_instances"))


@pytest.mark.parametrize(
    ("layout", "source", "sentence"),
    [
        (LAYOUT.replace("128MiB, state", "much, state"), "layouts: [{file: box.yml}]", "box.yml:10:"),
        ("version: [", "layouts: [{file: box.yml}]", "box.yml:"),
        (LAYOUT, "layouts: [{file: no.yml}]", "no.yml"),
        (LAYOUT, "layouts: [{file: box.yml, kye: a}]", "layouts[0] has an unknown key 'kye'; there are file, key and machine"),
        (LAYOUT, "layouts: [{key: a}]", "layouts[0] names no file"),
        (LAYOUT, "layouts: [{file: box.yml}, {file: box.yml}]", "would be the host box.web, which there is already"),
        (LAYOUT, "layouts: [{file: box.yml}]\nhostname: nothing.at.all", "the expression hostname fails for box, instance web"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, layout: str, source: str, sentence: str) -> None:
    (tmp_path / "box.yml").write_text(layout)
    _inventory, said = listed(tmp_path, source)
    assert sentence in said


def test_a_wrong_layout_in_a_variable_is_said_with_file_and_line(tmp_path: Path) -> None:
    machines = "all:\n  hosts:\n    a:\n      multikernel_layout:\n        version: 1\n        nmae: box\n"
    _inventory, said = listed(tmp_path, "", machines)
    assert "the variable multikernel_layout of a is no valid layout" in said
    assert "machines.yml:6:" in said


def test_two_layouts_for_one_machine_are_refused(tmp_path: Path) -> None:
    _inventory, said = listed(tmp_path, "", "all: {hosts: {a: {multikernel_layout_file: box.yml, multikernel_layout: {version: 1}}}}")
    assert "a has both multikernel_layout and multikernel_layout_file; give it one of them" in said
