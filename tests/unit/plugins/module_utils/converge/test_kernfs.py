# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same layouts on a kernfs host: an apply makes it so, a second one writes nothing, and absent gives everything back."""

from __future__ import annotations

import copy
import errno

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, info, run
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, Machine, image, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import NEW, ROOT, KernfsKernel

ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}


@pytest.fixture(params=[KernfsKernel, Machine], ids=["kernfs", "rfc"])
def machine(request, tmp_path):
    """One behaviour, two kernels' languages."""
    return request.param(tmp_path)


@pytest.fixture
def kernel(tmp_path):
    return KernfsKernel(tmp_path)


def two(**changes):
    return simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})}, **changes)


def names(machine):
    return sorted(machine.running())


def test_every_instance_runs(machine):
    result = run.apply(two(), system=machine)
    assert names(machine) == ["db", "web"]
    assert machine.harm == []
    assert [one["state"] for one in result["instances"]] == ["running", "running"]
    assert {one["uname"] for one in result["instances"]} == {"6.1.0-sim"}
    assert result["changed"]


@pytest.mark.parametrize(
    "layout",
    [
        two(),
        simulated.layout(instances={"web": instance(state="loaded")}, channels={}),
        simulated.layout(instances={"web": instance(state="defined")}, channels={}),
        simulated.layout(instances={"web": instance(cpus={"ids": [3, 2], "count": None})}),
        simulated.layout(instances={"web": instance(health={"channel": "beat", "within": 5.0}, restart="always", trust="public")}),
        simulated.layout(instances={"web": instance(console={"device": "ttyS1"}, cmdline="debug")}),
        simulated.layout(instances={"web": instance(console={"device": "mktty0"})}),
        simulated.layout(
            instances={"web": instance(), "rt": instance(image="tiny")},
            images={"debian": image("/boot/vmlinuz"), "tiny": image("/srv/tiny", format="flat", initrd=None)},
        ),
        simulated.layout(instances={}, channels={}),
    ],
    ids=["two", "loaded", "defined", "ids", "health", "console", "mktty0", "flat", "empty"],
)
def test_each_option_is_idempotent(machine, layout):
    assert run.apply(layout, system=machine)["changed"]
    assert not run.apply(layout, system=machine)["changed"]
    assert not run.apply(layout, check=True, system=machine)["changed"]
    assert machine.harm == []


def test_absent_gives_everything_back(machine):
    run.apply(two(), system=machine)
    assert run.apply(None, state="absent", system=machine)["changed"]
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert machine.harm == []
    assert not run.apply(None, state="absent", system=machine)["changed"]


def test_check_mode_changes_nothing(machine):
    before = simulated.state_files(machine.root)
    result = run.apply(two(), check=True, system=machine)
    assert result["changed"]
    assert result["plan"]
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert simulated.state_files(machine.root) == before


def test_an_instance_that_never_reports_is_taken_back(machine):
    machine.mute.add("web")
    with pytest.raises(run.ApplyError) as caught:
        run.apply(two(), system=machine)
    assert caught.value.message.startswith("web did not report within 60 s: its mailbox says 'blank' after 0 beats; undone: ")
    assert caught.value.details["stuck"] == []
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert machine.harm == []
    machine.mute.clear()
    assert run.apply(two(), system=machine)["changed"]


def test_an_instance_that_ended_is_started_again(machine):
    run.apply(two(), system=machine)
    machine.end("web", 3, "Kernel panic - not syncing")
    assert run.apply(two(), check=True, system=machine)["instances"][1]["state"] == "ended"
    assert run.apply(two(), system=machine)["changed"]
    assert names(machine) == ["db", "web"]
    assert machine.harm == []
    assert not run.apply(two(), system=machine)["changed"]


def test_a_failed_change_starts_the_old_instance_again(machine):
    run.apply(simulated.layout(), system=machine)
    machine.dies["other"] = (3, "")
    layout = simulated.layout(policy=ALLOW, channels={}, instances={"other": instance()})
    with pytest.raises(run.ApplyError, match="other panicked before it reported"):
        run.apply(layout, system=machine)
    assert names(machine) == ["web"]
    assert machine.harm == []
    assert not run.apply(simulated.layout(), system=machine)["changed"]


def test_a_running_instance_is_not_restarted_unasked(machine):
    run.apply(simulated.layout(), system=machine)
    with pytest.raises(run.ApplyError, match="web runs and would be restarted: its command line changes from 'quiet' to 'quiet debug'"):
        run.apply(simulated.layout(instances={"web": instance(cmdline="debug")}), system=machine)
    assert names(machine) == ["web"]


@pytest.mark.parametrize("wrong", ["kexec", "root", "cpus", "memory"])
def test_what_cannot_be_is_refused_and_changes_nothing(machine, wrong):
    layout = two()
    if wrong == "kexec":
        machine.load_disabled = True
    elif wrong == "root":
        machine.privileged = False
    elif wrong == "cpus":
        layout = simulated.layout(instances={"web": instance(cpus={"count": 3}), "zed": instance(cpus={"count": 2})})
    else:
        layout = simulated.layout(instances={"web": instance(memory={"size": 400 * MIB}), "zed": instance(memory={"size": 200 * MIB})})
    before = [one for one in simulated.state_files(machine.root) if not one.endswith("/lock")]
    with pytest.raises(run.ApplyError, match="the layout is refused, nothing was changed"):
        run.apply(layout, system=machine)
    assert machine.running() == {}
    assert machine.online == {0, 1, 2, 3}
    assert [one for one in simulated.state_files(machine.root) if not one.endswith("/lock")] == before


def test_one_instance_is_stopped_and_started_by_name(machine):
    run.apply(two(), system=machine)
    desired.instance("web", "stopped", system=machine)
    assert names(machine) == ["db"]
    assert not desired.instance("web", "stopped", system=machine)["changed"]
    desired.instance("web", "started", system=machine)
    assert names(machine) == ["db", "web"]
    desired.instance("web", "restarted", system=machine)
    assert names(machine) == ["db", "web"]
    assert machine.harm == []


def test_an_earlier_layout_comes_back(machine):
    run.apply(simulated.layout(), system=machine)
    run.apply(simulated.layout(instances={"web": instance(cmdline="debug")}, policy=ALLOW), system=machine)
    desired.rollback(disruption="allow", system=machine)
    assert run.apply(simulated.layout(), check=True, system=machine)["plan"] == []
    assert machine.harm == []


def test_a_second_apply_writes_nothing(kernel):
    run.apply(two(), system=kernel)
    kernel.writes.clear()
    kernel.meddle.append(lambda mine: pytest.fail("a write"))
    files = {one: (kernel.state_path().parent / one).stat().st_mtime_ns for one in ("state.json", "journal.jsonl")}
    assert not run.apply(two(), system=kernel)["changed"]
    assert kernel.writes == []
    assert {one: (kernel.state_path().parent / one).stat().st_mtime_ns for one in files} == files


def test_cpus_are_spoken_of_by_their_apic_ids(kernel):
    layout = simulated.layout(instances={"web": instance(cpus={"ids": [6, 2], "count": None, "space": "apic"})})
    result = run.apply(layout, system=kernel)
    assert kernel.running() == {"web": [6, 2]}
    assert result["instances"][0]["cpus"] == [3, 1]
    assert not run.apply(layout, system=kernel)["changed"]


def test_addresses_are_observed_and_never_wished(kernel):
    layout = simulated.layout(instances={"web": instance(memory={"base": 0x48000000, "size": 64 * MIB})})
    plan = run.apply(layout, check=True, system=kernel)
    assert "# the kernel picks (64 MiB): web" in plan["diff"]["after"]
    base = run.apply(layout, system=kernel)["instances"][0]["memory"]["base"]
    assert base == kernel.state.instances["web"].regions[0][0]
    again = run.apply(layout, system=kernel)
    assert again["placed"]["instances"]["web"]["placed"]["base"] == base
    assert not again["changed"]


def test_resizing_the_pool_touches_only_the_difference(kernel):
    run.apply(two(), system=kernel)
    was = {one["base"] for one in kernel.state.chunks}
    running = copy.deepcopy(kernel.instances)
    kernel.writes.clear()
    grown = two(pool={"memory": [{"base": None, "size": 640 * MIB, "node": None}]})
    result = run.apply(grown, system=kernel)
    assert [step["do"] for step in result["steps"]] == ["pool", "save"]
    assert len(kernel.writes) == 1
    assert was < {one["base"] for one in kernel.state.chunks}
    assert sorted(one["size"] for one in kernel.state.chunks) == [128 * MIB, 512 * MIB]
    assert kernel.instances == running
    assert not run.apply(grown, system=kernel)["changed"]
    run.apply(two(), system=kernel)
    assert {one["base"] for one in kernel.state.chunks} == was
    assert kernel.instances == running
    assert not run.apply(two(), system=kernel)["changed"]


def test_the_only_chunk_is_replaced_though_cpus_are_parked_in_it(kernel):
    def of(size, memory):
        pool = {"memory": [{"base": None, "size": size * MIB, "node": None}]}
        return simulated.layout(instances={"web": instance(memory={"size": memory * MIB})}, pool=pool, policy=ALLOW)

    run.apply(of(640, 64), system=kernel)
    result = run.apply(of(512, 96), system=kernel)
    assert [step["do"] for step in result["steps"]].count("pool") == 2
    assert [one["size"] for one in kernel.state.chunks] == [512 * MIB]
    assert kernel.running() == {"web": [2]}
    assert kernel.harm == []
    assert not run.apply(of(512, 96), system=kernel)["changed"]


def test_an_instance_gets_other_cpus_without_being_made_anew(kernel):
    run.apply(simulated.layout(), system=kernel)
    number = kernel.state.instances["web"].id
    changed = simulated.layout(instances={"web": instance(cpus={"ids": [1, 3], "count": None})}, policy=ALLOW)
    result = run.apply(changed, system=kernel)
    assert [step["do"] for step in result["steps"]].count("resize") == 1
    assert kernel.state.instances["web"].id == number
    assert kernel.running() == {"web": [2, 6]}
    assert kernel.harm == []
    assert not run.apply(changed, system=kernel)["changed"]


def test_an_instance_with_other_memory_is_made_anew(kernel):
    run.apply(simulated.layout(), system=kernel)
    changed = simulated.layout(instances={"web": instance(memory={"size": 128 * MIB})}, policy=ALLOW)
    run.apply(changed, system=kernel)
    assert sum(size for _base, size in kernel.state.instances["web"].regions) == 128 * MIB
    assert kernel.harm == []
    assert not run.apply(changed, system=kernel)["changed"]


def test_twenty_tiny_instances_are_defined_in_as_few_writes_as_fit(tmp_path):
    kernel = KernfsKernel(tmp_path, cpus=22)
    tiny = {"tiny%d" % number: instance(image="tiny", memory={"size": 16 * MIB}) for number in range(20)}
    images = {"tiny": image("/srv/tiny", format="flat", initrd=None)}
    result = run.apply(simulated.layout(instances=tiny, images=images, channels={}), system=kernel)
    assert len(kernel.running()) == 20
    assert [path for path, _blob in kernel.writes] == [ROOT, NEW]
    order = [step["do"] for step in result["steps"]]
    assert order == ["pool", "create"] + ["load"] * 20 + ["boot"] * 20 + ["wait_health"] * 20 + ["save"]


def test_the_file_system_is_mounted_and_unmounted(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    result = run.apply(two(), check=True, system=kernel)
    assert not kernel.is_mounted
    assert result["plan"][0]["do"] == "mount"
    assert any("is not mounted, so that nobody knows what it holds" in one["message"] for one in result["findings"])
    run.apply(two(), system=kernel)
    assert kernel.is_mounted
    assert not run.apply(two(), system=kernel)["changed"]
    run.apply(None, state="absent", system=kernel)
    assert not kernel.is_mounted


def test_a_refusal_leaves_the_file_system_unmounted(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    with pytest.raises(run.ApplyError):
        run.apply(simulated.layout(instances={"web": instance(cpus={"count": 9})}), system=kernel)
    assert not kernel.is_mounted


def test_a_removal_of_nothing_leaves_the_file_system_unmounted(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    assert not run.apply(None, state="absent", system=kernel)["changed"]
    assert not kernel.is_mounted


def test_what_a_killed_run_mounted_to_look_belongs_to_the_next_one(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    kernel.mount_kernfs()
    assert run.apply(two(), check=True, system=kernel)["plan"][0]["do"] == "mount"
    assert kernel.is_mounted, "check mode changes nothing"
    assert not run.apply(None, state="absent", system=kernel)["changed"]
    assert not kernel.is_mounted
    kernel.mount_kernfs()
    assert run.apply(two(), system=kernel)["plan"][0]["do"] == "mount"
    assert kernel.is_mounted
    run.apply(None, state="absent", system=kernel)
    assert not kernel.is_mounted


def test_what_somebody_else_mounted_stays_mounted(tmp_path):
    kernel = KernfsKernel(tmp_path)
    run.apply(two(), system=kernel)
    run.apply(None, state="absent", system=kernel)
    assert not run.apply(None, state="absent", system=kernel)["changed"]
    assert kernel.is_mounted


def test_a_file_system_that_somebody_else_looks_into_stays_mounted(tmp_path, monkeypatch):
    kernel = KernfsKernel(tmp_path, mounted=False)

    def busy():
        raise DialectError("/sys/fs/multikernel cannot be unmounted: Device or resource busy", errno.EBUSY)

    monkeypatch.setattr(kernel, "unmount_kernfs", busy)
    assert not run.apply(None, state="absent", system=kernel)["changed"]
    assert kernel.is_mounted
    kernel.is_mounted = False
    with pytest.raises(run.ApplyError, match="the layout is refused"):
        run.apply(simulated.layout(instances={"web": instance(cpus={"count": 9})}), system=kernel)


def test_a_layout_of_nothing_leaves_the_file_system_unmounted(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    nothing = simulated.layout(instances={}, channels={})
    for _time in range(2):
        run.apply(nothing, system=kernel)
        assert not kernel.is_mounted
    run.apply(None, state="absent", system=kernel)
    assert not kernel.is_mounted


@pytest.mark.parametrize(("generation", "help_"), [("G0", "build the current multikernel tree"), ("G1", "build tag v7.0-mk2 or later")])
def test_older_generations_are_refused_with_what_to_upgrade(tmp_path, generation, help_):
    kernel = KernfsKernel(tmp_path, generation=generation)
    with pytest.raises(run.ApplyError, match="is of generation %s, and only G2 is spoken here" % generation) as caught:
        run.apply(two(), system=kernel)
    assert help_ in caught.value.message
    assert kernel.writes == []
    assert kernel.harm == []


def test_layout_info_tells_of_a_kernfs_host(kernel):
    run.apply(two(), system=kernel)
    found = info.info(two(), system=kernel)
    assert found["facts"]["dialect"]["generation"] == "G2"
    assert found["plan"] == []
    assert [one["name"] for one in found["instances"]] == ["db", "web"]
    assert found["table"].startswith("MK_ID")


def test_the_dialect_of_what_runs_is_kept(kernel):
    run.apply(two(), system=kernel)
    kernel_facts = kernel.facts
    kernel.facts = lambda *args: dict(kernel_facts(*args), dialect=dict(kernel_facts()["dialect"], offers=["kernfs", "rfc"]))
    with pytest.raises(run.ApplyError, match="was made in the dialect kernfs, and rfc is asked for; take it back with state: absent first"):
        run.apply(two(), options=run.Options(dialect="rfc"), system=kernel)


def test_a_dialect_that_the_host_does_not_speak_is_refused(kernel):
    with pytest.raises(run.ApplyError, match="this host does not speak the dialect rfc; it offers: kernfs"):
        run.apply(two(), options=run.Options(dialect="rfc"), system=kernel)


def test_the_multikernel_console_is_a_word_on_the_command_line(tmp_path):
    layout = simulated.layout(instances={"web": instance(console={"device": "mktty0"})}, channels={})
    kernel, machine = KernfsKernel(tmp_path / "kernfs"), Machine(tmp_path / "rfc")
    run.apply(layout, system=kernel)
    run.apply(layout, system=machine)
    assert kernel.state.instances["web"].image["cmdline"] == "console=mktty0 quiet"
    assert machine.assembled.cmdline == "console=mktty0 quiet"
    assert machine.assembled.console is None
