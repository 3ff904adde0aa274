// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * A write of the root device_tree: makes the pool, once. Checks first, in the order that programs know; but it is not atomic, and
 * what was taken before an error stays taken.
 */
#include "kernfs.h"

#include <linux/sched/signal.h>
#include <linux/slab.h>

static bool pool_is_empty(void)
{
	return list_empty(&mk_chunks) && cpumask_subset(&mk_pooled, &mk_lent) && list_empty(&mk_devices);
}

static bool is_memory(const struct mk_fdt *fdt, int node)
{
	return !strncmp(mk_fdt_name(fdt, node), "memory@", 7);
}

static int memory_of(const struct mk_fdt *fdt, int node, u64 *size, int *numa_node)
{
	u32 nid;
	int ret;

	if (mk_fdt_u64(fdt, node, "size", size) || !*size || *size & ~PAGE_MASK)
		return -EINVAL;
	ret = mk_fdt_u32(fdt, node, "numa-node-id", &nid);
	*numa_node = NUMA_NO_NODE;
	if (ret == -ENOENT)
		return 0;
	if (ret || nid >= MAX_NUMNODES)
		return -EINVAL;
	*numa_node = nid;
	return 0;
}

static int check_memory(const struct mk_fdt *fdt, int resources)
{
	unsigned int count = 0;
	int node = MK_NO_NODE, numa_node, ret;
	u64 bytes;
	u32 size;

	while ((node = mk_fdt_child(fdt, resources, node)) != MK_NO_NODE)
		count += is_memory(fdt, node);
	if (!count) {
		if (mk_fdt_get(fdt, resources, "memory-base", &size) || mk_fdt_get(fdt, resources, "memory-bytes", &size))
			pr_err("baseline: memory-base and memory-bytes are of an older interface; write memory@N nodes\n");
		return -EINVAL;
	}
	if (count > MAX_NUMNODES)
		return -E2BIG;
	while ((node = mk_fdt_child(fdt, resources, node)) != MK_NO_NODE) {
		ret = is_memory(fdt, node) ? memory_of(fdt, node, &bytes, &numa_node) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int check_devices(const struct mk_fdt *fdt, int devices)
{
	struct mk_device *device;
	int node = MK_NO_NODE, ret;

	while ((node = mk_fdt_child(fdt, devices, node)) != MK_NO_NODE) {
		ret = mk_device_parse(fdt, node, &device);
		if (ret)
			return ret;
		kfree(device);
	}
	return 0;
}

static int take_memory(const struct mk_fdt *fdt, int resources)
{
	int node = MK_NO_NODE, numa_node, ret = 0;
	u64 bytes;

	while (!ret && (node = mk_fdt_child(fdt, resources, node)) != MK_NO_NODE)
		if (is_memory(fdt, node) && !memory_of(fdt, node, &bytes, &numa_node))
			ret = mk_chunk_add(bytes, numa_node);
	return ret;
}

/* The alias whose value is the path of this node of /resources/devices. */
static void find_alias(const struct mk_fdt *fdt, int aliases, const char *name, struct mk_device *device)
{
	static const char prefix[] = "/resources/devices/";
	const char *path, *alias;
	u32 offset;

	if (aliases == MK_NO_NODE)
		return;
	for (offset = 0; !fatal_signal_pending(current) && (alias = mk_fdt_property_name(fdt, aliases, &offset)); ) {
		cond_resched();
		if (mk_fdt_string(fdt, aliases, alias, &path) || strncmp(path, prefix, strlen(prefix)) ||
		    strcmp(path + strlen(prefix), name) || strlen(alias) >= sizeof(device->alias))
			continue;
		strscpy(device->alias, alias, sizeof(device->alias));
	}
}

/* What cannot be had is missing in the tree that is read back, and nothing else tells. */
static void take_devices(const struct mk_fdt *fdt, int devices, int aliases)
{
	struct mk_device *device;
	int node = MK_NO_NODE;

	while ((node = mk_fdt_child(fdt, devices, node)) != MK_NO_NODE && !fatal_signal_pending(current)) {
		cond_resched();
		if (mk_device_parse(fdt, node, &device) || !device)
			continue;
		find_alias(fdt, aliases, mk_fdt_name(fdt, node), device);
		mk_device_pool(device);
	}
}

static int apply(const struct mk_fdt *fdt, int root, int resources)
{
	bool failed = false;
	const void *cells;
	u32 size, at;
	int ret;

	cells = mk_fdt_get(fdt, resources, "cpus", &size);
	for (at = 0; at < size; at += 8) {
		ret = mk_cpu_may_pool(mk_cells(cells + at));
		if (ret)
			return ret;
	}
	ret = take_memory(fdt, resources);
	if (ret)
		return ret;
	for (at = 0; at < size; at += 8) {
		u64 apic_id = mk_cells(cells + at);

		ret = mk_cpu_pool(apic_id);
		if (ret) {
			pr_warn("baseline: CPU %llu cannot join the pool: %d\n", apic_id, ret);
			failed = true;
		}
	}
	take_devices(fdt, mk_fdt_find(fdt, resources, "devices"), mk_fdt_find(fdt, root, "aliases"));
	return failed ? -EBUSY : 0;
}

/* Needs mk_tree_lock. */
int mk_baseline(const void *blob, size_t size)
{
	struct mk_fdt fdt;
	int root, resources, ret;
	u32 cpus;

	if (mk_fdt_open(&fdt, blob, size) || mk_fdt_total(blob) != size)
		return -EINVAL;
	root = mk_fdt_root(&fdt);
	if (mk_fdt_child(&fdt, mk_fdt_find(&fdt, root, "instances"), MK_NO_NODE) != MK_NO_NODE)
		return -EINVAL;
	if (!pool_is_empty())
		return -EBUSY;
	resources = mk_fdt_find(&fdt, root, "resources");
	if (resources == MK_NO_NODE)
		return -EINVAL;
	if (!mk_fdt_get(&fdt, resources, "cpus", &cpus) || !cpus || cpus % 8)
		return -EINVAL;
	ret = check_memory(&fdt, resources);
	if (!ret)
		ret = check_devices(&fdt, mk_fdt_find(&fdt, resources, "devices"));
	return ret ? ret : apply(&fdt, root, resources);
}
