#!/usr/bin/python
# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: layout_validate
short_description: Check a multikernel layout without touching a host
version_added: "1.0.0"
author:
  - multikernel.core contributors (@multikernel)
description:
  - Reads a layout, reports everything that is wrong with it, each with file, line and column, and judges it by the rules of
    the collection.
  - Runs on the controller alone. No connection to the host is made, so it works for hosts that are down or do not exist yet.
  - With stored facts bundles of machines, the layout is also placed and judged for each of them.
options:
  layout:
    description:
      - The layout, as a mapping. See C(schemas/layout.schema.json) for its language.
      - At least one of O(layout) and O(file) is needed. When both are given, they must say the same.
    type: raw
  file:
    description:
      - A YAML or JSON file on the controller with the layout. A relative path is searched beside the role and the playbook.
      - The file is read as it is; it may not contain templates. To use templates, put the layout into a variable and pass O(layout).
    type: path
  facts:
    description:
      - Facts bundles on the controller, as C(mkl facts) or O(multikernel.core.layout_info#module:bundle) writes them, or folders of them.
      - The layout is judged for each of these machines. Without them, rules that need a machine say that they do not know.
    type: list
    elements: path
    default: []
  fail:
    description:
      - Whether the task fails when the layout is not valid, or when a bundle cannot be used. If V(false), look at RV(valid) and
        RV(machines).
    type: bool
    default: true
requirements:
  - pydantic >= 2.10 (on the controller)
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: N/A
    description: There is nothing to compare.
  action:
    support: full
    description: Runs on the controller.
seealso:
  - module: multikernel.core.layout
  - module: multikernel.core.layout_info
"""

EXAMPLES = r"""
- name: Check the layout of this host before anything is touched
  multikernel.core.layout_validate:
    layout: "{{ multikernel_layout }}"

- name: Check a file for the machines of two racks
  multikernel.core.layout_validate:
    file: layouts/edge.yml
    facts:
      - facts/rack-a.json
      - facts/rack-b.json

- name: Look at what is wrong without failing
  multikernel.core.layout_validate:
    file: layouts/edge.yml
    fail: false
  register: checked
"""

RETURN = r"""
valid:
  description: Whether the layout has neither errors nor failed rules.
  returned: always
  type: bool
  sample: true
canonical:
  description: The layout in its canonical form, with sizes in bytes and every key present. Null when there are errors.
  returned: success
  type: dict
  sample: {"version": 1, "name": "edge-box"}
digest:
  description: SHA-256 of the canonical layout.
  returned: success
  type: str
  sample: 2f7f0d6a5c2c1d0e
errors:
  description: What is wrong with the layout as a text, in the order of the text.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path of the part that is wrong.
      type: list
      elements: raw
      returned: always
    key:
      description: The same path in dots.
      type: str
      returned: always
    message:
      description: What is wrong.
      type: str
      returned: always
    hint:
      description: What would be right.
      type: str
      returned: always
    file:
      description: File in which it was written, null when not known.
      type: str
      returned: always
    line:
      description: Line, from 1.
      type: int
      returned: always
    column:
      description: Column, from 1.
      type: int
      returned: always
  sample: []
machines:
  description: What each of the machines says to the layout. None when the layout has errors.
  returned: when O(facts) names some
  type: list
  elements: dict
  contains:
    name:
      description: Host name of the machine, else the name of its file.
      type: str
      returned: always
    facts:
      description: Its bundle.
      type: str
      returned: always
    verdict:
      description:
        - V(ok), V(refused) (a rule failed, or there is no place), V(unknown) (something that would block an apply is not known), or
          V(unreadable) (the bundle cannot be used).
      type: str
      returned: always
    reasons:
      description: The findings behind the verdict, as in RV(findings).
      type: list
      elements: dict
      returned: always
    warnings:
      description: How many warnings there are besides.
      type: int
      returned: always
    message:
      description: Why the bundle cannot be used, else null.
      type: str
      returned: always
  sample: []
findings:
  description: What the rules say, for each machine when O(facts) names some.
  returned: success
  type: list
  elements: dict
  contains:
    rule:
      description: Id of the rule; C(mkl explain) says more about it.
      type: str
      returned: always
    severity:
      description: One of error, warning, info.
      type: str
      returned: always
    verdict:
      description: One of pass, fail, unknown.
      type: str
      returned: always
    message:
      description: What was found.
      type: str
      returned: always
    path:
      description: Path of the part of the layout that it is about.
      type: list
      elements: raw
      returned: always
    hint:
      description: What would be right.
      type: str
      returned: always
    file:
      description: File in which that part was written, null when not known.
      type: str
      returned: always
    line:
      description: Line, from 1.
      type: int
      returned: always
    column:
      description: Column, from 1.
      type: int
      returned: always
    facts:
      description: The facts bundle that it was judged with.
      type: str
      returned: when O(facts) names some
  sample: []
"""
