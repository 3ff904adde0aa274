#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Stage and check the kernel image of an instance
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Checks on the target that a file is a kernel that an instance can boot, that it is complete, and that it is the one meant.
  - With O(src), puts a checked file in its place. Nothing is replaced by a file that does not pass.
  - An initrd can be checked and staged together with its kernel. Both are checked and copied before either is put in its place.
options:
  path:
    description:
      - The kernel image on the target.
    type: path
    required: true
  src:
    description:
      - A file on the target that is to become O(path). Use M(ansible.builtin.copy) or M(ansible.builtin.get_url) to bring it there.
      - Without it, the file at O(path) is only checked.
    type: path
  sha256:
    description:
      - The digest that the image must have, in hexadecimal. Give it, so that what was tested is what is booted.
    type: str
  kind:
    description:
      - What the image must be. V(kernel) takes V(bzimage) and V(vmlinux).
      - V(flat) is a payload that is no Linux. Any file that is not empty may be one.
      - V(initrd) checks a lone initrd.
    type: str
    choices: [kernel, bzimage, vmlinux, flat, initrd]
    default: kernel
  initrd:
    description:
      - The initrd that belongs to the kernel.
    type: dict
    suboptions:
      path:
        description: The initrd on the target.
        type: path
        required: true
      src:
        description: A file on the target that is to become O(initrd.path).
        type: path
      sha256:
        description: The digest that the initrd must have, in hexadecimal.
        type: str
attributes:
  check_mode:
    support: full
    description: Files are checked as ever, and none is written.
  diff_mode:
    support: full
    description: Shows kind, version, size and digest of the file before and after.
  platform:
    support: full
    platforms: linux
    description: Images are those of x86_64 machines; the module itself runs on any Linux.
extends_documentation_fragment:
  - ansible.builtin.files
  - ansible.builtin.action_common_attributes
seealso:
  - module: multikernel.core.layout
"""

EXAMPLES = r"""
- name: The kernel of the web instance is what was tested
  multikernel.core.image:
    path: /boot/vmlinuz-6.1.0-56-amd64
    sha256: 26f2e57c99338feaf71c46fa4babdc7e1a6c115943002d109fdb746667104f5f

- name: Bring kernel and initrd, then put both in place
  ansible.builtin.copy:
    src: "{{ item }}"
    dest: "/var/tmp/{{ item }}"
    mode: "0600"
  loop: [vmlinuz, agent.cpio.gz]

- name: Stage them
  multikernel.core.image:
    src: /var/tmp/vmlinuz
    path: /srv/multikernel/vmlinuz
    initrd:
      src: /var/tmp/agent.cpio.gz
      path: /srv/multikernel/agent.cpio.gz
    mode: "0644"

- name: A payload that is no Linux
  multikernel.core.image:
    path: /srv/multikernel/tiny.bin
    kind: flat
"""

RETURN = r"""
path:
  description: The image on the target.
  returned: always
  type: str
  sample: /boot/vmlinuz-6.1.0-56-amd64
kind:
  description: What the image is.
  returned: always
  type: str
  sample: bzimage
size:
  description: Its size in bytes.
  returned: always
  type: int
  sample: 8247232
sha256:
  description: Its digest.
  returned: always
  type: str
  sample: 26f2e57c99338feaf71c46fa4babdc7e1a6c115943002d109fdb746667104f5f
header:
  description: The fields of the setup header, by their names in the Linux/x86 boot protocol, with C(kernel_version) and C(payload) as text.
  returned: always, null for anything but a bzImage
  type: dict
  sample: {"version": 527, "init_size": 66682880, "kernel_version": "6.1.0-56-amd64 ...", "payload": "xz"}
elf:
  description: Entry address and PT_LOAD segments of a vmlinux.
  returned: always, null for anything but an ELF file
  type: dict
initrd:
  description: The same facts of the initrd.
  returned: when O(initrd) is given
  type: dict
"""

import os
import shutil
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multikernel.core.plugins.module_utils._boot.inspect import inspect

KINDS = {
    "kernel": ("bzimage", "vmlinux"),
    "bzimage": ("bzimage",),
    "vmlinux": ("vmlinux",),
    "flat": ("flat",),
    "initrd": ("initrd",),
}
WORDS = {
    "bzimage": "a bzImage",
    "vmlinux": "a vmlinux (ELF)",
    "flat": "a flat payload",
    "initrd": "an initrd",
    "unknown": "nothing that could be recognised",
}


def refusal(facts: Dict[str, Any], path: str, kind: str, sha256: Optional[str]) -> Optional[str]:
    """Why the file with these *facts* is not what the task wants, as a sentence; None when it is."""
    # any bytes may be a flat payload, so only this one complaint does not count
    any_flat = kind == "flat" and facts["regular"] and facts["size"] and facts["kind"] == "unknown"
    if facts["error"] and not any_flat:
        return str(facts["error"])
    if not any_flat and facts["kind"] not in KINDS[kind]:
        return "%s: it is %s, but %s is wanted" % (path, WORDS[facts["kind"]], " or ".join(WORDS[name] for name in KINDS[kind]))
    if sha256 is not None and facts["sha256"] != sha256.lower():
        return "%s: its sha256 is %s, but %s is wanted; it is another image" % (path, facts["sha256"], sha256.lower())
    return None


def summary(facts: Dict[str, Any]) -> Dict[str, Any]:
    """What a diff shows of a file."""
    if not facts["exists"]:
        return {"state": "absent"}
    shown = {"state": "present", "kind": facts["kind"], "size": facts["size"], "sha256": facts["sha256"]}
    if facts["header"]:
        shown["kernel_version"] = facts["header"]["kernel_version"]
    return shown


class Staging:
    """One file of the task: what is wanted, what is there, and how to get from one to the other."""

    def __init__(self, module: AnsibleModule, wanted: Dict[str, Any], kind: str) -> None:
        self.module = module
        self.path: str = wanted["path"]
        self.source: str = wanted["src"] or self.path
        self.facts = inspect(self.source)
        self.before = inspect(self.path) if wanted["src"] else self.facts
        self.problem = refusal(self.facts, self.source, kind, wanted["sha256"])

    @property
    def copied(self) -> str:
        """Where the checked copy lies until it is moved."""
        return os.path.join(self.module.tmpdir, "image-%s" % self.facts["sha256"])

    @property
    def moves(self) -> bool:
        """The file at the path is to be replaced."""
        return bool(self.before["sha256"] != self.facts["sha256"])

    def copy(self) -> None:
        """Get a copy of the source and see that it has the very bytes that were checked."""
        folder = os.path.dirname(self.path) or "."
        if not os.path.isdir(folder):
            self.module.fail_json(msg="%s: there is no folder %s to put it in" % (self.path, folder))
        shutil.copyfile(self.source, self.copied)
        if inspect(self.copied)["sha256"] != self.facts["sha256"]:
            self.module.fail_json(msg="%s: it changed while it was copied; stage it again" % self.source)

    def put(self) -> None:
        """Replace the file in one go."""
        self.module.atomic_move(self.copied, self.path)

    def attributes(self, changed: bool) -> bool:
        """Set owner, group, mode and the like; true when something changed or *changed* was true before."""
        if not os.path.exists(self.path):  # check mode
            return changed
        arguments = self.module.load_file_common_arguments(self.module.params, path=self.path)
        return bool(self.module.set_fs_attributes_if_different(arguments, changed))

    def result(self) -> Dict[str, Any]:
        """The facts to return."""
        return {"path": self.path, **{key: self.facts[key] for key in ("kind", "size", "sha256", "header", "elf")}}


def main() -> None:
    """Check every file first, then move those that differ."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "src": {"type": "path"},
            "sha256": {"type": "str"},
            "kind": {"type": "str", "choices": list(KINDS), "default": "kernel"},
            "initrd": {
                "type": "dict",
                "options": {"path": {"type": "path", "required": True}, "src": {"type": "path"}, "sha256": {"type": "str"}},
            },
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    files: List[Staging] = [Staging(module, module.params, module.params["kind"])]
    if module.params["initrd"]:
        files.append(Staging(module, module.params["initrd"], "initrd"))
    problems = [file.problem for file in files if file.problem]
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems, **files[0].result())

    moving = [file for file in files if file.moves]
    changed = bool(moving)
    if not module.check_mode:
        for file in moving:
            file.copy()
        for file in moving:
            file.put()
    for file in files:
        changed = file.attributes(changed)

    result: Dict[str, Any] = {"changed": changed, **files[0].result()}
    if len(files) > 1:
        result["initrd"] = files[1].result()
    result["diff"] = [
        {"before_header": file.path, "after_header": file.path, "before": summary(file.before), "after": summary(file.facts)}
        for file in files
    ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
