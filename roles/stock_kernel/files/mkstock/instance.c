// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Instances: kernels that run on CPUs which the host has given up. What reboot(2) with the multikernel command does, how an
 * instance ends, and what the host must not do as long as it lives.
 */
#include "instance.h"
#include "mailbox.h"

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

LIST_HEAD(mk_instances);
static unsigned int nr_instances;
static int hotplug_state;

/* CPUs of all instances. Changed under cpus_read_lock(), looked at by CPU hotplug, which has that lock for writing. */
static struct cpumask taken;

static struct instance *owner_of(unsigned int cpu)
{
	struct instance *instance;

	list_for_each_entry(instance, &mk_instances, node)
		if (cpumask_test_cpu(cpu, &instance->cpus))
			return instance;
	return NULL;
}

bool mk_instance_uses(const struct mk_range *range)
{
	struct instance *instance;
	unsigned int i;

	list_for_each_entry(instance, &mk_instances, node)
		for (i = 0; i < instance->nr_memory; i++)
			if (mk_range_overlap(&instance->memory[i], range))
				return true;
	return false;
}

static void discard(struct instance *instance)
{
	if (!instance)
		return;
	mk_tables_free(&instance->tables);
	kfree(instance);
}

/* Each instance keeps the module loaded: without it nothing would hold the host back from its CPUs and memory. */
void mk_instance_enlist(struct instance *instance)
{
	list_add_tail(&instance->node, &mk_instances);
	nr_instances++;
	cpumask_or(&taken, &taken, &instance->cpus);
	__module_get(THIS_MODULE);
}

static void retire(struct instance *instance)
{
	unsigned int cpu;

	list_del(&instance->node);
	nr_instances--;
	cpumask_andnot(&taken, &taken, &instance->cpus);
	for_each_cpu(cpu, &instance->cpus)
		mk_channels_peer_gone(mk_apic_id(cpu));
	if (instance->console)
		mk_tty_gone(instance->console, mk_instance_base(instance));
	discard(instance);
	module_put(THIS_MODULE);
}

/* Two rounds, since a CPU that still runs may start one of its siblings that is already stopped. */
static void stop_cpus(const struct instance *instance)
{
	unsigned int cpu, round;

	for (round = 0; round < 2; round++)
		for_each_cpu(cpu, &instance->cpus)
			mk_send_init(mk_apic_id(cpu));
}

int mk_instance_kill(unsigned int cpu)
{
	struct instance *instance;

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	cpus_read_lock();
	mutex_lock(&mk_lock);
	instance = owner_of(cpu);
	if (instance) {
		stop_cpus(instance);
		retire(instance);
	}
	mutex_unlock(&mk_lock);
	cpus_read_unlock();
	return instance ? 0 : -ESRCH;
}

/* Needs cpus_read_lock(). */
bool mk_instance_has(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, &taken);
}

static struct instance *new_instance(unsigned long entry, const struct cpumask *cpus,
				     const struct mk_range *memory, unsigned int nr_memory)
{
	struct instance *instance = kzalloc(struct_size(instance, memory, nr_memory), GFP_KERNEL);

	if (!instance)
		return ERR_PTR(-ENOMEM);
	instance->entry = entry;
	cpumask_copy(&instance->cpus, cpus);
	instance->nr_memory = nr_memory;
	memcpy(instance->memory, memory, nr_memory * sizeof(*memory));
	if (mk_tables_build(&instance->tables, entry, memory, nr_memory)) {
		kfree(instance);
		return ERR_PTR(-ENOMEM);
	}
	return instance;
}

/* What the RFC knows of an instance: one CPU, and the memory that was written. */
static struct instance *plain_instance(unsigned int cpu)
{
	struct mk_image *image = mk_image_first();

	if (!image)
		return ERR_PTR(-EINVAL);
	return new_instance(image->entry, cpumask_of(cpu), image->segments, image->nr_segments);
}

static struct instance *selected_instance(unsigned int cpu, const struct mk_selection *selection)
{
	struct mk_range entry = { selection->entry & PAGE_MASK, PAGE_SIZE };
	bool inside = false;
	unsigned int i;

	if (!mk_image_find(selection->entry) || !cpumask_test_cpu(cpu, &selection->cpus))
		return ERR_PTR(-EINVAL);
	for (i = 0; i < selection->nr_memory; i++) {
		const struct mk_range *range = &selection->memory[i];

		inside |= mk_range_overlap(range, &entry);
		if (!mk_pool_lends(range) && !mk_memory_is_low(range))
			return ERR_PTR(-EADDRNOTAVAIL);
		if (mk_instance_uses(range))
			return ERR_PTR(-EBUSY);
	}
	if (!inside)
		return ERR_PTR(-EINVAL);
	return new_instance(selection->entry, &selection->cpus, selection->memory,
			    selection->nr_memory);
}

/*
 * INIT sends a boot CPU into the firmware, so it is never given away; a CPU without an APIC id cannot be addressed; and an
 * entry outside the memory for instances would run host code on a foreign CPU.
 */
int mk_instance_check(const struct instance *instance)
{
	struct mk_range entry = { instance->entry & PAGE_MASK, PAGE_SIZE };
	unsigned int cpu;

	if (!mk_pool_covers(&entry) && !mk_memory_is_low(&entry))
		return -EINVAL;
	for_each_cpu(cpu, &instance->cpus) {
		if (cpu_online(cpu) || (!mk_strict && cpumask_test_cpu(cpu, &taken)))
			return -EBUSY;
		if (instance->rfc && cpumask_test_cpu(cpu, &mk_pooled))
			return -EBUSY;
		if (cpu == BOOT_CPU || !cpu_present(cpu) || mk_apic_id(cpu) == BAD_APICID)
			return -EINVAL;
	}
	return nr_instances < MK_INSTANCES_MAX ? 0 : -ENOSPC;
}

bool mk_instance_owns(const struct instance *instance, const struct mk_range *range)
{
	unsigned int i;

	for (i = 0; i < instance->nr_memory; i++)
		if (range->start >= instance->memory[i].start && range->start + range->size <=
		    instance->memory[i].start + instance->memory[i].size)
			return mk_pool_covers(range);
	return false;
}

/* The mailbox at @base where there is one, to be unmapped. The caller knows that the memory is an instance's. */
const struct mk_mailbox *mk_mailbox_map(u64 base)
{
	const struct mk_mailbox *mailbox = memremap(base, PAGE_SIZE, MEMREMAP_WB);

	if (!mailbox || READ_ONCE(mailbox->magic) == MK_MAILBOX_MAGIC)
		return mailbox;
	memunmap((void *)mailbox);
	return NULL;
}

static bool has_mailbox(u64 base)
{
	const struct mk_mailbox *mailbox = mk_mailbox_map(base);

	if (mailbox)
		memunmap((void *)mailbox);
	return mailbox;
}

/*
 * The RFC numbers no instances, so the console of one is named by its boot CPU's APIC id. Only with a mailbox is its memory
 * surely laid out as ours are. Without a console an instance runs just as well.
 */
static void add_console(struct instance *instance, u32 id, u32 apic_id)
{
	struct mk_range head = { mk_instance_base(instance), MK_INSTANCE_HEAD };

	if (mk_strict || instance->entry < MK_MAILBOX_TO_ENTRY || !mk_range_sane(&head) ||
	    !mk_instance_owns(instance, &head) || !has_mailbox(head.start))
		return;
	if (!mk_tty_add(id, head.start, apic_id))
		instance->console = id;
}

static int start(struct instance *instance, unsigned int cpu)
{
	struct instance *previous;
	int ret = mk_instance_check(instance);

	if (ret)
		return ret;
	mk_forget_booted(&instance->cpus);
	add_console(instance, instance->id ?: mk_apic_id(cpu), mk_apic_id(cpu));
	ret = mk_start_cpu(mk_apic_id(cpu), instance->entry, &instance->tables);
	if (ret) {
		if (instance->console)
			mk_tty_gone(instance->console, mk_instance_base(instance));
		return ret;
	}
	previous = owner_of(cpu);
	if (previous)		/* strict: a boot restarts whatever ran there */
		retire(previous);
	mk_instance_enlist(instance);
	return 0;
}

static int boot(unsigned int cpu, const struct mk_selection *selection)
{
	struct instance *instance;
	int ret;

	/* The RFC looks at the CPU first, then at the images. */
	if (cpu_online(cpu))
		return -EBUSY;
	instance = selection ? selected_instance(cpu, selection) : plain_instance(cpu);
	if (IS_ERR(instance))
		return PTR_ERR(instance);
	instance->rfc = true;
	ret = start(instance, cpu);
	if (ret)
		discard(instance);
	else
		pr_info("started 0x%lx on CPU %u\n", instance->entry, cpu);
	return ret;
}

/* What the kernfs ABI boots: memory and CPUs are checked already, and whose they are. -EBUSY while one of the CPUs runs. */
int mk_instance_run(u32 id, unsigned long entry, unsigned int cpu, const struct cpumask *cpus,
		    const struct mk_range *memory, unsigned int nr_memory)
{
	struct instance *instance;
	int ret;

	cpus_read_lock();
	mutex_lock(&mk_lock);
	instance = new_instance(entry, cpus, memory, nr_memory);
	ret = PTR_ERR_OR_ZERO(instance);
	if (!ret)
		instance->id = id;
	if (!ret && cpumask_intersects(cpus, &taken))
		ret = -EBUSY;
	if (!ret)
		ret = start(instance, cpu);
	if (ret && !IS_ERR(instance))
		discard(instance);
	mutex_unlock(&mk_lock);
	cpus_read_unlock();
	return ret;
}

/* reboot(2) with the multikernel command; @arg points to the struct of one int, the CPU's number in the host. */
long mk_instance_boot(const int __user *arg)
{
	struct mk_selection *selection;
	int cpu;
	long ret;

	if (get_user(cpu, arg))
		return -EFAULT;
	if (cpu < 0 || cpu >= nr_cpu_ids || !cpu_possible(cpu))
		return -EINVAL;
	if (!mk_kexec_trylock())
		return -EBUSY;
	cpus_read_lock();
	mutex_lock(&mk_lock);
	selection = mk_select_take();
	ret = boot(cpu, selection);
	mk_select_free(selection);
	mutex_unlock(&mk_lock);
	cpus_read_unlock();
	mk_kexec_unlock();
	return ret;
}

/* Words of an instance are shown to people: printable, and nothing that ends the quotes. */
static void set_text(struct instance *instance, const char *text)
{
	unsigned int i;

	strscpy(instance->text, text, sizeof(instance->text));
	for (i = 0; instance->text[i]; i++)
		if (!isprint(instance->text[i]) || strchr("\"\\", instance->text[i]))
			instance->text[i] = '.';
}

/* By message, or by the mailbox; the first word counts. Needs mk_lock. */
static void end(struct instance *instance, const char *text)
{
	if (instance->ended)
		return;
	instance->ended = true;
	set_text(instance, text);
	pr_info("instance 0x%lx ended: %s\n", instance->entry, instance->text);
}

void mk_instance_ended(u32 apic_id, const char *text)
{
	struct instance *instance;
	unsigned int cpu;

	mutex_lock(&mk_lock);
	list_for_each_entry(instance, &mk_instances, node)
		for_each_cpu(cpu, &instance->cpus)
			if (mk_apic_id(cpu) == apic_id)
				end(instance, text);
	mutex_unlock(&mk_lock);
}

/* An instance without a channel can still say in its mailbox how it ended. */
void mk_instance_look(struct instance *instance)
{
	static const char *const ends[] = {
		[MK_PANICKED] = "panicked",
		[MK_HALTED] = "halted",
		[MK_RESTART_REQUESTED] = "restart requested",
		[MK_POWERED_OFF] = "powered off",
	};
	struct mk_range range = { instance->entry - MK_MAILBOX_TO_ENTRY, PAGE_SIZE };
	const struct mk_mailbox *mailbox;
	char text[MK_TEXT_MAX];
	u32 state;

	if (!mk_range_sane(&range) || !mk_pool_covers(&range))
		return;
	mailbox = memremap(range.start, PAGE_SIZE, MEMREMAP_WB);
	if (!mailbox)
		return;
	state = READ_ONCE(mailbox->state);
	memcpy(text, mailbox->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (READ_ONCE(mailbox->magic) == MK_MAILBOX_MAGIC && state < ARRAY_SIZE(ends) && ends[state])
		end(instance, *text ? text : ends[state]);
	memunmap((void *)mailbox);
}

/* Whether the instance that has this CPU goes on; false as well when there is none. */
bool mk_instance_runs(unsigned int cpu)
{
	struct instance *instance;
	bool runs;

	mutex_lock(&mk_lock);
	instance = owner_of(cpu);
	if (instance && !instance->ended)
		mk_instance_look(instance);
	runs = instance && !instance->ended;
	mutex_unlock(&mk_lock);
	return runs;
}

static int show_one(char *buf, int at, struct instance *instance)
{
	const char *comma = "";
	unsigned int cpu;
	int n = at;

	n += sysfs_emit_at(buf, n, "entry=0x%lx cpus=", instance->entry);
	for_each_cpu(cpu, &instance->cpus) {
		n += sysfs_emit_at(buf, n, "%s%u", comma, cpu);
		comma = ",";
	}
	n += sysfs_emit_at(buf, n, " apic=");
	comma = "";
	for_each_cpu(cpu, &instance->cpus) {
		n += sysfs_emit_at(buf, n, "%s%u", comma, mk_apic_id(cpu));
		comma = ",";
	}
	n += sysfs_emit_at(buf, n, " memory=");
	n += mk_ranges_print(buf, n, instance->memory, instance->nr_memory);
	n += sysfs_emit_at(buf, n, " state=%s text=\"%s\"",
			   instance->ended ? "ended" : "running", instance->text);
	if (instance->console)
		n += sysfs_emit_at(buf, n, " console=%u", instance->console);
	n += sysfs_emit_at(buf, n, "\n");
	return n - at;
}

ssize_t mk_instance_show(char *buf)
{
	struct instance *instance;
	int n = 0;

	mutex_lock(&mk_lock);
	list_for_each_entry(instance, &mk_instances, node) {
		if (!instance->ended)
			mk_instance_look(instance);
		n += show_one(buf, n, instance);
	}
	mutex_unlock(&mk_lock);
	return n;
}

/* Strict: the host took CPUs back, which ended whatever ran there. */
static void collect_lost(struct work_struct *unused)
{
	struct instance *instance, *next;

	cpus_read_lock();
	mutex_lock(&mk_lock);
	list_for_each_entry_safe(instance, next, &mk_instances, node)
		if (!cpumask_subset(&instance->cpus, &taken))
			retire(instance);
	mutex_unlock(&mk_lock);
	cpus_read_unlock();
}
static DECLARE_WORK(lost_work, collect_lost);

/* The host must not take a CPU online that is in the kernfs pool, or that an instance runs on. The RFC lets it, and the instance dies of it. */
static int before_online(unsigned int cpu)
{
	if (cpumask_test_cpu(cpu, &mk_pooled))
		return -EBUSY;
	if (!cpumask_test_cpu(cpu, &taken))
		return 0;
	if (!mk_strict)
		return -EBUSY;
	cpumask_clear_cpu(cpu, &taken);
	schedule_work(&lost_work);
	return 0;
}

/* Sleep takes the power from memory controller and processors, with the instances on them. */
static int power_event(struct notifier_block *nb, unsigned long action, void *data)
{
	if ((action == PM_SUSPEND_PREPARE || action == PM_HIBERNATION_PREPARE) && nr_instances)
		return notifier_from_errno(-EBUSY);
	return NOTIFY_OK;
}

static struct notifier_block power_nb = { .notifier_call = power_event };

int mk_instance_start(void)
{
	int ret = register_pm_notifier(&power_nb);

	if (ret)
		return ret;
	ret = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "mkstock:online", before_online, NULL);
	if (ret < 0) {
		unregister_pm_notifier(&power_nb);
		return ret;
	}
	hotplug_state = ret;
	return 0;
}

void mk_instance_stop(void)
{
	cpuhp_remove_state_nocalls(hotplug_state);
	unregister_pm_notifier(&power_nb);
	flush_work(&lost_work);
}
