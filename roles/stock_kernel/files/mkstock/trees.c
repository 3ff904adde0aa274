// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * What the device_tree files say: of the host and its pool, and of each instance. Needs mk_tree_lock.
 */
#include "kernfs.h"

#include <linux/err.h>
#include <linux/memory.h>
#include <linux/slab.h>

/* In the order of the host's numbers. */
static void put_cpus(struct mk_fdt_out *out, const char *name, const struct cpumask *cpus)
{
	u64 *ids = kcalloc(nr_cpu_ids, sizeof(*ids), GFP_KERNEL);
	unsigned int cpu, count = 0;

	if (!ids) {
		out->error = -ENOMEM;
		return;
	}
	for_each_cpu(cpu, cpus)
		ids[count++] = mk_apic_id(cpu);
	if (count)
		mk_fdt_put_u64s(out, name, ids, count);
	kfree(ids);
}

static void put_chunk(struct mk_fdt_out *out, const struct mk_chunk *chunk)
{
	const u64 reg[] = { chunk->range.start, chunk->range.size };
	char name[32];

	snprintf(name, sizeof(name), "memory@%llx", chunk->range.start);
	mk_fdt_begin(out, name);
	mk_fdt_put_string(out, "device_type", "memory");
	mk_fdt_put_u64s(out, "reg", reg, ARRAY_SIZE(reg));
	mk_fdt_put_u32(out, "numa-node-id", chunk->numa_node);
	mk_fdt_end(out);
}

static void put_platform(struct mk_fdt_out *out, const struct list_head *devices)
{
	struct mk_device *device;
	bool any = false;

	list_for_each_entry(device, devices, node) {
		if (device->pci)
			continue;
		if (!any)
			mk_fdt_begin(out, "devices");
		any = true;
		mk_fdt_begin(out, device->name);
		mk_fdt_put_string(out, "device-type", "platform");
		mk_fdt_put_string(out, "device-name", device->name);
		mk_fdt_put_string(out, "acpi-hid", device->acpi_hid);
		mk_fdt_end(out);
	}
	if (any)
		mk_fdt_end(out);
}

static void put_aliases(struct mk_fdt_out *out, const struct list_head *devices)
{
	struct mk_device *device;
	char path[80];

	mk_fdt_begin(out, "aliases");
	list_for_each_entry(device, devices, node) {
		if (!device->alias[0])
			continue;
		if (device->pci)
			snprintf(path, sizeof(path), "/pci@%x/pci@%x,%x", device->bus, device->slot, device->function);
		else
			snprintf(path, sizeof(path), "/resources/devices/%s", device->name);
		mk_fdt_put_string(out, device->alias, path);
	}
	mk_fdt_end(out);
}

static void begin_root(struct mk_fdt_out *out, u32 id)
{
	mk_fdt_begin(out, "");
	mk_fdt_put_string(out, "compatible", "multikernel-v1");
	mk_fdt_put_u32(out, "#address-cells", 2);
	mk_fdt_put_u32(out, "#size-cells", 2);
	mk_fdt_put_u32(out, "id", id);
}

/* Without a pool it tells of the host: its CPUs, and neither memory nor what is free. */
void *mk_tree_root(size_t *size)
{
	bool live = !list_empty(&mk_chunks) || !cpumask_empty(&mk_pooled) || !list_empty(&mk_devices);
	const u64 granule = memory_block_size_bytes();
	struct mk_fdt_out out = { };
	struct mk_chunk *chunk;
	cpumask_var_t free;

	if (!zalloc_cpumask_var(&free, GFP_KERNEL))
		return ERR_PTR(-ENOMEM);
	cpumask_andnot(free, &mk_pooled, &mk_lent);
	begin_root(&out, 0);
	mk_fdt_put_u64s(&out, "memory-granule", &granule, 1);
	mk_fdt_begin(&out, "resources");
	put_cpus(&out, "cpus", live ? &mk_pooled : cpu_online_mask);
	if (live)
		put_cpus(&out, "cpus-available", free);
	list_for_each_entry(chunk, &mk_chunks, node)
		put_chunk(&out, chunk);
	put_platform(&out, &mk_devices);
	mk_fdt_end(&out);
	put_aliases(&out, &mk_devices);
	mk_devices_put(&out, &mk_devices);
	mk_fdt_end(&out);
	free_cpumask_var(free);
	return mk_fdt_finish(&out, size);
}

void *mk_tree_spawn(const struct mk_spawn *spawn, size_t *size)
{
	struct mk_fdt_out out = { };
	struct mk_region *region;
	u64 base = 0, bytes = 0;
	unsigned int i;
	u64 *ids = kcalloc(spawn->nr_cpus + 1, sizeof(*ids), GFP_KERNEL);

	if (!ids)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < spawn->nr_cpus; i++)
		ids[i] = mk_apic_id(spawn->cpus[i]);
	list_for_each_entry(region, &spawn->regions, mine)
		bytes += region->range.size;
	if (bytes)
		base = mk_spawn_base(spawn)->range.start;
	begin_root(&out, spawn->id);
	mk_fdt_put_string(&out, "model", spawn->name);
	mk_fdt_begin(&out, "resources");
	if (spawn->nr_cpus)
		mk_fdt_put_u64s(&out, "cpus", ids, spawn->nr_cpus);
	if (bytes) {
		mk_fdt_put_u64s(&out, "memory-base", &base, 1);
		mk_fdt_put_u64s(&out, "memory-bytes", &bytes, 1);
	}
	put_platform(&out, &spawn->devices);
	mk_fdt_end(&out);
	put_aliases(&out, &spawn->devices);
	mk_devices_put(&out, &spawn->devices);
	mk_fdt_end(&out);
	kfree(ids);
	return mk_fdt_finish(&out, size);
}
