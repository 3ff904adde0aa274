# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixture `multikernel`: what it answers on a host, checked against a host that is made of files."""

from __future__ import annotations

import json
import shlex
import struct
import types
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import channel as channel_area
from ansible_collections.multikernel.core.plugins.module_utils._boot import mailbox
from ansible_collections.multikernel.core.plugins.plugin_utils._testing import fixture
from ansible_collections.multikernel.core.plugins.plugin_utils._testing.target import Multikernel, Range

BASE, AREA, NONCE = 0x41000000, 0x5FFF6000, 7
STATE = {
    "version": 1,
    "digest": "d" * 64,
    "instances": {
        "web": {
            "state": "running",
            "nonce": NONCE,
            "spec": {
                "name": "web",
                "cpus": [2],
                "base": BASE,
                "size": 256 << 20,
                "entry": BASE + 0x3000,
                "image": {"name": "debian"},
                "cmdline": "quiet",
            },
        }
    },
    "made": {"channels": {"beat": {"address": AREA, "size": 0xA000}}},
}
TABLE = "Type        Start Address   Segments\n----------  --------------  --------\nmultikernel  0x000041003000         9\n"


class Host:
    """What testinfra's host does of all that the fixture asks: files, and one command that reads memory."""

    def __init__(self) -> None:
        self.files = {
            "/proc/multikernel": TABLE,
            "/var/lib/multikernel/state.json": json.dumps(STATE),
            "/sys/devices/system/cpu/present": "0-3\n",
            "/sys/devices/system/cpu/online": "0-1,3\n",
            "/sys/kernel/mkstock/pool": "0x40000000 0x20000000\n",
            "/sys/kernel/mkstock/instances": f'entry={BASE + 0x3000:#x} cpus=2 apic=2 memory={BASE:#x}+0x10000000 state=running text=""\n',
            "/sys/kernel/mkstock/channels": f"beat {AREA:#x} end=0 slots=64 size=256 sent=3 received=9 "
            "rejected=0 beats=9 last_beat_ms=5 peer=up\n",
        }
        self.memory = {BASE: page(), AREA: channel_area.header(64, 256, (0, 2))}
        self.beating = True
        self.asked = 0

    def file(self, path: str) -> t.Any:
        return types.SimpleNamespace(exists=path in self.files, content_string=self.files.get(path))

    def run(self, command: str, *arguments: str) -> t.Any:
        self.asked += 1
        words = shlex.split(command % tuple(shlex.quote(one) for one in arguments))
        if words[0] == "cat":
            text = self.files.get(words[2])
            return types.SimpleNamespace(rc=int(text is None), stdout=text or "", stderr="")
        assert words[:2] == ["python3", "-c"]
        compile(words[2], "reader", "exec")  # what is sent must at least be Python
        address, size, within = int(words[3], 16), int(words[4]), float(words[5])
        if address not in self.memory:
            return types.SimpleNamespace(rc=1, stdout="", stderr="/dev/mkstock: [Errno 1] Operation not permitted\n")
        changed = self.beating and within > 0
        return types.SimpleNamespace(rc=0, stdout=f"{int(changed)} {self.memory[address][:size].hex()}\n", stderr="")


def page(state: int = 2, nonce: int = NONCE) -> bytes:
    words = bytearray(mailbox.blank(nonce))
    struct.pack_into("<QQQII", words, 0x08, 12, 100, 200, state, 1)
    words[0x40:0x52] = b"6.1.0-56-amd64 #1\0"
    words[0x100:0x106] = b"hello\0"
    return bytes(words)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def multikernel(host: Host) -> Multikernel:
    return Multikernel(host)


def test_host_answers(multikernel: Multikernel) -> None:
    assert multikernel.dialect == "rfc"
    assert multikernel.cpus_present == [0, 1, 2, 3]
    assert multikernel.cpus_offline == [2]
    assert multikernel.pool == [Range(0x40000000, 0x20000000)]
    assert multikernel.table == [{"type": "multikernel", "entry": BASE + 0x3000, "segments": 9}]
    assert multikernel.digest == "d" * 64
    assert [one.name for one in multikernel.instances] == ["web"]


def test_instance_answers(multikernel: Multikernel) -> None:
    web = multikernel.instance("web")
    assert web.exists
    assert web.is_running
    assert web.is_beating(within=5)
    assert (web.cpus, web.beats, web.uname, web.nproc, web.last_words) == ([2], 12, "6.1.0-56-amd64", 1, "hello")
    assert (web.memory.base, web.memory.size, web.memory.end) == (BASE, 256 << 20, BASE + (256 << 20))
    assert (web.image, web.cmdline, web.entry, web.state) == ("debian", "quiet", BASE + 0x3000, "running")


def test_words_of_an_earlier_start_prove_nothing(host: Host, multikernel: Multikernel) -> None:
    host.memory[BASE] = page(nonce=NONCE + 1)
    assert not multikernel.instance("web").is_running
    assert not multikernel.instance("web").is_beating()


def test_memory_without_a_mailbox_proves_nothing(host: Host, multikernel: Multikernel) -> None:
    host.memory[BASE] = bytes(4096)
    assert not multikernel.instance("web").is_running


def test_silent_instance_does_not_beat(host: Host, multikernel: Multikernel) -> None:
    host.beating = False
    assert not multikernel.instance("web").is_beating(within=1)


def test_panicked_instance_does_not_run(host: Host, multikernel: Multikernel) -> None:
    host.memory[BASE] = page(state=3)
    assert multikernel.instance("web").state == "panicked"
    assert not multikernel.instance("web").is_running


def test_instance_does_not_run_when_the_host_has_its_cpu(host: Host, multikernel: Multikernel) -> None:
    host.files["/sys/devices/system/cpu/online"] = "0-3\n"
    assert not multikernel.instance("web").is_running


def test_instance_of_before_a_reboot_does_not_run_and_its_memory_is_not_asked_for(host: Host, multikernel: Multikernel) -> None:
    host.files["/sys/devices/system/cpu/online"] = "0-3\n"
    del host.memory[BASE]
    assert not multikernel.instance("web").is_running


@pytest.mark.parametrize("lines", ["", f'entry={BASE + 0x3000:#x} cpus=2 apic=2 memory= state=ended text=""\n'])
def test_instance_does_not_run_when_the_kernel_says_so(host: Host, multikernel: Multikernel, lines: str) -> None:
    host.files["/sys/kernel/mkstock/instances"] = lines
    assert not multikernel.instance("web").is_running


def test_instance_may_run_where_the_kernel_keeps_no_list(host: Host, multikernel: Multikernel) -> None:
    del host.files["/sys/kernel/mkstock/instances"]
    assert multikernel.instance("web").is_running


def test_instance_that_is_not_there_does_not_run_and_asking_more_is_a_sentence(multikernel: Multikernel) -> None:
    other = multikernel.instance("other")
    assert not other.exists
    assert not other.is_running
    with pytest.raises(AssertionError, match="there is no instance 'other' here; there are: web"):
        assert other.cpus


def test_memory_that_cannot_be_read_is_a_sentence(host: Host, multikernel: Multikernel) -> None:
    del host.memory[BASE]
    with pytest.raises(AssertionError, match=r"the memory at 0x41000000 cannot be read: /dev/mkstock: .*Operation not permitted"):
        assert multikernel.instance("web").beats


def test_channel_answers(multikernel: Multikernel) -> None:
    beat = multikernel.channel("beat")
    assert beat.exists
    assert beat.is_attached
    assert (beat.peer, beat.beats, beat.sent, beat.received, beat.rejected) == ("up", 9, 3, 9, 0)
    assert (beat.slots, beat.message_size) == (64, 256)
    assert beat.memory == (AREA, 0xA000)


def test_channel_that_is_not_attached_counts_nothing(host: Host, multikernel: Multikernel) -> None:
    host.files["/sys/kernel/mkstock/channels"] = ""
    assert not multikernel.channel("beat").is_attached
    assert multikernel.channel("beat").peer is None
    with pytest.raises(AssertionError, match="the host is not attached to beat"):
        assert multikernel.channel("beat").beats


def test_fresh_host_answers_with_nothing(host: Host, multikernel: Multikernel) -> None:
    host.files = {"/sys/devices/system/cpu/present": "0\n", "/sys/devices/system/cpu/online": "0\n"}
    assert multikernel.dialect is None
    assert (multikernel.instances, multikernel.table, multikernel.pool, multikernel.digest) == ([], [], None, None)
    assert not multikernel.channel("beat").exists


def test_every_question_is_asked_anew(host: Host, multikernel: Multikernel) -> None:
    web = multikernel.instance("web")
    assert web.is_running
    host.memory[BASE] = page(state=4)
    assert not web.is_running


def test_answer_takes_few_round_trips(host: Host, multikernel: Multikernel) -> None:
    """Each one is a remote command; on an emulated machine that is a second."""
    assert multikernel.instance("web").is_running
    assert host.asked == 4


def test_plugin_offers_the_fixture() -> None:
    assert hasattr(fixture, "multikernel")


def test_reader_reads_a_file_like_memory_and_sees_beats(tmp_path: t.Any) -> None:
    """The one-shot that runs on the target, run here with its devices replaced by a file."""
    import subprocess
    import sys
    import threading

    from ansible_collections.multikernel.core.plugins.plugin_utils._testing import target

    device = tmp_path / "memory"
    device.write_bytes(bytes(4096) + page())
    program = target._READER.replace("/dev/mkstock", str(device))

    def read() -> t.List[str]:
        words = [sys.executable, "-c", program, "0x1000", "4096", "1"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    beats = [12]

    def beat() -> None:
        while not over.wait(0.05):  # whenever the program gets to its first look
            beats.append(beats[-1] + 1)
            with device.open("r+b") as file:
                file.seek(4096 + 8)
                file.write(struct.pack("<Q", beats[-1]))

    assert read()[0] == "0"
    over = threading.Event()
    pulse = threading.Thread(target=beat)
    pulse.start()
    try:
        changed, found = read()
    finally:
        over.set()
        pulse.join()
    assert changed == "1"
    assert mailbox.parse(bytes.fromhex(found))["beats"] in beats[1:]


@pytest.fixture
def kernfs() -> Host:
    """A host with the other interface: no entry, no list of mkstock; files of the kernel and names in its memory map."""
    host = Host()
    known = json.loads(json.dumps(STATE))
    spec = known["instances"]["web"]["spec"]
    spec["entry"] = None
    area = {"name": "beat", "address": AREA, "size": 0xA000, "owner": "web"}
    spec["channels"] = [area, dict(area, name="other", owner="db")]
    known["made"]["channels"] = {}
    host.files["/var/lib/multikernel/state.json"] = json.dumps(known)
    host.files["/sys/fs/multikernel"] = ""
    host.files["/sys/fs/multikernel/instances/web/status"] = "active\n"
    host.files["/proc/iomem"] = (
        f"{BASE:x}-{BASE + (512 << 20) - 1:x} : Multikernel Memory Pool\n"
        f"  {BASE:x}-{BASE + (256 << 20) - 1:x} : mk-instance-1-web-region-0\n"
        f"  {BASE + (256 << 20):x}-{BASE + (257 << 20) - 1:x} : mk-instance-2-web.2-region-0\n"
    )
    return host


def test_kernfs_host_tells_pool_and_memory_by_name(kernfs: Host) -> None:
    machine = Multikernel(kernfs)
    assert machine.dialect == "kernfs"
    assert machine.pool == [Range(BASE, 512 << 20)]
    assert machine.instance("web").regions == [Range(BASE, 256 << 20)] == [machine.instance("web").memory]
    assert machine.channel("beat").memory == Range(AREA, 0xA000)
    assert not machine.channel("other").exists


@pytest.mark.parametrize(("status", "running"), [("active", True), ("loaded", False), (None, False)])
def test_kernfs_instance_runs_only_while_the_kernel_calls_it_active(kernfs: Host, status: str | None, running: bool) -> None:
    path = "/sys/fs/multikernel/instances/web/status"
    del kernfs.files[path]
    if status is not None:
        kernfs.files[path] = f"{status}\n"
    instance = Multikernel(kernfs).instance("web")
    assert instance.status == status
    assert instance.is_running is running
