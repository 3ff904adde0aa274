# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What resctrl tells of the caches is read; what it does not tell is not known."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import resctrl


def machine(root, flags="fpu cat_l3 cdp_l3", level="L3", mounted=True):
    files = {"proc/cpuinfo": "processor\t: 0\nflags\t\t: {0}\n\n".format(flags), "sys/fs/cgroup/x": ""}
    if mounted:
        files.update({"sys/fs/resctrl/info/{0}/{1}".format(level, name): text for name, text in NUMBERS.items()})
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return resctrl.cache_allocation(str(root))


NUMBERS = {"num_closids": "16\n", "cbm_mask": "7ff\n", "min_cbm_bits": "1\n"}


@pytest.mark.parametrize("level", ["L3", "L3DATA"])
def test_mounted_resctrl_tells_classes_and_ways(tmp_path, level):
    assert machine(tmp_path, level=level) == {"supported": True, "mounted": True, "classes": 16, "ways": 11, "least_ways": 1}


def test_without_a_mount_only_the_flag_of_the_cpus_is_known(tmp_path):
    found = machine(tmp_path, mounted=False)
    assert found == {"supported": True, "mounted": False, "classes": None, "ways": None, "least_ways": None}


def test_cpus_without_the_flag_cannot(tmp_path):
    assert machine(tmp_path, "fpu", mounted=False)["supported"] is False


def test_an_empty_tree_tells_nothing(tmp_path):
    assert set(resctrl.cache_allocation(str(tmp_path)).values()) == {None}
