# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kerf 0.4.0 drives the machine with its own commands, in the order of a life; this collection reads what it made.

The tests of this file build on each other, from an empty machine to an empty machine.
"""

from __future__ import annotations

from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt, mailbox

INSTANCES = "/sys/fs/multikernel/instances"
KERNEL = "/boot/vmlinuz-6.1.0-56-amd64"
INITRD = "/srv/multikernel/instance-6.1.0-56-amd64.cpio.gz"


def status(host, name):
    return host.file(f"{INSTANCES}/{name}/status").content_string.strip()


def resources(host, name):
    """What the instance has, as its own tree in the kernel says."""
    dump = host.run(f"od -An -v -tx1 {INSTANCES}/{name}/device_tree").stdout
    return fdt.parse(bytes.fromhex("".join(dump.split()))).find("/resources")


def words(host, multikernel, name, wanted, seconds=90):
    """The instance's own mailbox, once it has beaten so often."""
    base = resources(host, name).u64("memory-base")
    for _second in range(seconds):
        found = mailbox.parse(multikernel.memory(base, mailbox.SIZE))
        if found["valid"] and found["beats"] >= wanted:
            return found
        host.run("sleep 1")
    raise AssertionError(f"{name} did not beat {wanted} times within {seconds} s: {found}")


def test_init_makes_the_pool(host, kerf):
    kerf("init --cpus=2,3 --memory=512MB")
    assert host.file("/sys/devices/system/cpu/online").content_string.strip() == "0-1"
    assert "Multikernel Memory Pool" in host.file("/proc/iomem").content_string


def test_init_again_changes_nothing(host, kerf):
    before = host.run("ls /sys/fs/multikernel/overlays").stdout
    kerf("init --cpus=2,3 --memory=512MB")
    assert host.run("ls /sys/fs/multikernel/overlays").stdout == before


def test_create_makes_instances(host, kerf):
    kerf("create linux --cpus 3 --memory 192MB")
    kerf("create small --cpus 2 --memory 32MB --id 7")
    assert status(host, "linux") == "ready"
    assert host.file(f"{INSTANCES}/small/id").content_string.strip() == "7"


def test_update_resizes_an_instance_that_is_not_loaded(host, kerf):
    kerf("update small --memory 160MB")  # it grows by whole memory blocks only
    assert resources(host, "small").u64("memory-bytes") == 160 << 20


def test_load_takes_stock_images(host, kerf):
    kerf(f"load linux --kernel={KERNEL} --initrd={INITRD}")
    kerf("load small --kernel=/srv/multikernel/tiny.bin")
    assert status(host, "linux") == status(host, "small") == "loaded"
    assert "multikernel" in host.file("/proc/kimage").content_string


def test_start_boots_second_kernels(host, kerf, multikernel):
    kerf("start linux")
    kerf("start small")
    assert status(host, "linux") == status(host, "small") == "active"
    assert words(host, multikernel, "small", 3)["state"] == "running"
    told = words(host, multikernel, "linux", 2)
    assert told["uname"].startswith("6.1.0-56-amd64")
    assert told["nproc"] == 1


def test_console_reaches_a_shell_in_the_second_kernel(host):
    # kerf wants a terminal; an empty line wakes the agent's shell; the escape sequence is Ctrl-] and a point
    typed = r"(sleep 4; printf '\n'; sleep 3; printf 'cat /proc/cmdline; echo mk$((40+2))\n'; sleep 6; printf '\035.')"
    text = host.run(f"{typed} | timeout 90 script -qec '/root/kerf-command console linux' /dev/null").stdout
    assert "multikernel.name=linux" in text
    assert "mk42" in text
    assert "Disconnected from console" in text


def test_our_facts_name_what_the_peer_made_as_foreign(host, foreign):
    assert {one["name"] for one in foreign} == {"linux", "small"}


def test_start_of_what_runs_is_refused_by_the_peer(kerf):
    assert "active" in kerf("start linux", status=1).text


def test_kill_ends_them(host, kerf):
    kerf("kill linux")
    kerf("kill --force small")
    assert status(host, "linux") == status(host, "small") == "loaded"


def test_unload_and_delete_leave_nothing(host, kerf):
    for name in ("linux", "small"):
        kerf(f"unload {name}")
        assert status(host, name) == "ready"
        kerf(f"delete {name}")
    assert host.run(f"ls {INSTANCES}").stdout.split() == []


def test_init_with_nothing_gives_everything_back(host, kerf):
    kerf("init --cpus=none --memory=none")
    assert host.file("/sys/devices/system/cpu/online").content_string.strip() == "0-3"
    assert "Multikernel Memory Pool" not in host.file("/proc/iomem").content_string
