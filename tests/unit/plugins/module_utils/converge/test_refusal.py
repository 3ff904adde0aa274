# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refusal is a sentence that says what is wrong and what would be right, and it changes nothing."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, instance


def refused(machine, layout, **arguments):
    """The error of an apply that must be refused, after proof that it touched nothing."""
    before = (
        set(machine.online),
        dict(machine.blocks),
        copy.deepcopy(machine.images),
        machine.running(),
        [list(one) for one in machine.pool],
    )
    files = [one for one in simulated.state_files(machine.root) if not one.endswith("/lock")]
    with pytest.raises(run.ApplyError) as caught:
        run.apply(layout, system=machine, **arguments)
    after = (set(machine.online), dict(machine.blocks), machine.images, machine.running(), [list(one) for one in machine.pool])
    assert after == before
    assert [one for one in simulated.state_files(machine.root) if not one.endswith("/lock")] == files
    assert machine.harm == []
    return caught.value


def test_kexec_disabled(tmp_path):
    machine = Machine(tmp_path)
    machine.load_disabled = True
    error = refused(machine, simulated.layout())
    assert error.message == (
        "the layout is refused, nothing was changed: this host has kernel.kexec_load_disabled=1, which forbids loading kernels "
        "until it is rebooted (remove the setting (look in /etc/sysctl.d) and reboot the host)"
    )


def test_what_runs_may_stay_when_loading_is_disabled_afterwards(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    machine.load_disabled = True
    assert not run.apply(simulated.layout(), system=machine)["changed"]
    error = refused(machine, simulated.layout(instances={"web": instance(), "db": instance()}))
    assert "kernel.kexec_load_disabled=1" in error.message


def test_an_image_that_nobody_has_signed(tmp_path):
    machine = Machine(tmp_path)
    layout = simulated.layout()
    (image,) = layout["images"].values()
    image["signed_by"] = "/etc/multikernel/allowed_signers"
    assert image["kernel"]["path"] + " has no signature" in refused(machine, layout).message
    machine.signed[image["kernel"]["path"]] = "builder@example"
    assert image["initrd"]["path"] + " has no signature" in refused(machine, layout).message
    machine.signed[image["initrd"]["path"]] = "builder@example"
    assert run.apply(layout, system=machine)["changed"]


def test_no_root(tmp_path):
    machine = Machine(tmp_path)
    machine.privileged = False
    error = refused(machine, simulated.layout())
    assert "without root, so that nothing can be loaded (CAP_SYS_BOOT is missing) (run as root: become: true)" in error.message


def test_a_kernel_without_multikernel(tmp_path):
    machine = Machine(tmp_path, mkstock=False)
    machine.multikernel = False
    error = refused(machine, simulated.layout())
    assert "this host's kernel (6.1.0-sim) has no multikernel support: there is no /proc/multikernel" in error.message
    assert "load mkstock with the role stock_kernel" in error.message


def test_lockdown(tmp_path):
    machine = Machine(tmp_path)
    machine.lockdown = "integrity"
    assert "this host is in lockdown mode integrity, which forbids kexec_load" in refused(machine, simulated.layout()).message


def test_memory_that_the_host_uses(tmp_path):
    machine = Machine(tmp_path, reserved=False)
    pool = {"memory": [{"base": 0x40200000, "size": 130 * MIB, "node": None}]}
    error = refused(machine, simulated.layout(pool=pool))
    assert "System RAM" in error.message
    assert any(list(one["path"])[:1] == ["pool"] and one["verdict"] == "fail" for one in error.details["findings"])


def test_memory_that_the_hosts_kernel_lies_in(tmp_path):
    machine = Machine(tmp_path, reserved=False)
    inside = [{"start": 0x41000000, "end": 0x41FFFFFF, "name": "Kernel code", "depth": 1}]
    machine._iomem = lambda: [{"start": 0x100000, "end": 0xBFFFFFFF, "name": "System RAM", "depth": 0}] + inside
    assert "Kernel code" in refused(machine, simulated.layout()).message


def test_too_few_cpus(tmp_path):
    layout = simulated.layout(instances={"web": instance(cpus={"count": 3}), "zed": instance(cpus={"count": 2})})
    error = refused(Machine(tmp_path), layout)
    assert "CPU" in error.message
    assert any("zed" in one["message"] and one["path"][:2] == ["instances", "zed"] for one in error.details["findings"])


def test_too_little_memory(tmp_path):
    layout = simulated.layout(instances={"web": instance(memory={"size": 400 * MIB}), "zed": instance(memory={"size": 200 * MIB})})
    assert "instances ask for 600MiB and channels for 40KiB, but the pool has 512MiB" in refused(Machine(tmp_path), layout).message


def test_a_running_instance_is_not_restarted_unasked(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    error = refused(machine, simulated.layout(instances={"web": instance(cmdline="debug")}))
    assert "web runs and would be restarted: its command line changes from 'quiet' to 'quiet debug'" in error.message
    assert "set policy.disruption: allow to permit it, or put back what changed" in error.message


def test_a_running_instance_that_the_layout_forgot_is_not_stopped(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(channels={}), system=machine)
    error = refused(machine, simulated.layout(instances={"other": instance()}, channels={}))
    assert "web runs and would be stopped: the layout no longer names it" in error.message


def test_a_kernel_file_that_changed_is_a_disruption(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    machine.digests["/boot/vmlinuz"] = "f" * 64
    error = refused(machine, simulated.layout())
    assert "its kernel changes from /boot/vmlinuz (000000000000) to /boot/vmlinuz (ffffffffffff)" in error.message


def test_an_image_that_somebody_else_loaded(tmp_path):
    machine = Machine(tmp_path)
    machine.images.append({"type": "multikernel", "entry": 0x50003000, "spec": None, "fresh": True})
    error = refused(machine, simulated.layout())
    assert "holds a multikernel image that was not loaded from here (entry 0x50003000)" in error.message


def test_something_that_is_no_layout(tmp_path):
    for odd in (None, [], "web", {}, {"version": 1}, simulated.layout(pool=None), simulated.layout(instances={"web": {}})):
        error = refused(Machine(tmp_path), odd)
        assert error.message.startswith("this is no canonical layout: ")


def test_the_same_sentences_in_check_mode(tmp_path):
    machine = Machine(tmp_path)
    machine.load_disabled = True
    assert "kernel.kexec_load_disabled=1" in refused(machine, simulated.layout(), check=True).message


@pytest.mark.parametrize(
    "place",
    ["run/multikernel/lock", "var/lib/multikernel/journal.jsonl", "var/lib/multikernel/state.json.new", "etc/multikernel/layout.json.new"],
)
def test_a_link_in_the_place_of_a_file_that_is_written_is_not_followed(tmp_path, place):
    """Whoever could put it there makes root write elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    link = tmp_path / "root" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    machine = Machine(tmp_path / "root")
    with pytest.raises(run.ApplyError, match=r"cannot be (opened|written)|Too many levels of symbolic links"):
        run.apply(simulated.layout(), system=machine)
    assert victim.read_text() == "precious\n"
    assert machine.running() == {}
    assert machine.harm == []


def test_what_is_written_is_roots_alone(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    written = [tmp_path / one for one in simulated.state_files(machine.root)]
    assert len(written) > 3
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in written} == {0o700}
