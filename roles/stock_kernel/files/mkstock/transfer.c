// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * One message in or out for an open file, or what happened to the other end instead.
 *
 * Each open file is told once of each change, by the read or the write that comes first: EPIPE, it is gone; ECONNRESET, it is a new
 * one. That an other end comes for the first time is no news. A read gives all that the old one has sent before it tells.
 */
#include "channel.h"

#include <linux/errno.h>

static u32 peer_now(struct mk_channel *channel)
{
	return mk_area_epoch(&channel->area, mk_channel_incoming(channel));
}

/* A file knows of the other end what is so when it is opened. */
void mk_transfer_open(struct mk_channel *channel, struct mk_peer_seen *seen)
{
	seen->epoch = peer_now(channel);
	seen->met = seen->epoch;
}

static bool is_news(const struct mk_peer_seen *seen, u32 now)
{
	return now != seen->epoch && seen->met;
}

/* 0 or the error, which is then told. */
static int tell(struct mk_peer_seen *seen, u32 now)
{
	bool news = is_news(seen, now);

	seen->epoch = now;
	seen->met |= now != 0;
	return !news ? 0 : now ? -ECONNRESET : -EPIPE;
}

/* Whether the message at @tail was sent before the other end became what it is @now. */
static bool is_older(struct mk_channel *channel, u32 tail, u32 now)
{
	s32 before = mk_area_first(&channel->area, mk_channel_incoming(channel)) - tail;

	return !now || (before > 0 && before <= channel->area.slots);
}

/*
 * 1 when there was a message, 0 when there is none; -EMSGSIZE when it has more than @room bytes, and stays. Else what happened to
 * the other end.
 */
int mk_transfer_read(struct mk_channel *channel, struct mk_peer_seen *seen, struct mk_message *message, size_t room)
{
	unsigned int ring = mk_channel_incoming(channel);
	unsigned long flags;
	u32 tail, head, now;
	int ret = 0;

	raw_spin_lock_irqsave(&channel->lock, flags);
	if (!channel->epoch) {
		ret = -ESHUTDOWN;
		goto out;
	}
	mk_channel_refresh(channel);
	now = channel->peer_epoch;
	mk_area_span(&channel->area, ring, &tail, &head);
	if (tail == channel->scanned || !is_older(channel, tail, now))
		ret = tell(seen, now);
	if (ret || tail == channel->scanned)
		goto out;
	mk_area_copy(&channel->area, ring, tail, message);
	ret = message->size > room ? -EMSGSIZE : 1;
	if (ret == 1) {
		channel->received++;
		mk_channel_took(channel, tail + 1);
	}
out:
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	return ret;
}

/* 1 when the message went out, 0 when the ring is full. */
int mk_transfer_write(struct mk_channel *channel, struct mk_peer_seen *seen, const struct mk_message *message)
{
	unsigned long flags;
	int ret = -ESHUTDOWN;

	raw_spin_lock_irqsave(&channel->lock, flags);
	if (channel->epoch) {
		mk_channel_refresh(channel);
		ret = tell(seen, channel->peer_epoch) ?: mk_channel_put_message(channel, message);
	}
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	return ret;
}

/* Something of the other end has not been told yet. */
bool mk_transfer_changed(struct mk_channel *channel, const struct mk_peer_seen *seen)
{
	return is_news(seen, peer_now(channel));
}

/* These two leave word for the other end first, so that it tells when this changes. */
bool mk_transfer_readable(struct mk_channel *channel, const struct mk_peer_seen *seen)
{
	unsigned int ring = mk_channel_incoming(channel);
	unsigned long flags;
	u32 tail, head;
	bool there;

	mk_area_want(&channel->area, channel->end, MK_NEWS);
	raw_spin_lock_irqsave(&channel->lock, flags);
	mk_channel_refresh(channel);
	mk_area_span(&channel->area, ring, &tail, &head);
	there = tail != channel->scanned || !channel->epoch;
	raw_spin_unlock_irqrestore(&channel->lock, flags);
	return there || mk_transfer_changed(channel, seen);
}

bool mk_transfer_writable(struct mk_channel *channel, const struct mk_peer_seen *seen)
{
	if (mk_area_full(&channel->area, channel->end))
		mk_area_want(&channel->area, channel->end, MK_ROOM);
	return !mk_area_full(&channel->area, channel->end) || mk_transfer_changed(channel, seen) ||
	       !READ_ONCE(channel->epoch);
}
