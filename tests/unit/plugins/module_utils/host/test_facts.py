# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a machine are what its files say; what they do not say is null."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import cpu, facts, physmem, tsc

from .conftest import HOSTS

MACHINES = ["lab-mkstock", "lab-plain", "two-sockets", "smt", "unprivileged", "memmap", "offlined"]
KEYS = [
    "boot_id",
    "cache_allocation",
    "cpus",
    "dialect",
    "hostname",
    "images",
    "iommu",
    "kernel",
    "kexec",
    "la57",
    "lockdown",
    "memory",
    "pci",
    "privileged",
    "tsc",
    "uarts",
    "version",
    "virtualization",
]


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_gives_the_whole_bundle_as_plain_json(collect, name):
    found = collect(name)
    assert sorted(found) == KEYS
    assert json.loads(json.dumps(found)) == found
    assert found["version"] == 1
    assert found["hostname"] == name


def test_every_tree_is_described_and_every_described_tree_is_there():
    trees = sorted(path.name for path in HOSTS.iterdir() if path.is_dir())
    assert trees == sorted(MACHINES)
    readme = (HOSTS / "README.md").read_text()
    for name in trees:
        assert "| {0} |".format(name) in readme


def test_a_machine_without_any_file_gives_nulls_and_no_exception(tmp_path):
    found = facts.collect(root=str(tmp_path))
    assert sorted(found) == KEYS
    nothing = {"present": None, "online": None, "possible": None, "boot": None, "each": {}, "kinds": None, "vulnerabilities": None}
    assert found["cpus"] == nothing
    unknown = ("total", "block_size", "blocks", "iomem", "low", "hugetlb", "corrupted", "firmware", "encrypted")
    assert found["memory"] == dict.fromkeys(unknown)
    assert found["kernel"] == dict.fromkeys(("release", "version", "cmdline", "panic", "config"))
    assert found["kexec"] == {"load_disabled": None, "limit_reboot": None, "crash_loaded": None}
    assert found["dialect"] == {"name": "none", "provider": None, "strict": None, "pool": None, "channels": False, "offers": []}
    assert found["tsc"] == {"khz": None, "constant": None, "nonstop": None, "clocksource": None}
    assert found["iommu"] == {"present": None, "translating": None, "interrupt_remapping": None, "groups": None}
    assert [found[key] for key in ("lockdown", "uarts", "la57", "virtualization", "boot_id")] == [None] * 5
    assert found["privileged"] is False


def test_odd_contents_give_nulls_and_no_exception(machine):
    root = machine("lab-mkstock")
    for folder, _folders, names in os.walk(str(root)):
        for name in names:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(b"\xff\xfe nonsense: \0 12,x-\n0x : \n\n")
    found = facts.collect(root=str(root))
    assert sorted(found) == KEYS
    assert found["cpus"]["present"] is None
    assert found["memory"]["iomem"] is None
    assert found["tsc"]["khz"] is None


def test_the_lab_machine(collect):
    found = collect("lab-mkstock")
    assert found["kernel"]["release"] == "6.1.0-56-amd64"
    assert found["cpus"]["present"] == found["cpus"]["online"] == [0, 1, 2, 3]
    assert found["cpus"]["boot"] == 0
    assert found["cpus"]["each"]["0"]["offlinable"] is False
    assert found["cpus"]["each"]["3"] == {
        "apic_id": 3,
        "package": 0,
        "core": 3,
        "siblings": [3],
        "llc": [0, 1, 2, 3],
        "node": 0,
        "offlinable": True,
        "flags": found["cpus"]["each"]["0"]["flags"],
        "microcode": "0x1000065",
    }
    assert found["memory"]["total"] == 1473232 * 1024
    assert found["memory"]["block_size"] == 128 << 20
    assert found["memory"]["blocks"][0] == {"number": 0, "state": "online", "node": 0, "zone": "DMA32"}
    assert found["memory"]["low"] == [[0x11000, 0x2F000]]
    assert [found["memory"][key] for key in ("hugetlb", "corrupted", "encrypted")] == [0, 0, False]
    assert found["memory"]["firmware"][0] == {"start": 0, "end": 0x9FBFF, "type": "System RAM"}
    assert found["kernel"]["panic"] == 0
    assert found["kernel"]["config"]["KEXEC"] == "y"
    assert found["kernel"]["config"]["IO_STRICT_DEVMEM"] is None
    assert found["cpus"]["kinds"] == {}
    assert found["cpus"]["vulnerabilities"]["mds"] == "Not affected"
    pool = [[0x40000000, 0x20000000]]
    assert found["dialect"] == {
        "name": "rfc",
        "provider": "mkstock",
        "offers": ["rfc"],
        "strict": False,
        "pool": pool,
        "channels": True,
    }
    assert found["kexec"] == {"load_disabled": False, "limit_reboot": -1, "crash_loaded": False}
    assert found["lockdown"] == "none"
    assert found["privileged"] is True
    assert found["tsc"] == {"khz": 2596136, "constant": True, "nonstop": False, "clocksource": "tsc"}
    assert found["uarts"][1] == {"device": "ttyS1", "port": 0x2F8, "irq": 3}
    assert len(found["uarts"]) == 4
    assert found["virtualization"] == "qemu"
    assert found["la57"] is False


def test_the_memory_alone_is_read_anew(machine):
    root = machine("lab-mkstock")
    before = facts.collect(root=str(root))
    (root / "proc/iomem").write_text("00100000-4fffffff : System RAM\n")
    now = facts.with_memory(str(root), before)
    assert [one["end"] for one in now["memory"]["iomem"]] == [0x4FFFFFFF] != [one["end"] for one in before["memory"]["iomem"]]
    assert dict(now, memory=None) == dict(before, memory=None)
    assert now == facts.collect(root=str(root))


def test_logical_numbers_apic_ids_and_counts_are_three_things(collect):
    each = collect("two-sockets")["cpus"]["each"]
    assert [each[str(number)]["apic_id"] for number in range(6)] == [0, 1, 2, 4, 5, 6]
    assert [each[str(number)]["package"] for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert [each[str(number)]["node"] for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert each["4"]["llc"] == [3, 4, 5]


def test_siblings_are_found_whatever_their_numbers(collect):
    each = collect("smt")["cpus"]["each"]
    assert each["1"]["siblings"] == each["5"]["siblings"] == [1, 5]
    assert (each["1"]["apic_id"], each["5"]["apic_id"]) == (2, 3)


def test_bare_metal_is_known_as_such(collect):
    found = collect("smt")
    assert found["virtualization"] == "none"
    assert found["tsc"]["nonstop"] is True
    assert found["kexec"]["crash_loaded"] is True


def test_without_privilege_facts_are_unknown_instead_of_wrong(collect):
    found = collect("unprivileged")
    assert found["privileged"] is False
    assert found["memory"]["iomem"] is None
    assert found["uarts"] is None
    assert found["lockdown"] is None


def test_the_kernel_forgets_a_cpu_that_is_offline_and_the_memory_of_it_helps(collect):
    each = collect("offlined")["cpus"]["each"]
    assert each["2"]["apic_id"] is None
    assert each["2"]["siblings"] is None
    assert each["2"]["offlinable"] is True
    # CPU 3 runs an instance, and mkstock tells its APIC id.
    assert each["3"]["apic_id"] == 3

    remembered = collect("lab-mkstock")["cpus"]["each"]
    remembered["0"]["apic_id"] = 77
    each = collect("offlined", remembered=remembered)["cpus"]["each"]
    assert each["2"] == remembered["2"]
    assert each["0"]["apic_id"] == 0, "what the kernel says now wins"


def test_mkstock_s_word_on_a_running_instance_stands_above_what_was_remembered(collect):
    each = collect("offlined", remembered={"3": {"apic_id": 9}})["cpus"]["each"]
    assert each["3"]["apic_id"] == 3


def test_cpus_that_differ_in_a_flag_have_different_digests(machine):
    root = machine("smt")
    text = (root / "proc" / "cpuinfo").read_text()
    first, _separator, rest = text.partition("\n\n")
    (root / "proc" / "cpuinfo").write_text(first.replace(" avx512f", "") + "\n\n" + rest)
    each = cpu.cpus(str(root))["each"]
    assert each["0"]["flags"] != each["1"]["flags"] == each["2"]["flags"]


def test_the_order_of_flags_does_not_matter(machine):
    root = machine("smt")
    before = cpu.cpus(str(root))["each"]["0"]["flags"]
    text = (root / "proc" / "cpuinfo").read_text()
    (root / "proc" / "cpuinfo").write_text(text.replace("fpu vme", "vme fpu"))
    assert cpu.cpus(str(root))["each"]["0"]["flags"] == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lab-mkstock", ("rfc", "mkstock", False)),
        ("lab-plain", ("none", None, None)),
        ("memmap", ("rfc", "kernel", True)),
        ("smt", ("rfc", "kernel", True)),
    ],
)
def test_the_dialect_is_told_by_the_files_that_are_there(collect, name, expected):
    found = collect(name)["dialect"]
    assert (found["name"], found["provider"], found["strict"]) == expected


def test_the_kernfs_tree_is_another_dialect(machine):
    root = machine("memmap")
    (root / "sys" / "fs" / "multikernel").mkdir(parents=True)
    assert facts.collect(root=str(root))["dialect"]["name"] == "kernfs"


def test_mkstock_in_an_instance_makes_no_host_of_it(machine):
    root = machine("lab-mkstock")
    (root / "sys" / "kernel" / "mkstock" / "role").write_text("client\n")
    (root / "proc" / "multikernel").unlink()
    assert facts.collect(root=str(root))["dialect"]["name"] == "none"


def test_a_strict_mkstock_behaves_like_the_rfc(machine):
    root = machine("lab-mkstock")
    info = root / "sys" / "kernel" / "mkstock" / "info"
    info.write_text(info.read_text().replace("strict_rfc 0", "strict_rfc 1"))
    assert facts.collect(root=str(root))["dialect"]["strict"] is True


@pytest.mark.parametrize(
    ("text", "mode"), [("none [integrity] confidentiality", "integrity"), ("none integrity [confidentiality]", "confidentiality")]
)
def test_lockdown_is_the_word_in_brackets(machine, text, mode):
    root = machine("lab-mkstock")
    (root / "sys" / "kernel" / "security" / "lockdown").write_text(text + "\n")
    assert facts.collect(root=str(root))["lockdown"] == mode


def test_a_kernel_without_lockdown_is_not_locked_down(machine):
    root = machine("lab-mkstock")
    (root / "sys" / "kernel" / "security" / "lockdown").unlink()
    (root / "sys" / "kernel" / "security" / "lsm").write_text("capability,apparmor")
    assert facts.collect(root=str(root))["lockdown"] == "none"
    (root / "sys" / "kernel" / "security" / "lsm").write_text("lockdown,capability")
    assert facts.collect(root=str(root))["lockdown"] is None
    (root / "sys" / "kernel" / "security" / "lsm").unlink()
    assert facts.collect(root=str(root))["lockdown"] is None
    (root / "sys" / "kernel" / "security").rmdir()
    assert facts.collect(root=str(root))["lockdown"] == "none"


def test_kexec_policy_is_read(machine):
    root = machine("lab-mkstock")
    (root / "proc" / "sys" / "kernel" / "kexec_load_disabled").write_text("1\n")
    (root / "proc" / "sys" / "kernel" / "kexec_load_limit_reboot").write_text("7\n")
    assert facts.collect(root=str(root))["kexec"] == {"load_disabled": True, "limit_reboot": 7, "crash_loaded": False}


@pytest.mark.parametrize(
    ("name", "khz"),
    [("lab-mkstock", 2596136), ("lab-plain", 2596136), ("memmap", 2596135), ("smt", 2994370)],
    ids=["mkstock", "log", "bogomips", "bogomips-of-metal"],
)
def test_the_tsc_s_frequency_is_found_from_the_best_source(collect, name, khz):
    assert collect(name)["tsc"]["khz"] == khz


def test_bogomips_tell_nothing_where_delays_do_not_run_on_the_tsc(machine):
    root = machine("memmap")
    folder = root / "sys" / "devices" / "system" / "clocksource" / "clocksource0"
    (folder / "available_clocksource").write_text("hpet acpi_pm\n")
    assert tsc.tsc(str(root))["khz"] is None


def test_memory_mapped_uarts_have_no_port_and_missing_ones_are_left_out(machine):
    root = machine("lab-mkstock")
    (root / "proc" / "tty" / "driver" / "serial").write_text(
        "serinfo:1.0 driver revision:\n0: uart:unknown port:000003F8 irq:4\n4: uart:16550A mmio:0xFE034000 irq:18 tx:0 rx:0\n"
    )
    assert facts.collect(root=str(root))["uarts"] == [{"device": "ttyS4", "port": None, "irq": 18}]


def test_images_are_looked_into_below_the_root(machine):
    root = machine("lab-mkstock")
    (root / "boot").mkdir()
    (root / "boot" / "payload").write_bytes(b"\x90" * 8 + b"MKFLAT01")
    found = facts.collect(root=str(root), images=["/boot/payload", "/boot/none", "/boot/payload"])["images"]
    assert sorted(found) == ["/boot/none", "/boot/payload"]
    assert found["/boot/payload"]["kind"] == "flat"
    assert found["/boot/none"]["exists"] is False


def test_physical_memory_is_read_from_mkstock_s_device_and_else_from_dev_mem(tmp_path):
    (tmp_path / "dev").mkdir()
    assert physmem.read(0, 8, str(tmp_path)) is None
    memory = bytes(range(256)) * 64
    (tmp_path / "dev" / "mem").write_bytes(memory)
    assert physmem.read(0x1005, 16, str(tmp_path)) == memory[0x1005:0x1015]
    assert physmem.read(0x0FFC, 8, str(tmp_path)) == memory[0x0FFC:0x1004]
    (tmp_path / "dev" / "mkstock").write_bytes(b"\xaa" * 4096)
    assert physmem.read(0x10, 2, str(tmp_path)) == b"\xaa\xaa"
    assert physmem.read(0x1005, 2, str(tmp_path)) == memory[0x1005:0x1007], "what one device refuses, the other may show"
    assert physmem.read(1 << 40, 8, str(tmp_path)) is None
