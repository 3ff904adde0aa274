// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * What the fragments of an overlay do, one operation after the other in a fixed order, and the inverse of each. An operation that
 * fails ends its overlay; what came before it stays in force.
 */
#include "kernfs.h"

#include <linux/err.h>
#include <linux/kernel.h>

/* One operation at its target; @spawn is NULL unless the target is one instance. */
struct context {
	const struct mk_fdt *fdt;
	int operation;
	struct mk_spawn *spawn;
};

struct operation {
	const char *name;
	int (*apply)(const struct context *context);
	int (*undo)(const struct context *context);
};

/* --- items: cpu@N, memory@N and pci@N; children of other names are ignored without a word */

static int for_each_item(const struct context *context, const char *prefix,
			 int (*act)(const struct context *context, int item))
{
	int item = MK_NO_NODE, ret = 0;

	while (!ret && (item = mk_fdt_child(context->fdt, context->operation, item)) != MK_NO_NODE)
		if (!strncmp(mk_fdt_name(context->fdt, item), prefix, strlen(prefix)))
			ret = act(context, item);
	return ret;
}

static int node_of(const struct context *context, int item, int *node)
{
	u32 value;
	int ret = mk_fdt_u32(context->fdt, item, "numa-node-id", &value);

	*node = NUMA_NO_NODE;
	if (ret == -ENOENT)
		return 0;
	if (ret || value >= MAX_NUMNODES)
		return -EINVAL;
	*node = value;
	return 0;
}

static int cpu_of(const struct context *context, int item, u64 *apic_id)
{
	u32 narrow;
	int node;

	if (node_of(context, item, &node))
		return -EINVAL;
	if (!mk_fdt_u64(context->fdt, item, "reg", apic_id))
		return 0;
	if (mk_fdt_u32(context->fdt, item, "reg", &narrow))
		return -EINVAL;
	*apic_id = narrow;
	return 0;
}

static int range_of(const struct context *context, int item, struct mk_range *range)
{
	const void *reg;
	u32 size;
	int node;

	reg = mk_fdt_get(context->fdt, item, "reg", &size);
	if (node_of(context, item, &node) || !reg || size != 16)
		return -EINVAL;
	*range = (struct mk_range){ mk_cells(reg), mk_cells(reg + 8) };
	return mk_range_sane(range) ? 0 : -EINVAL;
}

/* --- /resources */

static int pool_cpu_add(const struct context *context, int item)
{
	u64 apic_id;
	int ret = cpu_of(context, item, &apic_id);

	if (!ret)
		ret = mk_cpu_pool(apic_id);
	return ret == -ENODEV ? -EINVAL : ret;
}

static int pool_cpu_remove(const struct context *context, int item)
{
	u64 apic_id;
	int ret = cpu_of(context, item, &apic_id);

	if (!ret)
		ret = mk_cpu_unpool(apic_id);
	return ret == -ENODEV ? -EBUSY : ret;
}

static int pool_memory_add(const struct context *context, int item)
{
	u64 bytes;
	u32 size;
	int node;

	if (mk_fdt_get(context->fdt, item, "reg", &size) || node_of(context, item, &node) ||
	    mk_fdt_u64(context->fdt, item, "size", &bytes) || !bytes || bytes & ~PAGE_MASK)
		return -EINVAL;
	return mk_chunk_add(bytes, node);
}

static int pool_memory_remove(const struct context *context, int item)
{
	struct mk_range range;
	int ret = range_of(context, item, &range);

	return ret ? ret : mk_chunk_remove(&range);
}

/* Its old place may be in use by now, so it comes back somewhere else. */
static int pool_memory_regrow(const struct context *context, int item)
{
	struct mk_range range;
	int ret = range_of(context, item, &range);

	return ret ? ret : mk_chunk_add(range.size, NUMA_NO_NODE);
}

static int pool_device_add(const struct context *context, int item)
{
	return mk_devices_edit(context->fdt, item, true);
}

static int pool_device_remove(const struct context *context, int item)
{
	return mk_devices_edit(context->fdt, item, false);
}

/* --- one instance */

static int own_cpu(const struct context *context, int item, bool add)
{
	u64 apic_id;
	int ret = cpu_of(context, item, &apic_id);

	return ret ? ret : mk_spawn_cpu(context->spawn, apic_id, add);
}

static int own_cpu_add(const struct context *context, int item)
{
	return own_cpu(context, item, true);
}

static int own_cpu_remove(const struct context *context, int item)
{
	return own_cpu(context, item, false);
}

static int own_memory_add(const struct context *context, int item)
{
	struct mk_range range;
	int ret = range_of(context, item, &range);

	return ret ? ret : mk_spawn_memory(context->spawn, &range, true);
}

static int own_memory_remove(const struct context *context, int item)
{
	struct mk_range range;
	int ret = range_of(context, item, &range);

	return ret ? ret : mk_spawn_memory(context->spawn, &range, false);
}

static int own_device_add(const struct context *context, int item)
{
	return mk_device_lend_item(&context->spawn->devices, context->fdt, item);
}

static int own_device_remove(const struct context *context, int item)
{
	return mk_device_return_item(&context->spawn->devices, context->fdt, item);
}

#define ITEMS(name, prefix, item, inverse)					\
static int name(const struct context *context)					\
{										\
	return for_each_item(context, prefix, item);				\
}										\
static int undo_##name(const struct context *context)				\
{										\
	return for_each_item(context, prefix, inverse);				\
}

ITEMS(cpu_to_pool, "cpu@", pool_cpu_add, pool_cpu_remove)
ITEMS(cpu_from_pool, "cpu@", pool_cpu_remove, pool_cpu_add)
ITEMS(memory_from_pool, "memory@", pool_memory_remove, pool_memory_regrow)
ITEMS(device_to_pool, "pci@", pool_device_add, pool_device_remove)
ITEMS(device_from_pool, "pci@", pool_device_remove, pool_device_add)
ITEMS(cpu_to_spawn, "cpu@", own_cpu_add, own_cpu_remove)
ITEMS(cpu_from_spawn, "cpu@", own_cpu_remove, own_cpu_add)
ITEMS(memory_to_spawn, "memory@", own_memory_add, own_memory_remove)
ITEMS(memory_from_spawn, "memory@", own_memory_remove, own_memory_add)
ITEMS(device_to_spawn, "pci@", own_device_add, own_device_remove)
ITEMS(device_from_spawn, "pci@", own_device_remove, own_device_add)

static int memory_to_pool(const struct context *context)
{
	return for_each_item(context, "memory@", pool_memory_add);
}

/* Nobody knows which chunk came of it, or of what instance one was made. */
static int cannot_undo(const struct context *context)
{
	pr_warn("rollback: %s cannot be undone\n", mk_fdt_name(context->fdt, context->operation));
	return 0;
}

/* --- /instances */

static int create(const struct context *context)
{
	return mk_spawn_create(context->fdt, context->operation);
}

static struct mk_spawn *named_by(const struct context *context)
{
	const char *name;

	if (mk_fdt_string(context->fdt, context->operation, "instance-name", &name))
		return ERR_PTR(-EINVAL);
	return mk_spawn_named(name);
}

static int destroy(const struct context *context)
{
	struct mk_spawn *spawn = named_by(context);

	if (IS_ERR(spawn))
		return PTR_ERR(spawn);
	return spawn ? mk_spawn_remove(spawn) : -ENOENT;
}

static int undo_create(const struct context *context)
{
	struct mk_spawn *spawn = named_by(context);

	return IS_ERR_OR_NULL(spawn) ? 0 : mk_spawn_remove(spawn);
}

/* In the order in which they are done, whatever the order in the blob is. */
static const struct operation on_pool[] = {
	{ "cpu-remove", cpu_from_pool, undo_cpu_from_pool },
	{ "device-remove", device_from_pool, undo_device_from_pool },
	{ "memory-remove", memory_from_pool, undo_memory_from_pool },
	{ "memory-add", memory_to_pool, cannot_undo },
	{ "cpu-add", cpu_to_pool, undo_cpu_to_pool },
	{ "device-add", device_to_pool, undo_device_to_pool },
	{ }
};

static const struct operation on_instances[] = {
	{ "instance-create", create, undo_create },
	{ "instance-remove", destroy, cannot_undo },
	{ }
};

static const struct operation on_spawn[] = {
	{ "memory-remove", memory_from_spawn, undo_memory_from_spawn },
	{ "memory-add", memory_to_spawn, undo_memory_to_spawn },
	{ "cpu-remove", cpu_from_spawn, undo_cpu_from_spawn },
	{ "cpu-add", cpu_to_spawn, undo_cpu_to_spawn },
	{ "device-remove", device_from_spawn, undo_device_from_spawn },
	{ "device-add", device_to_spawn, undo_device_to_spawn },
	{ }
};

static bool has(const struct operation *operations, const char *name)
{
	for (; operations->name; operations++)
		if (!strcmp(operations->name, name))
			return true;
	return false;
}

/* An operation that belongs to another target is an error; a node that is no operation is none. */
static int check_names(const struct mk_fdt *fdt, int overlay, const struct operation *allowed)
{
	int node = MK_NO_NODE;

	while ((node = mk_fdt_child(fdt, overlay, node)) != MK_NO_NODE) {
		const char *name = mk_fdt_name(fdt, node);

		if (!has(allowed, name) && (has(on_pool, name) || has(on_instances, name)))
			return -EINVAL;
	}
	return 0;
}

static const struct operation *find_target(const char *path, struct mk_spawn **spawn)
{
	static const char prefix[] = "/instances/";

	*spawn = NULL;
	if (!strcmp(path, "/resources"))
		return list_empty(&mk_chunks) && cpumask_empty(&mk_pooled) ? ERR_PTR(-EPERM) : on_pool;
	if (!strcmp(path, "/instances"))
		return on_instances;
	if (strncmp(path, prefix, strlen(prefix)))
		return ERR_PTR(-EINVAL);
	path += strlen(prefix);
	if (!*path || strchr(path, '/'))
		return ERR_PTR(-EINVAL);
	*spawn = mk_spawn_named(path);
	return *spawn ? on_spawn : ERR_PTR(-ENOENT);
}

static int run(const struct context *context, const struct operation *operation, bool undo)
{
	return undo ? operation->undo(context) : operation->apply(context);
}

static int run_all(struct context *context, int overlay, const struct operation *operations, bool undo)
{
	unsigned int i, count = 0;
	int ret = 0;

	while (operations[count].name)
		count++;
	for (i = 0; i < count && !ret; i++) {
		const struct operation *operation = &operations[undo ? count - 1 - i : i];

		/* only the first of each name is looked at */
		context->operation = mk_fdt_find(context->fdt, overlay, operation->name);
		if (context->operation == MK_NO_NODE)
			continue;
		ret = run(context, operation, undo);
		if (ret)
			pr_warn("overlay: %s%s failed: %d\n", undo ? "rollback of " : "", operation->name, ret);
	}
	return ret;
}

/* A stock kernel cannot be given or asked for memory and CPUs while it runs: it would never answer. */
static int prepare(struct mk_spawn *spawn)
{
	mk_spawn_refresh(spawn);
	if (spawn->state == MK_ACTIVE) {
		pr_warn("instance %s runs a kernel that gives and takes no resources: no answer\n", spawn->name);
		return -ETIMEDOUT;
	}
	mk_spawn_stop_cpus(spawn);
	return 0;
}

static int run_fragment(const struct mk_fdt *fdt, int fragment, bool undo)
{
	int overlay = mk_fdt_find(fdt, fragment, "__overlay__"), ret;
	const struct operation *operations;
	struct context context = { .fdt = fdt };
	const char *path;

	if (overlay == MK_NO_NODE || mk_fdt_string(fdt, fragment, "target-path", &path))
		return -EINVAL;
	operations = find_target(path, &context.spawn);
	if (IS_ERR(operations))
		return PTR_ERR(operations);
	ret = check_names(fdt, overlay, operations);
	if (ret || !context.spawn)
		return ret ? ret : run_all(&context, overlay, operations, undo);
	if (!mk_kexec_trylock())
		return -EBUSY;
	ret = prepare(context.spawn);
	if (!ret)
		ret = run_all(&context, overlay, operations, undo);
	mk_kexec_unlock();
	return ret;
}

int mk_fragment_apply(const struct mk_fdt *fdt, int fragment)
{
	return run_fragment(fdt, fragment, false);
}

int mk_fragment_undo(const struct mk_fdt *fdt, int fragment)
{
	return run_fragment(fdt, fragment, true);
}
