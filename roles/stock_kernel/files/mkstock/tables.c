// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The identity map on which an instance is entered: the first 4 GiB, the entry, and all of the instance's memory. Each
 * instance has its own; it may stay on it as long as it lives, so the map goes only when its CPUs have been stopped.
 */
#include "mkstock.h"

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/sizes.h>

#define TABLE	0x003	/* present, writable */
#define LEAF	0x083	/* present, writable, 2 MiB */
#define ENTRIES	512

/* CR3 is loaded in 32-bit mode, so the root must lie below 4 GiB; the rest may as well. */
static u64 *new_table(void)
{
	return (u64 *)get_zeroed_page(GFP_KERNEL | GFP_DMA32);
}

static u64 *below(u64 entry)
{
	return __va(entry & PAGE_MASK);
}

static u64 *descend(u64 *table, unsigned int index)
{
	u64 *next;

	if (table[index])
		return below(table[index]);
	next = new_table();
	if (next)
		table[index] = __pa(next) | TABLE;
	return next;
}

static int map_gib(struct mk_tables *tables, u64 gib)
{
	u64 *pointers = descend(tables->root, gib / ENTRIES);
	u64 *directory = pointers ? descend(pointers, gib % ENTRIES) : NULL;
	unsigned int i;

	if (!directory)
		return -ENOMEM;
	for (i = 0; i < ENTRIES; i++)
		directory[i] = gib * SZ_1G + i * (u64)SZ_2M + LEAF;
	return 0;
}

static int map(struct mk_tables *tables, u64 start, u64 size)
{
	u64 gib;
	int ret = 0;

	for (gib = start / SZ_1G; gib <= (start + size - 1) / SZ_1G && !ret; gib++)
		ret = map_gib(tables, gib);
	return ret;
}

int mk_tables_build(struct mk_tables *tables, unsigned long entry,
		    const struct mk_range *memory, unsigned int nr_memory)
{
	unsigned int i;
	int ret;

	tables->root = new_table();
	if (!tables->root)
		return -ENOMEM;
	ret = map(tables, 0, SZ_4G);
	if (!ret)
		ret = map(tables, entry, 1);
	for (i = 0; i < nr_memory && !ret; i++)
		ret = map(tables, memory[i].start, memory[i].size);
	if (ret)
		mk_tables_free(tables);
	return ret;
}

void mk_tables_free(struct mk_tables *tables)
{
	unsigned int i, j;

	if (!tables->root)
		return;
	for (i = 0; i < ENTRIES; i++) {
		u64 *pointers = tables->root[i] ? below(tables->root[i]) : NULL;

		for (j = 0; pointers && j < ENTRIES; j++)
			if (pointers[j])
				free_page((unsigned long)below(pointers[j]));
		free_page((unsigned long)pointers);
	}
	free_page((unsigned long)tables->root);
	tables->root = NULL;
}
