# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the rules on images."""

from __future__ import annotations

from .support import DIGEST, MIB, RuleCase, both, fact, image_facts, layout, nothing

KERNEL = ("images", "/boot/vmlinuz")
HEADER = (*KERNEL, "header")
NOT_SEEN = fact("images", {})


def missing(path):
    return fact("images", path, image_facts("unknown", 0, exists=False, regular=False, sha256=None, error=path + ": there is no such file"))


def header(field, value):
    return fact(*HEADER, field, value)


SIGNED_BY = layout("images", "debian", "signed_by", "/etc/signers")


def signature(*paths, by=None, error=None):
    """What was found of the signatures of files; of kernel and initrd without a word."""
    told = {"/etc/signers": {"by": by, "error": error}}
    return both(*(fact("images", path, "signatures", told) for path in paths or ("/boot/vmlinuz", "/srv/web.cpio")))


CASES = [
    RuleCase(
        "img-declared",
        layout("instances", "rt", "image", "tony"),
        "rt wants the image 'tony', which the layout does not declare (images: debian, tiny).",
        facts=False,
    ),
    RuleCase("img-readable", missing("/boot/vmlinuz"), "/boot/vmlinuz does not exist on this machine."),
    RuleCase("img-readable", missing("/srv/web.cpio"), "/srv/web.cpio does not exist on this machine."),
    RuleCase("img-readable", fact(*KERNEL, "regular", False), "/boot/vmlinuz is not a regular file."),
    RuleCase("img-readable", fact(*KERNEL, "size", 0), "/boot/vmlinuz is empty."),
    RuleCase(
        "img-readable",
        fact(*KERNEL, image_facts("unknown", 0, size=9, sha256=None, error="/boot/vmlinuz: it cannot be read: Permission denied")),
        "/boot/vmlinuz: it cannot be read: Permission denied.",
    ),
    RuleCase("img-readable", NOT_SEEN, "nobody has looked whether /boot/vmlinuz is there.", "unknown"),
    RuleCase(
        "img-digest",
        layout("images", "debian", "kernel", "sha256", "6" * 64),
        "/boot/vmlinuz has the SHA-256 55555555..5555, but the layout wants 66666666..6666.",
    ),
    RuleCase("img-digest", layout("images", "debian", "kernel", "sha256", DIGEST.upper())),
    RuleCase(
        "img-digest",
        both(layout("images", "tiny", "kernel", "path", "/boot/vmlinuz"), layout("images", "tiny", "kernel", "sha256", "7" * 64)),
        "/boot/vmlinuz has two digests in this layout: 55555555..5555 at images.debian.kernel, and 77777777..7777.",
        facts=False,
    ),
    RuleCase("img-digest", nothing, "whether /boot/vmlinuz has the digest 55555555..5555 needs the file.", "unknown", facts=False),
    RuleCase(
        "img-signature",
        both(SIGNED_BY, signature(by="builder@example"), signature("/boot/vmlinuz", error="/boot/vmlinuz has no signature")),
        "/boot/vmlinuz has no signature.",
    ),
    RuleCase("img-signature", both(SIGNED_BY, signature(by="builder@example"))),
    RuleCase("img-signature", SIGNED_BY, "whether /boot/vmlinuz is signed by one of /etc/signers needs the file.", "unknown"),
    RuleCase("img-signature", SIGNED_BY, "whether /boot/vmlinuz is signed by one of /etc/signers needs the file.", "unknown", facts=False),
    RuleCase("img-signature", both(SIGNED_BY, missing("/boot/vmlinuz"), signature("/srv/web.cpio", by="builder@example"))),
    RuleCase(
        "img-format",
        fact(
            *KERNEL,
            image_facts("unknown", 4096, error="/boot/vmlinuz: it is not a kernel: neither a bzImage ('HdrS' at 0x202) nor an ELF file"),
        ),
        "/boot/vmlinuz: it is not a kernel: neither a bzImage ('HdrS' at 0x202) nor an ELF file.",
    ),
    RuleCase("img-format", fact(*KERNEL, image_facts("initrd", 4096)), "/boot/vmlinuz is no kernel but of kind initrd."),
    RuleCase(
        "img-format",
        fact(*KERNEL, image_facts("vmlinux", 4096, error="/boot/vmlinuz: it is a 32-bit ELF file; an x86_64 kernel (ELF64) is needed")),
        "/boot/vmlinuz: it is a 32-bit ELF file; an x86_64 kernel (ELF64) is needed.",
    ),
    RuleCase(
        "img-format",
        both(layout("images", "debian", "format", "bzimage"), fact(*KERNEL, image_facts("vmlinux", 4096))),
        "/boot/vmlinuz is said to be a bzImage, but it is a vmlinux.",
    ),
    RuleCase(
        "img-format",
        both(layout("images", "debian", "format", "vmlinux"), fact(*KERNEL, image_facts("flat", 4096))),
        "/boot/vmlinuz is said to be a vmlinux, but it is a flat payload.",
    ),
    RuleCase("img-format", fact("images", "/srv/tiny", image_facts("unknown", 4096))),
    RuleCase("img-format", NOT_SEEN, "what kind of file /boot/vmlinuz is, is not known.", "unknown"),
    RuleCase("bz-bootflag", header("boot_flag", 0), "/boot/vmlinuz has the boot flag 0x0000 instead of 0xaa55: the file is damaged."),
    RuleCase("bz-bootflag", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase("bz-loadhigh", header("loadflags", 0), "/boot/vmlinuz is a zImage, which loads below 1 MiB."),
    RuleCase("bz-loadhigh", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase("bz-protocol", header("version", 0x20B), "/boot/vmlinuz speaks boot protocol 2.11; 2.12 or newer is needed."),
    RuleCase("bz-protocol", header("version", 0x20D), "/boot/vmlinuz speaks boot protocol 2.13, older than Linux 5.5.", severity="warning"),
    RuleCase("bz-protocol", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase("bz-xlf64", header("xloadflags", 0), "/boot/vmlinuz is a 32-bit kernel without a 64-bit entry point."),
    RuleCase("bz-xlf64", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase("bz-above4g", header("xloadflags", 1), "/boot/vmlinuz cannot be loaded above 4 GiB (xloadflags 0x1)."),
    RuleCase("bz-above4g", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-5level",
        both(header("xloadflags", 3), fact("la57", True)),
        "this host runs with five-level paging, which /boot/vmlinuz cannot leave.",
    ),
    RuleCase("bz-5level", header("xloadflags", 3)),
    RuleCase("bz-5level", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-truncated",
        fact(*KERNEL, "size", 5 * MIB),
        "/boot/vmlinuz is truncated: its header promises 8388608 bytes of kernel behind 20480 of setup code, and the "
        "file has 5242880 in all.",
    ),
    RuleCase(
        "bz-truncated",
        fact(*KERNEL, "size", 600),
        "/boot/vmlinuz is truncated: its header promises 8388608 bytes of kernel behind 20480 of setup code, and the file has 600 in all.",
    ),
    RuleCase("bz-truncated", fact(*HEADER, None), "/boot/vmlinuz is truncated: it ends inside its setup header (8409088 bytes)."),
    RuleCase("bz-truncated", fact(*KERNEL, "size", 9 * MIB)),
    RuleCase("bz-truncated", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-payload", header("payload_length", 9 * MIB), "/boot/vmlinuz is truncated: its payload ends at 9458688, the file at 8409088."
    ),
    RuleCase(
        "bz-payload",
        both(layout("images", "debian", "format", "vmlinux"), header("payload", None)),
        "/boot/vmlinuz has a payload that cannot be unpacked here (unknown compression).",
    ),
    RuleCase("bz-payload", header("payload", None)),
    RuleCase("bz-payload", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-relocatable",
        header("relocatable_kernel", 0),
        "/boot/vmlinuz is not relocatable and would run at 0x1000000, which is the host's memory.",
    ),
    RuleCase("bz-relocatable", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-align-sane",
        header("kernel_alignment", 3 * MIB),
        "/boot/vmlinuz has a damaged header: kernel_alignment 0x300000, min_alignment 2^21, init_size 0x3800000.",
    ),
    RuleCase(
        "bz-align-sane",
        header("init_size", 0),
        "/boot/vmlinuz has a damaged header: kernel_alignment 0x200000, min_alignment 2^21, init_size 0x0.",
    ),
    RuleCase("bz-align-sane", NOT_SEEN, "/boot/vmlinuz has not been looked into.", "unknown"),
    RuleCase(
        "bz-init-fits",
        layout("instances", "web", "memory", "size", 64 * MIB),
        "web has 64MiB, but /boot/vmlinuz needs 72MiB from its start.",
    ),
    RuleCase("bz-init-fits", layout("instances", "web", "memory", "size", 72 * MIB)),
    # A kernel that wants 16 MiB of alignment is moved up from a base that has only 2.
    RuleCase(
        "bz-init-fits",
        both(
            header("kernel_alignment", 16 * MIB),
            layout("instances", "web", "memory", "size", 80 * MIB),
            layout("instances", "web", "memory", "base", 0x40200000),
        ),
        "web has 80MiB, but /boot/vmlinuz needs 86MiB from its start.",
    ),
    RuleCase(
        "bz-init-fits",
        both(
            header("kernel_alignment", 16 * MIB),
            layout("instances", "web", "memory", "size", 80 * MIB),
            layout("instances", "web", "memory", "base", 0x41000000),
        ),
    ),
    RuleCase("bz-init-fits", NOT_SEEN, "how much memory /boot/vmlinuz needs is not known.", "unknown"),
    RuleCase(
        "elf-load-fits",
        both(layout("images", "debian", "kernel", "path", "/srv/vmlinux"), layout("instances", "web", "memory", "size", 48 * MIB)),
        "web has 48MiB, but /srv/vmlinux needs 56MiB from its start.",
    ),
    RuleCase(
        "elf-load-fits",
        both(layout("images", "debian", "kernel", "path", "/srv/vmlinux"), layout("instances", "web", "memory", "size", 56 * MIB)),
    ),
    RuleCase("elf-load-fits", fact("images", "/srv/tiny", "size", 15 * MIB), "rt has 16MiB, but /srv/tiny needs 17MiB from its start."),
    RuleCase("elf-load-fits", fact("images", "/srv/tiny", "size", 14 * MIB)),
    RuleCase("elf-load-fits", NOT_SEEN, "how much memory /boot/vmlinuz needs is not known.", "unknown"),
    RuleCase(
        "initrd-format",
        fact("images", "/srv/web.cpio", image_facts("unknown", 4096)),
        "/srv/web.cpio is no initrd: it is neither a cpio archive nor a compressed one.",
    ),
    RuleCase(
        "initrd-format", fact("images", "/srv/web.cpio", image_facts("bzimage", 4096)), "/srv/web.cpio is no initrd: it is a bzimage."
    ),
    RuleCase("initrd-format", NOT_SEEN, "what kind of file /srv/web.cpio is, is not known.", "unknown"),
]
