# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl: what it prints and how it ends."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import jsonschema
import pytest
import yaml
from ansible_collections.multikernel.core.plugins.plugin_utils import _cli

Plain = dict[str, t.Any]


@pytest.fixture
def layout(tmp_path: pathlib.Path, good: Plain) -> pathlib.Path:
    """A good layout in a file."""
    file = tmp_path / "layout.yml"
    file.write_text(yaml.safe_dump(good, sort_keys=False))
    return file


@pytest.fixture
def bundle(tmp_path: pathlib.Path, machine: Plain) -> pathlib.Path:
    """The facts of a machine in a file."""
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(machine))
    return file


@pytest.fixture
def mkl(capsys: pytest.CaptureFixture[str]) -> t.Callable[..., tuple[int, str, str]]:
    """Run mkl; returns exit code, standard output, standard error."""

    def run(*arguments: t.Any) -> tuple[int, str, str]:
        code = _cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


Mkl = t.Callable[..., tuple[int, str, str]]


def test_good_layout_is_valid(mkl: Mkl, layout: pathlib.Path) -> None:
    code, out, _err = mkl("validate", layout)
    assert code == 0
    assert f"{layout}: valid; rules: " in out
    assert "give --facts to judge it for a machine" in out


def test_broken_layout_gives_every_error_and_code_1(mkl: Mkl, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "layout.yml"
    file.write_text("version: 1\nname: a/b\npool: {memory: [{size: 1 MB/s}]}\nimages: {}\ninstances: {}\n")
    code, out, _err = mkl("validate", file)
    assert code == 1
    assert [line.split(" ")[0] for line in out.splitlines() if line.startswith(str(file))] == [f"{file}:2:7:", f"{file}:3:24:", f"{file}:"]
    assert out.splitlines()[-1] == f"{file}: invalid, 2 errors"


def test_text_that_is_no_yaml_is_invalid_not_wrong_usage(mkl: Mkl, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "layout.yml"
    file.write_text("a: [\n")
    code, out, _err = mkl("validate", file)
    assert code == 1
    assert "this is no YAML" in out


def test_layout_that_breaks_a_rule_is_located(mkl: Mkl, tmp_path: pathlib.Path, good: Plain, bundle: pathlib.Path) -> None:
    good["instances"]["rt"]["cpus"] = "0"
    file = tmp_path / "layout.yml"
    file.write_text(yaml.safe_dump(good, sort_keys=False))
    code, out, _err = mkl("validate", file, "--facts", bundle)
    assert code == 1
    assert "breaks rules" in out
    assert any(line.startswith(f"{file}:") and "error [" in line for line in out.splitlines())


def test_what_is_not_known_is_told_on_demand(mkl: Mkl, layout: pathlib.Path) -> None:
    assert "not known [" not in mkl("validate", layout)[1]
    assert "not known [life-support]" in mkl("validate", layout, "--verbose")[1]


def test_json_report_holds_errors_and_findings(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    code, out, _err = mkl("validate", layout, "--facts", bundle, "--format", "json")
    told = json.loads(out)
    assert (code == 0) == told["valid"]
    assert told["errors"] == []
    assert {finding["facts"] for finding in told["findings"]} <= {str(bundle)}
    assert len(told["digest"]) == 64


def test_sarif_report_of_an_error(mkl: Mkl, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "layout.yml"
    file.write_text("version: 2\n")
    code, out, _err = mkl("validate", file, "--format", "sarif")
    assert code == 1
    places = [one["locations"][0]["physicalLocation"]["region"] for one in json.loads(out)["runs"][0]["results"]]
    assert {"startLine": 1, "startColumn": 10} in places


def test_layout_below_a_key_is_found(mkl: Mkl, tmp_path: pathlib.Path, good: Plain) -> None:
    file = tmp_path / "all.yml"
    file.write_text(yaml.safe_dump({"other": 1, "multikernel_layout": good}))
    assert mkl("validate", file, "--key", "multikernel_layout")[0] == 0
    assert mkl("validate", file, "--key", "nothing")[0] == 2


def test_plan_shows_every_step_with_its_inverse(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    code, out, _err = mkl("plan", layout, "--facts", bundle)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "  1. take memory block 8 (128 MiB at 0x40000000) from the host"
    assert lines[1] == "       undo: give memory block 8 back to the host"
    assert any("take CPU 2 offline in the host" in line for line in lines)
    assert lines[-1].endswith(" steps")


def test_plan_as_json_carries_the_placed_layout(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    told = json.loads(mkl("plan", layout, "--facts", bundle, "--format", "json")[1])
    assert told["placed"]["instances"]["web"]["placed"]["cpus"] == [2]
    assert {"do", "say", "instance", "undo"} == set(told["plan"][0])


def test_layout_that_does_not_fit_cannot_be_planned(mkl: Mkl, tmp_path: pathlib.Path, good: Plain, bundle: pathlib.Path) -> None:
    good["instances"]["web"]["memory"] = "100GiB"
    file = tmp_path / "layout.yml"
    file.write_text(yaml.safe_dump(good, sort_keys=False))
    code, out, _err = mkl("plan", file, "--facts", bundle)
    assert code == 1
    assert "instances.web.memory" in out


def test_render_draws_and_tells_what_is_not_isolated(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    code, out, _err = mkl("render", layout, "--facts", bundle, "--ascii")
    assert code == 0
    assert "| web " in out
    assert "Isolation grade D, at best C: " in out
    out.encode("ascii")


def test_render_as_data_tells_owners_and_ways(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    told = json.loads(mkl("render", layout, "--facts", bundle, "--format", "json")[1])
    assert told["cpus"] == {"host": "0-1", "web": "2", "rt": "3"}
    assert {"base": 0x40000000, "size": 16 << 20, "label": "rt", "kernels": ["rt"], "shared": False} in told["memory"]
    assert told["isolation"]["pairs"][0]["ways"]["reset"]["verdict"] == "open"


def test_report_tells_each_way_and_gates_on_the_minimum_grade(mkl: Mkl, tmp_path: pathlib.Path, good: Plain, bundle: pathlib.Path) -> None:
    file = tmp_path / "layout.yml"
    for grade, expected in ((None, 0), ("D", 0), ("C", 1)):
        good["policy"] = {"isolation": {"minimum_grade": grade}}
        file.write_text(yaml.safe_dump(good, sort_keys=False))
        code, out, _err = mkl("report", file, "--facts", bundle)
        assert code == expected
        assert "MACHINE RESET: " in out


def test_report_tells_what_opened_and_says_so_in_its_exit_code(mkl: Mkl, tmp_path: pathlib.Path, good: Plain, layout: pathlib.Path) -> None:
    good["instances"]["web"]["cmdline"] = "panic=10"
    good["images"]["debian"]["format"] = "bzimage"
    other = tmp_path / "other.yml"
    other.write_text(yaml.safe_dump(good, sort_keys=False))
    code, out, _err = mkl("report", layout, "--diff", other, "--format", "json")
    told = json.loads(out)
    assert (code, told["worse"]) == (0, False)  # which kernel it is, is known now
    assert mkl("report", other, "--diff", layout)[0] == 3
    assert mkl("report", layout, "--diff", tmp_path / "missing.yml")[0] == 2


def test_render_as_svg(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    code, out, _err = mkl("render", layout, "--facts", bundle, "--format", "svg")
    assert code == 0
    assert out.startswith("<svg ")


def test_schema_is_the_published_file(mkl: Mkl, top: pathlib.Path) -> None:
    assert mkl("schema")[1] == (top / "schemas" / "layout.schema.json").read_text()


def test_explain_lists_every_rule_and_explains_one(mkl: Mkl) -> None:
    code, out, _err = mkl("explain")
    names = [line.split()[0] for line in out.splitlines()]
    assert code == 0
    assert len(names) > 10
    assert mkl("explain", names[0])[1].startswith(f"{names[0]} (")


def test_unknown_rule_is_wrong_usage_with_a_suggestion(mkl: Mkl) -> None:
    name = mkl("explain")[1].split()[0]
    code, _out, err = mkl("explain", name + "x")
    assert code == 2
    assert f"did you mean {name}" in err


def test_facts_of_a_machine_below_a_folder(mkl: Mkl, tmp_path: pathlib.Path) -> None:
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    (tmp_path / "sys/devices/system/cpu/present").write_text("0-1\n")
    code, out, _err = mkl("facts", "--root", tmp_path)
    assert code == 0
    assert json.loads(out)["cpus"]["present"] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("validate", "/nowhere/layout.yml"), "mkl: /nowhere/layout.yml cannot be read: No such file or directory\n"),
        (("render", "LAYOUT", "--facts", "/nowhere/f"), "mkl: the facts /nowhere/f cannot be read: No such file or directory\n"),
        (("render", "LAYOUT", "--facts", "LAYOUT"), "mkl: the facts LAYOUT are no JSON: "),
        (("plan", "LAYOUT", "--facts", "BUNDLE", "--state", "BUNDLE"), "mkl: BUNDLE is no observed state"),
    ],
)
def test_files_that_cannot_be_used_are_wrong_usage(
    mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path, arguments: tuple[str, ...], sentence: str
) -> None:
    names = {"LAYOUT": str(layout), "BUNDLE": str(bundle)}
    code, out, err = mkl(*(names.get(one, one) for one in arguments))
    assert (code, out) == (2, "")
    assert err.startswith(sentence.replace("LAYOUT", str(layout)).replace("BUNDLE", str(bundle)))


@pytest.mark.parametrize("missing", ["cpus.online", "memory.iomem", "dialect.pool", "memory"])
def test_facts_without_a_part_are_wrong_usage(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path, machine: Plain, missing: str) -> None:
    part, _dot, key = missing.partition(".")
    if key:
        del machine[part][key]
    else:
        del machine[part]
    bundle.write_text(json.dumps(machine))
    code, _out, err = mkl("plan", layout, "--facts", bundle)
    assert code == 2
    assert f"the facts {bundle} have no {missing}" in err


def test_wrong_option_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _cli.main(["validate"])
    assert ended.value.code == 2
    assert "usage: mkl validate" in capsys.readouterr().err


def test_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code}  " in text for code in (0, 1, 2))


def test_module_can_be_run_and_a_closed_pipe_is_no_error(layout: pathlib.Path) -> None:
    command = [sys.executable, "-m", _cli.__name__, "schema"]
    done = subprocess.run(f"{' '.join(command)} | head -n 1", shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["explain", "cpu-present"]])
def test_small_questions_do_not_load_the_libraries(arguments: list[str]) -> None:
    """Lazy imports: an answer that needs no layout must not wait for what reads one."""
    program = f"""
import sys
from {_cli.__name__} import main
try:
    main({arguments!r})
except SystemExit:
    pass
sys.exit(", ".join(sorted({{"ansible", "pydantic", "yaml"}} & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_schema_is_a_schema(mkl: Mkl) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(mkl("schema")[1]))


def test_version_is_that_of_the_collection(capsys: pytest.CaptureFixture[str], top: pathlib.Path) -> None:
    with pytest.raises(SystemExit) as ended:
        _cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"mkl {yaml.safe_load((top / 'galaxy.yml').read_text())['version']}\n"


def test_version_of_a_collection_that_galaxy_installed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Galaxy leaves galaxy.yml out and writes MANIFEST.json."""
    from ansible_collections.multikernel.core.plugins.plugin_utils import _version

    monkeypatch.setattr(_version, "TOP", tmp_path)
    assert _version.version() == "of unknown version"
    (tmp_path / "MANIFEST.json").write_text('{\n "collection_info": {\n  "namespace": "multikernel",\n  "version": "1.2.3"\n }\n}\n')
    assert _version.version() == "1.2.3"


def test_of_several_layouts_the_worst_decides_and_none_hides_the_others(mkl: Mkl, layout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("version: 2\n")
    missing = tmp_path / "missing.yml"
    assert mkl("validate", layout, layout)[0] == 0
    code, out, err = mkl("validate", missing, broken, layout)
    assert code == 1
    assert "missing.yml cannot be read" in err
    assert f"{broken}: invalid" in out
    assert f"{layout}: valid" in out
    assert mkl("validate", layout, missing)[0] == 2
    assert mkl("validate", layout, layout, "--strict")[0] == 3


def test_facts_with_an_equals_sign_leave_the_files_behind_them(mkl: Mkl, layout: pathlib.Path, bundle: pathlib.Path) -> None:
    """As pre-commit calls it: options first, then the names of files."""
    code, out, _err = mkl("validate", f"--facts={bundle}", layout, layout)
    assert code == 0
    assert out.count(f"for {bundle}: valid") == 2


def test_machine_format_tells_of_one_layout(mkl: Mkl, layout: pathlib.Path) -> None:
    code, _out, err = mkl("validate", layout, layout, "--format", "sarif")
    assert code == 2
    assert "once for each file" in err
