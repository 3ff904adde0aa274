// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * An image's bytes in the memory of its instance, by the map of docs/mkstock.md. From +0x100000 to +0x200000 nothing is written:
 * channels may lie there, and outlive a restart.
 */
#include "kernfs.h"
#include "mailbox.h"

#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <asm/cpufeature.h>

#define AT_ACPI		0x1000
#define AT_IO_APIC	0x2000
#define AT_STUB		0x3000
#define AT_TABLES	0x4000
#define AT_CONSOLE	0x8000
#define AT_PARAMS	0x10000
#define AT_WORDS	0x11000
#define AT_IMAGE	0x200000
#define INITRD_ALIGN	SZ_1M

#define TABLE		0x003	/* present, writable */
#define LEAF		0x083	/* and large */

struct place {
	u64 base, end;		/* of the first region */
	u64 io_apic, initrd;
	struct mk_plan plan;
};

/* The module's own memory, so it is mapped as all memory is. */
static void *at(u64 address)
{
	return __va(address);
}

static int find_place(const struct mk_spawn *spawn, const struct mk_file_image *image, struct place *place)
{
	const struct mk_region *first = mk_spawn_base(spawn);
	int ret;

	if (!first)
		return -ENOMEM;
	place->base = first->range.start;
	place->end = place->base + first->range.size;
	if (!IS_ALIGNED(place->base, SZ_2M) || first->range.size < AT_IMAGE)
		return -ENOMEM;
	ret = mk_plan_kernel(&place->plan, image->kernel, image->kernel_size, place->base);
	if (ret)
		return ret;
	if (place->plan.end > place->end)
		return -ENOMEM;
	place->initrd = 0;
	if (image->initrd_size) {
		if (image->initrd_size > place->end - place->plan.end)
			return -ENOMEM;
		place->initrd = ALIGN_DOWN(place->end - image->initrd_size, INITRD_ALIGN);
		if (place->initrd < place->plan.end)
			return -ENOMEM;
	}
	place->io_apic = place->base + AT_IO_APIC;
	/* a MADT names it by 32 bits */
	if (place->io_apic >> 32)
		place->io_apic = image->low.size ? image->low.start + image->low.size - PAGE_SIZE : 0;
	return 0;
}

int mk_layout_check(const struct mk_spawn *spawn, const struct mk_file_image *image, struct mk_layout *layout)
{
	struct place place;
	int ret = find_place(spawn, image, &place);

	if (ret)
		return ret;
	layout->entry = place.base + AT_STUB;
	layout->needs_low = place.plan.is_linux;
	return 0;
}

/* --- the stub: own page tables, own stack, RSI = boot_params, RDI = mailbox, and on into the kernel */

static u8 *put_load(u8 *code, const char *opcode, u64 value)
{
	memcpy(code, opcode, 2);
	memcpy(code + 2, &value, 8);
	return code + 10;
}

static void put_stub(const struct place *place)
{
	u8 *code = at(place->base + AT_STUB);

	*code++ = 0xfa;					/* cli */
	*code++ = 0xfc;					/* cld */
	code = put_load(code, "\x48\xb8", place->base + AT_TABLES);
	memcpy(code, "\x0f\x22\xd8", 3);		/* mov %rax,%cr3 */
	code += 3;
	code = put_load(code, "\x48\xbc", place->base + AT_TABLES);	/* the stack ends where the tables begin */
	code = put_load(code, "\x48\xbe", place->base + AT_PARAMS);
	code = put_load(code, "\x48\xbf", place->base);
	code = put_load(code, "\x48\xb8", place->plan.target);
	memcpy(code, "\xff\xe0", 2);			/* jmp *%rax */
}

struct tables {
	u64 address;
	unsigned int used;	/* pages */
};

static u64 *descend(struct tables *tables, u64 *table, unsigned int index)
{
	if (!table[index]) {
		if (tables->used == (AT_CONSOLE - AT_TABLES) / PAGE_SIZE)
			return NULL;
		table[index] = (tables->address + tables->used++ * PAGE_SIZE) | TABLE;
	}
	return at(table[index] & PAGE_MASK);
}

static int map_gib(struct tables *tables, u64 gib)
{
	u64 *pointers = descend(tables, at(tables->address), gib / 512), *directory;
	unsigned int i;

	if (!pointers)
		return -ENOMEM;
	if (boot_cpu_has(X86_FEATURE_GBPAGES)) {
		pointers[gib % 512] = gib * SZ_1G | LEAF;
		return 0;
	}
	directory = descend(tables, pointers, gib % 512);
	for (i = 0; directory && i < 512; i++)
		directory[i] = (gib * SZ_1G + i * (u64)SZ_2M) | LEAF;
	return directory ? 0 : -ENOMEM;
}

/*
 * The kernel's own range, and the first 4 GiB where pages of 1 GiB make that cheap. There is room for four pages of tables.
 */
static int put_tables(const struct place *place)
{
	struct tables tables = { place->base + AT_TABLES, 1 };
	u64 gib;
	int ret = 0;

	for (gib = place->base / SZ_1G; gib <= (place->plan.end - 1) / SZ_1G && !ret; gib++)
		ret = map_gib(&tables, gib);
	if (boot_cpu_has(X86_FEATURE_GBPAGES))
		for (gib = 0; gib < 4 && !ret; gib++)
			ret = map_gib(&tables, gib);
	return ret;
}

/* --- everything else */

static void put_mailbox(const struct place *place)
{
	struct mk_mailbox *mailbox = at(place->base);

	mailbox->nonce = get_random_u64();
	smp_store_release(&mailbox->magic, MK_MAILBOX_MAGIC);
}

static void copy_piece(const struct mk_piece *piece)
{
	u64 done, step;

	for (done = 0; done < piece->room; done += step) {
		u64 left = done < piece->size ? piece->size - done : 0;

		step = min_t(u64, piece->room - done, MK_PIECE);
		memcpy(at(piece->address + done), piece->data + done, min(step, left));
		if (left < step)
			memset(at(piece->address + done + left), 0, step - left);
		cond_resched();
	}
}

static int clear_io_apic(const struct place *place)
{
	void *page;

	if (!place->io_apic || place->io_apic >= place->base)
		return 0;
	page = memremap(place->io_apic, PAGE_SIZE, MEMREMAP_WB);
	if (!page)
		return -ENOMEM;
	memset(page, 0, PAGE_SIZE);
	memunmap(page);
	return 0;
}

/* Mailbox and console are blank afterwards. */
int mk_layout_write(const struct mk_spawn *spawn, const struct mk_file_image *image, u64 *entry)
{
	struct place place;
	unsigned int i;
	u64 rsdp = 0;
	int ret = find_place(spawn, image, &place);

	if (ret)
		return ret;
	memset(at(place.base), 0, AT_WORDS + PAGE_SIZE);
	for (i = 0; i < place.plan.nr_pieces; i++)
		copy_piece(&place.plan.pieces[i]);
	if (image->initrd_size)
		copy_piece(&(struct mk_piece){ image->initrd, place.initrd, image->initrd_size,
					       PAGE_ALIGN(image->initrd_size) });
	/* a payload above 4 GiB gets no tables: there is no page for them to point at */
	if (place.io_apic) {
		rsdp = place.base + AT_ACPI;
		ret = clear_io_apic(&place);
		if (!ret)
			ret = mk_acpi_build(at(rsdp), rsdp, place.io_apic, spawn);
	}
	if (!ret)
		ret = mk_words(at(place.base + AT_WORDS), PAGE_SIZE, spawn, image, &place.plan);
	if (!ret)
		ret = mk_params_build(at(place.base + AT_PARAMS), &place.plan, spawn, image, rsdp, place.base + AT_WORDS,
				      place.initrd);
	if (!ret)
		ret = put_tables(&place);
	if (ret)
		return ret;
	put_stub(&place);
	put_mailbox(&place);
	*entry = place.base + AT_STUB;
	return 0;
}
