# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on the host and on policy."""

from __future__ import annotations

from .support import RuleCase, both, fact, layout, nothing


def renamed(new):
    def change(found, _facts):
        found["instances"][new] = found["instances"].pop("rt")
        found["channels"] = {}
        found["instances"]["web"]["health"] = None

    return change


CASES = [
    RuleCase("life-name", renamed("a/b"), "the instance name 'a/b' is no plain name.", facts=False),
    RuleCase("life-name", renamed("../../etc"), "the instance name '../../etc' is no plain name.", facts=False),
    RuleCase("life-name", renamed("a..b"), "the instance name 'a..b' is no plain name.", facts=False),
    RuleCase("life-name", renamed(""), "the instance name '' is no plain name.", facts=False),
    RuleCase(
        "life-name",
        renamed("x" * 64),
        "the instance name 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' is no plain name.",
        facts=False,
    ),
    RuleCase("life-name", renamed("web 2"), "the instance name 'web 2' is no plain name.", facts=False),
    RuleCase("life-name", renamed("rt\n"), "the instance name 'rt\\n' is no plain name.", facts=False),
    RuleCase("life-name", renamed("host"), "the name host is reserved; an instance cannot have it.", facts=False),
    RuleCase("life-name", renamed("web-2.eu_1"), facts=False),
    RuleCase(
        "life-support",
        nothing,
        "this host's kernel (6.1.0-56-amd64) has no multikernel support: there is no /proc/multikernel.",
        machine="lab-plain",
    ),
    RuleCase("life-support", nothing),
    RuleCase(
        "life-kexec-allowed",
        fact("kexec", "load_disabled", True),
        "this host has kernel.kexec_load_disabled=1, which forbids loading kernels until it is rebooted.",
    ),
    RuleCase(
        "life-kexec-allowed",
        fact("privileged", False),
        "the facts were collected without root, so that nothing can be loaded (CAP_SYS_BOOT is missing).",
    ),
    RuleCase(
        "life-kexec-quota",
        fact("kexec", "limit_reboot", 5),
        "2 instances need up to 6 loads and unloads, but kernel.kexec_load_limit_reboot allows 5 more.",
    ),
    RuleCase("life-kexec-quota", fact("kexec", "limit_reboot", 6)),
    RuleCase("sec-lockdown", fact("lockdown", "integrity"), "this host is in lockdown mode integrity, which forbids kexec_load."),
    RuleCase(
        "time-tsc",
        both(fact("tsc", "nonstop", False), fact("virtualization", "none")),
        "this machine's time stamp counter is not invariant: its CPUs lack nonstop_tsc.",
    ),
    RuleCase(
        "time-tsc",
        fact("tsc", "nonstop", False),
        "this machine's time stamp counter is not invariant: its CPUs lack nonstop_tsc.",
        severity="warning",
    ),
    RuleCase(
        "time-tsc",
        nothing,
        "the host itself does not trust the time stamp counter: its clock source is hpet.",
        severity="warning",
        machine="two-sockets",
    ),
    RuleCase("time-tsc", fact("tsc", "clocksource", "kvm-clock")),
    RuleCase(
        "life-kdump",
        nothing,
        "a crash kernel is loaded; after a host panic it does not stop the instances, and its dump holds their memory, too.",
        machine="smt",
    ),
    RuleCase(
        "life-restart",
        layout("instances", "rt", "restart", "always"),
        "rt is to be restarted always, but its health is not watched: a hang goes unnoticed.",
        facts=False,
    ),
    RuleCase(
        "sec-one-trust",
        layout("instances", "rt", "trust", "secret"),
        "web (public) and rt (secret) have different trust labels on one machine, and nothing in hardware keeps them apart.",
        facts=False,
    ),
    RuleCase(
        "sec-one-trust",
        both(layout("instances", "rt", "trust", "secret"), layout("channels", {}), layout("instances", "web", "health", None)),
        "web (public) and rt (secret) have different trust labels on one machine, and nothing in hardware keeps them apart.",
        facts=False,
    ),
    RuleCase("sec-one-trust", layout("instances", "rt", "trust", "public"), facts=False),
    RuleCase(
        "sec-grade",
        layout("policy", "isolation", "minimum_grade", "A"),
        "isolation grade A needs a hypervisor between the kernels, and a multikernel machine has none.",
        facts=False,
    ),
    RuleCase("sec-grade", layout("policy", "isolation", "minimum_grade", "Z"), "the isolation grade 'Z' does not exist.", facts=False),
    RuleCase(
        "sec-grade",
        layout("policy", "isolation", "minimum_grade", "B"),
        "isolation grade B is asked for and D is the best that can be reached: no IOMMU confines all devices; "
        "host, rt, web share a last-level cache, and these CPUs cannot partition it; rt, web are not locked down.",
        placed=True,
    ),
    RuleCase(
        "sec-grade",
        both(layout("policy", "isolation", "minimum_grade", "B"), fact("iommu", {"translating": True, "interrupt_remapping": True})),
        "isolation grade B is asked for and C is the best that can be reached: host, rt, web share a last-level cache, "
        "and these CPUs cannot partition it; rt, web are not locked down.",
        placed=True,
    ),
    RuleCase(
        "sec-grade",
        layout("policy", "isolation", "minimum_grade", "C"),
        "whether isolation grade C is reached is not known (D is): whether an IOMMU confines devices is not known; "
        "which cores run host, rt, web is not known.",
        "unknown",
        facts=False,
    ),
    RuleCase(
        "sec-grade",
        both(layout("policy", "isolation", "minimum_grade", "C"), fact("iommu", {"translating": None})),
        "whether isolation grade C is reached is not known (D is): whether an IOMMU confines devices is not known.",
        "unknown",
        placed=True,
    ),
    RuleCase(
        "sec-grade",
        both(layout("policy", "isolation", "minimum_grade", "C"), fact("iommu", {"translating": True})),
        placed=True,
    ),
    RuleCase(
        "sec-grade",
        both(layout("policy", "isolation", "minimum_grade", "D"), layout("instances", "rt", "trust", "secret")),
        "isolation grade D is asked for and F is the best that can be reached: kernels of different trust (public, secret) "
        "stand side by side without a waiver.",
        facts=False,
    ),
    RuleCase("sec-grade", layout("policy", "isolation", "minimum_grade", "D"), facts=False),
    RuleCase(
        "sec-waiver",
        layout("waivers", "cpu-smt-spilt", "it is a test machine"),
        "the layout waives cpu-smt-spilt, and no rule has that name.",
        facts=False,
    ),
    RuleCase("sec-waiver", layout("waivers", "cpu-smt-split", " "), "the waiver of cpu-smt-split gives no reason.", facts=False),
    RuleCase(
        "sec-waiver",
        layout("waivers", "cpu-overlap", "I like it"),
        "the layout waives cpu-overlap, which cannot be waived: Two kernels on one CPU overwrite each other's state at once.",
        facts=False,
    ),
    RuleCase("sec-waiver", layout("waivers", "cpu-smt-split", "it is a test machine"), facts=False),
]
