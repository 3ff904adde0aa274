// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Instances that outlive their host's kernel: their lines in the record, and what becomes of such a line in the next kernel.
 */
#include "instance.h"
#include "record.h"

#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/string.h>

/* The mark of this boot of the instance, 0 where there is no mailbox. */
static u64 nonce_of(const struct instance *instance)
{
	struct mk_range page = { mk_instance_base(instance), PAGE_SIZE };
	const struct mk_mailbox *mailbox;
	u64 nonce;

	mailbox = mk_range_sane(&page) && mk_instance_owns(instance, &page) ? mk_mailbox_map(page.start) : NULL;
	if (!mailbox)
		return 0;
	nonce = READ_ONCE(mailbox->nonce);
	memunmap((void *)mailbox);
	return nonce;
}

static const char *why_not_saved(const struct instance *instance, u64 nonce)
{
	unsigned int i;

	if (instance->id)
		return "an instance of the kernfs ABI runs in memory that the next kernel would use";
	for (i = 0; i < instance->nr_memory; i++)
		if (!mk_memory_survives(&instance->memory[i]))
			return "an instance has memory that was not reserved on the host's command line (memmap=)";
	return nonce ? NULL : "an instance has no mailbox with a nonce, so nobody could tell whether it still runs";
}

static void save_one(struct mk_record *record, const struct instance *instance)
{
	u64 nonce = nonce_of(instance);
	const char *comma = "";
	unsigned int cpu, i;

	if (why_not_saved(instance, nonce))
		mk_record_trouble(record, why_not_saved(instance, nonce));
	mk_record_put(record, "instance 0x%lx ", instance->entry);
	for_each_cpu(cpu, &instance->cpus) {
		mk_record_put(record, "%s%u", comma, mk_apic_id(cpu));
		comma = ",";
	}
	for (i = 0; i < instance->nr_memory; i++)
		mk_record_put(record, "%c0x%llx+0x%llx", i ? ',' : ' ', instance->memory[i].start, instance->memory[i].size);
	mk_record_put(record, " %u 0x%llx\n", instance->console, nonce);
	record->instances++;
}

void mk_instances_save(struct mk_record *record)
{
	struct instance *instance;

	list_for_each_entry(instance, &mk_instances, node)
		save_one(record, instance);
}

static int cpus_of(char *apic_ids, struct cpumask *cpus, const char **why)
{
	char *word;
	u32 apic_id;
	int cpu;

	cpumask_clear(cpus);
	while ((word = strsep(&apic_ids, ","))) {
		cpu = kstrtou32(word, 10, &apic_id) ? -EINVAL : mk_cpu_find(apic_id);
		if (cpu < 0) {
			*why = "this host does not have all of its CPUs";
			return cpu;
		}
		cpumask_set_cpu(cpu, cpus);
	}
	return 0;
}

/* What is held against a line of a record: never trusted, it may be damaged or a lie. Needs the locks. */
static const char *why_not_adopted(const struct instance *instance, u64 nonce)
{
	unsigned int cpu, i;

	for_each_cpu(cpu, &instance->cpus) {
		if (cpu == BOOT_CPU)
			return "it claims the host's boot CPU";
		if (cpu_online(cpu))
			return "one of its CPUs is online in this host, which ended it";
		if (mk_instance_has(cpu) || cpumask_test_cpu(cpu, &mk_pooled))
			return "one of its CPUs has another owner";
	}
	for (i = 0; i < instance->nr_memory; i++) {
		const struct mk_range *range = &instance->memory[i];

		if (!mk_memory_unused(range))
			return "this host uses its memory";
		if (!mk_pool_lends(range) && !mk_memory_is_low(range))
			return "its memory is not in the pool";
		if (mk_instance_uses(range))
			return "another instance has its memory";
	}
	if (mk_instance_check(instance))
		return "its entry is not in its memory, or there are too many instances";
	if (!nonce || nonce_of(instance) != nonce)
		return "its mailbox does not carry the mark of its boot, so its memory was overwritten";
	return NULL;
}

/* It keeps running on; only this host learns of it. */
static void take_over(struct instance *instance, u32 console)
{
	mk_forget_booted(&instance->cpus);
	mk_instance_enlist(instance);
	if (console && !mk_tty_adopt(console, mk_instance_base(instance), mk_apic_id(cpumask_first(&instance->cpus))))
		instance->console = console;
	mk_instance_look(instance);
}

int mk_instance_adopt(u64 entry, char *apic_ids, const struct mk_range *memory, unsigned int nr_memory, u32 console, u64 nonce,
		      const char **why)
{
	struct instance *instance = kzalloc(struct_size(instance, memory, nr_memory), GFP_KERNEL);
	int ret;

	if (!instance)
		return -ENOMEM;
	instance->entry = entry;
	instance->rfc = true;
	instance->nr_memory = nr_memory;
	memcpy(instance->memory, memory, nr_memory * sizeof(*memory));
	cpus_read_lock();
	mutex_lock(&mk_lock);
	ret = cpus_of(apic_ids, &instance->cpus, why);
	if (!ret) {
		*why = why_not_adopted(instance, nonce);
		ret = *why ? -EINVAL : 0;
	}
	if (!ret)
		take_over(instance, console);
	mutex_unlock(&mk_lock);
	cpus_read_unlock();
	if (ret)
		kfree(instance);
	return ret;
}
