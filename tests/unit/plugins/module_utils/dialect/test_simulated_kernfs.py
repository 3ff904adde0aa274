# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated kernel is as lenient, as silent and as strict as the facts about the real one: a test for each of their rows."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt, kexec_file, mailbox
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_overlay as op
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_tree as trees
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import BLOCK, NEW, ROOT, TOP, KernfsKernel

MIB = 1 << 20
FILES = Path(__file__).resolve().parents[4] / "unit/fixtures/trees"
DEVICE = {"pci_id": "0000:09:00.0", "vendor": 0x8086, "device": 0x10D3}


@pytest.fixture
def kernel(tmp_path):
    """A host with three CPUs and 512 MiB in its pool, and a free PCI function."""
    made = KernfsKernel(tmp_path, devices=[DEVICE])
    made.write_bytes(ROOT, op.baseline([2, 4, 6], [(512 * MIB, 0)], [dict(DEVICE, alias="eth")]))
    return made


def apply(kernel, *operations):
    """Write them as one overlay; returns the status of its transaction."""
    (blob,) = op.batch(operations)
    return write(kernel, blob)


def write(kernel, blob):
    kernel.write_bytes(NEW, blob)
    newest = max(int(name[3:]) for name in kernel.listdir(TOP + "/overlays") if name != "new")
    return kernel.read(TOP + "/overlays/tx_%d/status" % newest).strip()


def overlay_of(*fragments):
    """A blob of (unit, target, nodes of operations)."""
    made = [
        fdt.Node("fragment@" + unit, {"target-path": fdt.string(target)}, [fdt.Node("__overlay__", {}, nodes)])
        for unit, target, nodes in fragments
    ]
    return fdt.build(fdt.Node("", {}, made))


def granted(kernel, name="web"):
    return trees.instance(kernel.read_bytes(TOP + "/instances/%s/device_tree" % name))


def status(kernel, name="web"):
    return kernel.read(TOP + "/instances/%s/status" % name).strip()


def host(kernel):
    return trees.host(kernel.read_bytes(ROOT))


def refused(number, function, *arguments):
    with pytest.raises(DialectError) as error:
        function(*arguments)
    assert error.value.errno == number, error.value


def running(kernel, name="web", cpus=(2,)):
    """An active instance; returns its id."""
    assert apply(kernel, op.create(name, None, cpus, 64 * MIB)) == "applied"
    number = granted(kernel, name)["id"]
    kernel.file_load("/boot/vmlinuz", "/srv/initrd", "quiet", number)
    kernel.command(kexec_file.EXEC, number)
    return number


# files (sections 1 and 2)


def test_nothing_is_there_before_it_is_mounted(tmp_path):
    kernel = KernfsKernel(tmp_path, mounted=False)
    assert kernel.exists(TOP) and kernel.listdir(TOP) == [] and kernel.read_bytes(ROOT) is None
    assert TOP not in kernel.read("proc/mounts")
    kernel.mount_kernfs()
    assert TOP in kernel.read("proc/mounts")
    assert kernel.listdir(TOP) == ["device_tree", "instances", "overlays"] and kernel.listdir(TOP + "/overlays") == ["new"]


def test_only_transactions_can_be_removed(kernel):
    for path in (TOP + "/instances/web", TOP + "/overlays", TOP + "/overlays/new"):
        refused(errno.EPERM, kernel.rmdir, path)
    refused(errno.ENOENT, kernel.rmdir, TOP + "/overlays/tx_9")


def test_transactions_are_numbered_from_two_and_a_number_is_never_used_again(kernel):
    apply(kernel, op.create("a", None, [2], MIB))
    assert kernel.listdir(TOP + "/overlays") == ["new", "tx_2"]
    assert sorted(kernel.listdir(TOP + "/overlays/tx_2")) == ["dtbo", "id", "instance", "resources", "status"]
    assert kernel.read(TOP + "/overlays/tx_2/instance") == "/instances\n"
    assert kernel.read(TOP + "/overlays/tx_2/resources") == "unknown\n"
    kernel.rmdir(TOP + "/overlays/tx_2")
    apply(kernel, op.create("b", None, [2], MIB))
    assert kernel.listdir(TOP + "/overlays") == ["new", "tx_3"]


def test_a_write_of_more_than_a_page_is_clipped_and_its_rest_refused(kernel):
    blob = fdt.build(fdt.Node("", {"fill": bytes(5000)}))
    assert kernel.kernel_write(NEW, blob) == 4096
    with pytest.raises(OSError, match="EINVAL"):
        kernel.kernel_write(NEW, blob[4096:], 4096)
    refused(errno.EIO, kernel.write_bytes, NEW, blob)
    assert {kernel.read(TOP + "/overlays/tx_%d/status" % number).strip() for number in (2, 3)} == {"failed"}


def test_a_large_instance_tree_comes_out_torn(tmp_path):
    """More than a page, and the kernel makes it anew for each page: here it shrinks in between."""
    kernel = KernfsKernel(tmp_path, cpus=1200)
    kernel.write_bytes(ROOT, op.baseline(range(2, 2400, 2), [(512 * MIB, 0)]))
    assert apply(kernel, op.create("big", None, range(2, 800, 2), 64 * MIB)) == "applied"
    assert apply(kernel, op.instance_cpus_add("big", range(800, 900, 2))) == "applied"
    assert apply(kernel, op.instance_cpus_add("big", range(900, 1100, 2))) == "applied"
    path = TOP + "/instances/big/device_tree"
    assert len(kernel.read_bytes(path)) > 4096 and fdt.complete(kernel.read_bytes(path))
    kernel.between_reads = [lambda one: one.state.cpu_remove("big", 900)]
    torn = kernel.read_bytes(path)
    assert not fdt.complete(torn)
    assert fdt.complete(kernel.read_bytes(path))


# the baseline (section 4)


def plain_baseline(resources=None, children=None, more=()):
    told = {"cpus": fdt.u64(2)} if resources is None else resources
    memory = [fdt.Node("memory@0", {"size": fdt.u64(128 * MIB)})] if children is None else children
    return fdt.Node("", {}, [fdt.Node("resources", told, memory), *more])


@pytest.mark.parametrize(
    ("blob", "number"),
    [
        (bytes((1 << 20) + 1), errno.E2BIG),
        (b"no tree" * 10, errno.EINVAL),
        (fdt.build(plain_baseline()) + bytes(4), errno.EINVAL),
        (fdt.build(plain_baseline(more=[fdt.Node("instances", {}, [fdt.Node("web")])])), errno.EINVAL),
        (fdt.build(fdt.Node()), errno.EINVAL),
        (fdt.build(plain_baseline({})), errno.EINVAL),
        (fdt.build(plain_baseline({"cpus": b""})), errno.EINVAL),
        (fdt.build(plain_baseline({"cpus": fdt.u32(2)})), errno.EINVAL),
        (fdt.build(plain_baseline({"cpus": fdt.u64(2), "memory-base": fdt.u64(0)}, [])), errno.EINVAL),
        (fdt.build(plain_baseline(children=[fdt.Node("memory@%d" % number, {"size": fdt.u64(MIB)}) for number in range(9)])), errno.E2BIG),
        (fdt.build(plain_baseline(children=[fdt.Node("memory@0")])), errno.EINVAL),
        (fdt.build(plain_baseline(children=[fdt.Node("memory@0", {"size": fdt.u64(5)})])), errno.EINVAL),
        (fdt.build(plain_baseline(children=[fdt.Node("memory@0", {"size": fdt.u64(MIB), "numa-node-id": fdt.u32(8)})])), errno.EINVAL),
        (fdt.build(plain_baseline({"cpus": fdt.u64(99)})), errno.ENODEV),
        (op.baseline([2], [(1 << 40, None)]), errno.ENOMEM),
        (op.baseline([2], [(MIB, 3)]), errno.EINVAL),
        (op.baseline([0], [(128 * MIB, None)]), errno.EBUSY),
    ],
)
def test_each_bad_baseline_has_its_errno(tmp_path, blob, number):
    refused(number, KernfsKernel(tmp_path).write_bytes, ROOT, blob)


def test_an_empty_node_of_instances_is_tolerated(tmp_path):
    KernfsKernel(tmp_path).write_bytes(ROOT, fdt.build(plain_baseline(more=[fdt.Node("instances")])))


def test_a_baseline_is_not_atomic_and_its_retry_is_refused(tmp_path):
    kernel = KernfsKernel(tmp_path)
    kernel.state.stuck_cpus = {4}
    blob = op.baseline([2, 4, 6], [(512 * MIB, None)])
    refused(errno.EBUSY, kernel.write_bytes, ROOT, blob)
    assert (host(kernel)["cpus"], [one["size"] for one in host(kernel)["memory"]]) == ([2, 6], [512 * MIB])
    kernel.state.stuck_cpus = set()
    refused(errno.EBUSY, kernel.write_bytes, ROOT, blob)
    assert apply(kernel, op.pool_cpus_add([4])) == "applied"
    assert host(kernel)["cpus"] == [2, 6, 4]


def test_a_device_that_is_not_there_is_only_absent(tmp_path):
    kernel = KernfsKernel(tmp_path)
    kernel.write_bytes(ROOT, op.baseline([2], [(128 * MIB, None)], [DEVICE]))
    assert host(kernel)["devices"] == []


def test_a_pool_as_large_as_its_instances_is_short_of_some_pages(kernel):
    assert apply(kernel, op.create("all", None, [2], 512 * MIB)) == "failed"
    assert apply(kernel, op.create("most", None, [2], 510 * MIB)) == "applied"


# trees (section 5)


def test_the_root_tree_lists_no_instances_and_free_cpus_vanish_from_it(kernel):
    assert host(kernel)["available"] == [2, 4, 6]
    assert [one["alias"] for one in host(kernel)["devices"]] == ["eth"]
    assert apply(kernel, op.create("web", None, [6, 2, 4], 64 * MIB)) == "applied"
    root = fdt.parse(kernel.read_bytes(ROOT))
    assert root.find("/instances") is None and "cpus-available" not in root.find("/resources").properties
    assert host(kernel)["live"] and granted(kernel)["cpus"] == [6, 2, 4]


def test_pooled_cpus_are_gone_from_the_host(kernel):
    facts = kernel.facts()
    assert facts["cpus"]["online"] == facts["cpus"]["present"] == [0]
    assert facts["cpus"]["possible"] == [0, 1, 2, 3]
    assert kernel.read("sys/devices/system/cpu/online") == "0\n"


def test_regions_are_in_the_map_of_memory(kernel):
    apply(kernel, op.create("web", 7, [2], 64 * MIB))
    base = granted(kernel)["base"]
    assert "%08x-%08x : mk-instance-7-web-region-0" % (base, base + 64 * MIB - 1) in kernel.read("proc/iomem")
    assert "Multikernel Memory Pool" in kernel.read("proc/iomem")


# the envelope (section 6)


def test_fragments_are_done_in_the_order_of_hexadecimal_units(kernel):
    made = [fdt.Node("instance-create", {"instance-name": fdt.string(name)}, [fdt.Node("resources")]) for name in "ab"]
    assert write(kernel, overlay_of(("a", "/instances", [made[0]]), ("9", "/instances", [made[1]]))) == "applied"
    assert (granted(kernel, "b")["id"], granted(kernel, "a")["id"]) == (1, 2)


@pytest.mark.parametrize(
    "blob",
    [
        fdt.build(fdt.Node()),
        overlay_of(("x", "/instances", [])),
        overlay_of(("0", "/other", [])),
        overlay_of(("0", "/instances/", [])),
        overlay_of(("0", "/instances/a/b", [])),
        overlay_of(("0", "/instances/none", [])),
        overlay_of(("0", "/resources", [fdt.Node("instance-create")])),
        overlay_of(("0", "/instances", [fdt.Node("cpu-add")])),
        overlay_of(("0", "/instances", [fdt.Node("instance-create", {"instance-name": fdt.string("a/b")}, [fdt.Node("resources")])])),
        overlay_of(("0", "/instances", [fdt.Node("instance-create", {"instance-name": fdt.string("a")})])),
        overlay_of(("0", "/resources", [fdt.Node("memory-add", {}, [fdt.Node("memory@0", {"reg": fdt.u64(0, 1), "size": fdt.u64(MIB)})])])),
        fdt.build(fdt.Node("", {}, [fdt.Node("fragment@0", {"target-path": b"/resources"}, [fdt.Node("__overlay__")])])),
        fdt.build(fdt.Node("", {}, [fdt.Node("fragment@0", {"target-path": fdt.string("/resources")})])),
    ],
)
def test_what_is_wrong_beyond_the_header_shows_in_the_status_alone(kernel, blob):
    assert write(kernel, blob) == "failed"
    assert kernel.state.log


def test_a_bad_header_is_refused_at_once_and_makes_no_transaction(kernel):
    for blob, offset in ((b"", 0), (bytes(100), 0), (overlay_of(("0", "/instances", [])), 4)):
        with pytest.raises(OSError, match="EINVAL"):
            kernel.kernel_write(NEW, blob, offset)
    with pytest.raises(OSError, match="EFBIG"):
        kernel.kernel_write(NEW, bytes((1 << 20) + 1))
    assert kernel.listdir(TOP + "/overlays") == ["new"]


def test_items_of_another_kind_are_passed_over_in_silence(kernel):
    assert write(kernel, overlay_of(("0", "/resources", [fdt.Node("memory-add", {}, [fdt.Node("region@0")])]))) == "applied"
    assert len(host(kernel)["memory"]) == 1


def test_the_pool_is_needed_for_its_own_changes(tmp_path):
    assert apply(KernfsKernel(tmp_path), op.pool_cpus_add([2])) == "failed"


def test_an_overlay_by_another_tool_is_understood(tmp_path):
    kernel = KernfsKernel(tmp_path, cpus=200, nodes=2, devices=[DEVICE])
    kernel.write_bytes(ROOT, op.baseline([2, 4, 256], [(512 * MIB, 0), (512 * MIB, 1)], [DEVICE]))
    assert write(kernel, (FILES / "create_two.dtb").read_bytes()) == "applied"
    assert granted(kernel)["cpus"] == [2]  # it asks for 2 and 3, and 3 is not in this pool
    assert (granted(kernel, "db")["id"], granted(kernel, "db")["cpus"], len(granted(kernel, "db")["devices"])) == (7, [256], 1)
    assert granted(kernel, "db")["base"] >= 2 << 30  # of node 1, as asked


def test_one_fragment_creates_one_instance(kernel):
    made = [fdt.Node("instance-create", {"instance-name": fdt.string(name)}, [fdt.Node("resources")]) for name in "ab"]
    made[1].name = "instance-create@1"
    assert write(kernel, overlay_of(("0", "/instances", made))) == "applied"
    assert kernel.listdir(TOP + "/instances") == ["a"]


@pytest.mark.parametrize("operations", [
    [op.create("a", 7, [], MIB), op.create("b", 7, [], MIB)], [op.create("a", 7, [], MIB), op.create("a", 8, [], MIB)],
    [op.create("a", None, [], 1 << 40)], [op.remove("none")],
])  # fmt: skip
def test_creations_that_fail(kernel, operations):
    assert apply(kernel, *operations) == "failed"


def test_an_id_of_zero_is_refused(kernel):
    made = fdt.Node("instance-create", {"instance-name": fdt.string("a"), "id": fdt.u32(0)}, [fdt.Node("resources")])
    assert write(kernel, overlay_of(("0", "/instances", [made]))) == "failed"
    assert "id 0" in kernel.state.log[-1]


def test_applied_is_not_granted(kernel):
    """CPUs that are lent, not pooled or denied, and devices that are not there, are left out; the transaction says applied."""
    assert apply(kernel, op.create("a", None, [2], MIB)) == "applied"
    kernel.state.deny_cpus = {4}
    assert apply(kernel, op.create("web", None, [2, 4, 6, 100], MIB)) == "applied"
    assert granted(kernel)["cpus"] == [6] and len(kernel.state.log) == 3


def test_a_fragmented_pool_gives_several_regions(kernel):
    apply(
        kernel,
        op.create("a", None, [], 128 * MIB),
        op.create("b", None, [], 128 * MIB),
        op.create("c", None, [], 128 * MIB),
        op.remove("b"),
    )
    assert apply(kernel, op.create("web", None, [2], 192 * MIB)) == "applied"
    assert len(kernel.state.instances["web"].regions) == 2
    assert granted(kernel)["size"] == 192 * MIB


@pytest.mark.parametrize("operation", [
    op.pool_cpus_add([0]), op.pool_cpus_add([2]), op.pool_cpus_add([99]), op.pool_cpus_remove([8]), op.pool_memory_add(1 << 40),
    op.pool_memory_remove(0x70000000, 512 * MIB), op.pool_device_add("0000:01:00.0"), op.pool_device_remove("0000:01:00.0"),
    op.instance_cpus_add("web", [2]), op.instance_cpus_remove("web", [4]), op.instance_memory_remove("web", 0x60000000, MIB),
    op.instance_device_add("web", "0000:01:00.0"), op.instance_device_remove("web", "0000:09:00.0"), op.instance_cpus_add("none", [4]),
    op.instance_device_add("web", "0000:09:00.0", "missing"), op.pool_memory_remove(0x60000000, 256 * MIB),
])  # fmt: skip
def test_changes_that_fail(kernel, operation):
    assert apply(kernel, op.create("web", None, [2], 64 * MIB)) == "applied"
    before = (host(kernel), granted(kernel))
    assert apply(kernel, operation) == "failed"
    assert (host(kernel), granted(kernel)) == before


def test_changes_that_work(kernel):
    assert apply(kernel, op.create("web", None, [2], 64 * MIB)) == "applied"
    base = granted(kernel)["base"]
    assert (
        apply(
            kernel,
            op.instance_cpus_add("web", [4]),
            op.instance_memory_add("web", base + BLOCK, BLOCK),
            op.instance_device_add("web", "0000:09:00.0"),
        )
        == "applied"
    )
    assert (granted(kernel)["cpus"], granted(kernel)["size"], len(granted(kernel)["devices"])) == ([2, 4], 64 * MIB + BLOCK, 1)
    assert host(kernel)["devices"] == []
    assert (
        apply(
            kernel,
            op.instance_device_remove("web", "0000:09:00.0"),
            op.instance_memory_remove("web", base + BLOCK, BLOCK),
            op.instance_cpus_remove("web", [4]),
        )
        == "applied"
    )
    assert (granted(kernel)["cpus"], granted(kernel)["size"], granted(kernel)["devices"]) == ([2], 64 * MIB, [])


def test_older_kernels_choose_the_memory_of_an_instance_themselves(kernel):
    kernel.state.named_ranges = False
    apply(kernel, op.create("web", None, [2], 64 * MIB), op.instance_memory_add("web", 0x7A000000, 2 * MIB))
    assert kernel.state.instances["web"].regions[1][0] != 0x7A000000 and granted(kernel)["size"] == 66 * MIB


def test_the_pool_goes_back_whole_in_the_kernels_own_order(kernel):
    chunk = host(kernel)["memory"][0]
    assert apply(kernel, op.pool_memory_remove(chunk["base"], chunk["size"])) == "failed"  # CPUs are parked in it
    back = [op.pool_cpus_remove([2, 4, 6]), op.pool_device_remove("0000:09:00.0"), op.pool_memory_remove(chunk["base"], chunk["size"])]
    assert apply(kernel, *back) == "applied"
    assert not host(kernel)["live"] and host(kernel)["cpus"] == [0, 2, 4, 6]
    assert kernel.facts()["cpus"]["present"] == [0, 1, 2, 3]


# results and rollback (section 7)


def test_what_came_before_a_failure_stays_in_force(kernel):
    assert apply(kernel, op.create("web", None, [2], MIB), op.pool_cpus_remove([4]), op.pool_cpus_remove([2]), op.remove("web")) == "failed"
    assert kernel.listdir(TOP + "/instances") == ["web"] and host(kernel)["cpus"] == [2, 6]
    assert "tx_2" in kernel.listdir(TOP + "/overlays")


def test_an_injected_failure_does_not_show_in_the_write(kernel):
    kernel.state.fails = {"instance-remove": errno.EBUSY}
    assert apply(kernel, op.create("web", None, [2], MIB), op.remove("web")) == "failed"
    assert kernel.listdir(TOP + "/instances") == ["web"]


def test_a_rollback_undoes_what_it_can(kernel):
    apply(kernel, op.create("web", None, [2], MIB), op.instance_cpus_add("web", [4]))
    kernel.rmdir(TOP + "/overlays/tx_2")
    assert kernel.listdir(TOP + "/instances") == [] and host(kernel)["available"] == [2, 4, 6]
    apply(kernel, op.pool_memory_add(128 * MIB))
    kernel.rmdir(TOP + "/overlays/tx_3")
    assert len(host(kernel)["memory"]) == 2  # cannot be undone, and nothing says so but the log
    assert "cannot be undone" in kernel.state.log[-1]


def test_a_rollback_of_a_failed_transaction_undoes_what_was_never_done(kernel):
    """Another's CPU goes away: the inverse of an operation that had failed is done all the same."""
    apply(kernel, op.create("web", None, [2], MIB), op.create("db", None, [4], MIB))
    kernel.state.fails = {"cpu-remove": errno.EBUSY}
    assert apply(kernel, op.pool_cpus_add([99]), op.instance_cpus_add("web", [4])) == "failed"
    kernel.state.fails = {}
    refused(errno.EINVAL, kernel.rmdir, TOP + "/overlays/tx_3")
    assert kernel.read(TOP + "/overlays/tx_3/status") == "failed\n"


def test_a_rollback_of_a_running_instance_is_refused(kernel):
    running(kernel)
    refused(errno.EBUSY, kernel.rmdir, TOP + "/overlays/tx_2")
    assert kernel.read(TOP + "/overlays/tx_2/status") == "failed\n"


# loading, booting, halting (sections 3 and 8)


def test_the_life_of_an_instance(kernel):
    assert apply(kernel, op.create("web", None, [2], 64 * MIB)) == "applied"
    assert status(kernel) == "ready"
    kernel.file_load("/boot/vmlinuz", None, "console=mktty0", 1)
    assert status(kernel) == "loaded" and '"console=mktty0"' in kernel.read("proc/kimage")
    kernel.command(kexec_file.EXEC, 1)
    assert status(kernel) == "active" and kernel.running() == {"web": [2]}
    kernel.command(kexec_file.HALT, 1)
    assert status(kernel) == "loaded" and kernel.running() == {}
    kernel.command(kexec_file.EXEC, 1)  # the image is still there
    kernel.command(kexec_file.HALT_FORCE, 1)
    kernel.command(kexec_file.HALT_FORCE, 1)
    kernel.file_unload(1)
    assert status(kernel) == "ready"
    assert apply(kernel, op.remove("web")) == "applied"
    assert kernel.harm == []


def test_each_refusal_of_an_image_has_its_errno(kernel):
    apply(kernel, op.create("web", None, [2], 64 * MIB), op.create("tiny", None, [4], MIB))
    load = kernel.file_load
    refused(errno.ENOENT, load, "/boot/vmlinuz", None, "", 9)
    refused(errno.EINVAL, load, "/boot/vmlinuz", None, "", 0)
    refused(errno.EINVAL, load, "/boot/vmlinuz", None, "a\0b", 1)
    refused(errno.ENOMEM, load, "/boot/vmlinuz", None, "", 2)
    refused(errno.ENOENT, kernel.file_unload, 1)
    kernel.signatures = errno.EKEYREJECTED
    refused(errno.EKEYREJECTED, load, "/boot/vmlinuz", None, "", 1)
    kernel.signatures, kernel.load_disabled = None, True
    refused(errno.EPERM, load, "/boot/vmlinuz", None, "", 1)
    kernel.load_disabled, kernel.lock_held = False, True
    refused(errno.EBUSY, load, "/boot/vmlinuz", None, "", 1)
    kernel.lock_held, kernel.mkstock = False, False
    refused(errno.ENOEXEC, load, "/boot/vmlinuz", None, "", 1)  # a bzImage
    kernel.kinds["/boot/vmlinux"] = "vmlinux"
    load("/boot/vmlinux", None, "", 1)
    refused(errno.EBUSY, load, "/boot/vmlinux", None, "", 1)


def test_each_refusal_of_a_command_has_its_errno(kernel):
    apply(kernel, op.create("web", None, [2], 64 * MIB), op.create("bare", None, [], 64 * MIB))
    for number, command, identity in (
        (errno.EINVAL, kexec_file.EXEC, 1),
        (errno.EINVAL, kexec_file.EXEC, 9),
        (errno.ENOENT, kexec_file.HALT, 9),
        (errno.EINVAL, kexec_file.HALT, 1),
        (errno.ENOENT, kexec_file.HALT_FORCE, 9),
        (errno.EINVAL, kexec_file.HALT_FORCE, 1),
        (errno.EINVAL, 1, 1),
    ):
        refused(number, kernel.command, command, identity)
    kernel.file_load("/boot/vmlinuz", None, "", 2)
    refused(errno.EINVAL, kernel.command, kexec_file.EXEC, 2)  # no CPU
    kernel.file_load("/boot/vmlinuz", None, "", 1)
    kernel.command(kexec_file.EXEC, 1)
    refused(errno.EBUSY, kernel.command, kexec_file.EXEC, 1)
    kernel.privileged = False
    refused(errno.EPERM, kernel.command, kexec_file.HALT, 1)


def test_an_instance_that_is_loaded_or_active_cannot_be_removed(kernel):
    running(kernel)
    assert apply(kernel, op.remove("web")) == "failed"
    kernel.command(kexec_file.HALT, 1)
    assert apply(kernel, op.remove("web")) == "failed"


def test_a_halt_takes_thirty_seconds_to_fail(kernel):
    number = running(kernel)
    kernel.deaf = {"web"}
    before = kernel.monotonic()
    refused(errno.ETIMEDOUT, kernel.command, kexec_file.HALT, number)
    assert kernel.monotonic() - before == 30 and status(kernel) == "active"
    kernel.command(kexec_file.HALT_FORCE, number)
    assert status(kernel) == "loaded"


def test_an_unload_does_not_ask_whether_the_instance_runs(kernel):
    kernel.file_unload(running(kernel))
    assert status(kernel) == "ready" and kernel.harm == ["the image of web was unloaded while it runs"]


def test_changes_of_a_silent_active_instance_take_ten_seconds_each(kernel):
    running(kernel)
    kernel.state.silent = {"web"}
    before = kernel.monotonic()
    assert apply(kernel, op.instance_cpus_add("web", [4])) == "failed"
    assert kernel.monotonic() - before == 10


def test_memory_of_an_active_instance_moves_in_whole_blocks(kernel):
    running(kernel)
    base = granted(kernel)["base"]
    assert apply(kernel, op.instance_memory_add("web", base + BLOCK, 2 * MIB)) == "failed"
    assert apply(kernel, op.instance_memory_add("web", base + BLOCK, BLOCK)) == "applied"
    assert apply(kernel, op.instance_memory_remove("web", base, 64 * MIB)) == "failed"  # the loaded kernel is in it


def test_each_start_has_a_nonce_of_its_own_and_beats(kernel):
    number = running(kernel)
    base = granted(kernel)["base"]
    first = mailbox.parse(kernel.physical(base, 4096))
    kernel.sleep(1)
    assert mailbox.parse(kernel.physical(base, 4096)) != first
    kernel.command(kexec_file.HALT, number)
    nonces = {kernel.mailboxes[base]["nonce"]}
    kernel.command(kexec_file.EXEC, number)
    nonces.add(kernel.mailboxes[base]["nonce"])
    assert len(nonces) == 2


def test_a_kernel_without_mkstock_gives_no_sign_of_life(tmp_path):
    kernel = KernfsKernel(tmp_path, mkstock=False)
    kernel.write_bytes(ROOT, op.baseline([2], [(256 * MIB, None)]))
    apply(kernel, op.create("web", None, [2], 64 * MIB))
    kernel.kinds["/boot/vmlinux"] = "vmlinux"
    kernel.file_load("/boot/vmlinux", None, "", 1)
    kernel.command(kexec_file.EXEC, 1)
    kernel.sleep(5)
    assert status(kernel) == "active" and kernel.physical(granted(kernel)["base"], 4096) == bytes(4096)


# the host


def test_nothing_survives_a_reboot_of_the_host(kernel):
    running(kernel)
    fresh = kernel.reboot()
    assert not host(fresh)["live"] and fresh.listdir(TOP + "/instances") == [] and fresh.running() == {}
    assert fresh.facts()["boot_id"] != kernel.facts()["boot_id"]


def test_a_foreign_tool_comes_between(kernel):
    (theirs,) = op.batch([op.create("theirs", None, [2], MIB)])
    kernel.meddle = [lambda one: one.kernel_write(NEW, theirs)]
    assert apply(kernel, op.create("web", None, [2], MIB)) == "applied"
    assert kernel.listdir(TOP + "/overlays") == ["new", "tx_2", "tx_3"] and granted(kernel)["cpus"] == []


@pytest.mark.parametrize("generation", ["G0", "G1"])
def test_the_generations_before_are_told_apart_and_must_not_be_written_to(tmp_path, generation):
    kernel = KernfsKernel(tmp_path, generation=generation)
    assert trees.generation(kernel.read_bytes(ROOT)) == generation
    assert kernel.exists(NEW) == (generation == "G1")
    kernel.write_bytes(ROOT, b"anything")
    assert kernel.harm == ["a blob was written to a host of generation %s" % generation]
