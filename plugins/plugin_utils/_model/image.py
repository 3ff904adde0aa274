# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: the files that an instance boots."""

from __future__ import annotations

import typing as t

from ...module_utils._layout.canonical import IMAGE_FORMATS
from .._pydantic import Field, GetJsonSchemaHandler, model_validator
from .spelling import FilePath, Sha256, Strict, Text, one_of


class File(Strict):
    """One file on the target, with the checksum that it must have."""

    path: FilePath = Field(description="Absolute path of the file on the target.", examples=["/boot/vmlinuz-6.1.0-56-amd64"])
    sha256: Sha256 | None = Field(default=None, description="SHA-256 checksum that the file must have. An apply refuses another file.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: t.Any) -> t.Any:
        return {"path": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: t.Any, handler: GetJsonSchemaHandler) -> dict[str, t.Any]:
        long_form = handler(core_schema)
        return {
            "title": "File",
            "description": "A file on the target: its path alone, or path and checksum.",
            "anyOf": [long_form["properties"]["path"], long_form],
        }


class Image(Strict):
    """What instances can boot: a kernel (or a flat binary), an optional initrd, a command line."""

    kernel: File = Field(description="The kernel file: a bzImage, an ELF vmlinux, or a flat binary.")
    initrd: File | None = Field(default=None, description="The initial RAM disk, if the kernel needs one.")
    cmdline: Text = Field(
        default="", description="Kernel command line of every instance of this image.", examples=["console=ttyS1,115200 quiet"]
    )
    format: one_of(*IMAGE_FORMATS) = Field(  # type: ignore[valid-type]
        default="auto", description="What the kernel file is. auto: look into it. A flat binary must be named as flat."
    )
    signed_by: FilePath | None = Field(
        default=None,
        description=(
            "Path on the target of a file of allowed signers (ssh-keygen(1)). Kernel and initrd must each have a signature of one of them"
            " beside it, as FILE.sig for the namespace multikernel-image."
        ),
        examples=["/etc/multikernel/allowed_signers"],
    )
