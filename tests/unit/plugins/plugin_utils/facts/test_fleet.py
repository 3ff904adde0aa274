# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout for many machines: each has a verdict, equal reasons stand together, one damaged bundle hides nothing."""

from __future__ import annotations

import copy
import importlib.util
import json
import pathlib
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import bundle
from ansible_collections.multikernel.core.plugins.plugin_utils import _cli, _fleet
from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import read_facts
from ansible_collections.multikernel.core.plugins.plugin_utils._model.errors import LayoutErrors
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject

Plain = dict[str, t.Any]
TOP = pathlib.Path(__file__).parents[5]
HOSTS = TOP / "examples" / "hosts"
LAB = TOP / "examples" / "layouts" / "lab.yml"
FITS = {"lab-4", "edge-8-nosmt", "sparse-12", "rack-64-nosmt"}


@pytest.fixture(scope="module")
def canonical() -> Plain:
    verdict = examine(Subject.of_file(str(LAB)))
    assert verdict.canonical is not None
    return verdict.canonical


@pytest.fixture
def fleet(tmp_path: pathlib.Path) -> t.Callable[..., list[str]]:
    """Write bundles, each the machine lab-4 with changes; returns their paths."""

    def write(**machines: t.Callable[[Plain], None] | str) -> list[str]:
        facts = json.loads((HOSTS / "lab-4.json").read_text())
        for name, change in machines.items():
            file = tmp_path / f"{name}.json"
            if isinstance(change, str):
                file.write_text(change)
            else:
                changed = copy.deepcopy(facts)
                changed["hostname"] = name
                change(changed)
                file.write_text(json.dumps(changed))
        return [str(tmp_path / f"{name}.json") for name in machines]

    return write


def locked(facts: Plain) -> None:
    facts["kexec"]["load_disabled"] = True


def unseen(facts: Plain) -> None:
    facts["kexec"]["load_disabled"] = None


def good(_facts: Plain) -> None:
    pass


def holds(whole: t.Any, part: t.Any) -> bool:
    """Whether everything of a part is in the whole, which may have more keys."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], item) for key, item in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def mkl(capsys: pytest.CaptureFixture[str], *arguments: t.Any) -> tuple[int, str, str]:
    code = _cli.main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_bundles_of_the_examples_are_what_is_collected_from_their_trees() -> None:
    spec = importlib.util.spec_from_file_location("varied", TOP / "tests/unit/fixtures/hosts/varied.py")
    assert spec is not None and spec.loader is not None
    varied = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(varied)
    made = varied.bundles()
    kept = {file.stem: json.loads(file.read_text()) for file in HOSTS.glob("*.json")}
    assert sorted(kept) == sorted(made)
    # Facts that are collected since the files were written do not make them wrong.
    assert [name for name in kept if not holds(made[name], kept[name])] == [], "run tests/unit/fixtures/hosts/varied.py"


def test_examples_are_as_varied_as_they_say() -> None:
    facts = {file.stem: read_facts(str(file)) for file in HOSTS.glob("*.json")}
    each = {name: one["cpus"]["each"].values() for name, one in facts.items()}
    assert {len(cpus) for cpus in each.values()} >= {4, 8, 12, 16, 28, 64, 256, 512}
    assert {len({cpu["package"] for cpu in cpus if cpu["package"] is not None}) for cpus in each.values()} == {1, 2}
    assert {max(len(cpu["siblings"] or []) for cpu in cpus) for cpus in each.values()} == {1, 2}
    assert {len({cpu["node"] for cpu in cpus}) for cpus in each.values()} >= {1, 2, 4, 8}
    assert {len({len(cpu["siblings"] or [0]) for cpu in cpus}) for cpus in each.values()} == {1, 2}, "cores of two kinds in one machine"
    assert max(cpu["apic_id"] for cpu in each["dense-512"]) == 511
    assert [cpu["apic_id"] for cpu in each["sparse-12"]][:6] == [0, 1, 2, 5, 6, 7]


def test_verdicts_of_the_examples(canonical: Plain) -> None:
    machines = _fleet.judge(canonical, _fleet.bundles([str(HOSTS)]), processes=1)
    assert {machine.name for machine in machines if machine.verdict == _fleet.OK} == FITS
    readme, _heading, captured = (HOSTS / "README.md").read_text().partition("## Captured")
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in readme.splitlines() if line.startswith("| ")]
    assert {name for name, _what, said in rows if said == "fits"} == FITS
    assert {name for name, *_rest in rows} - {"machine"} == {machine.name for machine in machines}
    listed = {line.split("|")[1].strip() for line in captured.splitlines() if line.startswith("| ")} - {"machine"}
    assert listed == {file.stem for file in (HOSTS / "captured").glob("*.json")}


def test_several_processes_say_the_same_in_the_same_order(canonical: Plain) -> None:
    paths = _fleet.bundles([str(HOSTS)]) * 3
    assert _fleet.judge(canonical, paths, processes=2) == _fleet.judge(canonical, paths, processes=1)


def test_each_of_the_four_verdicts(canonical: Plain, fleet: t.Callable[..., list[str]]) -> None:
    machines = _fleet.judge(canonical, fleet(a=good, b=locked, c=unseen, d="[]"))
    assert [(one.name, one.verdict) for one in machines] == [("a", "ok"), ("b", "refused"), ("c", "unknown"), ("d", "unreadable")]
    assert [[reason["rule"] for reason in one.reasons] for one in machines[:3]] == [[], ["life-kexec-allowed"], ["life-kexec-allowed"]]
    assert "d.json is no facts bundle" in str(machines[3].sentence)
    assert _fleet.counts(machines) == {"ok": 1, "refused": 1, "unknown": 1, "unreadable": 1}


def test_equal_reasons_form_one_group_largest_first(canonical: Plain, fleet: t.Callable[..., list[str]]) -> None:
    def without_cpu(facts: Plain) -> None:
        for key in ("present", "online", "possible"):
            facts["cpus"][key] = [0, 1, 2]
        del facts["cpus"]["each"]["3"]

    machines = _fleet.judge(canonical, fleet(a=without_cpu, b=locked, c=locked, d=good, e=locked, f="x", g="x"))
    together = [(group.number, group.verdict, [one.name for one in group.machines]) for group in _fleet.groups(machines)]
    assert together == [
        (1, "refused", ["b", "c", "e"]),
        (2, "refused", ["a"]),
        (3, "unreadable", ["f"]),
        (4, "unreadable", ["g"]),
        (None, "ok", ["d"]),
    ]


def test_table_tells_each_machine_and_each_reason_once(canonical: Plain, fleet: t.Callable[..., list[str]]) -> None:
    machines = _fleet.judge(canonical, fleet(alpha=locked, beta=good, gamma=locked))
    text = _fleet.text(machines, Subject.of_file(str(LAB)).locator)
    assert [line.split() for line in text.splitlines()[:4]] == [
        ["MACHINE", "VERDICT", "WHY"],
        ["alpha", "refused", "[1]", "life-kexec-allowed"],
        ["beta", "ok"],
        ["gamma", "refused", "[1]", "life-kexec-allowed"],
    ]
    assert "[1] refused: alpha, gamma" in text
    assert text.count("error [life-kexec-allowed]") == 1
    assert f"{LAB}:" in text
    assert text.splitlines()[-1] == "3 machines: 1 ok, 2 refused, 0 unknown, 0 unreadable"


def test_name_of_a_machine_cannot_break_the_table(canonical: Plain, fleet: t.Callable[..., list[str]]) -> None:
    def rename(facts: Plain) -> None:
        facts["hostname"] = "evil\n\x1b[2Jlab-1  ok" + "x" * 500

    paths = fleet(a=rename, b=good)
    lines = _fleet.text(_fleet.judge(canonical, paths)).splitlines()
    assert "\x1b" not in "".join(lines)
    assert len(lines[1]) < 100
    assert lines[2].split() == ["b", "ok"]


def test_redacted_machine_goes_by_the_name_of_its_file(canonical: Plain, fleet: t.Callable[..., list[str]]) -> None:
    (path,) = fleet(secret=lambda facts: facts.update(bundle.redact(facts)))
    assert _fleet.judge(canonical, [path])[0].name == "secret"


def test_machine_that_no_rule_foresaw_concerns_itself_alone(
    canonical: Plain, fleet: t.Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _fleet.judged

    def judged(layout: Plain, facts: Plain) -> t.Any:
        if facts["hostname"] == "b":
            raise KeyError("surprise")
        return real(layout, facts)

    monkeypatch.setattr(_fleet, "judged", judged)
    machines = _fleet.judge(canonical, fleet(a=good, b=good))
    assert [one.verdict for one in machines] == ["ok", "unreadable"]
    assert "cannot be judged: KeyError: 'surprise'" in str(machines[1].sentence)


def test_folder_without_bundles_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LayoutErrors, match="there is no facts bundle"):
        _fleet.bundles([str(tmp_path)])


def test_mkl_judges_files_and_folders(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _err = mkl(capsys, "validate", LAB, "--facts", HOSTS / "lab-4.json", HOSTS)
    assert code == 1
    assert out.splitlines()[-2] == "12 machines: 4 ok, 8 refused, 0 unknown, 0 unreadable", "a bundle that is named twice counts once"


@pytest.mark.parametrize(
    ("machines", "plain", "strict"),
    [
        ({"a": good, "b": good}, 0, 0),
        ({"a": good, "b": unseen}, 0, 3),
        ({"a": good, "b": "{"}, 2, 2),
        ({"a": unseen, "b": "{"}, 2, 2),
        ({"a": locked, "b": "{", "c": unseen}, 1, 1),
    ],
)
def test_exit_codes_for_a_fleet(
    capsys: pytest.CaptureFixture[str], fleet: t.Callable[..., list[str]], machines: Plain, plain: int, strict: int
) -> None:
    paths = fleet(**machines)
    assert mkl(capsys, "validate", LAB, "--facts", *paths)[0] == plain
    assert mkl(capsys, "validate", LAB, "--strict", "--facts", *paths)[0] == strict


def test_exit_codes_for_one_machine(capsys: pytest.CaptureFixture[str], fleet: t.Callable[..., list[str]]) -> None:
    known, unknown = fleet(a=good, b=unseen)
    assert [mkl(capsys, "validate", LAB, "--strict", "--facts", path)[0] for path in (known, unknown)] == [0, 3]


def test_answer_as_data(capsys: pytest.CaptureFixture[str], fleet: t.Callable[..., list[str]]) -> None:
    paths = fleet(a=good, b=locked, c=locked, d="{")
    code, out, _err = mkl(capsys, "validate", LAB, "--format", "json", "--facts", *paths)
    told = json.loads(out)
    assert (code, told["valid"]) == (1, False)
    assert told["counts"] == {"ok": 1, "refused": 2, "unknown": 0, "unreadable": 1}
    assert [(one["name"], one["verdict"], one["group"]) for one in told["machines"]] == [
        ("a", "ok", None),
        ("b", "refused", 1),
        ("c", "refused", 1),
        ("d", "unreadable", 2),
    ]
    first = told["groups"][0]
    assert first["machines"] == ["b", "c"]
    assert first["reasons"][0]["rule"] == "life-kexec-allowed"
    assert first["reasons"][0]["file"] == str(LAB)


def test_answer_for_code_review(capsys: pytest.CaptureFixture[str], fleet: t.Callable[..., list[str]]) -> None:
    code, out, _err = mkl(capsys, "validate", LAB, "--format", "sarif", "--facts", *fleet(a=good, b=locked, c=locked))
    (result,) = json.loads(out)["runs"][0]["results"]
    assert code == 1
    assert result["ruleId"] == "life-kexec-allowed"
    assert "(b, c)" in result["message"]["text"]


def test_layout_with_errors_is_told_once_and_not_for_each_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, fleet: t.Callable[..., list[str]]
) -> None:
    file = tmp_path / "layout.yml"
    file.write_text("version: 2\n")
    code, out, _err = mkl(capsys, "validate", file, "--facts", *fleet(a=good, b=good))
    assert code == 1
    assert out.count("layout version 2 is not known here") == 1


def test_facts_can_be_redacted_where_they_are_collected(capsys: pytest.CaptureFixture[str]) -> None:
    root = TOP / "tests/unit/fixtures/hosts/smt"
    told = json.loads(mkl(capsys, "facts", "--root", root, "--redact")[1])
    assert (told["hostname"], told["boot_id"]) == (None, None)
    assert told["kernel"]["cmdline"].startswith("root=*** console=ttyS0 crashkernel=256M memmap=")
