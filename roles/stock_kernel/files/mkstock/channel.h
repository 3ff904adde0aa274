/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_CHANNEL_H
#define MK_CHANNEL_H

#include "mkstock.h"

#include <linux/irq_work.h>
#include <linux/kfifo.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define MK_NAME_MAX 32
#define MK_INBOX	64	/* messages for readers; the next ones stay in the ring */

struct mk_node;

struct mk_channel {
	struct list_head node;
	struct kref users;
	char name[MK_NAME_MAX];
	struct mk_node *device;		/* /dev/mkchan/NAME */
	u64 address;
	unsigned int end;		/* ours; also the ring that we write */
	u32 peer;			/* APIC id, as it was when the channel was added */
	bool removed;

	raw_spinlock_t lock;		/* taken by the interrupt: area, inbox, counters */
	struct mk_area area;
	struct mk_pin *pin;		/* host: its memory does not leave the pool */
	DECLARE_KFIFO(inbox, struct mk_message, MK_INBOX);
	u64 sent, received, beats, last_beat_ns;
	u64 ping, ping_ns, rtt_ns;
	char last_words[MK_TEXT_MAX];

	wait_queue_head_t wait;
	struct irq_work wake;		/* waking and scheduling take locks that an interrupt must not take */
	struct work_struct ended;
};

/* The ring that we read. */
static inline unsigned int mk_channel_incoming(const struct mk_channel *channel)
{
	return !channel->end;
}

/* channel.c */
struct mk_channel *mk_channel_new(const char *name, u64 address, unsigned int end);
void mk_channel_look(struct mk_channel *channel);
int mk_channel_ping(struct mk_channel *channel);
void mk_channel_fill(struct mk_message *message, enum mk_type type, const void *data, size_t size);
void mk_channel_send_last(struct mk_channel *channel, const struct mk_message *message);
/* True when the message went out; false when the ring is full. */
bool mk_channel_send(struct mk_channel *channel, const struct mk_message *message);
void mk_channel_refuse(struct mk_channel *channel);
/* True when there was a message. */
bool mk_channel_receive(struct mk_channel *channel, struct mk_message *message);
bool mk_channel_readable(struct mk_channel *channel);
bool mk_channel_writable(struct mk_channel *channel);
void mk_channel_get(struct mk_channel *channel);
void mk_channel_put(struct mk_channel *channel);

/* endpoint.c: /dev/mkchan/NAME */
int mk_endpoint_add(struct mk_channel *channel);
int mk_endpoint_rename(struct mk_channel *channel, const char *name);
void mk_endpoint_remove(struct mk_channel *channel);

#endif
