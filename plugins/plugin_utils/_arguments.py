# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share: from their arguments `layout` and `file` to a layout, or to a located failure."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ._model.errors import LayoutError, LayoutErrors
from ._model.layout import load_layout
from ._model.tagged import TaggedData
from ._pydantic import MissingLibraryError
from ._subject import Subject


def canonical_argument(action: t.Any, arguments: dict[str, t.Any], required: bool) -> tuple[Subject | None, dict[str, t.Any] | None]:
    """Take `layout` or `file` out of a task's arguments; return the layout with its origin, and its canonical form.

    Both are None when neither is given and none is required. Raises AnsibleActionFail, located.
    """
    if arguments.get("layout") is not None and arguments.get("file") is not None:
        raise AnsibleActionFail("layout and file are both given; give one of them", obj=arguments["file"])
    subjects = read_subjects(action, arguments)
    arguments.pop("file", None)
    if not subjects:
        if required:
            raise AnsibleActionFail("there is no layout; give it as layout: (a mapping) or file: (a path on the controller)")
        arguments.pop("layout", None)
        return None, None
    subject = subjects[0]
    try:
        return subject, load_layout(subject.raw, subject.locator)
    except LayoutErrors as errors:
        raise refused(subject, errors.errors) from None
    except MissingLibraryError as error:
        raise AnsibleActionFail(str(error)) from None


def read_subjects(action: t.Any, arguments: dict[str, t.Any]) -> list[Subject]:
    """The layouts that the arguments `layout` and `file` give. Raises AnsibleActionFail when the file is no plain YAML."""
    subjects = []
    if arguments.get("layout") is not None:
        subjects.append(Subject.of_data(arguments["layout"]))
    if arguments.get("file") is not None:
        try:
            subjects.append(Subject.of_file(file_argument(action, arguments["file"])))
        except LayoutErrors as errors:
            raise refused(None, errors.errors) from None
    return subjects


def file_argument(action: t.Any, path: str) -> str:
    """Where a file of the controller is: beside the role or the playbook, as for every action that reads files."""
    try:
        return str(action._find_needle("files", str(path)))  # pylint: disable=protected-access
    except Exception as error:
        raise AnsibleActionFail(
            f"the file {str(path)!r} is not on the controller, neither in files/ nor beside the playbook", obj=path
        ) from error


def refused(subject: Subject | None, errors: list[LayoutError]) -> AnsibleActionFail:
    """The failure of a task whose layout is wrong: every error in the message, the first one with its lines of text."""
    item = origin_of(subject, errors[0].path, errors[0].at_key)
    lead = "The layout has an error:" if len(errors) == 1 else f"The layout has {len(errors)} errors:"
    message = "\n".join([lead, *(str(error) for error in errors)])
    return AnsibleActionFail(message, obj=item, result={"errors": [error.to_dict() for error in errors]})


def origin_of(subject: Subject | None, path: t.Iterable[t.Any], key: bool = False) -> t.Any:
    """What AnsibleError(obj=...) needs to show where a part of a layout was written; None for a layout out of a file."""
    return subject.locator.item(tuple(path), key) if subject is not None and isinstance(subject.locator, TaggedData) else None
