// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * A channel: messages between two kernels by shared memory and an IPI.
 *
 * The IPI says "look into the ring". Heartbeats are counted and consumed, pings are answered, and how an instance ended is
 * noted; everything else goes to the readers of /dev/mkchan/NAME. When they do not keep up, messages stay in the ring, and when
 * that is full, the other end's next message is refused.
 */
#include "channel.h"

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

/* Always wired up, and used by none but SGI UV machines. */
#define VECTOR		X86_PLATFORM_IPI_VECTOR
#define PONG_JIFFIES	msecs_to_jiffies(200)

static u32 own_apic_id(void)
{
	return mk_apic_id(raw_smp_processor_id());
}

static void notify_peer(struct mk_channel *channel)
{
	mk_send_ipi(APIC_DM_FIXED | VECTOR, channel->peer);
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
	unsigned int ring = mk_channel_incoming(channel), budget = channel->area.slots;
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

/*
 * From the interrupt, and whenever somebody wants to be sure. Says anew that we are here, since the loader of an instance that
 * starts again writes the area anew.
 */
void mk_channel_look(struct mk_channel *channel)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&channel->lock, flags);
	mk_area_attach(&channel->area, channel->end, true);
	drain(channel);
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	irq_work_queue(&channel->wake);
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
	mk_area_attach(&channel->area, mk_channel_incoming(channel), false);
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

void mk_channel_fill(struct mk_message *message, enum mk_type type, const void *data, size_t size)
{
	memset(message, 0, sizeof(*message));
	message->sender = own_apic_id();
	message->type = type;
	message->size = min_t(size_t, size, sizeof(message->data));
	memcpy(message->data, data, message->size);
}

/* The last message of a kernel that goes down: whoever holds the lock may never come back, so it is not waited for long. */
void mk_channel_send_last(struct mk_channel *channel, const struct mk_message *message)
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

/* One message there and back; how long it took stands in the channel's line. */
int mk_channel_ping(struct mk_channel *channel)
{
	u64 now = ktime_get_mono_fast_ns();
	struct mk_message message;
	bool sent;

	mk_channel_fill(&message, MK_PING, &now, sizeof(now));
	raw_spin_lock_irq(&channel->lock);
	channel->ping = now;
	channel->ping_ns = now;
	sent = put(channel, &message);
	raw_spin_unlock_irq(&channel->lock);
	if (!sent)
		return -EAGAIN;
	return wait_event_timeout(channel->wait, !READ_ONCE(channel->ping), PONG_JIFFIES) ? 0 : -ETIMEDOUT;
}

static void release(struct kref *users)
{
	struct mk_channel *channel = container_of(users, struct mk_channel, users);

	mk_area_unmap(&channel->area);
	if (channel->pin)
		mk_pin_put(channel->pin);
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

/* As long as the channel is there, the host writes to its area. */
static int pin(struct mk_channel *channel)
{
	struct mk_range range = { channel->address, channel->area.size };
	struct mk_pin *taken;

	if (mk_is_client)
		return 0;
	taken = mk_pin_new(&range);
	if (IS_ERR(taken))
		return PTR_ERR(taken);
	channel->pin = taken;
	return 0;
}

struct mk_channel *mk_channel_new(const char *name, u64 address, unsigned int end)
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
	ret = good_peer(channel->peer) ? pin(channel) : -EINVAL;
	if (ret)
		goto out_unmap;
	return channel;
out_unmap:
	mk_area_unmap(&channel->area);
out:
	kfree(channel);
	return ERR_PTR(ret);
}
