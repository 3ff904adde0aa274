# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on images: that a kernel can be booted is found out before anything is stopped for it."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from .case import Case
from .registry import Outcome, Path, fail, rule, unknown
from .words import names_of

KERNEL_DOC = "Documentation/arch/x86/boot.rst"
UNPACKERS = ("gzip", "xz", "lzma", "bzip2", "lz4", "zstd")

# Linux 5.5; newer fields tell of memory needs and of kernel_info.
RECENT_PROTOCOL = 0x020F

Header = Dict[str, Any]


@rule("img-declared", "error", "Every instance names an image of the layout", "An instance without an image has nothing to boot.")
def img_declared(case: Case) -> Iterator[Outcome]:
    images = case.layout["images"]
    for name in case.those(lambda one: one["image"] not in images):
        message = "{0} wants the image {1!r}, which the layout does not declare (images: {2}).".format(
            name, case.instances[name]["image"], ", ".join(sorted(images)) or "none"
        )
        yield fail(message, ("instances", name, "image"), "declare it under images, or name one of those")


@rule("img-unused", "info", "Every image is used", "An image that nobody boots is checked by nobody, and often a slip in a name.")
def img_unused(case: Case) -> Iterator[Outcome]:
    used = {instance["image"] for instance in case.layout["instances"].values()}
    if not used.issubset(case.layout["images"]):
        return  # one of them may be meant, which img-declared tells
    for name in sorted(set(case.layout["images"]) - used):
        yield fail("no instance boots the image {0}.".format(name), ("images", name), "remove it, or name it at an instance")


@rule(
    "img-flat-initrd",
    "warning",
    "Payloads that are no Linux have no initrd",
    "Nothing tells a flat payload where its initrd lies: it takes memory and is never read.",
)
def img_flat_initrd(case: Case) -> Iterator[Outcome]:
    for name in sorted(case.flat_images):
        if case.layout["images"][name]["initrd"] is not None:
            yield fail("the image {0} is a flat payload and has an initrd.".format(name), ("images", name, "initrd"), "leave it out")


@rule(
    "img-root-source",
    "warning",
    "Every Linux image has a root file system",
    "An instance has no disk: without an initrd, or one built into the kernel, it panics (unable to mount root).",
    source="Documentation/admin-guide/initrd.rst",
    anchor="kerf 0.4.0 (which options go together)",
)
def img_root_source(case: Case) -> Iterator[Outcome]:
    images = case.layout["images"]
    for line in case.lines.every:
        declared = images.get(line.image)
        if not line.linux or declared is None or declared["initrd"] is not None:
            continue
        if not any(word.startswith(("root=", "initramfs", "rdinit=", "nfsroot=")) for word in line.words):
            message = "{0} has neither an initrd nor root= on its command line.".format(names_of(line.names))
            yield fail(message, ("images", line.image), "add initrd: to the image {0}".format(line.image))


@rule(
    "img-readable",
    "error",
    "Kernels and initrds can be read",
    "A missing file would otherwise be noticed in the middle of a change.",
    needs=("images",),
    anchor="kerf 0.4.0, Xen ImageBuilder",
)
def img_readable(case: Case) -> Iterator[Outcome]:
    for path, where in _files(case):
        facts = case.file(where["path"])
        if facts is None:
            yield unknown("nobody has looked whether {0} is there.".format(where["path"]), path)
        elif not facts["exists"]:
            yield fail("{0} does not exist on this machine.".format(where["path"]), path, "copy it there, or correct the path")
        elif not facts["regular"]:
            yield fail("{0} is not a regular file.".format(where["path"]), path, "name the file itself")
        elif not facts["size"]:
            yield fail("{0} is empty.".format(where["path"]), path, "copy it again")
        elif facts["kind"] == "unknown" and facts["sha256"] is None and facts["error"]:
            yield fail("{0}.".format(facts["error"]), path, "make it readable for root")


@rule(
    "img-digest",
    "error",
    "Images are the files that were meant",
    "A kernel that was swapped between test and boot runs with full power over the machine.",
    anchor="kerf 0.4.0 records it, but only afterwards",
    waivable=True,
)
def img_digest(case: Case) -> Iterator[Outcome]:
    declared: Dict[str, Tuple[str, Path]] = {}
    for path, where in _files(case):
        wanted = where["sha256"]
        if wanted is None:
            continue
        other, elsewhere = declared.setdefault(where["path"], (wanted, path))
        if other.lower() != wanted.lower():
            message = "{0} has two digests in this layout: {1} at {2}, and {3}.".format(
                where["path"], _short(other), ".".join(str(step) for step in elsewhere), _short(wanted)
            )
            yield fail(message, path + ("sha256",), "keep the one that is right")
        facts = case.file(where["path"])
        if facts is None or (facts["sha256"] is None and facts["exists"]):
            yield unknown("whether {0} has the digest {1} needs the file.".format(where["path"], _short(wanted)), path + ("sha256",))
        elif facts["sha256"] is not None and facts["sha256"] != wanted.lower():
            message = "{0} has the SHA-256 {1}, but the layout wants {2}.".format(where["path"], _short(facts["sha256"]), _short(wanted))
            yield fail(message, path + ("sha256",), "copy the file that was meant, or correct the digest to {0}".format(facts["sha256"]))


@rule(
    "img-signature",
    "error",
    "Images are signed by those who may",
    "A digest in the layout says what was meant by whoever wrote the layout; a signature says what was built by whoever builds kernels.",
    source="ssh-keygen(1), OpenSSH PROTOCOL.sshsig",
)
def img_signature(case: Case) -> Iterator[Outcome]:
    for name, image in sorted(case.layout["images"].items()):
        signers = image.get("signed_by")
        for where in (image["kernel"], image["initrd"]) if signers else ():
            facts = None if where is None else case.file(where["path"])
            if where is None or (facts is not None and not facts["exists"]):
                continue  # img-readable tells
            found = (facts or {}).get("signatures", {}).get(signers)
            path = ("images", name, "signed_by")
            if found is None:
                yield unknown("whether {0} is signed by one of {1} needs the file.".format(where["path"], signers), path)
            elif found["by"] is None:
                hint = "sign it: ssh-keygen -Y sign -n multikernel-image -f KEY FILE, and bring FILE.sig along"
                yield fail("{0}.".format(found["error"]), path, hint)


@rule(
    "img-format",
    "error",
    "Kernels are in a format that can be loaded",
    "Only a 64-bit bzImage, an x86-64 vmlinux or a flat payload can be started.",
    needs=("images",),
    anchor="kernel (ENOEXEC), kerf 0.4.0",
)
def img_format(case: Case) -> Iterator[Outcome]:
    for name, image in sorted(case.layout["images"].items()):
        where, path = image["kernel"]["path"], ("images", name, "kernel")
        facts = case.file(where)
        if image["format"] == "flat":
            continue  # any file can be a payload
        if facts is None:
            yield unknown("what kind of file {0} is, is not known.".format(where), path)
            continue
        if not facts["exists"] or not facts["regular"] or not facts["size"]:
            continue
        kind = facts["kind"]
        if kind == "unknown" and facts["sha256"] is None and facts["error"]:
            continue  # it cannot be read, which img-readable tells
        if kind not in ("bzimage", "vmlinux", "flat"):
            reason = facts["error"] or "{0} is no kernel but of kind {1}".format(where, kind)
            yield fail("{0}.".format(reason), path, "name a bzImage (vmlinuz) or a vmlinux, or say format: flat")
        elif kind == "vmlinux" and facts["error"]:
            yield fail("{0}.".format(facts["error"]), path, "name the vmlinux of an x86-64 kernel")
        elif image["format"] == "bzimage" and kind != "bzimage":
            yield fail("{0} is said to be a bzImage, but it is a {1}.".format(where, kind), path, "say format: auto")
        elif image["format"] == "vmlinux" and kind == "flat":
            yield fail("{0} is said to be a vmlinux, but it is a flat payload.".format(where), path, "say format: flat")


@rule(
    "initrd-format",
    "error",
    "The initrd is one that Linux unpacks",
    "With anything else the kernel panics: no init found.",
    ("images",),
    "Documentation/driver-api/early-userspace/buffer-format.rst",
)
def initrd_format(case: Case) -> Iterator[Outcome]:
    for name, image in sorted(case.layout["images"].items()):
        if image["initrd"] is None:
            continue
        where, path = image["initrd"]["path"], ("images", name, "initrd")
        facts = case.file(where)
        if facts is None:
            yield unknown("what kind of file {0} is, is not known.".format(where), path)
        elif facts["exists"] and facts["regular"] and facts["size"] and facts["kind"] != "initrd":
            what = "a {0}".format(facts["kind"]) if facts["kind"] != "unknown" else "neither a cpio archive nor a compressed one"
            yield fail("{0} is no initrd: it is {1}.".format(where, what), path, "name a newc cpio archive, packed or not")


def _files(case: Case) -> List[Tuple[Path, Dict[str, Any]]]:
    found: List[Tuple[Path, Dict[str, Any]]] = []
    for name, image in sorted(case.layout["images"].items()):
        found.append((("images", name, "kernel"), image["kernel"]))
        if image["initrd"] is not None:
            found.append((("images", name, "initrd"), image["initrd"]))
    return found


def _short(digest: str) -> str:
    return digest if len(digest) <= 16 else "{0}..{1}".format(digest[:8], digest[-4:])
