# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps of the kernfs interface, one test for each, named after it."""

from __future__ import annotations

import errno

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_overlay as overlay
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs import Kernfs
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs_files import Tree
from ansible_collections.multikernel.core.plugins.module_utils._plan import kernfs_steps
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, image, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import NEW, ROOT, TOP, KernfsKernel

ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}


@pytest.fixture
def kernel(tmp_path):
    return KernfsKernel(tmp_path)


def two(**changes):
    return simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})}, **changes)


def refused(kernel, layout, **arguments):
    """The error of an apply that fails and is undone to the last CPU."""
    with pytest.raises(run.ApplyError) as caught:
        run.apply(layout, system=kernel, **arguments)
    assert caught.value.details.get("stuck", []) == []
    assert kernel.running() == {}
    assert kernel.online == {0, 1, 2, 3}
    assert kernel.state.chunks == []
    assert kernel.harm == []
    return caught.value.message


def theirs(blob):
    """A foreign tool's write of an overlay."""
    return lambda kernel: kernel.overlays.submit(blob)


def test_trap_1_a_write_that_succeeds_while_the_overlay_failed(kernel):
    kernel.state.fails["instance-create"] = errno.ENOMEM
    assert "the kernel took transaction 2, and it is failed (only the kernel's log says why: dmesg)" in refused(kernel, two())
    kernel.state.fails.clear()
    assert run.apply(two(), system=kernel)["changed"]


def test_trap_2_applied_without_the_cpus(kernel):
    kernel.state.deny_cpus.add(6)
    message = refused(kernel, two())
    assert "the kernel says that web was made, but gave it the CPUs with APIC id none instead of 6" in message


def test_trap_3_no_overlay_is_longer_than_4096_bytes(tmp_path):
    kernel = KernfsKernel(tmp_path, cpus=60)
    tiny = {"tiny%d" % number: instance(memory={"size": 8 * MIB}) for number in range(56)}
    images = {"debian": image("/srv/tiny", format="flat", initrd=None)}
    run.apply(simulated.layout(instances=tiny, images=images, channels={}), system=kernel)
    sizes = [len(blob) for path, blob in kernel.writes if path == NEW]
    assert max(sizes) <= 4096
    assert 1 < len(sizes) <= 4
    with pytest.raises(DialectError, match="an overlay of 5000 bytes is not sent"):
        Tree(kernel).send(bytes(5000), False)


def test_trap_4_and_6_no_errno_and_no_number_from_the_write(kernel):
    """Somebody else's transaction between ours: the one that holds our bytes is ours."""
    run.apply(two(), system=kernel)
    tree = Tree(kernel)
    blob = overlay.batch([overlay.pool_memory_add(128 * MIB)])[0]
    kernel.meddle.append(theirs(overlay.batch([overlay.pool_memory_add(256 * MIB)])[0]))
    number = tree.send(blob, False)
    assert kernel.overlays.transactions[number]["dtbo"] == blob


def test_trap_5_a_baseline_that_fails_half_way_is_completed_by_the_difference(kernel):
    kernel.state.stuck_cpus.add(4)
    kernel.meddle += [lambda mine: None, lambda mine: mine.state.stuck_cpus.clear()]
    run.apply(two(), system=kernel)
    assert [path for path, _blob in kernel.writes][:2] == [ROOT, NEW]
    assert kernel.running() == {"db": [2, 4], "web": [6]}
    assert kernel.harm == []


def test_trap_5_a_baseline_that_cannot_be_completed_is_undone(kernel):
    kernel.state.stuck_cpus.add(4)
    assert "the pool is not as it should be: the CPUs with APIC id 4 did not come" in refused(kernel, two())


def test_failed_transactions_are_compensated_and_never_rolled_back(kernel):
    kernel.rmdir = lambda path: pytest.fail("rmdir %s" % path)
    run.apply(simulated.layout(), system=kernel)
    kernel.state.fails["cpu-add"] = errno.EBUSY
    with pytest.raises(run.ApplyError) as caught:
        run.apply(two(pool={"memory": [{"base": None, "size": 640 * MIB, "node": None}]}), system=kernel)
    assert caught.value.details["stuck"] == []
    assert [one["size"] for one in kernel.state.chunks] == [512 * MIB]
    assert list(kernel.running()) == ["web"]
    kernel.state.fails.clear()
    assert not run.apply(simulated.layout(), system=kernel)["changed"]


def test_trap_7_no_cpus_available_is_none_free(kernel):
    run.apply(two(), system=kernel)
    root = Tree(kernel).host()
    assert (root["available"], root["live"]) == ([], True)
    assert not run.apply(two(), system=kernel)["changed"]


def test_trap_8_torn_trees_are_read_again(tmp_path):
    kernel = KernfsKernel(tmp_path)
    run.apply(two(), system=kernel)
    record = kernel.state.instances["web"]
    record.cpus = list(range(600))

    def shrink(mine):
        record.cpus = record.cpus[:580]

    kernel.between_reads.append(shrink)
    assert len(Tree(kernel).instance("web").cpus) == 580


@pytest.mark.parametrize(
    "tree", [b"", b"\xd0\x0d\xfe\xed", b"\xd0\x0d\xfe\xed" + b"\xff" * 60, b"\0" * 100], ids=["empty", "cut", "hostile", "zeros"]
)
def test_truncated_and_hostile_trees_are_sentences(kernel, tree):
    run.apply(two(), system=kernel)
    whole = kernel.read_bytes
    for where in (ROOT, TOP + "/instances/web/device_tree"):
        kernel.read_bytes = lambda path, where=where: tree if path == where else whole(path)
        with pytest.raises(run.ApplyError) as caught:
            run.apply(two(), system=kernel)
        assert "Traceback" not in caught.value.message
        assert "tree" in caught.value.message
    kernel.read_bytes = whole
    assert sorted(kernel.running()) == ["db", "web"]


def test_trap_10_pooled_cpus_vanish_and_are_remembered(kernel):
    run.apply(two(), system=kernel)
    assert kernel.present == [0]
    changed = simulated.layout(instances={"web": instance(cpus={"count": 3})}, policy=ALLOW)
    run.apply(changed, system=kernel)
    assert sorted(kernel.running()["web"]) == [2, 4, 6]
    run.apply(None, state="absent", system=kernel)
    assert kernel.present == [0, 1, 2, 3]


def test_trap_11_an_active_instance_is_not_unloaded(kernel):
    run.apply(simulated.layout(), system=kernel)
    dialect = Kernfs(kernel)
    facts = dialect.open(kernel.facts(), False, {})
    spec = run.Store(kernel.root).state()["instances"]["web"]["spec"]
    dialect.observe(None, facts)
    with pytest.raises(DialectError, match="web runs: its image is not unloaded from under it; halt it first"):
        dialect.perform(kernfs_steps.unload(spec))
    assert list(kernel.running()) == ["web"]
    assert kernel.harm == []


def test_trap_12_starting_waits_for_health(kernel):
    began = kernel.now
    result = run.apply(two(), system=kernel)
    waited = [step["result"] for step in result["steps"] if step["do"] == "wait_health"]
    assert all(one["uname"] == "6.1.0-sim" and one["beats"] for one in waited)
    assert kernel.now > began


def test_trap_12_without_any_sign_it_is_said_that_nobody_can_tell(tmp_path):
    kernel = KernfsKernel(tmp_path, mkstock=False)
    kernel.kinds["/boot/vmlinuz"] = "vmlinux"
    result = run.apply(two(channels={}), system=kernel)
    assert result["unverifiable"] == [
        "whether %s came up: this kernel shows it as active, and nothing of what it does" % name for name in ("db", "web")
    ]
    assert {one["evidence"]["state"] for one in result["instances"]} == {"unverifiable"}
    assert not run.apply(two(channels={}), system=kernel)["changed"]


def test_trap_12_a_line_on_the_console_is_a_sign(tmp_path):
    kernel = KernfsKernel(tmp_path, mkstock=False)
    kernel.kinds["/boot/vmlinuz"] = "vmlinux"
    lines = [b"", b"Linux version", b" 6.1\n"]

    class Console:
        def read(self):
            return lines.pop(0)

        def close(self):
            lines.append(b"closed")

    kernel.open_console = lambda number: Console()
    result = run.apply(simulated.layout(instances={"web": instance(console={"device": "mktty0"})}, channels={}), system=kernel)
    assert next(step["result"]["console"] for step in result["steps"] if step["do"] == "wait_health") == "Linux version 6.1\n"
    assert lines == [b"closed"]


def test_trap_13_a_halt_that_takes_30_seconds_is_forced(kernel):
    run.apply(two(), system=kernel)
    kernel.deaf.add("web")
    result = run.apply(None, state="absent", system=kernel)
    told = {step["say"]: step["result"] for step in result["steps"] if step["do"] == "stop"}
    assert told["halt web"]["forced"]
    assert 30 <= told["halt web"]["seconds"] < 31
    assert "forced" not in told["halt db"]
    assert kernel.running() == {}
    assert kernel.harm == []


def test_trap_13_who_said_that_it_ended_is_not_asked(kernel):
    run.apply(two(), system=kernel)
    kernel.end("web", 3, "panic")
    began = kernel.now
    run.apply(None, state="absent", system=kernel)
    assert kernel.now - began < 30


def test_trap_14_nothing_is_polled_for_but_the_files_themselves(kernel):
    """No notification ever comes: what somebody else changed is seen by the next apply, which reads all of it."""
    run.apply(two(), system=kernel)
    kernel.command(kexec_file.HALT_FORCE, kernel.state.instances["web"].id)
    assert [one["state"] for one in run.apply(two(), check=True, system=kernel)["instances"]] == ["running", "ended"]
    assert run.apply(two(), system=kernel)["changed"]
    assert sorted(kernel.running()) == ["db", "web"]


def test_trap_15_nothing_survives_a_boot_of_the_host(kernel):
    run.apply(two(), system=kernel)
    kernel = kernel.reboot()
    assert run.apply(two(), system=kernel)["changed"]
    assert sorted(kernel.running()) == ["db", "web"]
    kernel = kernel.reboot()
    run.apply(None, state="absent", system=kernel)
    assert kernel.writes == []


def test_trap_16_gaps_in_the_numbers_of_transactions_do_no_harm(kernel):
    kernel.overlays.submit(overlay.batch([overlay.remove("nobody")])[0])
    kernel.overlays.submit(overlay.batch([overlay.remove("nobody")])[0])
    kernel.rmdir(TOP + "/overlays/tx_2")
    run.apply(two(), system=kernel)
    assert sorted(kernel.running()) == ["db", "web"]


def test_trap_18_an_id_of_0_is_never_asked_for(kernel):
    with pytest.raises(overlay.OverlayError, match="ids are 1 to 2047"):
        overlay.create("web", 0, [2], MIB)


def test_a_foreign_change_before_our_write_is_planned_again_once(kernel):
    kernel.meddle.append(lambda mine: None)
    run.apply(simulated.layout(), system=kernel)
    real = kernel.write_bytes
    blob = overlay.batch([overlay.pool_memory_add(128 * MIB)])[0]
    changes = [1]
    listing = kernel.listdir

    def meddled(path):
        if path.endswith("overlays") and changes and kernel.planned:
            changes.pop()
            kernel.overlays.submit(blob)
        return listing(path)

    kernel.planned = False
    kernel.listdir = meddled
    facts = kernel.facts

    def seen(*args, **words):
        return facts(*args, **words)

    kernel.facts = seen
    observed = Kernfs.observe

    def after(self, *args):
        state = observed(self, *args)
        kernel.planned = True
        return state

    Kernfs.observe = after
    try:
        run.apply(two(), system=kernel)
    finally:
        Kernfs.observe = observed
    assert kernel.write_bytes == real
    assert sorted(kernel.running()) == ["db", "web"]
    assert not changes
    assert sorted(one["size"] for one in kernel.state.chunks) == [128 * MIB, 512 * MIB]  # theirs stays
    assert kernel.harm == []


def test_a_foreign_tool_that_does_not_stop_is_a_clear_error(kernel):
    run.apply(simulated.layout(), system=kernel)
    observed = Kernfs.observe
    blob = overlay.batch([overlay.pool_memory_add(16 * MIB)])[0]

    def meddling(self, *args):
        state = observed(self, *args)
        kernel.overlays.submit(blob)
        return state

    Kernfs.observe = meddling
    try:
        with pytest.raises(run.ApplyError, match="somebody else has changed the pool meanwhile; nothing had to be undone"):
            run.apply(two(), system=kernel)
    finally:
        Kernfs.observe = observed
    assert list(kernel.running()) == ["web"]
    assert run.apply(two(), system=kernel)["changed"]


def foreign(kernel, name="guest", cpu=2, size=64 * MIB, start=False):
    """What a tool of somebody else makes: a pool with one CPU, and an instance in it."""
    kernel.kernel_write(ROOT, overlay.baseline([cpu], [(128 * MIB, None)]))
    kernel.kernel_write(NEW, overlay.batch([overlay.create(name, 7, [cpu], size)])[0])
    if start:
        kernel.file_load("/boot/theirs", None, "quiet", 7)
        kernel.command(kexec_file.EXEC, 7)


def test_instances_that_we_did_not_make_are_never_touched(kernel):
    run.apply(simulated.layout(instances={}, channels={}), system=kernel)
    foreign(kernel, start=True)
    before = kernel.state.instances["guest"]
    result = run.apply(simulated.layout(instances={"web": instance()}), system=kernel)
    assert any("an instance guest is there (id 7, active) that was not made from here" in one["message"] for one in result["findings"])
    assert kernel.state.instances["guest"] is before
    assert before.state == "active"
    run.apply(None, state="absent", system=kernel)
    assert list(kernel.running()) == ["guest"]
    assert len(kernel.state.chunks) == 1
    assert kernel.harm == []


def test_the_name_of_a_foreign_instance_is_refused_unless_it_is_adopted(kernel):
    run.apply(simulated.layout(instances={}, channels={}), system=kernel)  # the topology of all CPUs is known from here on
    foreign(kernel, name="web", start=True)
    layout = simulated.layout(instances={"web": instance()}, channels={})
    with pytest.raises(run.ApplyError, match=r"an instance web is there \(id 7, active\) that was not made from here \(adopt it"):
        run.apply(layout, system=kernel)
    result = run.apply(layout, options=run.Options(adopt=["web"]), system=kernel)
    assert list(kernel.running()) == ["web"]
    assert kernel.state.instances["web"].id == 7
    assert [step["do"] for step in result["steps"]] == ["pool", "save"]
    assert not run.apply(layout, system=kernel)["changed"]
    run.apply(None, state="absent", system=kernel)
    assert kernel.running() == {}
    assert kernel.harm == []


def test_an_instance_that_somebody_replaced_is_no_longer_ours(kernel):
    run.apply(simulated.layout(channels={}), system=kernel)
    mine = kernel.state.instances["web"].id
    kernel.command(kexec_file.HALT, mine)
    kernel.file_unload(mine)
    kernel.kernel_write(NEW, overlay.batch([overlay.remove("web"), overlay.create("web", 9, [2], 64 * MIB)])[0])
    with pytest.raises(run.ApplyError, match=r"an instance web is there \(id 9, ready\) that was not made from here"):
        run.apply(simulated.layout(channels={}), system=kernel)
    run.apply(None, state="absent", system=kernel)
    assert list(kernel.state.instances) == ["web"]
