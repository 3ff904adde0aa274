# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module image refuses what is not meant, stages what is, and changes nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

basic = pytest.importorskip("ansible.module_utils.basic")
from ansible_collections.multikernel.core.plugins.modules import image

INITRD = b"\x1f\x8b" + b"i" * 100


class Left(Exception):
    """The module came to its end: failed or not, with this result."""

    def __init__(self, failed: bool, result: Dict[str, Any]) -> None:
        super().__init__(result.get("msg"))
        self.failed = failed
        self.result = result


def kernel(mark: bytes = b"") -> bytes:
    """A small ELF file that passes for a kernel."""
    data = b"text" * 10 + mark
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 120, 0, 0x1000000, len(data), 4096, 0x200000) + data


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Dict[str, Any]]:
    """Run the module with the arguments given; returns its result, which holds `failed`."""

    def leave(failed: bool) -> Callable[..., None]:
        def left(_module: Any, **result: Any) -> None:
            raise Left(failed, result)

        return left

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", leave(False))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", leave(True))

    def call(check: bool = False, **arguments: Any) -> Dict[str, Any]:
        common = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": str(tmp_path)}
        text = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, **common}}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", text)
        if hasattr(basic, "_ANSIBLE_PROFILE"):
            monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy")
        with pytest.raises(Left) as caught:
            image.main()
        return {**caught.value.result, "failed": caught.value.failed}

    return call


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "vmlinux.new"
    path.write_bytes(kernel())
    return str(path)


def test_a_good_image_is_only_looked_at(run: Callable[..., Dict[str, Any]], source: str) -> None:
    before = os.stat(source)
    result = run(path=source, sha256=hashlib.sha256(kernel()).hexdigest().upper())
    assert (result["failed"], result["changed"]) == (False, False)
    assert (result["kind"], result["size"], result["path"]) == ("vmlinux", len(kernel()), source)
    assert result["elf"]["entry"] == 0x1000000
    assert os.stat(source) == before


def test_a_staged_image_is_put_once(run: Callable[..., Dict[str, Any]], source: str, tmp_path: Path) -> None:
    path = str(tmp_path / "vmlinux")
    planned = run(check=True, src=source, path=path, mode="0640")
    assert (planned["failed"], planned["changed"], os.path.exists(path)) == (False, True, False)
    first = run(src=source, path=path, mode="0640")
    assert first["changed"] is True
    assert Path(path).read_bytes() == kernel()
    assert os.stat(path).st_mode & 0o777 == 0o640
    second = run(src=source, path=path, mode="0640")
    assert second["changed"] is False
    assert planned["diff"] == first["diff"]


def test_the_diff_shows_both_files(run: Callable[..., Dict[str, Any]], source: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(kernel(b"older"))
    (diff,) = run(check=True, src=source, path=str(path))["diff"]
    assert diff["before"]["sha256"] == hashlib.sha256(kernel(b"older")).hexdigest()
    assert diff["after"]["sha256"] == hashlib.sha256(kernel()).hexdigest()
    path.unlink()
    (diff,) = run(check=True, src=source, path=str(path))["diff"]
    assert diff["before"] == {"state": "absent"}


def test_a_wrong_mode_alone_is_a_change(run: Callable[..., Dict[str, Any]], source: str) -> None:
    os.chmod(source, 0o600)
    assert run(path=source, mode="0644")["changed"] is True
    assert run(path=source, mode="0644")["changed"] is False


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        (kernel(), {"sha256": "0" * 64}, "but 0000"),
        (kernel(), {"kind": "bzimage"}, "it is a vmlinux (ELF), but a bzImage is wanted"),
        (kernel(), {"kind": "flat"}, "but a flat payload is wanted"),
        (kernel(), {"kind": "initrd"}, "but an initrd is wanted"),
        (INITRD, {}, "it is an initrd, but a bzImage or a vmlinux (ELF) is wanted"),
        (kernel()[:150], {}, "truncated"),
        (b"", {"kind": "flat"}, "it is empty"),
        (b"no kernel" * 100, {}, "it is not a kernel"),
    ],
)
def test_what_is_not_meant_never_takes_the_place(
    run: Callable[..., Dict[str, Any]], tmp_path: Path, content: bytes, arguments: Dict[str, Any], sentence: str
) -> None:
    (tmp_path / "new").write_bytes(content)
    (tmp_path / "old").write_bytes(kernel(b"older"))
    result = run(src=str(tmp_path / "new"), path=str(tmp_path / "old"), **arguments)
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert result["msg"].startswith(str(tmp_path / "new") + ": ")
    assert (tmp_path / "old").read_bytes() == kernel(b"older")


def test_any_bytes_may_be_a_flat_payload(run: Callable[..., Dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "flat").write_bytes(b"\xf4" * 100)
    assert run(path=str(tmp_path / "flat"), kind="flat")["failed"] is False


def test_a_bad_initrd_keeps_its_kernel_back(run: Callable[..., Dict[str, Any]], source: str, tmp_path: Path) -> None:
    path, initrd = str(tmp_path / "vmlinux"), tmp_path / "initrd"
    initrd.write_bytes(b"no initrd")
    result = run(src=source, path=path, initrd={"path": str(initrd)})
    assert result["failed"] is True
    assert str(initrd) in result["msg"]
    assert not os.path.exists(path)
    initrd.write_bytes(INITRD)
    result = run(src=source, path=path, initrd={"path": str(tmp_path / "initrd.gz"), "src": str(initrd)})
    assert (result["failed"], result["changed"]) == (False, True)
    assert result["initrd"]["kind"] == "initrd"
    assert (tmp_path / "initrd.gz").read_bytes() == INITRD


def test_a_missing_file_and_a_missing_folder_are_sentences(run: Callable[..., Dict[str, Any]], source: str, tmp_path: Path) -> None:
    assert "there is no such file" in run(path=str(tmp_path / "nothing"))["msg"]
    result = run(src=source, path=str(tmp_path / "no" / "folder" / "vmlinux"))
    assert result["failed"] is True
    assert "there is no folder" in result["msg"]
