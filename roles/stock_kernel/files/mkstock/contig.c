// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Contiguous memory from the running kernel, by any size: what lies there is moved away, and then the pages are ours as if the
 * page allocator had given each of them. Zones are tried from the top, since the kernel's own memory is at the bottom.
 */
#include "kernfs.h"

#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/page-flags.h>
#include <linux/pageblock-flags.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>

/* The third argument was a migrate type once, and is a set of flags now. */
#ifdef ACR_FLAGS_NONE
#define KIND 0
#else
#define KIND MIGRATE_MOVABLE
#endif

/* Called directly by the patched site, never through a pointer; see symbol.c. */
static int no_alloc(unsigned long start, unsigned long end, unsigned int kind, gfp_t gfp)
{
	return -EOPNOTSUPP;
}

static void no_free(unsigned long start, unsigned long nr)
{
}
DEFINE_STATIC_CALL(mk_contig_alloc, no_alloc);
DEFINE_STATIC_CALL(mk_contig_free, no_free);

int mk_contig_start(void)
{
	void *alloc = mk_symbol("alloc_contig_range_noprof"), *release = mk_symbol("free_contig_range");

	if (!alloc)
		alloc = mk_symbol("alloc_contig_range");
	if (!alloc || !release) {
		pr_err("this kernel cannot give contiguous memory at run time (is CONFIG_CONTIG_ALLOC set?)\n");
		return -ENOENT;
	}
	static_call_update(mk_contig_alloc, alloc);
	static_call_update(mk_contig_free, release);
	return 0;
}

/* The first page from @start on that can never be moved away, or the end. */
static unsigned long obstacle(unsigned long start, unsigned long nr, const struct zone *zone)
{
	unsigned long pfn;

	for (pfn = start; pfn < start + nr; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_zone(page) != zone || PageReserved(page))
			return pfn;
	}
	return pfn;
}

static int take_from_zone(struct zone *zone, unsigned long nr, unsigned long align, unsigned long *start)
{
	unsigned long pfn, bad;
	int ret;

	if (!populated_zone(zone) || zone_end_pfn(zone) < zone->zone_start_pfn + nr)
		return -ENOMEM;
	pfn = ALIGN_DOWN(zone_end_pfn(zone) - nr, align);
	while (pfn && pfn >= zone->zone_start_pfn) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		bad = obstacle(pfn, nr, zone);
		if (bad == pfn + nr) {
			ret = static_call(mk_contig_alloc)(pfn, pfn + nr, KIND, GFP_KERNEL | __GFP_NOWARN);
			if (!ret) {
				*start = pfn;
				return 0;
			}
			if (ret == -EINTR || ret == -EOPNOTSUPP)
				return ret;
			bad = pfn + nr - 1;	/* one step down */
		}
		if (bad < nr)
			break;
		pfn = min(ALIGN_DOWN(bad - nr, align), pfn - align);
		if (pfn > bad)			/* below zero */
			break;
	}
	return -ENOMEM;
}

static int take_from_node(int node, unsigned long nr, unsigned long align, unsigned long *start)
{
	int zone, ret = -ENOMEM;

	/* devices' memory is not the kernel's, and the first 16 MiB are too few and too dear */
	for (zone = ZONE_MOVABLE; zone > ZONE_DMA && ret == -ENOMEM; zone--)
		ret = take_from_zone(&NODE_DATA(node)->node_zones[zone], nr, align, start);
	return ret;
}

/*
 * @node: NUMA_NO_NODE for any. Aligned to memory blocks, as far as it has the size of one, or else to page blocks. -EINVAL for a
 * node that is not there, -ENOMEM when there is no such range.
 */
int mk_contig_take(u64 size, int node, struct mk_range *range, int *on_node)
{
	unsigned long align = size >= memory_block_size_bytes() ? PHYS_PFN(memory_block_size_bytes()) : pageblock_nr_pages;
	unsigned long start;
	int ret = -ENOMEM, nid;

	if (node != NUMA_NO_NODE && !node_online(node))
		return -EINVAL;
	for_each_online_node(nid) {
		if (node != NUMA_NO_NODE && nid != node)
			continue;
		ret = take_from_node(nid, PHYS_PFN(size), align, &start);
		if (!ret) {
			*range = (struct mk_range){ PFN_PHYS((u64)start), size };
			*on_node = nid;
		}
		if (ret != -ENOMEM)
			break;
	}
	return ret;
}

void mk_contig_give(const struct mk_range *range)
{
	static_call(mk_contig_free)(PHYS_PFN(range->start), PHYS_PFN(range->size));
}
