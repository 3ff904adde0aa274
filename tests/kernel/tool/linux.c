/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#include "mkt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* boot_params, by the x86 boot protocol */
enum {
	ACPI_RSDP = 0x70, EXT_RAMDISK_IMAGE = 0xc0, EXT_RAMDISK_SIZE = 0xc4, EXT_CMDLINE = 0xc8, E820_ENTRIES = 0x1e8,
	SETUP_SECTS = 0x1f1, BOOT_FLAG = 0x1fe, HEADER = 0x202, VERSION = 0x206, LOADER = 0x210, LOADFLAGS = 0x211,
	CODE32_START = 0x214, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, CMDLINE = 0x228, ALIGNMENT = 0x230, E820 = 0x2d0
};

static uint8_t boot_params[0x2000], head[HEAD_SIZE];

static void put(unsigned int offset, uint64_t value, int bytes)
{
	memcpy(boot_params + offset, &value, bytes);
}

static void memory(uint64_t start, uint64_t size, uint32_t type)
{
	uint8_t *entry = boot_params + E820 + 20 * boot_params[E820_ENTRIES]++;

	memcpy(entry, &start, 8);
	memcpy(entry + 8, &size, 8);
	memcpy(entry + 16, &type, 4);
}

struct program_header {
	uint32_t type, flags;
	uint64_t offset, virtual, physical, filesz, memsz, align;
};

/* A vmlinux: its PT_LOADs at their physical addresses plus the base. Returns how many segments. */
static int elf_segments(const uint8_t *file, uint64_t base, struct segment *segments, uint64_t *entry)
{
	uint64_t table;
	uint16_t i, nr;
	int n = 0;

	memcpy(entry, file + 24, 8);
	memcpy(&table, file + 32, 8);
	memcpy(&nr, file + 56, 2);
	*entry += base;
	for (i = 0; i < nr; i++) {
		struct program_header h;

		memcpy(&h, file + table + i * sizeof(h), sizeof(h));
		if (h.type == 1)
			segments[n++] = (struct segment){ file + h.offset, h.filesz, base + h.physical, PAGES(h.memsz) };
	}
	put(BOOT_FLAG, 0xaa55, 2);
	put(HEADER, 0x53726448, 4);
	put(VERSION, 0x20f, 2);
	put(ALIGNMENT, 0x200000, 4);
	return n;
}

static int bzimage_segment(const uint8_t *file, size_t size, uint64_t base, struct segment *segment, uint64_t *entry)
{
	unsigned int setup = ((file[SETUP_SECTS] ? file[SETUP_SECTS] : 4) + 1) * 512;

	if (memcmp(file + HEADER, "HdrS", 4))
		return 0;
	memcpy(boot_params + SETUP_SECTS, file + SETUP_SECTS, HEADER + file[HEADER - 1] - SETUP_SECTS);
	put(CODE32_START, base + AT_KERNEL, 4);
	*entry = base + AT_KERNEL + 0x200;
	*segment = (struct segment){ file + setup, size - setup, base + AT_KERNEL, PAGES(size - setup) };
	return 1;
}

/* mov $boot_params,%rsi; mov $mailbox,%rdi; mov $entry,%rax; jmp *%rax */
static void stub(uint8_t *at, uint64_t params, uint64_t mailbox, uint64_t entry)
{
	memcpy(at, "\x48\xbe", 2);
	memcpy(at + 2, &params, 8);
	memcpy(at + 10, "\x48\xbf", 2);
	memcpy(at + 12, &mailbox, 8);
	memcpy(at + 20, "\x48\xb8", 2);
	memcpy(at + 22, &entry, 8);
	memcpy(at + 30, "\xff\xe0", 2);
}

/* linux BASE SIZE LOW KERNEL INITRD APICID[,APICID..] BSP CMDLINE [CHANNEL] */
int load_linux(int argc, char **argv)
{
	uint64_t base, size, low, low_size = 0x10000, initrd, entry = 0;
	unsigned int ids[8], nr_ids = 0, bsp;
	size_t kernel_size, initrd_size;
	uint8_t *kernel, *ramdisk;
	struct segment segments[16], *channel;
	int n = 0;
	char *p;

	if (argc < 8)
		return 2;
	base = strtoull(argv[0], NULL, 0);
	size = strtoull(argv[1], NULL, 0);
	low = strtoull(argv[2], NULL, 0);
	kernel = slurp(argv[3], &kernel_size);
	ramdisk = slurp(argv[4], &initrd_size);
	for (p = strtok(argv[5], ","); p && nr_ids < 8; p = strtok(NULL, ","))
		ids[nr_ids++] = atoi(p);
	bsp = atoi(argv[6]);

	initrd = (base + size - initrd_size) & ~0xffffful;
	if (!memcmp(kernel, "\177ELF", 4))
		n = elf_segments(kernel, base, segments, &entry);
	else
		n = bzimage_segment(kernel, kernel_size, base, segments, &entry);
	if (!n) {
		printf("%s is neither vmlinux nor bzImage\n", argv[3]);
		return 1;
	}
	boot_params[LOADER] = 0xff;
	boot_params[LOADFLAGS] |= 1;
	put(RAMDISK_IMAGE, initrd, 4);
	put(EXT_RAMDISK_IMAGE, initrd >> 32, 4);
	put(RAMDISK_SIZE, initrd_size, 4);
	put(EXT_RAMDISK_SIZE, 0, 4);
	put(CMDLINE, base + AT_CMDLINE, 4);
	put(EXT_CMDLINE, (base + AT_CMDLINE) >> 32, 4);
	put(ACPI_RSDP, base + AT_ACPI, 8);
	strncpy((char *)boot_params + AT_CMDLINE - AT_BOOT_PARAMS, argv[7], 2047);
	if (base >> 32) {	/* an I/O APIC has 32 bits of address, so its page moves below */
		low_size -= 0x1000;
		segments[n++] = (struct segment){ NULL, 0, low + low_size, 0x1000 };
	}
	memory(low, low_size, 1);
	memory(base, AT_RAM, 2);
	memory(base + AT_RAM, size - AT_RAM, 1);

	new_mailbox((struct mailbox *)head);
	acpi_build(head + AT_ACPI, base + AT_ACPI, base >> 32 ? low + low_size : base + AT_IOAPIC, ids, nr_ids, bsp);
	stub(head + AT_ENTRY, base + AT_BOOT_PARAMS, base, entry);
	segments[n++] = (struct segment){ head, sizeof(head), base, sizeof(head) };
	segments[n++] = (struct segment){ boot_params, sizeof(boot_params), base + AT_BOOT_PARAMS, sizeof(boot_params) };
	segments[n++] = (struct segment){ ramdisk, initrd_size, initrd, PAGES(initrd_size) };
	channel = argc > 8 ? channel_segment(argv[8]) : NULL;
	if (channel)
		segments[n++] = *channel;
	return load(base + AT_ENTRY, segments, n, KEXEC_MULTIKERNEL);
}
