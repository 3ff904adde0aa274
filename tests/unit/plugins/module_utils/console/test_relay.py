# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and files through a console that echoes, garbles, is deaf, or goes away: a real shell, a simulated machine."""

from __future__ import annotations

import base64
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._console import relay
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_console import ConsoleMachine, request


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[ConsoleMachine]:
    one = ConsoleMachine(tmp_path / "root")
    yield one
    one.close()


def ask(machine: ConsoleMachine, **keys: Any) -> Dict[str, Any]:
    return relay.answer(request(**keys), str(machine.root))


def out(answer: Dict[str, Any]) -> bytes:
    assert "error" not in answer, answer
    return base64.b64decode(answer["stdout"])


def test_a_command_gives_its_status_and_both_outputs_apart(machine: ConsoleMachine) -> None:
    answer = ask(machine, command="echo one; echo two >&2; exit 7")
    assert (answer["rc"], out(answer), base64.b64decode(answer["stderr"])) == (7, b"one\n", b"two\n")


def test_a_command_may_have_quotes_lines_and_words_of_the_protocol(machine: ConsoleMachine) -> None:
    command = "cat <<'END'\n$HOME \"quoted\" 'single' `tick` @x:end %rc 9\nEND\necho \u00fc\nprintf '\\n@%s\\n' x:end"
    assert out(ask(machine, command=command)) == "$HOME \"quoted\" 'single' `tick` @x:end %rc 9\n\u00fc\n\n@x:end\n".encode()


def test_output_of_100_kilobytes_and_of_every_byte_is_whole(machine: ConsoleMachine) -> None:
    wanted = bytes(range(256)) * 400
    path = machine.root / "blob"
    path.write_bytes(wanted)
    assert out(ask(machine, command=f"cat {path}")) == wanted


def test_what_a_command_is_given_is_its_input_and_without_it_there_is_none(machine: ConsoleMachine) -> None:
    given = base64.b64encode(b"a\0b\n" * 1000).decode()
    assert out(ask(machine, command="cat", stdin=given)) == b"a\0b\n" * 1000
    assert out(ask(machine, command="cat")) == b""


def test_a_files_bytes_arrive_and_come_back(machine: ConsoleMachine) -> None:
    data = os.urandom(70000)
    path = str(machine.root / "it's a file")
    assert ask(machine, do="put", path=path, data=base64.b64encode(data).decode()) == {"size": 70000}
    assert Path(path).read_bytes() == data
    assert base64.b64decode(ask(machine, do="fetch", path=path)["data"]) == data


def test_an_empty_file_arrives(machine: ConsoleMachine) -> None:
    path = str(machine.root / "empty")
    assert ask(machine, do="put", path=path, data="") == {"size": 0}
    assert Path(path).read_bytes() == b""


@pytest.mark.parametrize("do", ["put", "fetch"])
def test_a_path_that_cannot_be_used_is_named_with_the_reason(machine: ConsoleMachine, do: str) -> None:
    answer = ask(machine, do=do, path="/no/such/folder", data="")
    assert answer["kind"] == "file"
    assert "/no/such/folder: " in answer["error"] and "irectory" in answer["error"]


def test_lines_of_the_kernels_log_between_any_two_bytes_change_nothing(machine: ConsoleMachine) -> None:
    machine.noise = 0.00002
    wanted = b"0123456789abcdef\n" * 6000
    path = machine.root / "text"
    path.write_bytes(wanted)
    assert out(ask(machine, command=f"cat {path}")) == wanted


def test_a_shell_that_echoes_and_prompts_is_understood(tmp_path: Path) -> None:
    machine = ConsoleMachine(tmp_path / "root", ["/bin/sh", "-i"])
    try:
        assert out(ask(machine, command="echo hello")) == b"hello\n"
    finally:
        machine.close()


def test_the_shell_is_left_as_it_was_found(machine: ConsoleMachine) -> None:
    before = set(Path("/tmp").glob(".mktty-*"))
    for number in range(3):
        assert out(ask(machine, command=f"echo {number}; true")) == b"%d\n" % number
    end = time.monotonic() + 20
    while not set(Path("/tmp").glob(".mktty-*")) <= before:  # a test beside this one has folders of its own for a moment
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_hangs_is_interrupted_by_the_next(machine: ConsoleMachine) -> None:
    slow = ask(machine, command="sleep 60", command_timeout=1)
    assert slow["kind"] == "silent" and "within 1 s" in slow["error"]
    assert out(ask(machine, command="echo back")) == b"back\n"


def test_an_instance_that_does_not_answer_is_silent(machine: ConsoleMachine) -> None:
    machine.deaf = True
    answer = ask(machine, timeout=1.5)
    assert answer["kind"] == "silent"
    assert "no shell answered on the console of the instance web within 2 s" in answer["error"]


def test_an_instance_that_panics_meanwhile_says_why(machine: ConsoleMachine) -> None:
    machine.deaf = True
    threading.Timer(0.5, lambda: setattr(machine, "inject", b"[  9.1] Kernel panic - not syncing: sysrq\r\n")).start()
    answer = ask(machine)
    assert (answer["kind"], answer["error"]) == ("gone", "the instance web panicked: sysrq")


def test_an_instance_that_halts_meanwhile_is_not_waited_for(machine: ConsoleMachine) -> None:
    machine.say_instances("ended", "halted")
    started = time.monotonic()
    answer = ask(machine, command="sleep 60", timeout=30)
    assert (answer["kind"], answer["error"]) == ("gone", "the instance web ended: halted")
    assert time.monotonic() - started < 10


def test_output_above_the_limit_is_refused_with_both_sizes(machine: ConsoleMachine) -> None:
    answer = ask(machine, command="echo 123456789", limit=4)
    assert answer["kind"] == "limit" and "10 bytes" in answer["error"] and "limit is 4" in answer["error"]


def test_one_at_a_time_uses_a_console(machine: ConsoleMachine) -> None:
    fd = os.open(machine.root / "run/multikernel/mktty-3.lock", os.O_RDWR | os.O_CREAT) if _made(machine) else -1
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert ask(machine, wait=0.2)["kind"] == "busy"
    os.close(fd)
    assert ask(machine)["rc"] == 0


def _made(machine: ConsoleMachine) -> bool:
    (machine.root / "run/multikernel").mkdir()
    return True


def test_two_at_once_get_their_own_answers(machine: ConsoleMachine) -> None:
    answers: Dict[int, bytes] = {}

    def run(number: int) -> None:
        answers[number] = out(ask(machine, command=f"echo {number}", wait=30))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: b"%d\n" % number for number in range(3)}


def test_names_are_resolved_by_the_kernel_the_last_apply_or_not_at_all(machine: ConsoleMachine) -> None:
    root = str(machine.root)
    assert relay.resolve("17", root) == 17
    assert relay.resolve("web", root) == 3
    folder = machine.root / "sys/fs/multikernel/instances/web"
    folder.mkdir(parents=True)
    (folder / "id").write_text("5\n")
    assert relay.resolve("web", root) == 5
    for name in ("db", "../web", ""):
        with pytest.raises(relay.RelayError) as caught:
            relay.resolve(name, root)
        assert caught.value.kind == "unknown"


def test_an_instance_that_does_not_run_is_gone(machine: ConsoleMachine) -> None:
    (machine.root / "sys/kernel/mkstock/instances").write_text("")
    assert ask(machine) == {"error": "the instance web does not run on this machine, or has no console", "kind": "gone"}


def test_a_machine_without_the_device_says_what_is_missing(tmp_path: Path) -> None:
    answer = relay.answer(request(instance="3"), str(tmp_path))
    assert answer["kind"] == "missing"
    assert "dev/mktty cannot be opened: No such file or directory; is the module mkstock loaded" in answer["error"]
