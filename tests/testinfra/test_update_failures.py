# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of a service that go wrong in each way that is known, while a client asks it all the time.

After each: the kernel of before serves and nothing is under way, or what is under way is told and one command finishes or undoes it.
The new layout is always the one of version 1; version 2 is what serves when this begins.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from qmp import Qmp
from service import Service, Updates, kill

TAKEN_BACK = "failed and was taken back, the old kernel serves. It failed at"


@pytest.fixture(scope="module")
def service(host):
    return Service(host)


@pytest.fixture
def updates(tmp_path):
    return Updates(tmp_path)


@pytest.fixture(autouse=True)
def client(host, service):
    """A client asks during each test; nothing it asked is lost, answered wrongly or twice, whatever becomes of kernels."""
    boot = host.check_output("cat /proc/sys/kernel/random/boot_id")
    service.begin()
    yield
    if host.check_output("cat /proc/sys/kernel/random/boot_id") == boot:
        seen = service.end()
        print(seen)
        assert seen.answered > 100
        assert (seen.lost, seen.wrong, seen.doubled) == (0, 0, 0)


def nothing_came_of_it(service, version: str = "2") -> None:
    """The kernel of before serves, nothing is under way, and every CPU but its own is the host's."""
    assert not service.host.file("/var/lib/multikernel/update.json").exists
    assert service.serves(version)
    assert service.host.check_output("ls /dev/mkchan").split() == ["beat", "svc"]
    assert json.loads(service.host.file("/var/lib/multikernel/state.json").content_string)["instances"].keys() == {"web"}
    assert service.host.check_output("nproc") == "3"


def finish(updates, service, layout: Path, version: str) -> None:
    """One command: the same update once more."""
    done = updates.run(layout)
    assert done.rc == 0, done.text
    nothing_came_of_it(service, version)


def reaches(host, stage: str, process) -> None:
    """Wait until the update has come so far that its file, or the state, says so."""
    sign = {
        "begin": "grep -q began /var/lib/multikernel/update.json",
        "watch": "grep -q web.next /var/lib/multikernel/state.json",
        "switch": "grep -q web.old /var/lib/multikernel/state.json",
    }[stage]
    end = time.monotonic() + 300
    while host.run(sign).rc:
        assert process.poll() is None, "the play ended before it came so far"
        assert time.monotonic() < end
        time.sleep(0.2)


def said(host, words: str) -> str:
    """What a command says, nothing from a host that cannot be reached."""
    try:
        return host.run(words).stdout.strip()
    except RuntimeError:  # so testinfra tells that ssh came to nothing
        return ""


# new kernels that are not good


@pytest.mark.long
def test_an_image_that_does_not_boot(service, updates):
    done = updates.run(updates.layout("1", {"initrd": None}), update_health_timeout=30)
    assert done.rc == 2
    assert "the update of web is taken back, the old kernel was not touched" in done.text
    nothing_came_of_it(service)


def test_a_kernel_that_is_no_kernel(service, updates):
    done = updates.run(updates.layout("1", {"kernel": "/srv/multikernel/service-1.cpio.gz"}))
    assert done.rc == 2
    assert "service-1.cpio.gz" in done.text
    assert "Traceback" not in done.text
    nothing_came_of_it(service)


def test_an_image_that_boots_and_dies(service, updates):
    done = updates.run(updates.layout("1", {"initrd": "/srv/multikernel/mute.cpio.gz"}))
    assert done.rc == 2
    assert "panic" in done.text
    assert "the update of web is taken back, the old kernel was not touched" in done.text
    nothing_came_of_it(service)


@pytest.mark.long
def test_an_image_that_boots_and_is_slow(service, updates):
    instance = {"web": {"image": "service", "cpus": {"count": 1}, "memory": "128MiB", "health": {"channel": "beat", "within": "2s"}}}
    done = updates.run(updates.layout("1", instances=instance), update_health_timeout=2)
    assert done.rc == 2
    assert "the update of web is taken back, the old kernel was not touched" in done.text
    nothing_came_of_it(service)


@pytest.mark.long
def test_a_kernel_that_falls_sick_in_its_soak(service, updates):
    done = updates.run(updates.layout("1", {"initrd": "/srv/multikernel/service-sick.cpio.gz"}), update_soak=60)
    assert done.rc == 2
    assert TAKEN_BACK in done.text
    assert "web.next is not well" in done.text
    nothing_came_of_it(service)


def test_a_kernel_that_falls_sick_at_work(service, updates):
    before = int(service.status()["switches"])
    done = updates.run(updates.layout("1", {"initrd": "/srv/multikernel/service-sick-at-work.cpio.gz"}), update_soak=1, update_watch=60)
    assert done.rc == 2
    assert TAKEN_BACK in done.text
    assert int(service.status()["switches"]) >= before + 2, "it had been switched to the new one and back"
    nothing_came_of_it(service)


# a host that is not as it was


@pytest.mark.long
def test_the_spare_capacity_was_taken_meanwhile(service, updates):
    """Refused with the reason and with how long a pause would be; then that is permitted, and the requests wait in the router."""
    guest = {
        "images": {"other": {"kernel": "/boot/vmlinuz-6.1.0-56-amd64", "initrd": "/srv/multikernel/service-1.cpio.gz"}},
        "instances": {"guest": {"image": "other", "cpus": {"count": 1}, "memory": "128MiB"}},
    }
    try:
        applied = updates.apply(updates.layout("2", **guest))
        assert applied.rc == 0, applied.text
        done = updates.run(updates.layout("1", **guest))
        assert done.rc == 2
        assert "there is no room for two kernels of web" in done.text
        assert "it would be away: " in done.text
        assert "policy.disruption: allow" in done.text
        assert updates.how_far() == "none"
        assert service.serves("2")
        for version in ("1", "2"):
            done = updates.run(updates.layout(version, **guest, policy={"disruption": "allow"}))
            assert done.rc == 0, done.text
            assert "is updated stop-start" in done.text
            assert service.serves(version)
    finally:
        applied = updates.apply(updates.layout("2", policy={"disruption": "allow"}))
    assert applied.rc == 0, applied.text
    assert updates.apply(updates.layout("2")).rc == 0
    nothing_came_of_it(service)


@pytest.mark.long
def test_the_disk_is_full(host, service, updates):
    host.check_output("mkdir -p /mnt/small && mount -t tmpfs -o size=512k small /mnt/small && cp -a /var/lib/multikernel/. /mnt/small")
    host.check_output("mount --bind /mnt/small /var/lib/multikernel")
    try:
        host.run("dd if=/dev/zero of=/var/lib/multikernel/ballast bs=4k")
        done = updates.run(updates.layout("1"))
        assert done.rc == 2
        assert "No space left on device" in done.text
        assert "Traceback" not in done.text
        assert service.serves("2")
        host.check_output("rm /var/lib/multikernel/ballast")
        done = updates.run(None, multikernel_update="retreated")
        assert done.rc == 0, done.text
        nothing_came_of_it(service)
    finally:
        host.check_output("umount /var/lib/multikernel && cp -a /mnt/small/. /var/lib/multikernel && rm -f /var/lib/multikernel/ballast")
        host.check_output("umount /mnt/small")


# tasks of the user


@pytest.mark.long
def test_a_task_of_the_user_fails(service, updates, tmp_path):
    tasks = tmp_path / "fails.yml"
    tasks.write_text("- name: Tell the load balancer\n  ansible.builtin.command: /bin/false\n")
    done = updates.run(updates.layout("1"), update_undrain_tasks=str(tasks))
    assert done.rc == 2
    assert "It could not be taken back, at 'Tell the load balancer'" in done.text, "the same task fails on the way back as well"
    assert updates.how_far() == "begun"
    done = updates.run(None, multikernel_update="retreated")
    assert done.rc == 0, done.text
    nothing_came_of_it(service)


@pytest.mark.long
def test_a_task_of_the_user_fails_once(service, updates, tmp_path):
    tasks = tmp_path / "fails.yml"
    mark = tmp_path / "failed"
    tasks.write_text(
        "- name: Tell the load balancer\n"
        f"  ansible.builtin.shell: test -e {mark} && router switch || {{ mkdir -p {tmp_path}; touch {mark}; false; }}\n"
    )
    done = updates.run(updates.layout("1"), update_switch_tasks=str(tasks))
    assert done.rc == 2
    assert f"{TAKEN_BACK} 'Tell the load balancer'" in done.text
    nothing_came_of_it(service)


# whoever drives it is gone


@pytest.mark.long
@pytest.mark.parametrize(("stage", "version", "before"), [("begin", "1", "2"), ("watch", "2", "1"), ("switch", "1", "2")])
def test_the_controller_is_killed_and_the_same_command_finishes_the_update(host, service, updates, stage, version, before):
    layout = updates.layout(version)
    process = updates.start(layout, update_soak=20, update_watch=20)
    reaches(host, stage, process)
    kill(process)
    assert service.ask().lost == 0
    if stage != "switch":  # what the killed controller had begun on the host may still be switching
        assert service.serves(before)
    finish(updates, service, layout, version)


@pytest.mark.long
def test_the_controller_is_killed_and_one_command_undoes_the_update(host, service, updates):
    layout = updates.layout("2")
    process = updates.start(layout, update_soak=2, update_watch=60)
    reaches(host, "switch", process)
    time.sleep(8)  # its tasks are done, and it watches
    kill(process)
    assert updates.how_far() == "switched"
    done = updates.run(None, multikernel_update="retreated")
    assert done.rc == 0, done.text
    nothing_came_of_it(service, "1")
    finish(updates, service, layout, "2")


@pytest.mark.long
def test_the_network_to_the_host_goes_away_for_a_while(host, service, updates):
    layout = updates.layout("1")
    process = updates.start(layout, update_soak=5)
    reaches(host, "watch", process)
    with Qmp(Path(os.environ["LAB_FOLDER"]) / "qmp") as machine:
        name = next(line.split(":")[0] for line in machine.monitor("info network").splitlines() if "model=" in line)
        machine.ask("set_link", name=name, up=False)
        time.sleep(20)
        kill(process)
        machine.ask("set_link", name=name, up=True)
    time.sleep(3)
    assert updates.how_far() in ("begun", "switched")
    finish(updates, service, layout, "1")
    finish(updates, service, updates.layout("2"), "2")


@pytest.mark.long
@pytest.mark.parametrize("stage", ["begin", "watch", "switch"])
def test_the_host_loses_its_power_in_the_middle(host, service, updates, stage):
    layout = updates.layout("1")
    process = updates.start(layout, update_soak=30, update_watch=30)
    reaches(host, stage, process)
    boot = host.check_output("cat /proc/sys/kernel/random/boot_id")
    with Qmp(Path(os.environ["LAB_FOLDER"]) / "qmp") as machine:
        machine.ask("system_reset")
    kill(process)
    end = time.monotonic() + 300
    while said(host, "cat /proc/sys/kernel/random/boot_id") in ("", boot) or "answered=" not in said(host, "timeout 20 load 1 1000"):
        assert time.monotonic() < end, "the service did not come back"
        time.sleep(2)
    assert service.serves("1" if stage == "switch" else "2"), "the layout of the host came back by itself"
    assert updates.how_far() == ("done" if stage == "switch" else "lost")
    done = updates.run(None, multikernel_update="retreated")
    assert done.rc == 0, done.text
    nothing_came_of_it(service)
