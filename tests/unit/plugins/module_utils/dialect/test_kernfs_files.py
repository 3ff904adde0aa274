# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a kernfs host are believed only where they say something that can be, and what was not done is not taken for done."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import fdt
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_image
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_overlay as op
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs_devices import Devices
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs_files import LIMIT, Tree
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import ROOT, KernfsKernel

MIB = 1 << 20
CARD = "0000:09:00.0"
GIVEN = [{"pci": CARD, "alias": "eth"}]


@pytest.fixture
def kernel(tmp_path):
    """A host with a pool, the instance web in it, and a card that is the host's."""
    made = KernfsKernel(tmp_path, devices=[{"pci_id": CARD, "vendor": 0x8086, "device": 0x10D3}])
    made.write_bytes(ROOT, op.baseline([2, 4], [(512 * MIB, 0)]))
    made.overlays.submit(op.batch([op.create("web", 1, [2], 64 * MIB)])[0])
    return made


# trees


def test_a_root_that_cannot_be_read_is_told(kernel):
    kernel.is_mounted = False
    with pytest.raises(DialectError, match="/%s cannot be read" % ROOT):
        Tree(kernel).host()


def test_a_state_that_nobody_knows_is_told(kernel):
    kernel.state.instances["web"].state = "dreaming"
    with pytest.raises(DialectError, match="instance web is in the state 'dreaming', which nobody knows"):
        Tree(kernel).instance("web")


def test_a_tree_that_says_nothing_is_told(kernel, monkeypatch):
    monkeypatch.setattr(kernel, "_instance_tree", lambda record: fdt.Node("", {}, []))
    with pytest.raises(DialectError, match="/instances/web/device_tree: "):
        Tree(kernel).instance("web")


def test_an_instance_whose_files_never_come_is_told_after_some_tries(kernel, monkeypatch):
    monkeypatch.setattr(kernel, "read_bytes", lambda path: None)
    began = kernel.now
    with pytest.raises(DialectError, match="the tree of instance web does not come out whole"):
        Tree(kernel).instance("web")
    assert kernel.now > began


# overlays


def test_an_overlay_that_is_too_long_is_not_sent(kernel):
    before = len(kernel.writes)
    with pytest.raises(DialectError, match="an overlay of %d bytes is not sent: the kernel takes %d in one write" % (LIMIT + 1, LIMIT)):
        Tree(kernel).send(bytes(LIMIT + 1), False)
    assert len(kernel.writes) == before


def test_an_overlay_without_a_transaction_is_told(kernel, monkeypatch):
    monkeypatch.setattr(kernel.overlays, "submit", lambda blob: None)
    with pytest.raises(DialectError, match=r"the kernel took an overlay of \d+ bytes, but shows 0 transactions for it"):
        Tree(kernel).send(op.batch([op.pool_cpus_add([6])])[0], False)


# devices


def test_a_function_goes_there_and_back_once(kernel):
    devices = Devices(Tree(kernel))
    assert devices.give("web", GIVEN, True) == {}
    assert kernel.state.instances["web"].devices == [CARD]
    assert devices.give("web", GIVEN, True) == {"already": True}
    assert devices.take_back("web", GIVEN) == {}
    assert CARD not in kernel.state.pool_devices
    assert devices.take_back("web", GIVEN) == {"already": True}
    assert devices.take_back("nobody", GIVEN) == {"already": True}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("pool_device_add", "joined the pool, and does not show it there"),
        ("device_add", "that web was given PCI device %s, and does not" % CARD),
    ],
)
def test_a_function_that_did_not_come_is_told(kernel, monkeypatch, call, said):
    monkeypatch.setattr(kernel.state, call, lambda *arguments: None)
    with pytest.raises(DialectError, match=said):
        Devices(Tree(kernel)).give("web", GIVEN, True)


@pytest.mark.parametrize("call", ["pool_device_remove", "device_remove"])
def test_a_function_that_did_not_go_is_told(kernel, monkeypatch, call):
    devices = Devices(Tree(kernel))
    devices.give("web", GIVEN, True)
    monkeypatch.setattr(kernel.state, call, lambda *arguments: None)
    with pytest.raises(DialectError, match="the kernel says that PCI device %s went back to the host, and still shows it" % CARD):
        devices.take_back("web", GIVEN)


# command lines


FACTS = {"uarts": [{"device": "ttyS4", "port": 0x3000}, {"device": "ttyS5", "port": None}]}


def words(cmdline="", console=None, channels=()):
    spec = {"name": "web", "image": {"flat": False}, "cmdline": cmdline, "channels": list(channels)}
    return kernfs_image.words(dict(spec, console={"device": console} if console else None), FACTS, {"web": 64 * MIB})


def test_a_console_is_named_once(kernel):
    assert words("quiet", "ttyS4") == "console=ttyS4,115200 earlycon=uart8250,io,0x3000,115200 quiet"
    assert words("earlyprintk=serial quiet", "ttyS0") == "console=ttyS0,115200 earlyprintk=serial quiet"
    assert words("console=ttyS4,9600", "ttyS4") == "console=ttyS4,9600"
    assert words("quiet", "mktty0") == "console=mktty0 quiet"


@pytest.mark.parametrize(
    ("cmdline", "console", "said"),
    [
        ('a="b', None, "web: "),
        ("multikernel.channel=x", None, "web: the word 'multikernel.channel=x' belongs to the loader"),
        ("x" * 2048, None, "the command line of web has 2048 characters, the kernel takes 2047"),
        ("", "ttyS5", "the console of web is ttyS5, and this host has no such UART"),
    ],
)
def test_a_command_line_that_cannot_be_is_told(cmdline, console, said):
    with pytest.raises(DialectError, match=said):
        words(cmdline, console)


def test_a_channel_in_memory_that_is_not_there_is_told():
    with pytest.raises(DialectError, match="channel beat lies in the memory of db, which has none"):
        kernfs_image.address_of({"name": "beat", "owner": "db", "offset": 0}, {"web": 64 * MIB, "db": None})
