// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Channels: messages between two kernels by shared memory and an IPI.
 *
 * The IPI says "look into the rings". Its handler counts and consumes heartbeats, answers pings and notes how an instance
 * ended; everything else goes to the readers of /dev/mkchan/NAME. When they do not keep up, messages stay in the ring, and when
 * that is full, the other end's next message is refused.
 */
#include "channel.h"

#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/tracepoint.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

/* Always wired up, and used by none but SGI UV machines. Its tracepoint is a stable place to stand, unlike its callback. */
#define VECTOR		X86_PLATFORM_IPI_VECTOR
#define TRACEPOINT	"x86_platform_ipi_entry"
#define PONG_JIFFIES	msecs_to_jiffies(200)

static LIST_HEAD(channels);		/* changed under the mutex, read under RCU */
static DEFINE_MUTEX(channels_mutex);
static unsigned int nr_channels;
static struct tracepoint *tracepoint;

static u32 own_apic_id(void)
{
	return mk_apic_id(raw_smp_processor_id());
}

static void notify_peer(struct mk_channel *channel)
{
	mk_send_ipi(APIC_DM_FIXED | VECTOR, channel->peer);
}

static unsigned int incoming(const struct mk_channel *channel)
{
	return !channel->end;
}

/* Needs the channel's lock. */
static bool put(struct mk_channel *channel, const struct mk_message *message)
{
	if (!mk_area_put(&channel->area, channel->end, message))
		return false;
	channel->sent++;
	notify_peer(channel);
	return true;
}

static void answer(struct mk_channel *channel, struct mk_message *message)
{
	message->sender = own_apic_id();
	message->type = MK_PONG;
	if (!put(channel, message))
		mk_area_refuse(&channel->area, channel->end);
}

static void note_pong(struct mk_channel *channel, const struct mk_message *message)
{
	if (message->size != sizeof(channel->ping) ||
	    memcmp(message->data, &channel->ping, sizeof(channel->ping)))
		return;
	channel->rtt_ns = ktime_get_mono_fast_ns() - channel->ping_ns;
	channel->ping = 0;
}

static void note_end(struct mk_channel *channel, const struct mk_message *message)
{
	size_t n = min_t(size_t, message->size, sizeof(channel->last_words) - 1);

	memcpy(channel->last_words, message->data, n);
	channel->last_words[n] = '\0';
}

/* False when the message has to stay in the ring. */
static bool handle(struct mk_channel *channel, struct mk_message *message)
{
	switch (message->type) {
	case MK_HEARTBEAT:
		channel->beats++;
		channel->last_beat_ns = ktime_get_mono_fast_ns();
		return true;
	case MK_PING:
		answer(channel, message);
		return true;
	case MK_PONG:
		note_pong(channel, message);
		return true;
	case MK_EXIT:
		note_end(channel, message);
		return true;
	default:
		return kfifo_put(&channel->inbox, *message);
	}
}

/*
 * Consumes at most one ring's worth, so that a busy peer cannot hold us here. Needs the channel's lock. A producer that was
 * refused is told that there is room again.
 */
static void drain(struct mk_channel *channel)
{
	unsigned int ring = incoming(channel), budget = channel->area.slots;
	bool was_full = mk_area_full(&channel->area, ring);
	struct mk_message message;

	while (budget-- && mk_area_peek(&channel->area, ring, &message) &&
	       handle(channel, &message)) {
		mk_area_drop(&channel->area, ring);
		channel->received++;
	}
	if (was_full && !mk_area_full(&channel->area, ring))
		notify_peer(channel);
}

/* Hard interrupt, already acknowledged, of a vector that carries nothing but "look". */
static void interrupt(void *unused, int vector)
{
	struct mk_channel *channel;

	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node) {
		raw_spin_lock(&channel->lock);
		drain(channel);
		raw_spin_unlock(&channel->lock);
		irq_work_queue(&channel->wake);
	}
	rcu_read_unlock();
}

static void wake(struct irq_work *work)
{
	struct mk_channel *channel = container_of(work, struct mk_channel, wake);

	wake_up_all(&channel->wait);
	if (READ_ONCE(channel->last_words[0]))
		schedule_work(&channel->ended);
}

static void report_end(struct work_struct *work)
{
	struct mk_channel *channel = container_of(work, struct mk_channel, ended);
	char text[MK_TEXT_MAX];

	raw_spin_lock_irq(&channel->lock);
	memcpy(text, channel->last_words, sizeof(text));
	channel->last_words[0] = '\0';
	raw_spin_unlock_irq(&channel->lock);
	if (!text[0])
		return;
	mk_area_attach(&channel->area, incoming(channel), false);
	mk_instance_ended(channel->peer, text);
}

bool mk_channel_send(struct mk_channel *channel, const struct mk_message *message)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&channel->lock, flags);
	done = put(channel, message);
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	return done;
}

void mk_channel_refuse(struct mk_channel *channel)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&channel->lock, flags);
	mk_area_refuse(&channel->area, channel->end);
	raw_spin_unlock_irqrestore(&channel->lock, flags);
}

bool mk_channel_receive(struct mk_channel *channel, struct mk_message *message)
{
	unsigned long flags;
	bool got;

	raw_spin_lock_irqsave(&channel->lock, flags);
	got = kfifo_get(&channel->inbox, message);
	drain(channel);		/* there is room for what waited in the ring */
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	return got;
}

bool mk_channel_readable(struct mk_channel *channel)
{
	return !kfifo_is_empty(&channel->inbox);
}

bool mk_channel_writable(struct mk_channel *channel)
{
	return !mk_area_full(&channel->area, channel->end);
}

static void fill(struct mk_message *message, enum mk_type type, const void *data, size_t size)
{
	memset(message, 0, sizeof(*message));
	message->sender = own_apic_id();
	message->type = type;
	message->size = min_t(size_t, size, sizeof(message->data));
	memcpy(message->data, data, message->size);
}

/* The last message of a kernel that goes down: whoever holds the lock may never come back, so it is not waited for long. */
static void send_last(struct mk_channel *channel, const struct mk_message *message)
{
	unsigned int tries = 100;
	unsigned long flags;

	local_irq_save(flags);
	while (!raw_spin_trylock(&channel->lock)) {
		if (!tries--) {
			put(channel, message);
			goto out;
		}
		udelay(10);
	}
	put(channel, message);
	raw_spin_unlock(&channel->lock);
out:
	local_irq_restore(flags);
}

void mk_channel_broadcast(enum mk_type type, const void *data, size_t size)
{
	struct mk_channel *channel;
	struct mk_message message;

	fill(&message, type, data, size);
	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node) {
		if (type == MK_EXIT)
			send_last(channel, &message);
		else if (!mk_channel_send(channel, &message))
			mk_channel_refuse(channel);
	}
	rcu_read_unlock();
}

/* The CPU behind the other end was stopped. */
void mk_channel_peer_gone(u32 apic_id)
{
	struct mk_channel *channel;

	rcu_read_lock();
	list_for_each_entry_rcu(channel, &channels, node)
		if (channel->peer == apic_id)
			mk_area_attach(&channel->area, incoming(channel), false);
	rcu_read_unlock();
}

static struct mk_channel *find(const char *name)
{
	struct mk_channel *channel;

	list_for_each_entry(channel, &channels, node)
		if (!strcmp(channel->name, name))
			return channel;
	return NULL;
}

static void release(struct kref *users)
{
	struct mk_channel *channel = container_of(users, struct mk_channel, users);

	mk_area_unmap(&channel->area);
	kfree(channel);
}

void mk_channel_get(struct mk_channel *channel)
{
	kref_get(&channel->users);
}

void mk_channel_put(struct mk_channel *channel)
{
	kref_put(&channel->users, release);
}

/* It becomes the name of a device node. */
static bool good_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum(*c) && *c != '-' && *c != '_')
			return false;
	return *name != '\0';
}

/*
 * The header is shared, so an id from it is not believed: 255 would reach every CPU at once, and the host knows which CPUs
 * there are.
 */
static bool good_peer(u32 apic_id)
{
	unsigned int cpu;

	if (mk_is_client)
		return apic_id != 0xff && apic_id != BAD_APICID && apic_id != own_apic_id();
	for_each_possible_cpu(cpu)
		if (mk_apic_id(cpu) == apic_id)
			return true;
	return false;
}

static struct mk_channel *new_channel(const char *name, u64 address, unsigned int end)
{
	struct mk_channel *channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	int ret;

	if (!channel)
		return ERR_PTR(-ENOMEM);
	strscpy(channel->name, name, sizeof(channel->name));
	kref_init(&channel->users);
	raw_spin_lock_init(&channel->lock);
	init_waitqueue_head(&channel->wait);
	init_irq_work(&channel->wake, wake);
	INIT_WORK(&channel->ended, report_end);
	INIT_KFIFO(channel->inbox);
	channel->address = address;
	channel->end = end;
	ret = mk_area_map(&channel->area, address);
	if (ret)
		goto out;
	channel->peer = mk_area_apic_id(&channel->area, !end);
	ret = -EINVAL;
	if (!good_peer(channel->peer))
		goto out_unmap;
	return channel;
out_unmap:
	mk_area_unmap(&channel->area);
out:
	kfree(channel);
	return ERR_PTR(ret);
}

static int add(const char *name, u64 address, unsigned int end)
{
	struct mk_channel *channel;
	int ret;

	if (!good_name(name) || end > 1)
		return -EINVAL;
	if (find(name))
		return -EEXIST;
	if (nr_channels == MK_CHANNELS_MAX)
		return -ENOSPC;
	channel = new_channel(name, address, end);
	if (IS_ERR(channel))
		return PTR_ERR(channel);
	ret = mk_endpoint_add(channel);
	if (ret) {
		mk_channel_put(channel);
		return ret;
	}
	list_add_tail_rcu(&channel->node, &channels);
	nr_channels++;
	mk_area_attach(&channel->area, channel->end, true);

	/* what the other end has said before we were here */
	raw_spin_lock_irq(&channel->lock);
	drain(channel);
	raw_spin_unlock_irq(&channel->lock);
	irq_work_queue(&channel->wake);
	return 0;
}

static void take_out(struct mk_channel *channel)
{
	list_del_rcu(&channel->node);
	nr_channels--;
	mk_area_attach(&channel->area, channel->end, false);
	mk_endpoint_remove(channel);
	WRITE_ONCE(channel->removed, true);
	wake_up_all(&channel->wait);
	synchronize_rcu();
	irq_work_sync(&channel->wake);
	cancel_work_sync(&channel->ended);
	mk_channel_put(channel);
}

static int take_out_named(const char *name)
{
	struct mk_channel *channel = find(name);

	if (!channel)
		return -ENOENT;
	take_out(channel);
	return 0;
}

/* One message there and back; how long it took stands in the channel's line. */
static int ping(const char *name)
{
	struct mk_channel *channel = find(name);
	struct mk_message message;
	u64 now = ktime_get_mono_fast_ns();
	bool sent;

	if (!channel)
		return -ENOENT;
	fill(&message, MK_PING, &now, sizeof(now));
	raw_spin_lock_irq(&channel->lock);
	channel->ping = now;
	channel->ping_ns = now;
	sent = put(channel, &message);
	raw_spin_unlock_irq(&channel->lock);
	if (!sent)
		return -EAGAIN;
	return wait_event_timeout(channel->wait, !READ_ONCE(channel->ping), PONG_JIFFIES) ? 0 : -ETIMEDOUT;
}

/* "add NAME 0xADDR END", "remove NAME" or "ping NAME" */
int mk_channel_write(char *command)
{
	char name[MK_NAME_MAX], rest;
	unsigned int end;
	u64 address;
	int ret = -EINVAL;

	mutex_lock(&channels_mutex);
	if (sscanf(command, "add %31s %llx %u %c", name, &address, &end, &rest) == 3)
		ret = add(name, address, end);
	else if (sscanf(command, "remove %31s %c", name, &rest) == 1)
		ret = take_out_named(name);
	else if (sscanf(command, "ping %31s %c", name, &rest) == 1)
		ret = ping(name);
	mutex_unlock(&channels_mutex);
	return ret;
}

static s64 since_last_beat_ms(const struct mk_channel *channel)
{
	u64 last = READ_ONCE(channel->last_beat_ns);

	return last ? div_u64(ktime_get_mono_fast_ns() - last, NSEC_PER_MSEC) : -1;
}

ssize_t mk_channel_show(char *buf)
{
	struct mk_channel *c;
	int n = 0;

	mutex_lock(&channels_mutex);
	list_for_each_entry(c, &channels, node)
		n += sysfs_emit_at(buf, n,
				   "%s 0x%llx end=%u slots=%u size=%u sent=%llu received=%llu rejected=%llu beats=%llu last_beat_ms=%lld peer=%s peer_rejected=%llu rtt_ns=%llu\n",
				   c->name, c->address, c->end, c->area.slots, c->area.message_size,
				   c->sent, c->received, mk_area_refused(&c->area, c->end), c->beats,
				   since_last_beat_ms(c),
				   mk_area_attached(&c->area, incoming(c)) ? "up" : "gone",
				   mk_area_refused(&c->area, incoming(c)), c->rtt_ns);
	mutex_unlock(&channels_mutex);
	return n;
}

static void look_at(struct tracepoint *candidate, void *unused)
{
	if (!strcmp(candidate->name, TRACEPOINT))
		tracepoint = candidate;
}

int mk_channel_start(void)
{
	for_each_kernel_tracepoint(look_at, NULL);
	if (!tracepoint) {
		pr_err("this kernel lacks the tracepoint " TRACEPOINT "\n");
		return -ENOENT;
	}
	return tracepoint_probe_register(tracepoint, interrupt, NULL);
}

void mk_channel_stop(void)
{
	struct mk_channel *channel, *next;

	mutex_lock(&channels_mutex);
	list_for_each_entry_safe(channel, next, &channels, node)
		take_out(channel);
	mutex_unlock(&channels_mutex);
	tracepoint_probe_unregister(tracepoint, interrupt, NULL);
	tracepoint_synchronize_unregister();
}
