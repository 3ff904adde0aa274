// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The pool: memory that instances may be given. It comes from a boot-time reservation or from memory blocks that were taken
 * offline, and goes back when nothing uses it any more.
 */
#include "record.h"

#include <linux/err.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static unsigned long long pool_param[2 * MK_RANGES_MAX];
static int nr_pool_param;
module_param_array_named(pool, pool_param, ullong, &nr_pool_param, 0444);
MODULE_PARM_DESC(pool, "START,SIZE[,START,SIZE...]: memory for instances");

/* A user-space mapping of /dev/mkstock, or a channel: while it lives, its memory must not go back to the host. */
struct mk_pin {
	struct list_head node;
	struct mk_range range;
	unsigned int users;
};

/* Taken by page faults' side (mmap) and by memory hotplug, so nothing sleeps under it. */
static DEFINE_SPINLOCK(pool_lock);
static struct mk_range pool[MK_RANGES_MAX];
static unsigned int nr_pool;
static struct mk_range chunks[MK_CHUNKS_MAX];	/* of the kernfs pool: the page allocator gave them to this module */
static unsigned int nr_chunks;
static LIST_HEAD(pins);

static bool overlaps(const struct mk_range *ranges, unsigned int nr, const struct mk_range *range)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (mk_range_overlap(&ranges[i], range))
			return true;
	return false;
}

static bool overlaps_pool(const struct mk_range *range)
{
	return overlaps(pool, nr_pool, range) || overlaps(chunks, nr_chunks, range);
}

/* The whole range, which may span ranges that touch each other. */
static bool covered_by(const struct mk_range *ranges, unsigned int nr, const struct mk_range *range)
{
	u64 at = range->start, end = range->start + range->size;
	unsigned int i = 0;

	while (at < end && i < nr) {
		if (at >= ranges[i].start && at - ranges[i].start < ranges[i].size) {
			at = ranges[i].start + ranges[i].size;
			i = 0;
		} else {
			i++;
		}
	}
	return at >= end;
}

static bool covered(const struct mk_range *range)
{
	return covered_by(pool, nr_pool, range) || covered_by(chunks, nr_chunks, range);
}

/* All memory for instances, of either ABI. */
bool mk_pool_covers(const struct mk_range *range)
{
	bool yes;

	spin_lock(&pool_lock);
	yes = covered(range);
	spin_unlock(&pool_lock);
	return yes;
}

/* What the RFC's calls may use: never a chunk of the kernfs pool, whose instances the RFC knows nothing of. */
bool mk_pool_lends(const struct mk_range *range)
{
	bool yes;

	spin_lock(&pool_lock);
	yes = covered_by(pool, nr_pool, range);
	spin_unlock(&pool_lock);
	return yes;
}

int mk_pool_take(const struct mk_range *range)
{
	int ret = 0;

	spin_lock(&pool_lock);
	if (overlaps_pool(range))
		ret = -EEXIST;
	else if (nr_chunks == ARRAY_SIZE(chunks))
		ret = -ENOSPC;
	else
		chunks[nr_chunks++] = *range;
	spin_unlock(&pool_lock);
	return ret;
}

struct mk_pin *mk_pin_new(const struct mk_range *range)
{
	struct mk_pin *pin = kmalloc(sizeof(*pin), GFP_KERNEL);
	bool yes;

	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->range = *range;
	pin->users = 1;
	spin_lock(&pool_lock);
	yes = covered(range);
	if (yes)
		list_add(&pin->node, &pins);
	spin_unlock(&pool_lock);
	if (yes)
		return pin;
	kfree(pin);
	return ERR_PTR(-EPERM);
}

void mk_pin_get(struct mk_pin *pin)
{
	spin_lock(&pool_lock);
	pin->users++;
	spin_unlock(&pool_lock);
}

void mk_pin_put(struct mk_pin *pin)
{
	bool last;

	spin_lock(&pool_lock);
	last = !--pin->users;
	if (last)
		list_del(&pin->node);
	spin_unlock(&pool_lock);
	if (last)
		kfree(pin);
}

static bool pinned(const struct mk_range *range)
{
	struct mk_pin *pin;

	list_for_each_entry(pin, &pins, node)
		if (mk_range_overlap(&pin->range, range))
			return true;
	return false;
}

/* -EBUSY while somebody maps it. */
int mk_pool_give(const struct mk_range *range)
{
	int ret = -ENOENT;
	unsigned int i;

	spin_lock(&pool_lock);
	for (i = 0; i < nr_chunks; i++) {
		if (chunks[i].start != range->start)
			continue;
		ret = -EBUSY;
		if (!pinned(range)) {
			chunks[i] = chunks[--nr_chunks];
			ret = 0;
		}
		break;
	}
	spin_unlock(&pool_lock);
	return ret;
}

static int pool_add(const struct mk_range *range)
{
	int ret = 0;

	if (!mk_range_sane(range))
		return -EINVAL;
	spin_lock(&pool_lock);
	if (overlaps_pool(range)) {
		ret = -EEXIST;
	} else if (nr_pool == ARRAY_SIZE(pool)) {
		ret = -ENOSPC;
	} else {
		/* From here on the memory notifier keeps the blocks offline, so that the proof below stays true. */
		pool[nr_pool++] = *range;
	}
	spin_unlock(&pool_lock);
	return ret;
}

static int pool_remove(const struct mk_range *range)
{
	int ret = -ENOENT;
	unsigned int i;

	spin_lock(&pool_lock);
	for (i = 0; i < nr_pool; i++) {
		if (pool[i].start != range->start || pool[i].size != range->size)
			continue;
		ret = -EBUSY;
		if (!pinned(range)) {
			pool[i] = pool[--nr_pool];
			ret = 0;
		}
		break;
	}
	spin_unlock(&pool_lock);
	return ret;
}

static int add(const struct mk_range *range)
{
	int ret = pool_add(range);

	if (ret)
		return ret;
	if (mk_memory_unused(range))
		return 0;
	pool_remove(range);
	pr_warn("pool: 0x%llx+0x%llx is in use by the host; take its memory blocks offline or reserve it with memmap=\n",
		range->start, range->size);
	return -EBUSY;
}

static int remove(const struct mk_range *range)
{
	int ret = -EBUSY;

	mutex_lock(&mk_lock);
	if (!mk_instance_uses(range) && !mk_image_uses(range))
		ret = pool_remove(range);
	mutex_unlock(&mk_lock);
	return ret;
}

/* "add 0xSTART 0xSIZE" or "remove 0xSTART 0xSIZE" */
int mk_pool_write(char *command)
{
	struct mk_range range;
	char word[8], rest;

	if (sscanf(command, "%7s %llx %llx %c", word, &range.start, &range.size, &rest) != 3)
		return -EINVAL;
	if (!strcmp(word, "add"))
		return add(&range);
	if (!strcmp(word, "remove"))
		return remove(&range);
	return -EINVAL;
}

ssize_t mk_pool_show(char *buf)
{
	unsigned int i;
	int n = 0;

	spin_lock(&pool_lock);
	for (i = 0; i < nr_pool; i++)
		n += sysfs_emit_at(buf, n, "0x%llx 0x%llx\n", pool[i].start, pool[i].size);
	spin_unlock(&pool_lock);
	return n;
}

/* What of it does not survive is no loss as long as no instance has it, so that is their affair. */
void mk_pool_save(struct mk_record *record)
{
	unsigned int i;

	spin_lock(&pool_lock);
	for (i = 0; i < nr_pool; i++)
		mk_record_put(record, "pool 0x%llx 0x%llx\n", pool[i].start, pool[i].size);
	spin_unlock(&pool_lock);
}

/* A block of the pool must not go online behind our back; it has to leave the pool first. */
static int memory_event(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct memory_notify *event = data;
	struct mk_range range = {
		PFN_PHYS(event->start_pfn), PFN_PHYS((u64)event->nr_pages)
	};
	bool ours;

	if (action != MEM_GOING_ONLINE)
		return NOTIFY_OK;
	spin_lock(&pool_lock);
	ours = overlaps_pool(&range);
	spin_unlock(&pool_lock);
	return ours ? notifier_from_errno(-EBUSY) : NOTIFY_OK;
}

static struct notifier_block memory_nb = { .notifier_call = memory_event };

int mk_pool_start(void)
{
	int i, ret;

	if (nr_pool_param % 2)
		return -EINVAL;
	ret = register_memory_notifier(&memory_nb);
	if (ret)
		return ret;
	for (i = 0; i < nr_pool_param; i += 2) {
		struct mk_range range = { pool_param[i], pool_param[i + 1] };

		ret = add(&range);
		if (ret)
			goto out;
	}
	return 0;
out:
	unregister_memory_notifier(&memory_nb);
	return ret;
}

void mk_pool_stop(void)
{
	unregister_memory_notifier(&memory_nb);
	nr_pool = 0;
}
