// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Booting and stopping an instance by its id, as reboot(2) does it in the kernfs ABI.
 */
#include "kernfs.h"
#include "mailbox.h"
#include "pci.h"

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#define HALT_NS		(30 * NSEC_PER_SEC)

/* INIT to whatever runs on its CPUs; the state follows. */
void mk_spawn_stop_cpus(struct mk_spawn *spawn)
{
	unsigned int i;

	for (i = 0; i < spawn->nr_cpus; i++)
		mk_instance_kill(spawn->cpus[i]);
	/* its devices went on until now */
	mk_pci_quiet(&spawn->devices);
	if (spawn->state != MK_ACTIVE)
		return;
	mk_spawn_set(spawn, spawn->image ? MK_LOADED : MK_READY);
	blocking_notifier_call_chain(&mk_spawn_chain, MK_SPAWN_STOPPED, spawn);
}

/* All memory that is its own, and the chunk below 1 MiB. */
static struct mk_range *memory_of(const struct mk_spawn *spawn, unsigned int *count)
{
	const struct mk_region *region;
	struct mk_range *ranges;

	*count = 0;
	list_for_each_entry(region, &spawn->regions, mine)
		++*count;
	ranges = kcalloc(*count + 1, sizeof(*ranges), GFP_KERNEL);
	if (!ranges)
		return NULL;
	*count = 0;
	list_for_each_entry(region, &spawn->regions, mine)
		ranges[(*count)++] = region->range;
	if (spawn->image->low.size)
		ranges[(*count)++] = spawn->image->low;
	return ranges;
}

static int boot(struct mk_spawn *spawn)
{
	struct mk_range *ranges;
	unsigned int i, count;
	struct cpumask *cpus;
	u64 entry;
	int ret;

	mk_spawn_stop_cpus(spawn);
	blocking_notifier_call_chain(&mk_spawn_chain, MK_SPAWN_STARTS, spawn);
	ret = mk_layout_write(spawn, spawn->image, &entry);
	if (ret)
		return ret;
	ranges = memory_of(spawn, &count);
	cpus = kzalloc(sizeof(*cpus), GFP_KERNEL);
	ret = -ENOMEM;
	if (ranges && cpus) {
		for (i = 0; i < spawn->nr_cpus; i++)
			cpumask_set_cpu(spawn->cpus[i], cpus);
		ret = mk_instance_run(spawn->id, entry, spawn->cpus[0], cpus, ranges, count);
	}
	kfree(cpus);
	kfree(ranges);
	return ret;
}

static int exec(u32 id)
{
	struct mk_spawn *spawn = mk_spawn_with_id(id);
	int ret;

	if (!spawn)
		return -ESRCH;
	mk_spawn_refresh(spawn);
	if (!spawn->image)
		return -EINVAL;
	if (spawn->state != MK_LOADED)
		return -EBUSY;
	if (!spawn->nr_cpus)
		return -EINVAL;
	ret = boot(spawn);
	if (ret)
		return ret;
	mk_spawn_set(spawn, MK_ACTIVE);
	pr_info("instance %s (%u) started on CPU %u\n", spawn->name, id, spawn->cpus[0]);
	return 0;
}

/* -ESRCH when there is no such instance. */
long mk_spawn_exec(u32 id)
{
	long ret;

	if (!mk_kexec_trylock())
		return -EBUSY;
	mutex_lock(&mk_tree_lock);
	ret = exec(id);
	mutex_unlock(&mk_tree_lock);
	mk_kexec_unlock();
	return ret;
}

/* A word in the mailbox, and an interrupt that makes the client module look for it. */
static void ask(struct mk_spawn *spawn)
{
	struct mk_mailbox *mailbox = __va(mk_spawn_base(spawn)->range.start);

	WRITE_ONCE(mailbox->request, MK_PLEASE_HALT);
	wmb();	/* the IPI is no barrier in x2APIC mode */
	mk_send_ipi(APIC_DM_FIXED | X86_PLATFORM_IPI_VECTOR, mk_apic_id(spawn->cpus[0]));
}

/* 0 when it is still active. */
static int look(u32 id, struct mk_spawn *spawn)
{
	int ret = -ENOENT;

	mutex_lock(&mk_tree_lock);
	if (!spawn->gone && mk_spawn_with_id(id) == spawn) {
		mk_spawn_refresh(spawn);
		ret = spawn->state == MK_ACTIVE ? 0 : 1;
	}
	mutex_unlock(&mk_tree_lock);
	return ret;
}

/* Without a client module in it nobody answers, and the time runs out. */
static int await(u32 id, struct mk_spawn *spawn)
{
	u64 deadline = ktime_get_mono_fast_ns() + HALT_NS;
	int ret = 0;

	while (!ret && ktime_get_mono_fast_ns() < deadline) {
		if (msleep_interruptible(50) || signal_pending(current))
			return -EINTR;
		ret = look(id, spawn);
	}
	return ret ? min(ret, 0) : -ETIMEDOUT;
}

long mk_spawn_halt(u32 id)
{
	struct mk_spawn *spawn;
	int ret = 0;

	mutex_lock(&mk_tree_lock);
	spawn = mk_spawn_with_id(id);
	if (!spawn) {
		mutex_unlock(&mk_tree_lock);
		return -ENOENT;
	}
	mk_spawn_refresh(spawn);
	if (spawn->state != MK_ACTIVE)
		ret = -EINVAL;
	else
		ask(spawn);
	mk_object_get(&spawn->object);
	mutex_unlock(&mk_tree_lock);
	if (!ret)
		ret = await(id, spawn);
	mk_object_put(&spawn->object);
	return ret;
}

long mk_spawn_force(u32 id)
{
	struct mk_spawn *spawn;
	long ret = 0;

	mutex_lock(&mk_tree_lock);
	spawn = mk_spawn_with_id(id);
	if (!spawn || (spawn->state != MK_ACTIVE && spawn->state != MK_LOADED) || !spawn->nr_cpus)
		ret = spawn ? -EINVAL : -ENOENT;
	else
		mk_spawn_stop_cpus(spawn);
	mutex_unlock(&mk_tree_lock);
	return ret;
}
