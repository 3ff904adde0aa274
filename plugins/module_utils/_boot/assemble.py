# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""What is loaded for one instance: every byte, at its physical address (memory_map.py has the picture)."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import acpi, aml, channel, cmdline, content, elf, mailbox, params, payload, setup_header, stub
from .cmdline import Channel, Uart
from .inspect import is_flat
from .memory_map import (
    ACPI,
    BASE_ALIGNMENT,
    BOOT_PARAMS,
    COMMAND_LINE,
    DEFAULT_CMDLINE_SIZE,
    ENTRY_64,
    FLAT,
    FOUR_GIB,
    HEAD,
    INITRD_ALIGNMENT,
    IO_APIC,
    KERNEL,
    LOW_LIMIT,
    LOW_SIZE,
    PAGE,
    STACK,
    STUB,
    TABLES,
    TABLES_END,
)

FORMATS = ("auto", "bzimage", "vmlinux", "flat")

Data = Union[bytes, memoryview]


class AssemblyError(ValueError):
    """The instance cannot be put together as specified; the text says what is wrong and what would be right."""


class Area(NamedTuple):
    """The contents of a channel's area that are written with this image: slots, message size (bytes), APIC ids of both ends."""

    slots: int
    message_size: int
    apic_ids: Tuple[int, int]


class ChannelEnd(NamedTuple):
    """One end of a channel: name, physical address, own end (0 or 1).

    An IPI channel has *area* when this image is to create it. *shared*, bytes, makes it plain shared memory, which nobody writes at load;
    *writer* says which end may: "0", "1" or "both".
    """

    name: str
    address: int
    end: int
    area: Optional[Area] = None
    shared: Optional[int] = None
    writer: str = "both"


class Spec(NamedTuple):
    """Everything that makes one instance; addresses and sizes in bytes, physical.

    low: start of its chunk below 1 MiB (low_size bytes; None for a flat payload). apic_ids: its CPUs, boot CPU first. format: "auto"
    (by contents), "bzimage" (unpacks itself), "vmlinux" (unpacked here: boots faster) or "flat". cmdline: words of image and instance.
    nonce: 64 bits that prove a mailbox to be of this boot. console: the instance's UART; other_uarts: those it must leave alone.
    digest, initrd_digest: the sha256 that the files must have, hex. cache: where unpacked kernels are kept, None for nowhere. buses: the
    PCI buses that it owns; devices: (address, alias or None) of the functions on them, which its command line names.
    """

    base: int
    size: int
    apic_ids: Sequence[int]
    bsp_apic_id: int
    kernel_path: str
    name: str
    nonce: int
    tsc_khz: Optional[int] = None
    low: Optional[int] = None
    low_size: int = LOW_SIZE
    initrd_path: Optional[str] = None
    cmdline: str = ""
    format: str = "auto"
    channels: Sequence[ChannelEnd] = ()
    console: Optional[Uart] = None
    other_uarts: Sequence[Uart] = ()
    digest: Optional[str] = None
    initrd_digest: Optional[str] = None
    cache: Optional[str] = payload.CACHE
    buses: Sequence[aml.Bus] = ()
    devices: Sequence[Tuple[str, Optional[str]]] = ()


class Segment(NamedTuple):
    """Bytes for physical *address*, followed by zeros up to *memsz* (both page aligned); *what* names them in messages."""

    data: Data
    address: int
    memsz: int
    what: str


class Assembled(NamedTuple):
    """An image ready for kexec_load: entry address, segments (at most 16, disjoint), and the command line as the kernel will see it.

    Segments may be views of larger buffers; they stay valid as long as this object lives.
    """

    entry: int
    segments: Tuple[Segment, ...]
    cmdline: str


class _Kernel(NamedTuple):
    """A kernel on its way: segments at their addresses, where to jump, bytes from base that are free again behind it."""

    target: int
    end: int
    segments: List[Segment]
    header: Optional[bytes] = None
    load_address: int = 0
    cmdline_size: int = DEFAULT_CMDLINE_SIZE
    linux: bool = True


def assemble(spec: Spec, kept: Optional[content.Kept] = None) -> Assembled:
    """Put an instance together: read its files, build its tables, check that everything fits and nothing overlaps.

    kept: where the files may have been read already.
    Deterministic: the same spec and files give the same bytes. Raises AssemblyError with a sentence; OSError never.
    """
    _check_region(spec)
    files = kept or content.Kept()
    try:
        kernel = _kernel(spec, files)
        initrd = _initrd(spec, kernel, files)
        text = _command_line(spec, kernel, initrd is not None)
        segments = [_head(spec, kernel), _parameters(spec, kernel, initrd, text)] + kernel.segments
        if initrd is not None:
            segments.append(initrd)
        if spec.low is not None and _io_apic(spec) != spec.base + IO_APIC:
            segments.append(Segment(b"", _io_apic(spec), PAGE, "the IO-APIC's stand-in"))
        segments += [_channel(end, end.area) for end in spec.channels if end.area is not None]
    except ValueError as error:
        raise AssemblyError("instance %s: %s" % (spec.name, error)) from error
    except OSError as error:
        raise AssemblyError("instance %s: %s: %s" % (spec.name, error.filename or spec.kernel_path, error.strerror)) from error
    _check_segments(spec, segments)
    return Assembled(spec.base + STUB, tuple(segments), text)


def _check_region(spec: Spec) -> None:
    problem = None
    if spec.base < 1 << 20 or spec.base % BASE_ALIGNMENT:
        problem = "its memory begins at 0x%x; a multiple of 2 MiB above 1 MiB is needed" % spec.base
    elif spec.size <= TABLES_END or spec.size % PAGE:
        problem = "its memory has %d bytes; a multiple of %d above %d is needed" % (spec.size, PAGE, TABLES_END)
    elif spec.format not in FORMATS:
        problem = "the image format '%s' is not known; there are %s" % (spec.format, ", ".join(FORMATS))
    elif spec.low is not None and (spec.low % PAGE or spec.low_size % PAGE or spec.low < PAGE or spec.low_size < 2 * PAGE):
        problem = "its chunk below 1 MiB, 0x%x+0x%x, is not made of whole pages above the first" % (spec.low, spec.low_size)
    elif spec.low is not None and spec.low + spec.low_size > LOW_LIMIT:
        problem = "its chunk below 1 MiB, 0x%x+0x%x, reaches beyond 640 KiB" % (spec.low, spec.low_size)
    for end in spec.channels:
        size = end.shared or (channel.area_size(end.area.slots, end.area.message_size) if end.area else PAGE)
        if end.address < spec.base + spec.size and spec.base < end.address + size:
            problem = "channel %s at 0x%x lies in its private memory; it must lie outside of every instance's" % (end.name, end.address)
    if problem:
        raise AssemblyError("instance %s: %s" % (spec.name, problem))


def _kernel(spec: Spec, files: content.Kept) -> _Kernel:
    image, digest = files.read(spec.kernel_path, spec.digest)
    head = bytes(image[: 1 << 16])
    if spec.format == "flat" or (spec.format == "auto" and is_flat(head)):
        return _flat(spec, image)
    if spec.low is None:
        raise ValueError("Linux needs a chunk of memory below 1 MiB for its real-mode code, and none is given")
    if elf.looks_like(head):
        if spec.format == "bzimage":
            raise ValueError("%s is an ELF file, its format is said to be bzimage" % spec.kernel_path)
        return _vmlinux(spec, image, None, DEFAULT_CMDLINE_SIZE)
    if not setup_header.looks_like(head):
        raise ValueError("%s is neither a bzImage nor an ELF file; a payload that is no Linux needs format: flat" % spec.kernel_path)
    fields = setup_header.parse(head)
    refusal = setup_header.refusal(fields, len(image))
    if refusal:
        raise ValueError("%s cannot be booted: %s" % (spec.kernel_path, refusal))
    if spec.format == "vmlinux":
        unpacked = memoryview(payload.extract(image, digest, spec.cache))
        return _vmlinux(spec, unpacked, setup_header.raw(head), fields["cmdline_size"])
    return _bzimage(spec, image, setup_header.raw(head), fields)


def _bzimage(spec: Spec, image: memoryview, header: bytes, fields: Dict[str, Any]) -> _Kernel:
    load = spec.base + KERNEL
    # boot.rst, "init_size": counted from the runtime start, which is the load address rounded up, and not below pref_address
    start = max(_up(load, fields["kernel_alignment"]), fields["pref_address"])
    code = image[fields["setup_size"] :]
    end = max(start + fields["init_size"], load + len(code))
    segment = Segment(code, load, _up(len(code), PAGE), "the kernel")
    return _Kernel(load + ENTRY_64, end, [segment], header, load, fields["cmdline_size"])


def _vmlinux(spec: Spec, image: memoryview, header: Optional[bytes], cmdline_size: int) -> _Kernel:
    found = elf.parse(image[: 1 << 16], len(image))
    refusal = elf.refusal(found)
    if refusal:
        raise ValueError("%s cannot be booted: %s" % (spec.kernel_path, refusal))
    segments = []
    for number, load in enumerate(found.loads):
        if not load.memsz:
            continue
        what = "PT_LOAD %d of the kernel" % number
        if load.paddr % PAGE:
            raise ValueError("%s begins at 0x%x, which is no page boundary" % (what, load.paddr))
        data = image[load.offset : load.offset + load.filesz]
        segments.append(Segment(data, spec.base + load.paddr, _up(load.memsz, PAGE), what))
    end = max(segment.address + segment.memsz for segment in segments)
    # x86_64 kernels relocate themselves by any multiple of 2 MiB: e_entry and p_paddr are physical, base is the distance
    return _Kernel(spec.base + found.entry, end, segments, header, min(segment.address for segment in segments), cmdline_size)


def _flat(spec: Spec, image: memoryview) -> _Kernel:
    load = spec.base + FLAT
    segment = Segment(image, load, _up(len(image), PAGE), "the payload")
    return _Kernel(load, load + segment.memsz, [segment], None, load, PAGE - 1, linux=False)


def _initrd(spec: Spec, kernel: _Kernel, files: content.Kept) -> Optional[Segment]:
    top = spec.base + spec.size
    if kernel.end > top:
        raise ValueError(
            "the kernel needs memory up to 0x%x, the instance's ends at 0x%x: %d MiB more are needed"
            % (kernel.end, top, _up(kernel.end - top, 1 << 20) >> 20)
        )
    if spec.initrd_path is None:
        return None
    data = files.read(spec.initrd_path, spec.initrd_digest).data
    address = (top - len(data)) // INITRD_ALIGNMENT * INITRD_ALIGNMENT
    if address < kernel.end:
        raise ValueError(
            "the initrd of %d bytes does not fit behind the kernel, which needs memory up to 0x%x of 0x%x: %d MiB more are needed"
            % (len(data), kernel.end, top, _up(kernel.end - address, 1 << 20) >> 20)
        )
    return Segment(data, address, _up(len(data), PAGE), "the initrd")


def _command_line(spec: Spec, kernel: _Kernel, initrd: bool) -> str:
    channels = [Channel(end.name, end.address, end.end, end.shared, end.writer) for end in spec.channels]
    own = cmdline.own_words(spec.name, spec.base, channels, spec.devices)
    if not kernel.linux:
        return cmdline.flat(own, spec.cmdline, spec.tsc_khz, spec.console, kernel.cmdline_size)
    return cmdline.linux(
        own,
        spec.cmdline,
        spec.tsc_khz or 0,
        len(spec.apic_ids),
        spec.console,
        spec.other_uarts,
        initrd,
        kernel.cmdline_size,
        bool(spec.buses),
    )


def _head(spec: Spec, kernel: _Kernel) -> Segment:
    base = spec.base
    head = bytearray(STACK)
    head[0:PAGE] = mailbox.blank(spec.nonce)
    if _has_acpi(spec):
        head[ACPI : ACPI + PAGE] = acpi.build(base + ACPI, _io_apic(spec), spec.apic_ids, spec.bsp_apic_id, spec.buses)
    code = stub.code(base + TABLES, base + STACK, base + BOOT_PARAMS, base, kernel.target)
    head[STUB : STUB + len(code)] = code
    return Segment(bytes(head), base, HEAD, "the head (mailbox, ACPI tables, stub)")


def _parameters(spec: Spec, kernel: _Kernel, initrd: Optional[Segment], text: str) -> Segment:
    e820 = []
    if spec.low is not None:
        stand_in = PAGE if _io_apic(spec) != spec.base + IO_APIC else 0
        e820.append(params.Range(spec.low, spec.low_size - stand_in, params.E820_RAM))
    e820.append(params.Range(spec.base, HEAD, params.E820_RESERVED))
    # Linux maps itself before it uses its memory, a flat payload stays on the stub's tables
    for start, end, kind in _ram(spec.size, kernel.linux):
        e820.append(params.Range(spec.base + start, end - start, kind))
    page = params.build(
        kernel.header,
        kernel.load_address,
        spec.base + ACPI if _has_acpi(spec) else 0,
        spec.base + COMMAND_LINE,
        (initrd.address, len(initrd.data)) if initrd else None,
        e820,
    )
    data = page + text.encode("ascii") + b"\0"
    # the kernel maps itself before it touches anything else, but only from here on: its own range, zero page and command line
    tables = stub.identity_tables(spec.base + TABLES, [(spec.base, kernel.end - spec.base)], TABLES_END - TABLES)
    data = data.ljust(TABLES - BOOT_PARAMS, b"\0") + tables
    return Segment(data, spec.base + BOOT_PARAMS, _up(len(data), PAGE), "boot_params, the command line and page tables")


def _ram(size: int, linux: bool) -> List[Tuple[int, int, int]]:
    """What follows the head, from the base: (start, end, E820 type)."""
    if linux:
        return [(HEAD, size, params.E820_RAM)]
    return [(HEAD, TABLES, params.E820_RAM), (TABLES, TABLES_END, params.E820_RESERVED), (TABLES_END, size, params.E820_RAM)]


def _channel(end: ChannelEnd, area: Area) -> Segment:
    data = channel.header(area.slots, area.message_size, area.apic_ids)
    return Segment(data, end.address, channel.area_size(area.slots, area.message_size), "channel %s" % end.name)


def _io_apic(spec: Spec) -> int:
    """Where the stand-in for the IO-APIC lies: below 4 GiB, as the MADT names it by 32 bits."""
    if spec.base < FOUR_GIB or spec.low is None:
        return spec.base + IO_APIC
    return spec.low + spec.low_size - PAGE


def _has_acpi(spec: Spec) -> bool:
    """A flat payload above 4 GiB without a low chunk gets no tables: they would have no page to point at."""
    return _io_apic(spec) < FOUR_GIB


def _check_segments(spec: Spec, segments: Sequence[Segment]) -> None:
    if len(segments) > 16:
        raise AssemblyError("instance %s: it would need %d segments, kexec_load takes 16" % (spec.name, len(segments)))
    for segment in segments:
        if segment.address % PAGE or segment.memsz % PAGE or len(segment.data) > segment.memsz:
            raise AssemblyError(
                "instance %s: %s at 0x%x (%d bytes in 0x%x) is not made of whole pages"
                % (spec.name, segment.what, segment.address, len(segment.data), segment.memsz)
            )
    ordered = sorted(segments, key=lambda segment: segment.address)
    for left, right in zip(ordered, ordered[1:]):
        if left.address + left.memsz > right.address:
            raise AssemblyError(
                "instance %s: %s (0x%x+0x%x) overlaps %s (0x%x+0x%x)"
                % (spec.name, left.what, left.address, left.memsz, right.what, right.address, right.memsz)
            )


def _up(value: int, alignment: int) -> int:
    return (value + alignment - 1) // alignment * alignment
