// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The ownership record: what a host that goes into another kernel by kexec leaves behind in memory, for the module there.
 *
 * It lies in the pages between the first one and 64 KiB: Linux keeps them reserved because some firmware writes to them, loads no
 * kernel there, and no instance is given them. It is written by the last reboot notifier, once, and only for a kexec; it is
 * erased when the module starts and stops. So what is found is what the kernel before this one knew at its end, or nothing.
 */
#include "record.h"

#include <linux/cpu.h>
#include <linux/crc32.h>
#include <linux/ctype.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/reboot.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#define FIRST	PAGE_SIZE
#define END	SZ_64K

static struct mk_range place;		/* empty where there is none */
static void *memory;
static char layout[MK_LAYOUT_MAX];	/* what the record says of the layout; under mk_lock */
static char *found;			/* text of the kernel before this one */
static u32 found_size;
static const char *found_trouble = "no record was found: the machine was started anew, or nothing ran";
static bool left;

void mk_record_trouble(struct mk_record *record, const char *sentence)
{
	if (!record->trouble)
		record->trouble = sentence;
}

void mk_record_put(struct mk_record *record, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(record->text + record->used, record->room - record->used, format, arguments);
	va_end(arguments);
	if (n >= record->room - record->used)
		mk_record_trouble(record, "there is more to say than finds room below 64 KiB");
	else
		record->used += n;
}

static bool is_spare(u64 page)
{
	struct mk_range range = { page, PAGE_SIZE }, trampoline = { mk_trampoline_page(), PAGE_SIZE };

	return !mk_range_overlap(&range, &trampoline) && mk_memory_unused(&range);
}

/* The longest run of spare pages. */
static struct mk_range choose(void)
{
	struct mk_range best = { 0 }, run = { 0 };
	u64 page;

	for (page = FIRST; page < END; page += PAGE_SIZE) {
		if (!is_spare(page)) {
			run.size = 0;
			continue;
		}
		if (!run.size)
			run.start = page;
		run.size += PAGE_SIZE;
		if (run.size > best.size)
			best = run;
	}
	return best;
}

static u32 checksum(const struct mk_record_head *head, const void *text)
{
	struct mk_record_head copy = *head;

	copy.crc = 0;
	return ~crc32_le(crc32_le(~0, (const u8 *)&copy, sizeof(copy)), text, head->size);
}

static const char *judge(const struct mk_record_head *head, u64 room)
{
	if (head->version != MK_RECORD_VERSION)
		return "the record is of another version of this module";
	if (!head->size || head->size > room - sizeof(*head))
		return "the record's length is wrong";
	if (checksum(head, head + 1) != head->crc)
		return "the record's checksum is wrong: it was damaged, or not written to its end";
	if (rdtsc_ordered() < head->tsc)
		return "the machine was reset since the record was written, so nothing of it runs any more";
	return NULL;
}

/* Instances are not given it. */
bool mk_record_uses(const struct mk_range *range)
{
	return place.size && mk_range_overlap(&place, range);
}

/* A record that begins in this page; the kernel before may have found more or fewer spare pages than this one. */
static bool read_at(u64 page)
{
	u64 room = place.start + place.size - page;
	const struct mk_record_head *head = memory + (page - place.start);

	if (head->magic != MK_RECORD_MAGIC)
		return false;
	found_trouble = judge(head, room);
	if (found_trouble)
		return true;
	found = kmemdup_nul((const char *)(head + 1), head->size, GFP_KERNEL);
	found_size = head->size;
	if (!found)
		found_trouble = "there is no memory to read the record";
	return true;
}

static void read_old(void)
{
	u64 page;

	for (page = place.start; page < place.start + place.size; page += PAGE_SIZE)
		if (read_at(page))
			break;
	memset(memory, 0, place.size);
}

/* The text of the record, which is the caller's now; NULL when there is none, and *@why not. */
char *mk_record_found(u32 *size, const char **why)
{
	char *text = found;

	found = NULL;
	*size = found_size;
	*why = found_trouble;
	return text;
}

/* Everything that is to be carried on. @text has @room bytes. */
static void write_text(struct mk_record *record, char *text, size_t room)
{
	*record = (struct mk_record){ .text = text, .room = room };
	if (!room)
		mk_record_trouble(record, "the host uses all memory below 64 KiB");
	mutex_lock(&mk_lock);
	if (*layout)
		mk_record_put(record, "layout %s\n", layout);
	mk_pool_save(record);
	mk_images_save(record);
	mk_instances_save(record);
	mutex_unlock(&mk_lock);
	mk_channels_save(record);
	mk_record_put(record, "end\n");
}

static size_t room(void)
{
	return place.size ? place.size - sizeof(struct mk_record_head) : 0;
}

/* What would be written if the host left now. */
ssize_t mk_record_show(char *buf)
{
	char *text = kzalloc(SZ_64K, GFP_KERNEL);
	struct mk_record record;
	int n;

	if (!text)
		return -ENOMEM;
	write_text(&record, text, room());
	n = sysfs_emit(buf, "version %u\naddress 0x%llx\nroom %zu\nused %zu\ninstances %u\nchannels %u\n", MK_RECORD_VERSION,
		       place.start, record.room, record.used, record.instances, record.channels);
	n += sysfs_emit_at(buf, n, "carries %s\n", record.trouble ?: "everything");
	kfree(text);
	return n;
}

static bool good_layout(const char *text)
{
	if (strlen(text) >= sizeof(layout))
		return false;
	for (; *text; text++)
		if (!isprint(*text))
			return false;
	return true;
}

/* One line of the user's: which layout this is, and what else he must know of it after the host's kexec. */
int mk_record_layout(char *text)
{
	if (!good_layout(text))
		return -EINVAL;
	mutex_lock(&mk_lock);
	strscpy(layout, text, sizeof(layout));
	mutex_unlock(&mk_lock);
	return 0;
}

ssize_t mk_record_layout_show(char *buf)
{
	ssize_t n;

	mutex_lock(&mk_lock);
	n = sysfs_emit(buf, "%s\n", layout);
	mutex_unlock(&mk_lock);
	return n;
}

static void write_record(void)
{
	struct mk_record_head *head = memory;
	struct mk_record record;

	if (!memory)
		return;
	write_text(&record, (char *)(head + 1), room());
	if (record.trouble) {
		pr_err("no record for the next kernel: %s\n", record.trouble);
		return;
	}
	*head = (struct mk_record_head){ .version = MK_RECORD_VERSION, .size = record.used, .tsc = rdtsc_ordered() };
	head->magic = MK_RECORD_MAGIC;
	head->crc = checksum(head, head + 1);
	wmb();
	pr_info("record for the next kernel: %u instances, %u channels, %zu bytes at 0x%llx\n", record.instances,
		record.channels, record.used, place.start);
}

/*
 * CPUs that are offline in the host sleep in its code, which the next kernel overwrites; what wakes them there would run anything.
 * After INIT they wait for nothing but to be started. Instances keep theirs.
 */
static void park_idle_cpus(void)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_present_cpu(cpu)
		if (!cpu_online(cpu) && cpu && !mk_instance_has(cpu))
			mk_send_init(mk_apic_id(cpu));
	cpus_read_unlock();
}

/* The word of kernel_kexec(); any other way down resets the machine, with all instances. */
static int on_reboot(struct notifier_block *nb, unsigned long action, void *command)
{
	if (action != SYS_RESTART || !command || strcmp(command, "kexec reboot"))
		return NOTIFY_DONE;
	WRITE_ONCE(left, true);
	mk_channels_leave();
	mk_tty_leave();
	write_record();
	park_idle_cpus();
	return NOTIFY_DONE;
}

/* After everybody else's. */
static struct notifier_block reboot_nb = { .notifier_call = on_reboot, .priority = INT_MIN };

/* The record is written, or just being: whatever changes now would be lost. */
bool mk_record_left(void)
{
	return READ_ONCE(left);
}

static void forget(void)
{
	kfree(found);
	found = NULL;
	if (!memory)
		return;
	memset(memory, 0, place.size);
	memunmap(memory);
	memory = NULL;
}

int mk_record_start(void)
{
	int ret;

	place = choose();
	if (place.size) {
		memory = memremap(place.start, place.size, MEMREMAP_WB);
		if (!memory)
			return -ENOMEM;
		read_old();
	} else {
		found_trouble = "this host uses all memory below 64 KiB, where a record would be";
	}
	ret = register_reboot_notifier(&reboot_nb);
	if (ret)
		forget();
	return ret;
}

void mk_record_stop(void)
{
	unregister_reboot_notifier(&reboot_nb);
	forget();
}
