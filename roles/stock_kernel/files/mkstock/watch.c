// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Channels between two instances. The host has no end of them and no part in what they carry, but when it stops an instance, it is
 * the only one who can tell the other end.
 */
#include "channel.h"
#include "record.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

struct watch {
	struct list_head node;
	char name[MK_NAME_MAX];
	u64 address;
	u32 apic_ids[2];		/* as they were when it was added */
	struct mk_area area;
	struct mk_pin *pin;
};

static LIST_HEAD(watches);
static DEFINE_MUTEX(watches_mutex);	/* taken inside all others */
static unsigned int nr_watches;

static struct watch *find(const char *name)
{
	struct watch *watch;

	list_for_each_entry(watch, &watches, node)
		if (!strcmp(watch->name, name))
			return watch;
	return NULL;
}

bool mk_watch_there(const char *name)
{
	bool there;

	mutex_lock(&watches_mutex);
	there = find(name);
	mutex_unlock(&watches_mutex);
	return there;
}

static int map(struct watch *watch)
{
	struct mk_range range = { watch->address };
	int ret = mk_area_map(&watch->area, watch->address);

	if (ret)
		return ret;
	range.size = watch->area.size;
	watch->apic_ids[0] = mk_area_apic_id(&watch->area, 0);
	watch->apic_ids[1] = mk_area_apic_id(&watch->area, 1);
	ret = -EINVAL;
	if (!mk_channel_good_peer(watch->apic_ids[0]) || !mk_channel_good_peer(watch->apic_ids[1]))
		goto out;
	watch->pin = mk_pin_new(&range);
	if (!IS_ERR(watch->pin))
		return 0;
	ret = PTR_ERR(watch->pin);
out:
	mk_area_unmap(&watch->area);
	return ret;
}

static int add(const char *name, u64 address)
{
	struct watch *watch;
	int ret;

	if (nr_watches == MK_CHANNELS_MAX)
		return -ENOSPC;
	watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	if (!watch)
		return -ENOMEM;
	strscpy(watch->name, name, sizeof(watch->name));
	watch->address = address;
	ret = map(watch);
	if (ret) {
		kfree(watch);
		return ret;
	}
	list_add_tail(&watch->node, &watches);
	nr_watches++;
	return 0;
}

int mk_watch_add(const char *name, u64 address)
{
	int ret;

	mutex_lock(&watches_mutex);
	ret = add(name, address);
	mutex_unlock(&watches_mutex);
	return ret;
}

static void take_out(struct watch *watch)
{
	list_del(&watch->node);
	nr_watches--;
	mk_area_unmap(&watch->area);
	mk_pin_put(watch->pin);
	kfree(watch);
}

/* -ENOENT when there is none of that name. */
int mk_watch_remove(const char *name)
{
	struct watch *watch;

	mutex_lock(&watches_mutex);
	watch = find(name);
	if (watch)
		take_out(watch);
	mutex_unlock(&watches_mutex);
	return watch ? 0 : -ENOENT;
}

int mk_watch_rename(const char *name, const char *to)
{
	struct watch *watch;

	mutex_lock(&watches_mutex);
	watch = find(name);
	if (watch)
		strscpy(watch->name, to, sizeof(watch->name));
	mutex_unlock(&watches_mutex);
	return watch ? 0 : -ENOENT;
}

static void end_gone(struct watch *watch, unsigned int end)
{
	mk_area_detach(&watch->area, end);
	if (mk_area_epoch(&watch->area, !end))
		mk_channel_interrupt(watch->apic_ids[!end]);
}

/* The CPU behind an end was stopped. */
void mk_watches_peer_gone(u32 apic_id)
{
	struct watch *watch;
	unsigned int end;

	mutex_lock(&watches_mutex);
	list_for_each_entry(watch, &watches, node)
		for (end = 0; end < 2; end++)
			if (watch->apic_ids[end] == apic_id)
				end_gone(watch, end);
	mutex_unlock(&watches_mutex);
}

static const char *state_of(const struct watch *watch, unsigned int end)
{
	return mk_area_epoch(&watch->area, end) ? "up" : "gone";
}

void mk_watches_save(struct mk_record *record)
{
	struct watch *watch;

	mutex_lock(&watches_mutex);
	list_for_each_entry(watch, &watches, node) {
		mk_record_put(record, "channel add %s 0x%llx -\n", watch->name, watch->address);
		record->channels++;
	}
	mutex_unlock(&watches_mutex);
}

int mk_watches_show(char *buf, int at)
{
	struct watch *watch;
	int n = 0;

	mutex_lock(&watches_mutex);
	list_for_each_entry(watch, &watches, node)
		n += sysfs_emit_at(buf, at + n, "%s 0x%llx end=- slots=%u size=%u ends=%s,%s\n", watch->name, watch->address,
				   watch->area.slots, watch->area.message_size, state_of(watch, 0), state_of(watch, 1));
	mutex_unlock(&watches_mutex);
	return n;
}

void mk_watches_stop(void)
{
	struct watch *watch, *next;

	mutex_lock(&watches_mutex);
	list_for_each_entry_safe(watch, next, &watches, node)
		take_out(watch);
	mutex_unlock(&watches_mutex);
}
