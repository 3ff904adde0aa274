# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

.PHONY: help setup demo demo-down check test soak bench bench-lab clean
.DEFAULT_GOAL := help

help:            ## Show this list
	@sed -n 's/^\([a-z-]*\): *## *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo:            ## Boot a QEMU machine, start real second kernels on it with Ansible, show the proof
	@scripts/setup lab
	@scripts/run scripts/demo

demo-down:       ## Stop the demo's machine and remove what it left
	@scripts/run scripts/demo down

check:           ## The quick part of the tests (linters, types, unit tests, drift)
	@scripts/run scripts/test --quick

test:            ## Every test: sanity, units, artifacts, kernel module, molecule in QEMU
	@scripts/setup test
	@scripts/run scripts/test

soak:            ## Every test with its long runs: 100,000 cuts, millions of hostile calls, every fault (hours)
	@scripts/setup test
	@scripts/run scripts/test --long

bench:           ## Measure: speed by size, start-up, a fleet, a public peer beside it
	@scripts/run python -m benchmarks

bench-lab:       ## Measure on a lab machine: 20 kernels by one apply, and by a public peer's commands
	@scripts/setup lab
	@scripts/run python -m benchmarks.bringup

setup:           ## Only make this machine ready for the above
	@scripts/setup lab

clean:           ## Remove caches of this checkout's tools from the tree
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible dist build tests/output
