# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests give the same answer at every run: hypothesis draws the same examples each time, without a clock to beat."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")
