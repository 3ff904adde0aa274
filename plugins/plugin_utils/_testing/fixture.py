# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest fixture `multikernel` for tests of users, beside testinfra's `host`.

    >>> web = multikernel.instance("web")
    >>> web.is_running, web.is_beating(within=5), web.cpus
    (True, True, [3])

Installing the collection as a Python package registers it; else write `pytest_plugins =
["ansible_collections.multikernel.core.plugins.plugin_utils._testing.fixture"]` into conftest.py.
"""

from __future__ import annotations

import typing as t

from .target import Multikernel

try:
    import pytest
except ImportError:  # Ansible imports every file of a collection when it checks it; pytest is only there when tests run
    pass
else:

    @pytest.fixture(scope="module")
    def multikernel(host: t.Any) -> Multikernel:
        """The multikernel host that testinfra's `host` speaks to."""
        return Multikernel(host)
