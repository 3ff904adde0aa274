// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * A channel: messages between two kernels by shared memory and an IPI.
 *
 * The IPI says "look into the ring". Heartbeats are counted, pings are answered, and how an instance ended is noted, also behind
 * messages that nobody has read yet; everything else stays in the ring for the readers of /dev/mkchan/NAME. When they do not
 * keep up, the ring is full, and the other end's next message is refused.
 *
 * An IPI costs more than a message. So data is announced only to an end that said that it waits for it, and room likewise.
 */
#include "channel.h"

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/random.h>
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

void mk_channel_interrupt(u32 apic_id)
{
	mk_send_ipi(APIC_DM_FIXED | VECTOR, apic_id);
}

static void notify_peer(struct mk_channel *channel)
{
	mk_channel_interrupt(channel->peer);
}

static bool needs_reader(u32 type)
{
	return type != MK_TAKEN && (type < MK_HEARTBEAT || type > MK_PONG);
}

/* A peer that is not there reads the ring when it comes. */
static void announce(struct mk_channel *channel, u32 type)
{
	unsigned int peer = mk_channel_incoming(channel);
	bool wanted;

	if (!mk_area_epoch(&channel->area, peer))
		return;
	wanted = mk_area_wanted(&channel->area, peer, MK_NEWS);
	if (wanted || !needs_reader(type) || !mk_area_keeps_promises(&channel->area, peer))
		notify_peer(channel);
}

/* Needs the channel's lock. */
bool mk_channel_put_message(struct mk_channel *channel, const struct mk_message *message)
{
	if (!channel->epoch || !mk_area_put(&channel->area, channel->end, message))
		return false;
	channel->sent++;
	announce(channel, message->type);
	return true;
}

static void answer(struct mk_channel *channel, struct mk_message *message)
{
	message->sender = own_apic_id();
	message->type = MK_PONG;
	if (!mk_channel_put_message(channel, message))
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

static void handle(struct mk_channel *channel, struct mk_message *message)
{
	switch (message->type) {
	case MK_HEARTBEAT:
		channel->beats++;
		channel->last_beat_ns = ktime_get_mono_fast_ns();
		break;
	case MK_PING:
		answer(channel, message);
		break;
	case MK_PONG:
		note_pong(channel, message);
		break;
	case MK_EXIT:
		note_end(channel, message);
		break;
	}
}

/* Gives up the slots before @tail, and those behind it that need no reader. Needs the channel's lock. */
void mk_channel_took(struct mk_channel *channel, u32 tail)
{
	unsigned int ring = mk_channel_incoming(channel);
	bool was_full = mk_area_full(&channel->area, ring), wanted;

	while (tail != channel->scanned && mk_area_type(&channel->area, ring, tail) == MK_TAKEN)
		tail++;
	mk_area_drop(&channel->area, ring, tail);
	wanted = mk_area_wanted(&channel->area, ring, MK_ROOM);
	if (wanted || (was_full && !mk_area_keeps_promises(&channel->area, ring)))
		notify_peer(channel);
}

/* At most one ring's worth, so that a busy peer cannot hold us here. */
static void scan(struct mk_channel *channel)
{
	unsigned int ring = mk_channel_incoming(channel), budget = channel->area.slots;
	struct mk_message message;
	u32 tail, head;

	mk_area_span(&channel->area, ring, &tail, &head);
	if (channel->scanned - tail > head - tail)
		channel->scanned = tail;
	for (; channel->scanned != head && budget--; channel->scanned++) {
		if (needs_reader(mk_area_type(&channel->area, ring, channel->scanned)))
			continue;
		mk_area_copy(&channel->area, ring, channel->scanned, &message);
		mk_area_mark_taken(&channel->area, ring, channel->scanned);
		handle(channel, &message);
		channel->received += message.type != MK_TAKEN;
	}
	if (tail != channel->scanned && mk_area_type(&channel->area, ring, tail) == MK_TAKEN)
		mk_channel_took(channel, tail);
}

static void attach(struct mk_channel *channel)
{
	u32 head;

	do
		channel->epoch = get_random_u32();
	while (channel->epoch < 2);
	mk_area_attach(&channel->area, channel->end, channel->epoch);
	mk_area_span(&channel->area, mk_channel_incoming(channel), &channel->scanned, &head);
	scan(channel);
	notify_peer(channel);
}

static void note_peer(struct mk_channel *channel)
{
	u32 epoch = mk_area_epoch(&channel->area, mk_channel_incoming(channel));

	channel->peer_epoch = epoch;
	if (!epoch || epoch == channel->peer_was)
		return;
	channel->restarts += channel->peer_was != 0;
	channel->peer_was = epoch;
}

/* Needs the channel's lock. The loader of an instance that starts again may have written the area anew: then we attach anew, too. */
void mk_channel_refresh(struct mk_channel *channel)
{
	if (!channel->epoch)
		return;
	if (mk_area_epoch(&channel->area, channel->end) != channel->epoch)
		attach(channel);
	scan(channel);
	note_peer(channel);
}

u32 mk_channel_waiting(struct mk_channel *channel)
{
	u32 tail, head;

	raw_spin_lock_irq(&channel->lock);
	mk_area_span(&channel->area, mk_channel_incoming(channel), &tail, &head);
	raw_spin_unlock_irq(&channel->lock);
	return head - tail;
}

static void wake_up_files(struct mk_channel *channel)
{
	wake_up_all(&channel->reading);
	wake_up_all(&channel->writing);
}

static void wake(struct irq_work *work)
{
	wake_up_files(container_of(work, struct mk_channel, wake));
}

/*
 * What a sleeper left word for may have come and be gone when the interrupt for it arrives: another reader was faster, or he himself before
 * he slept again. His word is used up then, so it is left anew.
 */
static bool news(struct mk_channel *channel)
{
	unsigned int ring = mk_channel_incoming(channel);
	u32 tail, head;

	mk_area_span(&channel->area, ring, &tail, &head);
	if (tail == head && wq_has_sleeper(&channel->reading)) {
		mk_area_want(&channel->area, channel->end, MK_NEWS);
		mk_area_span(&channel->area, ring, &tail, &head);
	}
	return tail != head;
}

static bool room(struct mk_channel *channel)
{
	if (mk_area_full(&channel->area, channel->end) && wq_has_sleeper(&channel->writing))
		mk_area_want(&channel->area, channel->end, MK_ROOM);
	return !mk_area_full(&channel->area, channel->end);
}

/* Whose wait queue is worth waking; needs the channel's lock. */
static void look_again(struct mk_channel *channel, bool *reading, bool *writing)
{
	u32 peer = channel->peer_epoch;
	bool pinging = channel->ping;

	mk_channel_refresh(channel);
	*reading = news(channel) || peer != channel->peer_epoch || pinging;
	*writing = room(channel) || peer != channel->peer_epoch;
}

/* From the interrupt, and whenever somebody wants to be sure. */
void mk_channel_look(struct mk_channel *channel)
{
	bool last_words, reading, writing;
	unsigned long flags;

	raw_spin_lock_irqsave(&channel->lock, flags);
	look_again(channel, &reading, &writing);
	last_words = channel->last_words[0];
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		irq_work_queue(&channel->wake);
	} else {
		if (reading)
			wake_up_all(&channel->reading);
		if (writing)
			wake_up_all(&channel->writing);
	}
	if (last_words)
		schedule_work(&channel->ended);
}

void mk_channel_attach(struct mk_channel *channel)
{
	raw_spin_lock_irq(&channel->lock);
	attach(channel);
	raw_spin_unlock_irq(&channel->lock);
	mk_channel_look(channel);	/* at what the other end has said before we were here */
}

/* The other end is told; nothing is sent or taken from now on. */
void mk_channel_leave(struct mk_channel *channel)
{
	raw_spin_lock_irq(&channel->lock);
	channel->epoch = 0;
	mk_area_detach(&channel->area, channel->end);
	if (mk_area_epoch(&channel->area, mk_channel_incoming(channel)))
		notify_peer(channel);
	raw_spin_unlock_irq(&channel->lock);
	wake_up_files(channel);
}

/* Somebody who knows has seen the other end go. */
void mk_channel_peer_gone(struct mk_channel *channel)
{
	mk_area_detach(&channel->area, mk_channel_incoming(channel));
	mk_channel_look(channel);
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
	mk_channel_peer_gone(channel);
	mk_instance_ended(channel->peer, text);
}

bool mk_channel_send(struct mk_channel *channel, const struct mk_message *message)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&channel->lock, flags);
	done = mk_channel_put_message(channel, message);
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
			mk_channel_put_message(channel, message);
			goto out;
		}
		udelay(10);
	}
	mk_channel_put_message(channel, message);
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
	sent = mk_channel_put_message(channel, &message);
	raw_spin_unlock_irq(&channel->lock);
	if (!sent)
		return -EAGAIN;
	return wait_event_timeout(channel->reading, !READ_ONCE(channel->ping), PONG_JIFFIES) ? 0 : -ETIMEDOUT;
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
bool mk_channel_good_peer(u32 apic_id)
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
	init_waitqueue_head(&channel->reading);
	init_waitqueue_head(&channel->writing);
	init_irq_work(&channel->wake, wake);
	INIT_WORK(&channel->ended, report_end);
	channel->address = address;
	channel->end = end;
	ret = mk_area_map(&channel->area, address);
	if (ret)
		goto out;
	channel->peer = mk_area_apic_id(&channel->area, !end);
	ret = mk_channel_good_peer(channel->peer) ? pin(channel) : -EINVAL;
	if (ret)
		goto out_unmap;
	return channel;
out_unmap:
	mk_area_unmap(&channel->area);
out:
	kfree(channel);
	return ERR_PTR(ret);
}
