# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vmlinux inside a bzImage comes out whole, whatever packed it, or there is a sentence."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import elf, payload, unpack


def sized(packed: bytes, content: bytes) -> bytes:
    """Append the unpacked size, as the kernel's build does for everything but gzip."""
    return packed + struct.pack("<I", len(content))


def by_program(*command: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        if shutil.which(command[0]) is None:
            pytest.skip("no program %s here" % command[0])
        return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout

    return pack


X86_FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 1}]
PACKERS: Dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "xz": lambda content: lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=X86_FILTERS),
    "zstd": by_program("zstd", "-cq"),
    "lz4": by_program("lz4", "-lcq"),
}


def big_vmlinux(vmlinux: Callable[..., bytes]) -> bytes:
    """More than one read and one write, with stretches that pack very well."""
    content = os.urandom(100000) + b"\0" * 5000000 + os.urandom(100000)
    return vmlinux([(0x1000000, content, len(content))])


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_every_compression_of_the_kernel_is_unpacked(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], name: str) -> None:
    content = big_vmlinux(vmlinux)
    packed = sized(PACKERS[name](content), content)
    assert payload.compression(packed[:6]) == name
    assert bytes(payload.extract(bzimage(payload=packed))) == content


def test_python_unpacks_zstd_where_it_can(
    bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.14 brings compression.zstd; a stand-in that only drops the magic shows that it is asked, and its errors are told."""

    class ZstdError(Exception):
        pass

    class ZstdDecompressor:
        eof, needs_input = False, True

        def decompress(self, data: bytes, max_length: int = -1) -> bytes:
            assert max_length > 0
            if b"damage" in bytes(data):
                raise ZstdError("bad block")
            return bytes(data)[4:]

    library = types.SimpleNamespace(ZstdDecompressor=ZstdDecompressor, ZstdError=ZstdError)
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", library)
    monkeypatch.setenv("PATH", "/nowhere")
    packed = b"\x28\xb5\x2f\xfd" + vmlinux()
    assert bytes(payload.extract(bzimage(payload=sized(packed, vmlinux())))) == vmlinux()
    with pytest.raises(payload.PayloadError, match="zstd payload is damaged: bad block"):
        payload.extract(bzimage(payload=sized(packed + b"damage", b"")))


def test_gzip_needs_no_size_of_its_own(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes]) -> None:
    assert bytes(payload.extract(bzimage())) == vmlinux()


def test_a_result_is_kept_and_found_again(bzimage: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = bzimage()
    digest = hashlib.sha256(image).hexdigest()
    cache = str(tmp_path / "below" / "vmlinux")
    first = bytes(payload.extract(image, digest, cache))
    assert os.listdir(cache) == [digest]

    def refuse(*_arguments: Any) -> None:
        raise AssertionError("unpacked again")

    monkeypatch.setattr(unpack, "unpack", refuse)
    assert bytes(payload.extract(image, digest, cache)) == first


def test_the_cache_keeps_the_kernels_used_last(bzimage: Callable[..., bytes], tmp_path: Path) -> None:
    for number in range(payload.KEPT):
        payload.extract(bzimage(), "kernel%d" % number, str(tmp_path))
        os.utime(str(tmp_path / ("kernel%d" % number)), (1000 + number, 1000 + number))
    payload.extract(bzimage(), "kernel0", str(tmp_path))
    mapped = payload.extract(bzimage(), "kernel1", str(tmp_path))
    payload.extract(bzimage(), "another", str(tmp_path))
    assert sorted(os.listdir(str(tmp_path))) == ["another", "kernel0", "kernel1", "kernel3"]
    (tmp_path / "kernel1").unlink()
    assert mapped[:4] == b"\x7fELF", "a kernel that is being loaded does not need its file"


def test_a_cut_file_in_the_cache_is_replaced(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "digest").write_bytes(vmlinux()[:100])
    assert bytes(payload.extract(bzimage(), "digest", str(tmp_path))) == vmlinux()
    assert (tmp_path / "digest").read_bytes() == vmlinux()


def test_writing_into_the_result_does_not_reach_the_cache(
    bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], tmp_path: Path
) -> None:
    mapped = payload.extract(bzimage(), "digest", str(tmp_path))
    mapped[0:4] = b"GONE"
    assert (tmp_path / "digest").read_bytes() == vmlinux()


def test_a_damaged_payload_leaves_nothing_in_the_cache(
    bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], tmp_path: Path
) -> None:
    packed = bytearray(sized(PACKERS["xz"](vmlinux()), vmlinux()))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(payload.PayloadError, match="xz payload is damaged"):
        payload.extract(bzimage(payload=bytes(packed)), "digest", str(tmp_path))
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_a_program_that_fails_is_quoted(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes], name: str) -> None:
    content = big_vmlinux(vmlinux)
    packed = PACKERS[name](content)
    with pytest.raises(payload.PayloadError, match="%s payload is damaged" % name):
        payload.extract(bzimage(payload=sized(packed[: len(packed) // 2], content)))


def test_a_missing_program_is_named(bzimage: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(payload.PayloadError, match="no program 'lz4' on this machine; install it"):
        payload.extract(bzimage(payload=b"\x02\x21\x4c\x18" + b"\0" * 60))


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        (b"\x89LZO\0\r\n\x1a\n" + b"\0" * 60, "compressed by lzo; known are"),
        (b"nothing known, but long enough", "compressed by no known method"),
        (b"\x1f\x8b", "no complete payload"),
    ],
)
def test_what_cannot_be_unpacked_is_told(bzimage: Callable[..., bytes], packed: bytes, sentence: str) -> None:
    with pytest.raises(payload.PayloadError, match=sentence):
        payload.extract(bzimage(payload=packed))


def test_a_size_that_does_not_agree_is_damage(bzimage: Callable[..., bytes], vmlinux: Callable[..., bytes]) -> None:
    packed = PACKERS["xz"](vmlinux()) + struct.pack("<I", len(vmlinux()) + 1)
    with pytest.raises(payload.PayloadError, match="bytes came out, it promises"):
        payload.extract(bzimage(payload=packed))


def test_an_empty_payload_is_refused(bzimage: Callable[..., bytes]) -> None:
    with pytest.raises(payload.PayloadError, match="it is empty"):
        payload.extract(bzimage(payload=sized(bz2.compress(b""), b"")))


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_payload_that_never_ends_does_not_fill_the_disk(
    bzimage: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A few KiB can unpack to terabytes; no more is written than the header promises, and one byte that tells."""
    written = []
    mapped = payload._map

    def watched(file: Any, size: int) -> Any:
        written.append(os.fstat(file.fileno()).st_size)
        return mapped(file, size)

    monkeypatch.setattr(payload, "_map", watched)
    packed = sized(PACKERS[name](b"\0" * (32 << 20)), b"\0" * 100000)
    with pytest.raises(payload.PayloadError, match="payload is damaged"):
        payload.extract(bzimage(payload=packed))
    assert all(size <= 100001 for size in written)


def test_a_payload_that_is_no_elf_file_is_refused(bzimage: Callable[..., bytes]) -> None:
    with pytest.raises(payload.PayloadError, match="no ELF file"):
        payload.extract(bzimage(payload=sized(bz2.compress(b"something else"), b"something else")))


def test_a_real_kernel_comes_out_whole(debian_kernel: str) -> None:
    with open(debian_kernel, "rb") as file:
        mapped = payload.extract(file.read(), None, None)
    found = elf.parse(mapped[: 1 << 16], len(mapped))
    assert elf.refusal(found) is None
    assert found.entry == 0x1000000
    assert len(mapped) == 65906612
