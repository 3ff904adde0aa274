# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever has the canonical shape is judged, on whatever machine: never a traceback for bad input."""

from __future__ import annotations

from unittest import mock

from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine
from ansible_collections.multikernel.core.plugins.module_utils._rules.case import Case
from hypothesis import given, settings
from hypothesis import strategies as st

from .support import good_facts, good_layout, place

MACHINES = st.sampled_from(["lab-mkstock", "lab-plain", "two-sockets", "smt", "unprivileged", "memmap", "offlined"])

sizes = st.sampled_from([0, 1, 4095, 4096, 1 << 20, 1 << 21, 1 << 28, 1 << 40, (1 << 52) - 1, 1 << 63])
maybe_sizes = st.none() | sizes
names = st.sampled_from(["", "web", "rt", "host", "a/b", "..", "\n", "debian", "beat", "ü"])
texts = st.text(max_size=30) | st.sampled_from(
    ["mem=", "console=", "earlycon=uart8250,io,", "nr_cpus=x", "=", "--", '"', "panic=-1", "reserve=,"]
)
ids = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 254, 255, 1 << 32]), max_size=5)

cpus = st.fixed_dictionaries(
    {
        "space": st.sampled_from(["logical", "apic"]),
        "ids": st.none() | ids,
        "count": st.none(),
        "near": st.none(),
        "whole_cores": st.booleans(),
        "llc": st.none(),
    }
) | st.fixed_dictionaries(
    {
        "space": st.just("logical"),
        "ids": st.none(),
        "count": st.sampled_from([0, 1, 99, 1 << 40]),
        "near": st.just("memory"),
        "whole_cores": st.booleans(),
        "llc": st.just("own"),
    }
)
files = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["", "/boot/vmlinuz", "/srv/tiny", "/srv/web.cpio", "/x"]),
        "sha256": st.none() | st.sampled_from(["", "5" * 64]),
    }
)
images = st.fixed_dictionaries(
    {"kernel": files, "initrd": st.none() | files, "cmdline": texts, "format": st.sampled_from(canonical.IMAGE_FORMATS)}
)
instances = st.fixed_dictionaries(
    {
        "image": names,
        "cpus": cpus,
        "memory": st.fixed_dictionaries({"size": sizes, "base": maybe_sizes, "node": st.none() | st.sampled_from([0, 9])}),
        "cmdline": texts,
        "console": st.none() | st.fixed_dictionaries({"device": st.sampled_from(["", "ttyS0", "ttyS1", "hvc0"])}),
        "state": st.sampled_from(canonical.STATES),
        "restart": st.sampled_from(canonical.RESTARTS),
        "health": st.none() | st.fixed_dictionaries({"channel": st.none() | names, "within": st.sampled_from([0, 0.0, 1e9])}),
        "trust": st.none() | names,
    }
)
channels = st.fixed_dictionaries(
    {
        "between": st.lists(names, min_size=2, max_size=2),
        "kind": st.sampled_from(canonical.CHANNEL_KINDS),
        "slots": st.none() | sizes,
        "message_size": maybe_sizes,
        "size": maybe_sizes,
        "writer": st.none() | names,
    }
)
layouts = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "name": names,
        "host": st.fixed_dictionaries({"cpus": st.none() | ids, "memory_min": maybe_sizes}),
        "pool": st.fixed_dictionaries(
            {"memory": st.lists(st.fixed_dictionaries({"base": maybe_sizes, "size": sizes, "node": st.none()}), max_size=3)}
        ),
        "images": st.dictionaries(names, images, max_size=3),
        "instances": st.dictionaries(names, instances, max_size=4),
        "channels": st.dictionaries(names, channels, max_size=3),
        "policy": st.fixed_dictionaries(
            {"isolation": st.fixed_dictionaries({"minimum_grade": st.none() | names}), "disruption": st.sampled_from(["refuse", "allow"])}
        ),
        "waivers": st.dictionaries(st.sampled_from(["cpu-smt-split", "cpu-overlap", "x"]), texts, max_size=2),
    }
)


def paths(value, path=()):
    """Every place in the facts, but not inside of lists."""
    for key in sorted(value):
        yield (*path, key)
        if isinstance(value[key], dict):
            yield from paths(value[key], (*path, key))


PLACES = [path for path in paths(good_facts()) if path[0] != "images"] + [("images",)]


def nulled(facts, chosen):
    for path in chosen:
        target = facts
        for step in path[:-1]:
            target = target[step] if isinstance(target, dict) else None
        if isinstance(target, dict):
            target[path[-1]] = None
    return facts


def well_formed(found):
    rules = {one["id"] for one in engine.rules()}
    for finding in found:
        assert finding.rule in rules
        assert finding.verdict in ("fail", "unknown")
        assert finding.severity in ("error", "warning", "info")
        assert finding.message
    return True


@settings(max_examples=150)
@given(layouts, MACHINES)
def test_any_layout_of_the_canonical_shape_is_judged(layout, machine):
    canonical.check_shape(layout)
    assert well_formed(engine.judge(layout))
    assert well_formed(engine.judge(layout, good_facts(machine)))


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PLACES), max_size=6), st.booleans())
def test_any_facts_may_be_missing(chosen, placed):
    layout, facts = good_layout(), good_facts()
    where = place(layout, facts) if placed else None
    assert well_formed(engine.judge(layout, nulled(facts, chosen), where))


class EachByItself(Case):
    """A case that looks at every instance and every CPU, as if no two were of one sort."""

    alike = property(lambda self: [(one, [name]) for name, one in self.instances.items()])
    given_alike = property(lambda self: [(one, [number]) for number, one in self.given])


@settings(max_examples=150)
@given(layouts, MACHINES)
def test_looking_at_one_of_each_sort_finds_what_looking_at_each_finds(layout, machine):
    facts = good_facts(machine)
    short = engine.judge(layout, facts)
    with mock.patch.object(engine, "Case", EachByItself):
        assert engine.judge(layout, facts) == short
