// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The pool's memory: chunks that were taken from the running kernel, and the regions of them that instances have. Both stand in
 * /proc/iomem, which is the only place where a program finds a region's boundaries.
 */
#include "kernfs.h"

#include <linux/err.h>
#include <linux/slab.h>

#define ALIGNMENT	SZ_2M		/* of a region: what a kernel can be loaded at */
#define PARK		(4 * PAGE_SIZE)

LIST_HEAD(mk_chunks);

/* Needs the other chunks to stand already. */
static void find_park(void)
{
	struct mk_chunk *chunk;

	list_for_each_entry(chunk, &mk_chunks, node)
		if (chunk->parks)
			return;
	list_for_each_entry(chunk, &mk_chunks, node) {
		if (list_empty(&chunk->regions)) {
			chunk->parks = true;
			return;
		}
	}
}

static int publish(struct resource *parent, struct resource *resource, const struct mk_range *range, const char *name)
{
	resource->name = name;
	resource->start = range->start;
	resource->end = range->start + range->size - 1;
	resource->flags = IORESOURCE_MEM | IORESOURCE_BUSY;
	return insert_resource(parent, resource) ? -EBUSY : 0;
}

int mk_chunk_add(u64 size, int node)
{
	struct mk_chunk *chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
	int ret;

	if (!chunk)
		return -ENOMEM;
	INIT_LIST_HEAD(&chunk->regions);
	ret = mk_contig_take(size, node, &chunk->range, &chunk->numa_node);
	if (ret)
		goto out;
	ret = publish(&iomem_resource, &chunk->resource, &chunk->range, "Multikernel Memory Pool");
	if (ret)
		goto out_give;
	ret = mk_pool_take(&chunk->range);
	if (ret)
		goto out_hide;
	list_add_tail(&chunk->node, &mk_chunks);
	find_park();
	return 0;
out_hide:
	remove_resource(&chunk->resource);
out_give:
	mk_contig_give(&chunk->range);
out:
	kfree(chunk);
	return ret;
}

/* -EBUSY as long as somebody maps it. */
static int give_back(struct mk_chunk *chunk)
{
	int ret = mk_pool_give(&chunk->range);

	if (ret)
		return ret;
	list_del(&chunk->node);
	remove_resource(&chunk->resource);
	mk_contig_give(&chunk->range);
	kfree(chunk);
	find_park();
	return 0;
}

int mk_chunk_remove(const struct mk_range *range)
{
	struct mk_chunk *chunk;

	list_for_each_entry(chunk, &mk_chunks, node) {
		if (chunk->range.start != range->start || chunk->range.size != range->size)
			continue;
		if (!list_empty(&chunk->regions) || (chunk->parks && !cpumask_empty(&mk_pooled)))
			return -EBUSY;
		return give_back(chunk);
	}
	return -ENOENT;
}

void mk_chunks_release(void)
{
	struct mk_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, &mk_chunks, node)
		if (give_back(chunk))
			pr_err("the memory at 0x%llx is lost: somebody still maps it\n", chunk->range.start);
}

static bool on_node(const struct mk_chunk *chunk, int node)
{
	return node == NUMA_NO_NODE || chunk->numa_node == node;
}

/* Walks the holes of a chunk; @at is where to look on, 0 for the start. False when there are no more. */
static bool next_hole(const struct mk_chunk *chunk, struct mk_region **behind, struct mk_range *hole)
{
	u64 start, end;

	if (!*behind)
		start = chunk->range.start + (chunk->parks ? PARK : 0);
	else
		start = (*behind)->range.start + (*behind)->range.size;
	if (*behind ? list_is_last(&(*behind)->node, &chunk->regions) : list_empty(&chunk->regions)) {
		end = chunk->range.start + chunk->range.size;
		*behind = ERR_PTR(-ENOENT);
	} else {
		*behind = *behind ? list_next_entry(*behind, node) :
				    list_first_entry(&chunk->regions, struct mk_region, node);
		end = (*behind)->range.start;
	}
	start = ALIGN(start, ALIGNMENT);
	*hole = (struct mk_range){ start, end > start ? end - start : 0 };
	return !IS_ERR(*behind);
}

u64 mk_chunks_free(int node)
{
	struct mk_chunk *chunk;
	u64 sum = 0;

	list_for_each_entry(chunk, &mk_chunks, node) {
		struct mk_region *behind = NULL;
		struct mk_range hole;
		bool more = on_node(chunk, node);

		while (more) {
			more = next_hole(chunk, &behind, &hole);
			sum += hole.size;
		}
	}
	return sum;
}

/* The first hole that has @size bytes, or else the largest one. */
static struct mk_chunk *find_hole(u64 size, int node, struct mk_range *found)
{
	struct mk_chunk *chunk, *best = NULL;

	found->size = 0;
	list_for_each_entry(chunk, &mk_chunks, node) {
		struct mk_region *behind = NULL;
		struct mk_range hole;
		bool more = on_node(chunk, node);

		while (more) {
			more = next_hole(chunk, &behind, &hole);
			if (hole.size <= found->size)
				continue;
			*found = hole;
			best = chunk;
			if (hole.size >= size)
				return best;
		}
	}
	return best;
}

static void insert_by_address(struct mk_region *region)
{
	struct list_head *place = &region->chunk->regions;
	struct mk_region *other;

	list_for_each_entry(other, &region->chunk->regions, node) {
		if (other->range.start > region->range.start)
			break;
		place = &other->node;
	}
	list_add(&region->node, place);
}

/* The number that the region's name ends in: one more than the newest one's. */
static unsigned int next_number(struct list_head *regions)
{
	unsigned int number = 0;
	struct mk_region *last;

	if (list_empty(regions))
		return 0;
	last = list_last_entry(regions, struct mk_region, mine);
	if (kstrtouint(strrchr(last->name, '-') + 1, 10, &number))
		return 0;
	return number + 1;
}

static int take(struct list_head *regions, struct mk_chunk *chunk, const struct mk_range *range, u32 id, const char *name)
{
	struct mk_region *region = kzalloc(sizeof(*region), GFP_KERNEL);
	int ret;

	if (!region)
		return -ENOMEM;
	region->chunk = chunk;
	region->range = *range;
	snprintf(region->name, sizeof(region->name), "mk-instance-%u-%s-region-%u", id, name, next_number(regions));
	ret = publish(&chunk->resource, &region->resource, range, region->name);
	if (ret) {
		kfree(region);
		return ret;
	}
	insert_by_address(region);
	list_add_tail(&region->mine, regions);
	return 0;
}

/* In one piece where there is one, else in several. -ENOMEM when the holes do not add up. */
int mk_regions_take(struct list_head *regions, u64 size, int node, u32 id, const char *name)
{
	struct mk_region *region, *next;
	struct mk_range range;
	LIST_HEAD(taken);
	int ret = 0;

	if (size > mk_chunks_free(node))
		return -ENOMEM;
	while (size && !ret) {
		struct mk_chunk *chunk = find_hole(size, node, &range);

		range.size = min(range.size, size);
		ret = chunk && range.size ? take(&taken, chunk, &range, id, name) : -ENOMEM;
		size -= range.size;
	}
	if (!ret)
		list_splice_tail(&taken, regions);
	else
		list_for_each_entry_safe(region, next, &taken, mine)
			mk_region_give(region);
	return ret;
}

/* The named range, which must be free: -ENOENT when it is in no chunk, -EBUSY when it is not free. */
int mk_region_take(struct list_head *regions, const struct mk_range *range, u32 id, const char *name)
{
	struct mk_chunk *chunk;
	struct mk_region *region;

	list_for_each_entry(chunk, &mk_chunks, node) {
		struct mk_range park = { chunk->range.start, PARK };

		if (range->start < chunk->range.start || range->size > chunk->range.size ||
		    range->start - chunk->range.start > chunk->range.size - range->size)
			continue;
		if (chunk->parks && mk_range_overlap(&park, range))
			return -EBUSY;
		list_for_each_entry(region, &chunk->regions, node)
			if (mk_range_overlap(&region->range, range))
				return -EBUSY;
		return take(regions, chunk, range, id, name);
	}
	return -ENOENT;
}

void mk_region_give(struct mk_region *region)
{
	remove_resource(&region->resource);
	list_del(&region->node);
	list_del(&region->mine);
	kfree(region);
}
