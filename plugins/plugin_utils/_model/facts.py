# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a facts bundle: what `mkl facts` and layout_info write, and what everything that judges offline relies on.

A bundle comes from another machine and perhaps from another release, so that two things hold at once: what is known here must
have its type and lie in its bounds, and keys that are not known here are kept and ignored. null means "not known", never "no".
"""

from __future__ import annotations

import typing as t

from ...module_utils._host.bundle import VERSION
from .._pydantic import BaseModel, ConfigDict, Field, ValidationError, require

#: A bundle names the version it was written in; this release reads one.
ID = f"urn:multikernel-core:schema:facts:{VERSION}"

MAX_CPU = (1 << 16) - 1  # the kernel's own limit is 8192
MAX_ADDRESS = (1 << 64) - 1
MAX_ITEMS = 1 << 20
#: Lists fail at their first wrong item: of a million wrong ones nobody reads more, and each error takes a KiB of memory.

Cpu = t.Annotated[int, Field(ge=0, le=MAX_CPU)]
Cpus = t.Annotated[list[Cpu], Field(fail_fast=True, max_length=MAX_CPU + 1)]
Small = t.Annotated[int, Field(ge=0, lt=1 << 32)]
Bytes = t.Annotated[int, Field(ge=0, le=MAX_ADDRESS)]
Word = t.Annotated[str, Field(max_length=4096)]
# pydantic's tuple accepts a list in lax mode only; a pair is a list of two.
Pair = t.Annotated[list[Bytes], Field(fail_fast=True, min_length=2, max_length=2)]
Pairs = t.Annotated[list[Pair], Field(fail_fast=True, max_length=MAX_ITEMS)]


class Known(BaseModel):
    """Base of the parts: types are not converted, unknown keys stay."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class Kernel(Known):
    """The host's kernel."""

    release: Word | None = Field(default=None, description="`uname -r`.")
    version: Word | None = Field(default=None, description="`uname -v`.")
    cmdline: Word | None = Field(default=None, description="Its command line.")
    panic: int | None = Field(default=None, description="Seconds from a panic to a reboot; 0: it stays.")
    config: dict[str, Word | None] | None = Field(default=None, description="Options that it was built with; null for no.")


class OneCpu(Known):
    """One logical CPU. The kernel forgets most of this while a CPU is offline."""

    apic_id: Small | None = Field(default=None, description="APIC id: neither the logical number nor a count.")
    package: t.Annotated[int, Field(ge=-1, lt=1 << 32)] | None = Field(default=None, description="Socket.")
    core: t.Annotated[int, Field(ge=-1, lt=1 << 32)] | None = Field(default=None, description="Core within the socket.")
    siblings: Cpus | None = Field(default=None, description="Logical CPUs that are threads of the same core, itself included.")
    llc: Cpus | None = Field(default=None, description="Logical CPUs that share its last-level cache, itself included.")
    node: Small | None = Field(default=None, description="NUMA node.")
    offlinable: bool | None = Field(default=None, description="Whether it can be taken offline; the boot CPU cannot.")
    flags: Word | None = Field(default=None, description="Digest of model and feature flags.")
    microcode: Word | None = Field(default=None, description="Microcode revision.")


class CpuPart(Known):
    """The CPUs of the machine."""

    present: Cpus | None = Field(description="Logical numbers of the CPUs that are there.")
    online: Cpus | None = Field(description="Those that the host runs on.")
    possible: Cpus | None = Field(default=None, description="Those that could ever be there.")
    boot: Cpu | None = Field(description="The one that booted the host.")
    each: dict[t.Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,4})$")], OneCpu] = Field(
        description="Each CPU by its logical number.", max_length=MAX_CPU + 1
    )
    kinds: dict[str, Cpus] | None = Field(
        default=None, description="The CPUs of each kind of a hybrid processor; empty where all are alike."
    )
    vulnerabilities: dict[str, Word] | None = Field(default=None, description="What the kernel says of each known weakness.")


class Block(Known):
    """One memory block: the unit in which Linux takes memory offline."""

    number: t.Annotated[int, Field(ge=0, lt=1 << 40)] = Field(description="Its number: address / block size.")
    state: Word = Field(description="online, offline, or a state between.")
    node: Small | None = Field(default=None, description="NUMA node.")
    zone: Word | None = Field(default=None, description="Zone of the kernel that it belongs to.")


class Region(Known):
    """One line of /proc/iomem."""

    start: Bytes = Field(description="First byte.")
    end: Bytes = Field(description="Last byte.")
    name: Word = Field(description="What is there.")
    depth: t.Annotated[int, Field(ge=0, le=64)] = Field(description="How many lines it is nested in.")


class Firmware(Known):
    """One range of the firmware's own memory map."""

    start: Bytes = Field(description="First byte.")
    end: Bytes = Field(description="Last byte.")
    type: Word = Field(description="What the firmware calls it.")


class Memory(Known):
    """The memory of the machine, in bytes."""

    total: Bytes | None = Field(description="What the host's kernel manages.")
    block_size: t.Annotated[int, Field(ge=1 << 21, le=1 << 40)] | None = Field(description="Size of a memory block.")
    blocks: t.Annotated[list[Block], Field(fail_fast=True, max_length=MAX_ITEMS)] | None = Field(description="The memory blocks.")
    iomem: t.Annotated[list[Region], Field(fail_fast=True, max_length=MAX_ITEMS)] | None = Field(
        description="The memory map; null without privilege, because the kernel then shows zeros."
    )
    low: Pairs | None = Field(description="Free chunks below 1 MiB, each [base, size].")
    hugetlb: Bytes | None = Field(default=None, description="What huge pages take.")
    corrupted: Bytes | None = Field(default=None, description="What was set aside because of hardware errors.")
    firmware: t.Annotated[list[Firmware], Field(fail_fast=True, max_length=65536)] | None = Field(
        default=None, description="The firmware's memory map."
    )
    encrypted: bool | None = Field(default=None, description="Whether it is encrypted.")


class Kexec(Known):
    """What the host's kernel says about kexec."""

    load_disabled: bool | None = Field(default=None, description="kernel.kexec_load_disabled.")
    limit_reboot: t.Annotated[int, Field(ge=-1, lt=1 << 32)] | None = Field(default=None, description="Loads that are left; -1: no limit.")
    crash_loaded: bool | None = Field(default=None, description="Whether a crash kernel is loaded.")


class Dialect(Known):
    """The multikernel interface of the host's kernel."""

    name: t.Literal["rfc", "kernfs", "none"] = Field(description="Which one.")
    provider: t.Literal["mkstock", "kernel"] | None = Field(description="Who offers it.")
    strict: bool | None = Field(description="Whether it has nothing beyond the RFC.")
    pool: Pairs | None = Field(description="Memory that it offers to instances, each [base, size].")
    channels: bool = Field(description="Whether it has channels.")
    offers: t.Annotated[list[t.Literal["rfc", "kernfs"]], Field(max_length=8)] | None = Field(
        default=None, description="All that the host offers; the one that is spoken by default comes first."
    )
    mounted: bool | None = Field(default=None, description="Whether its file system is mounted (kernfs).")
    generation: t.Literal["G0", "G1", "G2"] | None = Field(default=None, description="Generation of its trees (kernfs), once mounted.")


class Tsc(Known):
    """The time stamp counter: the only clock of an instance."""

    khz: Small | None = Field(default=None, description="Frequency in kHz.")
    constant: bool | None = Field(default=None, description="It does not change with the CPU's frequency.")
    nonstop: bool | None = Field(default=None, description="It does not stop in deep sleep states.")
    clocksource: Word | None = Field(default=None, description="The host's own clock source.")


class Uart(Known):
    """One serial port."""

    device: Word = Field(description="Its name, such as ttyS1.")
    port: Small | None = Field(default=None, description="I/O port; null for a memory-mapped one.")
    irq: Small | None = Field(default=None, description="Interrupt.")


class Header(Known):
    """The setup header of a bzImage: fields by the names and with the raw values of the boot protocol."""

    setup_sects: Small
    setup_size: Small
    syssize: Small
    boot_flag: Small
    header: Small
    version: Small
    loadflags: Small
    initrd_addr_max: Small
    kernel_alignment: Small
    relocatable_kernel: Small
    min_alignment: t.Annotated[int, Field(ge=0, le=255)]
    xloadflags: Small
    cmdline_size: Small
    payload_offset: Small
    payload_length: Small
    payload: Word | None = Field(default=None, description="How the kernel is compressed.")
    pref_address: Bytes
    init_size: Small
    kernel_info_offset: Small = 0
    kernel_version: Word | None = None


class Iommu(Known):
    """What confines the devices."""

    present: bool | None = Field(default=None, description="Whether there is one.")
    translating: bool | None = Field(default=None, description="Whether every device is confined to addresses of its own.")
    interrupt_remapping: bool | None = Field(default=None, description="Whether interrupts of devices are checked.")
    groups: Small | None = Field(default=None, description="How many groups of devices it tells apart.")


class CacheAllocation(Known):
    """Whether parts of the last-level caches can be given to some CPUs only (resctrl)."""

    supported: bool | None = Field(default=None, description="Whether the CPUs can.")
    mounted: bool | None = Field(default=None, description="Whether resctrl is mounted; else the numbers are null.")
    classes: Small | None = Field(default=None, description="How many classes of CPUs can be told apart.")
    ways: Small | None = Field(default=None, description="How many parts a cache has.")
    least_ways: Small | None = Field(default=None, description="The fewest parts that a class must have.")


class Resource(Known):
    """One range of addresses that a PCI function answers to, or that a bridge passes on."""

    kind: t.Literal["io", "memory"] = Field(description="I/O ports or memory.")
    start: Bytes = Field(description="First address.")
    end: Bytes = Field(description="Last address.")
    prefetch: bool = Field(default=False, description="Whether it may be read ahead.")
    wide: bool = Field(default=False, description="Whether it may lie above 4 GiB.")
    assigned: bool = Field(default=True, description="Whether the firmware or the kernel gave it a place.")


Resources = t.Annotated[list[Resource], Field(fail_fast=True, max_length=64)]
Bus = t.Annotated[int, Field(ge=0, le=255)]
PciAddress = t.Annotated[str, Field(pattern=r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$")]


class PciBridge(Known):
    """What a PCI bridge leads to."""

    secondary: Bus | None = Field(default=None, description="The bus behind it.")
    subordinate: Bus | None = Field(default=None, description="The last bus behind it.")
    conventional: bool | None = Field(default=None, description="Whether it leads to conventional PCI, which tells no senders apart.")
    windows: Resources | None = Field(default=None, description="The addresses that it passes on.")


class PciUse(Known):
    """What the host does with a PCI function."""

    kind: t.Literal["root", "mount", "swap", "route", "address", "upper"] = Field(
        description="Root file system, another mounted one, swap, default route, another address or route, part of a bridge or bond."
    )
    name: Word = Field(description="The block device or network interface.")


class PciFunction(Known):
    """One PCI function."""

    vendor: t.Annotated[int, Field(ge=0, le=0xFFFF)] | None = Field(default=None, description="Vendor id.")
    device: t.Annotated[int, Field(ge=0, le=0xFFFF)] | None = Field(default=None, description="Device id.")
    class_: t.Annotated[int, Field(ge=0, le=0xFFFFFF)] | None = Field(default=None, alias="class", description="Class code.")
    driver: Word | None = Field(default=None, description="The host's driver; null: none.")
    driver_override: Word | None = Field(default=None, description="The only driver that may take it.")
    power: Word | None = Field(default=None, description="on: the host never lets it sleep.")
    numa_node: Small | None = Field(default=None, description="NUMA node.")
    iommu_group: Small | None = Field(default=None, description="IOMMU group; null: none.")
    iommu_type: Word | None = Field(default=None, description="Kind of its group's default domain: DMA, DMA-FQ, identity, blocked.")
    msi: Small | None = Field(default=None, description="Most MSI vectors, 0 for none.")
    msix: Small | None = Field(default=None, description="Most MSI-X vectors, 0 for none.")
    bars: Resources | None = Field(default=None, description="What it answers to.")
    path: t.Annotated[list[PciAddress], Field(fail_fast=True, max_length=256)] | None = Field(
        default=None, description="The bridges on the way to it, the one at the root first."
    )
    reset: t.Annotated[list[Word], Field(fail_fast=True, max_length=16)] | None = Field(default=None, description="How it can be reset.")
    physical_function: PciAddress | None = Field(default=None, description="The function that it is a virtual one of.")
    virtual_functions: Small | None = Field(default=None, description="How many virtual functions of it are in use.")
    bridge: PciBridge | None = Field(default=None, description="What it leads to, for a bridge.")
    uses: t.Annotated[list[PciUse], Field(fail_fast=True, max_length=4096)] | None = Field(
        default=None, description="What the host does with it."
    )


class Ecam(Known):
    """One window through which configuration space is reached by memory."""

    base: Bytes = Field(description="Where its first bus begins.")
    segment: Small = Field(description="PCI segment (domain).")
    first_bus: Bus = Field(description="First bus.")
    last_bus: Bus = Field(description="Last bus.")


class Pci(Known):
    """What is on the PCI buses."""

    ecam: t.Annotated[list[Ecam], Field(fail_fast=True, max_length=4096)] | None = Field(
        default=None, description="Windows of configuration space; null without privilege."
    )
    functions: dict[PciAddress, PciFunction] = Field(description="Each function by its address.", max_length=65536)


class Load(Known):
    """One loadable segment of an ELF kernel, in bytes."""

    paddr: Bytes
    memsz: Bytes


class Elf(Known):
    """The program headers of an ELF kernel."""

    entry: Bytes | None = None
    loads: t.Annotated[list[Load], Field(fail_fast=True, max_length=65536)] = Field(default_factory=list)
    start: Bytes | None = None
    end: Bytes | None = None
    multikernel_entry: Bytes | None = Field(default=None, description="Where an instance enters it, by its multikernel note; null without.")


class Signature(Known):
    """Whether a file is signed by one of a list of signers."""

    by: Word | None = Field(default=None, description="Who signed it, as the list calls them.")
    error: Word | None = Field(default=None, description="Why it counts as signed by nobody, as a sentence.")


class Image(Known):
    """What an image file is."""

    exists: bool = Field(description="Whether there is such a file.")
    regular: bool = Field(default=False, description="Whether it is a regular file.")
    size: Bytes | None = Field(default=None, description="Its bytes.")
    sha256: Word | None = Field(default=None, description="Its SHA-256.")
    kind: Word = Field(default="unknown", description="bzimage, vmlinux, flat, initrd or unknown.")
    error: Word | None = Field(default=None, description="Why it cannot be used, as a sentence.")
    header: Header | None = Field(default=None, description="The setup header of a bzImage.")
    elf: Elf | None = Field(default=None, description="The program headers of an ELF kernel.")
    signed: bool | None = Field(default=None, description="Whether a kernel carries a signature, good or not.")
    signatures: dict[Word, Signature] = Field(
        default_factory=dict, max_length=4096, description="By the list of allowed signers: whether it is signed by one of them."
    )


class Facts(Known):
    """All that is known of one machine."""

    version: t.Literal[VERSION] = Field(description="Version of this form.")  # type: ignore[valid-type]
    hostname: Word | None = Field(default=None, description="Its name; null when redacted.")
    boot_id: Word | None = Field(default=None, description="Which boot of it; null when redacted.")
    kernel: Kernel = Field(default_factory=Kernel, description="The host's kernel.")
    cpus: CpuPart = Field(description="Its CPUs.")
    memory: Memory = Field(description="Its memory.")
    kexec: Kexec = Field(default_factory=Kexec, description="What its kernel says about kexec.")
    lockdown: t.Literal["none", "integrity", "confidentiality"] | None = Field(default=None, description="Lockdown of its kernel.")
    privileged: bool | None = Field(default=None, description="Whether root looked.")
    dialect: Dialect = Field(description="Its multikernel interface.")
    tsc: Tsc = Field(default_factory=Tsc, description="Its time stamp counter.")
    uarts: t.Annotated[list[Uart], Field(fail_fast=True, max_length=4096)] | None = Field(
        default=None, description="Its serial ports; null without privilege."
    )
    la57: bool | None = Field(default=None, description="Whether it runs with five-level paging.")
    virtualization: Word | None = Field(default=None, description="Who makes the machine; none on bare metal.")
    iommu: Iommu = Field(default_factory=Iommu, description="What confines its devices.")
    pci: Pci | None = Field(default=None, description="What is on its PCI buses; null: not known, as in bundles of older releases.")
    cache_allocation: CacheAllocation = Field(default_factory=CacheAllocation, description="How its last-level caches can be divided.")
    images: dict[str, Image] = Field(default_factory=dict, description="What was looked into, by path.")
    origin: Word | None = Field(default=None, description="Where an example comes from: constructed, or a boot of the lab.")
    redacted: list[Word] | None = Field(default=None, description="What was taken out before it was written.")


def facts_schema() -> dict[str, t.Any]:
    """The JSON Schema (2020-12) of a facts bundle. Raises MissingLibraryError without pydantic."""
    from .schema import DIALECT, tidy

    require()
    schema = Facts.model_json_schema()
    tidy(schema)
    return {"$schema": DIALECT, "$id": ID, **schema, "title": "multikernel facts"}


def complete(raw: dict[str, t.Any]) -> dict[str, t.Any]:
    """The bundle with null for what it leaves out. Raises pydantic's ValidationError; see faults()."""
    require()
    checked: dict[str, t.Any] = Facts.model_validate(raw).model_dump(exclude_unset=False, by_alias=True)
    for written_later in ("origin", "redacted"):
        if checked[written_later] is None:
            del checked[written_later]
    return checked


def faults(error: ValidationError) -> list[tuple[tuple[t.Any, ...], str, t.Any, str]]:
    """What is wrong with a bundle: path, kind ("missing" or other), the value that was found, and what was expected."""
    return [(one["loc"], one["type"], one["input"], one["msg"]) for one in error.errors(include_url=False)]
