// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Instances as the device trees know them: a name, an id, what they have of the pool, and their state. What runs on their CPUs is
 * instance.c's affair.
 */
#include "kernfs.h"

#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>

#define VIRTIO_MAX 16

LIST_HEAD(mk_spawns);
BLOCKING_NOTIFIER_HEAD(mk_spawn_chain);

static const char *const states[] = {
	[MK_EMPTY] = "empty", [MK_READY] = "ready", [MK_LOADED] = "loaded", [MK_ACTIVE] = "active", [MK_FAILED] = "failed",
};

const char *mk_spawn_state(struct mk_spawn *spawn)
{
	return states[READ_ONCE(spawn->state)];
}

void mk_spawn_set(struct mk_spawn *spawn, enum mk_state state)
{
	WRITE_ONCE(spawn->state, state);
}

struct mk_spawn *mk_spawn_named(const char *name)
{
	struct mk_spawn *spawn;

	list_for_each_entry(spawn, &mk_spawns, object.node)
		if (!strcmp(spawn->name, name))
			return spawn;
	return NULL;
}

struct mk_spawn *mk_spawn_with_id(u32 id)
{
	struct mk_spawn *spawn;

	list_for_each_entry(spawn, &mk_spawns, object.node)
		if (spawn->id == id)
			return spawn;
	return NULL;
}

/* The region that its kernel lies in, or NULL. */
struct mk_region *mk_spawn_base(const struct mk_spawn *spawn)
{
	return list_empty(&spawn->regions) ? NULL : list_first_entry(&spawn->regions, struct mk_region, mine);
}

int mk_spawn_place(u32 id, u64 *base, u32 *apic_id)
{
	struct mk_spawn *spawn;
	int ret = -ENODEV;

	mutex_lock(&mk_tree_lock);
	spawn = mk_spawn_with_id(id);
	if (spawn && spawn->nr_cpus && mk_spawn_base(spawn)) {
		*base = mk_spawn_base(spawn)->range.start;
		*apic_id = mk_apic_id(spawn->cpus[0]);
		ret = 0;
	}
	mutex_unlock(&mk_tree_lock);
	return ret;
}

void mk_spawn_refresh(struct mk_spawn *spawn)
{
	if (spawn->state == MK_ACTIVE && !mk_instance_runs(spawn->cpus[0]))
		mk_spawn_stop_cpus(spawn);
}

static void free_spawn(struct mk_object *object)
{
	struct mk_spawn *spawn = container_of(object, struct mk_spawn, object);

	kfree(spawn->cpus);
	kfree(spawn);
}

/* What it has goes back to the pool. */
static void strip(struct mk_spawn *spawn)
{
	struct mk_region *region, *next;
	unsigned int i;

	list_for_each_entry_safe(region, next, &spawn->regions, mine)
		mk_region_give(region);
	for (i = 0; i < spawn->nr_cpus; i++)
		cpumask_clear_cpu(spawn->cpus[i], &mk_lent);
	spawn->nr_cpus = 0;
	mk_devices_return(&spawn->devices);
}

int mk_spawn_remove(struct mk_spawn *spawn)
{
	mk_spawn_refresh(spawn);
	if (spawn->state == MK_LOADED || spawn->state == MK_ACTIVE)
		return -EBUSY;
	/* an unload leaves its CPUs running */
	mk_spawn_stop_cpus(spawn);
	strip(spawn);
	spawn->gone = true;
	blocking_notifier_call_chain(&mk_spawn_chain, MK_SPAWN_GONE, spawn);
	mk_object_remove(&spawn->object);
	module_put(THIS_MODULE);
	return 0;
}

/* CPUs of the pool that are not free are left out; who asked has to look at what he got. */
static void lend_cpus(struct mk_spawn *spawn, const void *cells, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		u64 apic_id = mk_cells(cells + 8 * i);

		if (mk_spawn_cpu(spawn, apic_id, true))
			pr_warn("instance %s: CPU %llu is not free in the pool: left out\n", spawn->name, apic_id);
	}
}

static int lend_devices(struct mk_spawn *spawn, const struct mk_fdt *fdt, int devices)
{
	struct mk_device *device;
	int node = MK_NO_NODE, ret;

	while ((node = mk_fdt_child(fdt, devices, node)) != MK_NO_NODE) {
		ret = mk_device_parse(fdt, node, &device);
		if (ret)
			return ret;
		if (device && mk_device_lend(&spawn->devices, device))
			pr_warn("instance %s: device %s is not in the pool: left out\n", spawn->name, device->name);
		kfree(device);
	}
	return 0;
}

static int check_virtio(const struct mk_fdt *fdt, int virtio)
{
	unsigned int count = 0;
	int node = MK_NO_NODE;
	u32 value;

	while ((node = mk_fdt_child(fdt, virtio, node)) != MK_NO_NODE) {
		if (++count > VIRTIO_MAX)
			return -E2BIG;
		if (mk_fdt_u32(fdt, node, "device-id", &value) || mk_fdt_u32(fdt, node, "queues", &value) ||
		    !value || value > 8)
			return -EINVAL;
	}
	return 0;
}

static int check_chosen(const struct mk_fdt *fdt, int chosen)
{
	int node = MK_NO_NODE;

	while ((node = mk_fdt_child(fdt, chosen, node)) != MK_NO_NODE)
		if (strcmp(mk_fdt_name(fdt, node), "multikernel,host-tree"))
			return -EINVAL;
	return 0;
}

static int give_resources(struct mk_spawn *spawn, const struct mk_fdt *fdt, int resources)
{
	int node = NUMA_NO_NODE, ret;
	const void *cells, *cpus;
	u32 size, cpus_size = 0;
	u64 bytes = 0;

	if (mk_fdt_get(fdt, resources, "device-names", &size))
		return -EINVAL;
	ret = mk_fdt_u64(fdt, resources, "memory-bytes", &bytes);
	if (ret != -ENOENT && (ret || !bytes || bytes & ~PAGE_MASK))
		return -EINVAL;
	cpus = mk_fdt_get(fdt, resources, "cpus", &cpus_size);
	if (cpus && (!cpus_size || cpus_size % 8))
		return -EINVAL;
	cells = mk_fdt_get(fdt, resources, "numa-nodes", &size);
	if (cells) {
		if (size < 4 || size % 4 || mk_cell(cells) >= MAX_NUMNODES)
			return -EINVAL;
		node = mk_cell(cells);
	}
	ret = check_virtio(fdt, mk_fdt_find(fdt, resources, "virtio"));
	if (!ret && bytes)
		ret = mk_regions_take(&spawn->regions, bytes, node, spawn->id, spawn->name);
	if (!ret)
		ret = lend_devices(spawn, fdt, mk_fdt_find(fdt, resources, "devices"));
	if (!ret)
		lend_cpus(spawn, cpus, cpus_size / 8);
	return ret;
}

static int find_id(const struct mk_fdt *fdt, int operation, u32 *id)
{
	if (mk_fdt_u32(fdt, operation, "id", id)) {
		for (*id = 1; mk_spawn_with_id(*id); (*id)++)
			;
		return 0;
	}
	if (!*id)
		return -ENOMEM;		/* misleading, and what the real one says */
	return mk_spawn_with_id(*id) ? -EEXIST : 0;
}

static bool good_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

int mk_spawn_create(const struct mk_fdt *fdt, int operation)
{
	int resources = mk_fdt_find(fdt, operation, "resources"), ret;
	struct mk_spawn *spawn;
	const char *name;
	u32 id;

	if (mk_fdt_string(fdt, operation, "instance-name", &name) || !good_name(name))
		return -EINVAL;
	if (strlen(name) >= MK_NAME_SIZE)
		return -ENAMETOOLONG;
	if (mk_spawn_named(name))
		return -EEXIST;
	if (resources == MK_NO_NODE || check_chosen(fdt, mk_fdt_find(fdt, operation, "chosen")))
		return -EINVAL;
	ret = find_id(fdt, operation, &id);
	if (ret)
		return ret;
	spawn = kzalloc(sizeof(*spawn), GFP_KERNEL);
	if (!spawn)
		return -ENOMEM;
	INIT_LIST_HEAD(&spawn->regions);
	INIT_LIST_HEAD(&spawn->devices);
	strscpy(spawn->name, name, sizeof(spawn->name));
	spawn->id = id;
	spawn->state = MK_READY;
	spawn->cpus = kcalloc(nr_cpu_ids, sizeof(*spawn->cpus), GFP_KERNEL);
	ret = spawn->cpus ? give_resources(spawn, fdt, resources) : -ENOMEM;
	if (ret) {
		strip(spawn);
		free_spawn(&spawn->object);
		return ret;
	}
	__module_get(THIS_MODULE);
	mk_object_init(&spawn->object, &mk_spawns, free_spawn);
	return 0;
}

/* -EBUSY when it is not free in the pool, -EINVAL when the instance does not have it. */
int mk_spawn_cpu(struct mk_spawn *spawn, u64 apic_id, bool add)
{
	int cpu = mk_cpu_find(apic_id);
	unsigned int i;

	if (add) {
		if (cpu < 0 || !cpumask_test_cpu(cpu, &mk_pooled) || cpumask_test_cpu(cpu, &mk_lent))
			return -EBUSY;
		cpumask_set_cpu(cpu, &mk_lent);
		spawn->cpus[spawn->nr_cpus++] = cpu;
		return 0;
	}
	for (i = 0; i < spawn->nr_cpus; i++)
		if (cpu >= 0 && spawn->cpus[i] == cpu)
			break;
	if (i == spawn->nr_cpus)
		return -EINVAL;
	memmove(&spawn->cpus[i], &spawn->cpus[i + 1], (spawn->nr_cpus - i - 1) * sizeof(*spawn->cpus));
	spawn->nr_cpus--;
	cpumask_clear_cpu(cpu, &mk_lent);
	return 0;
}

/* By the named range; to be removed it must be one whole region, and not the one that holds a loaded kernel. */
int mk_spawn_memory(struct mk_spawn *spawn, const struct mk_range *range, bool add)
{
	struct mk_region *region;

	if (add)
		return mk_region_take(&spawn->regions, range, spawn->id, spawn->name);
	list_for_each_entry(region, &spawn->regions, mine) {
		if (region->range.start != range->start || region->range.size != range->size)
			continue;
		if (spawn->image && region == mk_spawn_base(spawn))
			return -EBUSY;
		mk_region_give(region);
		return 0;
	}
	return -ENOENT;
}
