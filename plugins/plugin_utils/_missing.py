# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that can be named without importing the library that it is about."""

from __future__ import annotations


class MissingLibraryError(RuntimeError):
    """pydantic is not installed where Ansible runs."""
