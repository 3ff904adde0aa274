# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""layout_validate in a real play: no connection, located errors, machine-readable results."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

GOOD = """\
version: 1
name: box
pool: {memory: [{base: 0x40000000, size: 64MiB}]}
images:
  tiny: {kernel: /srv/tiny.bin, format: flat}
instances:
  rt: {image: tiny, cpus: "3", memory: 16MiB, console: ttyS1}
"""
BROKEN = GOOD.replace("memory: 16MiB", "memroy: 16MiB").replace("size: 64MiB", "size: 64 MB/s").replace("name: box\n", "")
VARIABLES = {
    "good": GOOD,
    "broken": BROKEN,
    "other": GOOD.replace("16MiB", "32MiB"),
    "same": GOOD.replace("16MiB", "16777216"),
    "templated": GOOD.replace("memory: 16MiB", 'memory: "{{ rt_memory }}"'),
    "overlapping": GOOD + '  more: {image: tiny, cpus: "3", memory: 16MiB, console: ttyS2}\n',
}
FACTS = {
    "version": 1,
    "hostname": "small",
    "kernel": {"release": "6.1", "version": "", "cmdline": ""},
    "cpus": {"present": [0, 1], "online": [0, 1], "possible": [0, 1], "boot": 0, "each": {}},
    "memory": {"total": 1 << 31, "block_size": None, "blocks": None, "iomem": None, "low": None},
    "dialect": {"name": "none", "provider": None, "strict": None, "pool": None, "channels": False},
}
TASKS: dict[str, dict[str, t.Any]] = {
    "good": {"layout": "{{ good }}"},
    "broken": {"layout": "{{ broken }}"},
    "templated": {"layout": "{{ templated }}"},
    "broken file": {"file": "layout.yml"},
    "broken file, not failing": {"file": "layout.yml", "fail": False},
    "overlapping": {"layout": "{{ overlapping }}"},
    "facts": {"file": "good.yml", "facts": ["facts/small.json"]},
    "both the same": {"file": "good.yml", "layout": "{{ same }}"},
    "both different": {"file": "good.yml", "layout": "{{ other }}"},
    "no such file": {"file": "nowhere.yml"},
    "no such facts": {"file": "good.yml", "facts": ["nowhere.json"]},
    "odd facts": {"file": "good.yml", "facts": ["good.yml"]},
    "nothing": {},
    "a list": {"layout": ["a"]},
    "unknown option": {"file": "good.yml", "layuot": {}},
}


@pytest.fixture(scope="module")
def group_vars(playbook: t.Any) -> pathlib.Path:
    """The variables; the layout `broken` begins in line 10."""
    text = "".join(f"{name}:\n" + "".join(f"  {line}\n" for line in layout.splitlines()) for name, layout in VARIABLES.items())
    playbook.write("host_vars/192.0.2.1.yml", "rt_memory: 16 apples\n")
    playbook.write("files/layout.yml", BROKEN)
    playbook.write("good.yml", GOOD)
    playbook.write("facts/small.json", json.dumps(FACTS))
    return t.cast(pathlib.Path, playbook.write("group_vars/all.yml", text))


@pytest.fixture(scope="module")
def outcomes(playbook: t.Any, group_vars: pathlib.Path) -> dict[str, t.Any]:
    """All tasks of this file, run once."""
    return t.cast(dict[str, t.Any], playbook.run({name: {"multikernel.core.layout_validate": task} for name, task in TASKS.items()}))


Outcomes = dict[str, t.Any]


def test_good_layout_passes_against_a_host_that_is_not_there(outcomes: Outcomes) -> None:
    result = outcomes["good"].result
    assert not outcomes["good"].failed, outcomes["good"].text
    assert (result["valid"], result["changed"], result["errors"]) == (True, False, [])
    assert result["canonical"]["instances"]["rt"]["cpus"]["ids"] == [3]
    assert len(result["digest"]) == 64


def test_errors_in_group_vars_are_all_told_with_their_places(outcomes: Outcomes, group_vars: pathlib.Path) -> None:
    text = outcomes["broken"].text
    assert "The layout has 3 errors:" in text
    assert f"{group_vars}:10:3: the key 'name' is missing (name of the layout)" in text
    assert f"{group_vars}:11:44: pool.memory[0].size: '64 MB/s' is no size" in text
    assert f"{group_vars}:15:34: instances.rt.memroy: unknown key 'memroy' (did you mean 'memory'?)" in text


def test_ansible_shows_the_lines_of_the_first_error(outcomes: Outcomes, group_vars: pathlib.Path) -> None:
    assert f"Origin: {group_vars}:10:3" in outcomes["broken"].text
    assert "10   version: 1\n     ^ column 3" in outcomes["broken"].text


def test_errors_are_data_as_well(outcomes: Outcomes) -> None:
    assert [(one["key"], one["line"], one["column"]) for one in outcomes["broken"].result["errors"]] == [
        ("", 10, 3),
        ("pool.memory[0].size", 11, 44),
        ("instances.rt.memroy", 15, 34),
    ]


def test_value_out_of_host_vars_is_told_with_its_place_there(outcomes: Outcomes, playbook: t.Any) -> None:
    file = playbook.folder / "host_vars" / "192.0.2.1.yml"
    assert f"{file}:1:12: instances.rt.memory: '16 apples' has the unknown unit 'apples'" in outcomes["templated"].text


def test_errors_in_a_file_are_told_with_their_places(outcomes: Outcomes, playbook: t.Any) -> None:
    file = playbook.folder / "files" / "layout.yml"
    assert outcomes["broken file"].failed
    assert f"{file}:2:42: pool.memory[0].size: '64 MB/s' is no size" in outcomes["broken file"].text


def test_errors_need_not_fail_the_task(outcomes: Outcomes) -> None:
    outcome = outcomes["broken file, not failing"]
    assert not outcome.failed
    assert (outcome.result["valid"], outcome.result["canonical"], len(outcome.result["errors"])) == (False, None, 3)


def test_broken_rule_is_told_with_its_place(outcomes: Outcomes, group_vars: pathlib.Path) -> None:
    text = outcomes["overlapping"].text
    assert outcomes["overlapping"].failed
    assert any(line.startswith(f"{group_vars}:") and "error [cpu-overlap]" in line for line in text.splitlines())


def test_layout_is_judged_for_stored_facts(outcomes: Outcomes) -> None:
    assert outcomes["facts"].failed
    assert "error [cpu-present]" in outcomes["facts"].text


def test_layout_and_file_that_say_the_same_are_both_welcome(outcomes: Outcomes) -> None:
    assert not outcomes["both the same"].failed, outcomes["both the same"].text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("both different", "they say different things"),
        ("no such file", "the file 'nowhere.yml' is not on the controller"),
        ("no such facts", "the file 'nowhere.json' is not on the controller"),
        ("odd facts", "are no JSON"),
        ("nothing", "layout, file"),
        ("a list", "a layout is a mapping; found a list"),
        ("unknown option", "layuot"),
    ],
)
def test_wrong_use_is_a_sentence(outcomes: Outcomes, name: str, sentence: str) -> None:
    assert outcomes[name].failed
    assert sentence in outcomes[name].text


def test_no_task_ends_in_a_traceback(outcomes: Outcomes) -> None:
    assert [name for name, outcome in outcomes.items() if "Traceback (most" in outcome.text + json.dumps(outcome.result)] == []


def test_check_mode_gives_the_same_answers(playbook: t.Any, outcomes: Outcomes) -> None:
    tasks = {name: {"multikernel.core.layout_validate": TASKS[name]} for name in ("good", "broken")}
    checked = playbook.run(tasks, check=True)
    assert {name: outcome.result for name, outcome in checked.items()} == {name: outcomes[name].result for name in tasks}
