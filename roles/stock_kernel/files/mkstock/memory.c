// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Memory that the host does not use. The proof goes page by page, and what cannot be proven is the host's.
 */
#include "mkstock.h"

#include <linux/bitmap.h>
#include <linux/ioport.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>
#include <asm/e820/api.h>
#include <asm/e820/types.h>

#define LOW_CHUNK SZ_64K

/* Devices and firmware tables are not, whatever the kernel calls them. */
static bool firmware_calls_it_ram(u64 page)
{
	const struct e820_table *map = mk_firmware_map();
	u32 i;

	for (i = 0; i < map->nr_entries; i++) {
		const struct e820_entry *entry = &map->entries[i];

		if (page >= entry->addr && page + PAGE_SIZE <= entry->addr + entry->size)
			return entry->type == E820_TYPE_RAM;
	}
	return false;
}

/*
 * Real memory that the host was told to leave alone (memmap=nn$ss): the firmware calls it RAM, so it is no device, and the
 * kernel calls it reserved, so neither the page allocator nor a driver has it.
 */
static bool reserved_at_boot(u64 page)
{
	return firmware_calls_it_ram(page) &&
	       !e820__mapped_any(page, page + PAGE_SIZE, E820_TYPE_RAM) &&
	       region_intersects(page, PAGE_SIZE, IORESOURCE_MEM, IORES_DESC_RESERVED) == REGION_INTERSECTS;
}

/* A page of a memory block that was taken offline: RAM, but the kernel has no live page structure for it. */
static bool offline(u64 page)
{
	return page_is_ram(PHYS_PFN(page)) && !pfn_to_online_page(PHYS_PFN(page));
}

/* Since 5.13 the kernel reserves the first MiB as a whole and uses of it only what lies above its own real-mode code. */
static bool spare_low(u64 page)
{
	struct page *p = pfn_to_online_page(PHYS_PFN(page));

	return page + PAGE_SIZE <= mk_real_mode() && page < SZ_1M && p && PageReserved(p) &&
	       firmware_calls_it_ram(page);
}

bool mk_memory_unused(const struct mk_range *range)
{
	u64 page;

	/* page 0 belongs to the firmware */
	if (!mk_range_sane(range) || !range->start)
		return false;
	for (page = range->start; page < range->start + range->size; page += PAGE_SIZE) {
		if (!offline(page) && !reserved_at_boot(page) && !spare_low(page))
			return false;
		cond_resched();
	}
	return true;
}

/*
 * Whether the next kernel, with the same reservations on its command line, leaves it alone too. An offline memory block it would
 * find in the firmware's map as any other memory; and kexec itself may put the next kernel there.
 */
bool mk_memory_survives(const struct mk_range *range)
{
	u64 page;

	if (!mk_range_sane(range))
		return false;
	for (page = range->start; page < range->start + range->size; page += PAGE_SIZE) {
		if (!reserved_at_boot(page) && !spare_low(page))
			return false;
		cond_resched();
	}
	return true;
}

/* Chunks below 1 MiB that instances of the kernfs ABI have. Under mk_lock. */
static DECLARE_BITMAP(low_taken, SZ_1M / LOW_CHUNK);

static bool low_is_taken(const struct mk_range *range)
{
	unsigned int chunk = range->start / LOW_CHUNK, last = (range->start + range->size - 1) / LOW_CHUNK;

	for (; chunk <= last; chunk++)
		if (test_bit(chunk, low_taken))
			return true;
	return false;
}

/* Unused memory below 1 MiB that is not ours: an instance's real-mode code needs some. */
bool mk_memory_is_low(const struct mk_range *range)
{
	struct mk_range trampoline = { mk_trampoline_page(), PAGE_SIZE };

	return mk_range_sane(range) && range->start + range->size <= SZ_1M && !low_is_taken(range) &&
	       !mk_range_overlap(range, &trampoline) && !mk_record_uses(range) && mk_memory_unused(range);
}

/* A chunk for one instance; -ENOMEM when all of them are in use. */
int mk_low_take(struct mk_range *chunk)
{
	int ret = -ENOMEM;

	mutex_lock(&mk_lock);
	for (*chunk = (struct mk_range){ LOW_CHUNK, LOW_CHUNK }; chunk->start < SZ_1M; chunk->start += LOW_CHUNK) {
		if (!mk_memory_is_low(chunk) || mk_instance_uses(chunk) || mk_image_uses(chunk))
			continue;
		set_bit(chunk->start / LOW_CHUNK, low_taken);
		ret = 0;
		break;
	}
	mutex_unlock(&mk_lock);
	if (ret)
		chunk->size = 0;
	return ret;
}

void mk_low_give(const struct mk_range *chunk)
{
	if (chunk->size)
		clear_bit(chunk->start / LOW_CHUNK, low_taken);
}

ssize_t mk_low_show(char *buf)
{
	struct mk_range chunk = { LOW_CHUNK, LOW_CHUNK };
	int n = 0;

	for (; chunk.start < SZ_1M; chunk.start += LOW_CHUNK)
		if (mk_memory_is_low(&chunk))
			n += sysfs_emit_at(buf, n, "0x%llx 0x%llx\n", chunk.start, chunk.size);
	return n;
}
