# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible in an instance that has no network: through its console, from the machine that it runs on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mktty
short_description: Run commands in an instance through its console
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Reaches an instance that has no network through C(/dev/mktty) of the machine that it runs on. The machine itself is reached the way
    the inventory says, usually by SSH, and every option of that connection is taken from the variables of the machine.
  - The instance needs no Python, so it is for M(ansible.builtin.raw) and M(ansible.builtin.script) and for actions that copy single
    files. It needs a POSIX shell on C(/dev/mktty0), and base64, cat, cut, dd, md5sum, rm, sed, stty and wc, as busybox has them.
    The example agent of this collection has all of them.
  - The machine needs Python 3.8 or later, and root, by itself or by C(sudo) without a password.
  - Output is whole even when the kernel of the instance logs to the same console meanwhile, and it comes when the command has ended.
notes:
  - One user of a console at a time; others wait for the lock C(/run/multikernel/mktty-ID.lock) of the machine. A user that does not know
    of the lock takes bytes away.
  - What a command, that ran into a timeout, left running in the foreground of the console is interrupted (Ctrl-C).
  - The console has no user accounts, so C(become) must be off; commands run as whoever owns the shell there.
options:
  machine:
    description:
      - The name of the machine in the inventory.
      - Without a C(ansible_connection) of its own it is reached by P(ansible.builtin.ssh#connection).
    type: str
    required: true
    vars:
      - name: multikernel_machine
      - name: mktty_machine
  instance:
    description: The instance by its name in the layout of the machine, or by the number of its console.
    type: str
    required: true
    vars:
      - name: multikernel_instance
      - name: mktty_instance
  timeout:
    description: How many seconds the shell of the instance may take for an answer, without the time that the command itself takes.
    type: float
    default: 30
    vars:
      - name: mktty_timeout
  command_timeout:
    description: How many seconds a command may take; 0 waits as long as the instance lives.
    type: float
    default: 0
    vars:
      - name: mktty_command_timeout
  lock_timeout:
    description: How many seconds to wait while another uses the console.
    type: float
    default: 120
    vars:
      - name: mktty_lock_timeout
  limit:
    description: How many bytes an output or a file may have.
    type: int
    default: 16777216
    vars:
      - name: mktty_limit
  python:
    description: The Python of the machine.
    type: str
    default: python3
    vars:
      - name: mktty_python
seealso:
  - plugin: multikernel.core.layout
    plugin_type: inventory
    description: Lists the instances of a layout with the variables that this connection needs.
"""

EXAMPLES = r"""
# inventory.yml
# all:
#   hosts:
#     box1: {ansible_host: 192.0.2.7, ansible_user: root}
#     box1.web:
#       ansible_connection: multikernel.core.mktty
#       mktty_machine: box1
#       mktty_instance: web

- name: Ask the kernel of an instance who it is
  hosts: box1.web
  gather_facts: false
  tasks:
    - name: Release
      ansible.builtin.raw: uname -r
      changed_when: false
    - name: A script, with the shell of the instance
      ansible.builtin.script: check.sh
      changed_when: false
"""

import base64
import copy
import json
import os
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import connection_loader
from ansible_collections.multikernel.core.plugins.plugin_utils._console import command, program

#: Errors that are about one request; all others mean that the instance cannot be reached.
OF_THE_REQUEST = ("file", "limit")


class Connection(ConnectionBase):
    """The instance behind a connection to its machine."""

    transport = "multikernel.core.mktty"
    has_pipelining = False
    has_tty = False
    _connected = False
    _inner: ConnectionBase | None = None
    _machine_variables: t.Any = None
    _templar: t.Any = None

    def _resolve_option_variables(self, variables: t.Any, templar: t.Any) -> t.Any:
        """Remember the machine's own variables: the options of the inner connection are resolved from them."""
        resolved = super()._resolve_option_variables(variables, templar)
        machine = resolved.get("mktty_machine") or resolved.get("multikernel_machine")
        hosts = variables.get("hostvars") or {}
        self._machine_variables = hosts[machine] if machine and machine in hosts else None
        self._templar = templar
        return resolved

    def _connect(self) -> Connection:
        """Open the way to the machine; the console is opened for each request."""
        if not self._connected:
            self._inner = self._open_machine()
            self._connected = True
        return self

    def _open_machine(self) -> ConnectionBase:
        machine = self.get_option("machine")
        variables = self._machine_variables
        if variables is None:
            raise AnsibleConnectionFailure(f"the machine {machine} of the instance {self.get_option('instance')} is not in the inventory")
        kind = str(variables.get("ansible_connection") or "ssh")
        if kind.rpartition(".")[2] == "mktty":
            raise AnsibleConnectionFailure(f"the machine {machine} is itself reached by a console; name the machine that has /dev/mktty")
        context = copy.copy(self._play_context)
        context.remote_addr = str(variables.get("ansible_host") or machine)
        context.become = False
        inner = connection_loader.get(kind, context, os.devnull)
        if inner is None:
            raise AnsibleConnectionFailure(f"there is no connection plugin {kind}, by which the machine {machine} is to be reached")
        inner.set_options(var_options=inner._resolve_option_variables(variables, self._templar))  # pylint: disable=protected-access
        context.set_attributes_from_plugin(inner)
        return t.cast(ConnectionBase, inner)

    def _ask(self, do: str, **keys: t.Any) -> dict[str, t.Any]:
        """One request to the relay on the machine. Raises AnsibleConnectionFailure, or AnsibleError when only the request failed."""
        self._connect()
        inner = t.cast(ConnectionBase, self._inner)
        machine = self.get_option("machine")
        request = {
            "do": do,
            "instance": self.get_option("instance"),
            "timeout": self.get_option("timeout"),
            "wait": self.get_option("lock_timeout"),
            "limit": self.get_option("limit"),
            **keys,
        }
        status, out, err = inner.exec_command(command(self.get_option("python")), in_data=program(request), sudoable=False)
        try:
            # an SSH server may print words of its own first
            answer = json.loads(out.strip().rpartition(b"\n")[2])
        except ValueError:
            words = (err or out).decode("utf-8", "replace").strip()[-500:]
            raise AnsibleConnectionFailure(f"the machine {machine} did not run the relay (status {status}): {words}") from None
        if "error" in answer:
            sentence = f"{machine}: {answer['error']}"
            raise AnsibleError(sentence) if answer.get("kind") in OF_THE_REQUEST else AnsibleConnectionFailure(sentence)
        return t.cast("dict[str, t.Any]", answer)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the instance: its status, output and errors, when it has ended."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        given = base64.b64encode(in_data).decode() if in_data else None
        patience = self.get_option("command_timeout") or None
        answer = self._ask("exec", command=cmd, stdin=given, command_timeout=patience)
        return int(answer["rc"]), base64.b64decode(answer["stdout"]), base64.b64decode(answer["stderr"])

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the instance."""
        super().put_file(in_path, out_path)
        try:
            size = os.stat(in_path).st_size
            if size > self.get_option("limit"):
                raise AnsibleError(f"{in_path} has {size} bytes, and mktty_limit is {self.get_option('limit')}")
            with open(in_path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise AnsibleFileNotFound(f"{in_path} cannot be read: {error.strerror}") from error
        self._ask("put", path=out_path, data=base64.b64encode(data).decode())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the instance."""
        super().fetch_file(in_path, out_path)
        data = base64.b64decode(self._ask("fetch", path=in_path)["data"])
        try:
            with open(out_path, "wb") as file:
                file.write(data)
        except OSError as error:
            raise AnsibleError(f"{out_path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Leave the machine."""
        if self._inner is not None:
            self._inner.close()
        self._inner = None
        self._connected = False

    def reset(self) -> None:
        """Leave the machine; the next request goes there anew."""
        self.close()
