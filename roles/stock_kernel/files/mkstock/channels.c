// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The channels that this kernel has an end of: the interrupt that serves them, and what adds and removes them.
 */
#include "channel.h"
#include "record.h"

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/tracepoint.h>

/* A stable place to stand in the interrupt of our vector; its callback is read-only in newer kernels. */
#define TRACEPOINT	"x86_platform_ipi_entry"

static LIST_HEAD(channels);		/* changed under the mutex, read under RCU */
static DEFINE_MUTEX(channels_mutex);
static unsigned int nr_channels;
static struct tracepoint *tracepoint;

/* Hard interrupt, already acknowledged, of a vector that carries nothing but "look". */
static void interrupt(void *unused, int vector)
{
	struct mk_channel *channel;

	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node)
		mk_channel_look(channel);
	mk_client_look();
	rcu_read_unlock();
	if (mk_is_client)
		mk_console_interrupt();
	else
		mk_tty_interrupt();
}

void mk_channels_broadcast(enum mk_type type, const void *data, size_t size)
{
	struct mk_channel *channel;
	struct mk_message message;

	mk_channel_fill(&message, type, data, size);
	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node) {
		if (type == MK_EXIT)
			mk_channel_send_last(channel, &message);
		else if (!mk_channel_send(channel, &message))
			mk_channel_refuse(channel);
	}
	rcu_read_unlock();
}

/* The CPU behind the other end was stopped. */
void mk_channels_peer_gone(u32 apic_id)
{
	struct mk_channel *channel;

	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node)
		if (channel->peer == apic_id)
			mk_channel_peer_gone(channel);
	rcu_read_unlock();
	mk_watches_peer_gone(apic_id);
}

static struct mk_channel *find(const char *name)
{
	struct mk_channel *channel;

	list_for_each_entry(channel, &channels, node)
		if (!strcmp(channel->name, name))
			return channel;
	return NULL;
}

static bool taken(const char *name)
{
	return find(name) || mk_share_there(name) || mk_watch_there(name);
}

/* It becomes the name of a device node. */
static bool good_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum(*c) && *c != '-' && *c != '_' && *c != '.')
			return false;
	return isalnum(*name) && !strstr(name, "..");
}

static int add(const char *name, u64 address, unsigned int end)
{
	struct mk_channel *channel;
	int ret;

	if (!good_name(name) || end > 1)
		return -EINVAL;
	if (taken(name))
		return -EEXIST;
	if (nr_channels == MK_CHANNELS_MAX)
		return -ENOSPC;
	channel = mk_channel_new(name, address, end);
	if (IS_ERR(channel))
		return PTR_ERR(channel);
	channel->device = mk_node_new(name, &mk_endpoint_fops, channel);
	if (IS_ERR(channel->device)) {
		ret = PTR_ERR(channel->device);
		mk_channel_put(channel);
		return ret;
	}
	list_add_tail_rcu(&channel->node, &channels);
	nr_channels++;
	mk_channel_attach(channel);
	return 0;
}

static void take_out(struct mk_channel *channel)
{
	list_del_rcu(&channel->node);
	nr_channels--;
	mk_node_free(channel->device);
	WRITE_ONCE(channel->removed, true);
	synchronize_rcu();
	mk_channel_leave(channel);
	irq_work_sync(&channel->wake);
	cancel_work_sync(&channel->ended);
	mk_channel_put(channel);
}

static int take_out_named(const char *name)
{
	struct mk_channel *channel = find(name);

	if (!channel)
		return mk_share_there(name) ? mk_share_remove(name) : mk_watch_remove(name);
	take_out(channel);
	return 0;
}

static int ping(const char *name)
{
	struct mk_channel *channel = find(name);

	return channel ? mk_channel_ping(channel) : -ENOENT;
}

/* This kernel has the given end of a channel that is laid out; or the host, with "-", none, but looks after it. */
static int add_end(const char *name, u64 address, const char *end_text)
{
	unsigned int end;

	if (!mk_is_client && !strcmp(end_text, "-") && good_name(name))
		return taken(name) ? -EEXIST : mk_watch_add(name, address);
	return kstrtouint(end_text, 10, &end) ? -EINVAL : add(name, address, end);
}

/* The area is laid out first. */
static int create(const char *name, u64 address, const char *end_text, u32 slots, u32 message_size, const u32 *apic_ids)
{
	unsigned int end = 0;
	int ret;

	if (!good_name(name) || (strcmp(end_text, "-") && (kstrtouint(end_text, 10, &end) || end > 1)))
		return -EINVAL;
	if (taken(name))
		return -EEXIST;
	ret = mk_area_create(address, slots, message_size, apic_ids[0], apic_ids[1]);
	return ret ? ret : add_end(name, address, end_text);
}

/* The new name is there before the old one goes; who has the device open has the channel, whatever it is called. */
static int rename_channel(struct mk_channel *channel, const char *to)
{
	struct mk_node *node = mk_node_new(to, &mk_endpoint_fops, channel), *old = channel->device;

	if (IS_ERR(node))
		return PTR_ERR(node);
	channel->device = node;
	strscpy(channel->name, to, sizeof(channel->name));
	mk_node_free(old);
	return 0;
}

static int rename(const char *name, const char *to)
{
	struct mk_channel *channel = find(name);

	if (!good_name(name) || !good_name(to))
		return -EINVAL;
	if (!taken(name))
		return -ENOENT;
	if (taken(to))
		return -EEXIST;
	if (channel)
		return rename_channel(channel, to);
	return mk_share_there(name) ? mk_share_rename(name, to) : mk_watch_rename(name, to);
}

/* The writer is one end or both. */
static int share(const char *name, u64 address, u64 size, unsigned int end, const char *writer)
{
	unsigned int writers = !strcmp(writer, "0") ? BIT(0) : !strcmp(writer, "1") ? BIT(1) : !strcmp(writer, "both") ? BIT(0) | BIT(1) : 0;

	if (!good_name(name) || end > 1 || !writers)
		return -EINVAL;
	return taken(name) ? -EEXIST : mk_share_add(name, address, size, end, writers);
}

/*
 * "add NAME 0xADDR END|-", "create NAME 0xADDR END|- SLOTS MESSAGE_SIZE APIC0 APIC1", "share NAME 0xADDR 0xSIZE END 0|1|both",
 * "rename OLD NEW", "remove NAME" or "ping NAME"
 */
int mk_channels_write(char *command)
{
	unsigned int end, slots, size, apic_ids[2];
	char name[MK_NAME_MAX], to[MK_NAME_MAX], rest, whose[8];
	u64 address, bytes;
	int ret = -EINVAL;

	mutex_lock(&channels_mutex);
	if (sscanf(command, "add %31s %llx %7s %c", name, &address, whose, &rest) == 3)
		ret = add_end(name, address, whose);
	else if (sscanf(command, "create %31s %llx %7s %u %u %u %u %c", name, &address, whose, &slots, &size, &apic_ids[0],
			&apic_ids[1], &rest) == 7)
		ret = mk_is_client ? -EPERM : create(name, address, whose, slots, size, apic_ids);
	else if (sscanf(command, "share %31s %llx %llx %u %7s %c", name, &address, &bytes, &end, whose, &rest) == 5)
		ret = share(name, address, bytes, end, whose);
	else if (sscanf(command, "rename %31s %31s %c", name, to, &rest) == 2)
		ret = rename(name, to);
	else if (sscanf(command, "remove %31s %c", name, &rest) == 1)
		ret = take_out_named(name);
	else if (sscanf(command, "ping %31s %c", name, &rest) == 1)
		ret = ping(name);
	mutex_unlock(&channels_mutex);
	return ret;
}

/* As lines that mk_channels_write() takes. */
void mk_channels_save(struct mk_record *record)
{
	struct mk_channel *channel;

	mutex_lock(&channels_mutex);
	list_for_each_entry(channel, &channels, node) {
		mk_record_put(record, "channel add %s 0x%llx %u\n", channel->name, channel->address, channel->end);
		record->channels++;
	}
	mk_shares_save(record);
	mk_watches_save(record);
	mutex_unlock(&channels_mutex);
}

static s64 since_last_beat_ms(const struct mk_channel *channel)
{
	u64 last = READ_ONCE(channel->last_beat_ns);

	return last ? div_u64(ktime_get_mono_fast_ns() - last, NSEC_PER_MSEC) : -1;
}

static int show_one(char *buf, int at, struct mk_channel *c)
{
	unsigned int incoming = mk_channel_incoming(c);

	return sysfs_emit_at(buf, at,
			     "%s 0x%llx end=%u slots=%u size=%u sent=%llu received=%llu rejected=%llu beats=%llu last_beat_ms=%lld peer=%s peer_rejected=%llu rtt_ns=%llu waiting=%u blocked=%llu restarts=%llu\n",
			     c->name, c->address, c->end, c->area.slots, c->area.message_size,
			     c->sent, c->received, mk_area_refused(&c->area, c->end), c->beats, since_last_beat_ms(c),
			     mk_area_epoch(&c->area, incoming) ? "up" : "gone",
			     mk_area_refused(&c->area, incoming), c->rtt_ns, mk_channel_waiting(c), c->blocked,
			     c->restarts);
}

ssize_t mk_channels_show(char *buf)
{
	struct mk_channel *channel;
	int n = 0;

	mutex_lock(&channels_mutex);
	list_for_each_entry(channel, &channels, node)
		n += show_one(buf, n, channel);
	n += mk_shares_show(buf, n);
	n += mk_watches_show(buf, n);
	mutex_unlock(&channels_mutex);
	return n;
}

/*
 * This kernel is about to go, the other ends may stay: they are told, and what nobody has read stays in the rings for the kernel
 * that comes.
 */
void mk_channels_leave(void)
{
	struct mk_channel *channel;

	mutex_lock(&channels_mutex);
	list_for_each_entry(channel, &channels, node)
		mk_channel_leave(channel);
	mutex_unlock(&channels_mutex);
}

static void look_at(struct tracepoint *candidate, void *unused)
{
	if (!strcmp(candidate->name, TRACEPOINT))
		tracepoint = candidate;
}

int mk_channels_start(void)
{
	for_each_kernel_tracepoint(look_at, NULL);
	if (!tracepoint) {
		pr_err("this kernel lacks the tracepoint " TRACEPOINT "\n");
		return -ENOENT;
	}
	return tracepoint_probe_register(tracepoint, interrupt, NULL);
}

void mk_channels_stop(void)
{
	struct mk_channel *channel, *next;

	mutex_lock(&channels_mutex);
	list_for_each_entry_safe(channel, next, &channels, node)
		take_out(channel);
	mk_shares_stop();
	mk_watches_stop();
	mutex_unlock(&channels_mutex);
	tracepoint_probe_unregister(tracepoint, interrupt, NULL);
	tracepoint_synchronize_unregister();
}
