// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /sys/kernel/mkstock: what the RFC's interface does not tell, and what it cannot do.
 */
#include "mkstock.h"

#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/tsc.h>

static struct kobject *directory;

/* Parsers cut their text into words, so each gets a copy without the line's end. */
static ssize_t with_copy(const char *buf, size_t count, int (*parse)(char *text))
{
	char *text = kstrndup(buf, count, GFP_KERNEL);
	int ret;

	if (!text)
		return -ENOMEM;
	if (mk_record_left()) {
		kfree(text);
		return -ESHUTDOWN;
	}
	ret = parse(strim(text));
	kfree(text);
	return ret ? ret : count;
}

#define SHOW(name, expression)								\
static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)	\
{											\
	return expression;								\
}

#define STORE(name, parse)								\
static ssize_t name##_store(struct kobject *kobj, struct kobj_attribute *attr,		\
			    const char *buf, size_t count)				\
{											\
	return with_copy(buf, count, parse);						\
}

static int kill_write(char *text)
{
	unsigned int cpu;
	int ret = kstrtouint(text, 0, &cpu);

	return ret ? ret : mk_instance_kill(cpu);
}

static int beat_write(char *text)
{
	return mk_client_beat(text);
}

static ssize_t print_info(char *buf)
{
	int n = sysfs_emit(buf, "tsc_khz %u\nbsp_apic_id %u\n", tsc_khz, mk_apic_id(0));

	if (!mk_is_client)
		n += sysfs_emit_at(buf, n, "boot_params 0x%llx\ntrampoline 0x%llx\nstrict_rfc %d\nabi %s\n",
				   (u64)mk_boot_params(), (u64)mk_trampoline_page(), mk_strict,
				   !mk_abi_kernfs ? "rfc" : mk_abi_rfc ? "both" : "kernfs");
	n += sysfs_emit_at(buf, n, "apic %s\nvector 0x%x\n", apic->name, X86_PLATFORM_IPI_VECTOR);
	return n;
}

SHOW(version, sysfs_emit(buf, MK_VERSION "\n"))
SHOW(role, sysfs_emit(buf, "%s\n", mk_is_client ? "client" : "host"))
SHOW(info, print_info(buf))
SHOW(pool, mk_pool_show(buf))
SHOW(low, mk_low_show(buf))
SHOW(instances, mk_instance_show(buf))
SHOW(channels, mk_channels_show(buf))
SHOW(record, mk_record_show(buf))
SHOW(adopted, mk_adopt_show(buf))
SHOW(layout, mk_record_layout_show(buf))
STORE(pool, mk_pool_write)
STORE(select, mk_select_write)
STORE(kill, kill_write)
STORE(channels, mk_channels_write)
STORE(beat, beat_write)
STORE(layout, mk_record_layout)

static struct kobj_attribute version_file = __ATTR_RO(version);
static struct kobj_attribute role_file = __ATTR_RO(role);
static struct kobj_attribute info_file = __ATTR_RO(info);
static struct kobj_attribute channels_file = __ATTR_RW(channels);
static struct kobj_attribute pool_file = __ATTR_RW(pool);
static struct kobj_attribute low_file = __ATTR_RO(low);
static struct kobj_attribute instances_file = __ATTR_RO(instances);
static struct kobj_attribute select_file = __ATTR_WO(select);
static struct kobj_attribute kill_file = __ATTR_WO(kill);
static struct kobj_attribute record_file = __ATTR_RO(record);
static struct kobj_attribute adopted_file = __ATTR_RO(adopted);
static struct kobj_attribute layout_file = __ATTR_RW(layout);
static struct kobj_attribute beat_file = __ATTR_WO(beat);

static struct attribute *host_files[] = {
	&version_file.attr, &role_file.attr, &info_file.attr, &channels_file.attr, &pool_file.attr,
	&low_file.attr, &instances_file.attr, &select_file.attr, &kill_file.attr,
	&record_file.attr, &adopted_file.attr, &layout_file.attr, NULL
};

static struct attribute *client_files[] = {
	&version_file.attr, &role_file.attr, &info_file.attr, &channels_file.attr, &beat_file.attr, NULL
};

static const struct attribute_group host_group = { .attrs = host_files };
static const struct attribute_group client_group = { .attrs = client_files };

/* Where other parts hang their own files. */
struct kobject *mk_control_directory(void)
{
	return directory;
}

int mk_control_start(void)
{
	int ret;

	directory = kobject_create_and_add("mkstock", kernel_kobj);
	if (!directory)
		return -ENOMEM;
	ret = sysfs_create_group(directory, mk_is_client ? &client_group : &host_group);
	if (ret)
		kobject_put(directory);
	return ret;
}

void mk_control_stop(void)
{
	kobject_put(directory);
}
