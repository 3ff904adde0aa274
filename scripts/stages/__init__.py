# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of ``scripts/test``: host (this machine's Python), release (ansible-test, artifacts), lab (real kernels in QEMU)."""
