/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_CHANNEL_H
#define MK_CHANNEL_H

#include "mkstock.h"

#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define MK_NAME_MAX 32

struct file_operations;
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

	raw_spinlock_t lock;		/* taken by the interrupt: area, indices, counters */
	struct mk_area area;
	struct mk_pin *pin;		/* host: its memory does not leave the pool */
	u32 epoch;			/* the number of our attachment; 0: we have left */
	u32 peer_epoch;			/* of the other end's, as it was last seen; 0: it is gone */
	u32 peer_was;			/* its last one that was not 0 */
	u32 scanned;			/* up to here the messages in the ring that need no reader are done with */
	u64 sent, received, beats, last_beat_ns, restarts, blocked;
	u64 ping, ping_ns, rtt_ns;
	char last_words[MK_TEXT_MAX];

	wait_queue_head_t reading, writing;
	struct irq_work wake;		/* where wait queues sleep (PREEMPT_RT), an interrupt cannot wake by itself */
	struct work_struct ended;
};

/* What an open file has been told of the other end. */
struct mk_peer_seen {
	u32 epoch;			/* 0: gone, or not there yet */
	bool met;			/* it was there once: the next one is a restart */
};

/* The ring that we read. */
static inline unsigned int mk_channel_incoming(const struct mk_channel *channel)
{
	return !channel->end;
}

/* channel.c */
struct mk_channel *mk_channel_new(const char *name, u64 address, unsigned int end);
void mk_channel_attach(struct mk_channel *channel);
void mk_channel_leave(struct mk_channel *channel);
void mk_channel_look(struct mk_channel *channel);
void mk_channel_peer_gone(struct mk_channel *channel);
int mk_channel_ping(struct mk_channel *channel);
void mk_channel_fill(struct mk_message *message, enum mk_type type, const void *data, size_t size);
void mk_channel_send_last(struct mk_channel *channel, const struct mk_message *message);
/* True when the message went out; false when the ring is full. */
bool mk_channel_send(struct mk_channel *channel, const struct mk_message *message);
void mk_channel_refuse(struct mk_channel *channel);
bool mk_channel_good_peer(u32 apic_id);
void mk_channel_interrupt(u32 apic_id);
u32 mk_channel_waiting(struct mk_channel *channel);
void mk_channel_get(struct mk_channel *channel);
void mk_channel_put(struct mk_channel *channel);

/* transfer.c: one message for an open file, and what it can be told instead */
void mk_transfer_open(struct mk_channel *channel, struct mk_peer_seen *seen);
int mk_transfer_read(struct mk_channel *channel, struct mk_peer_seen *seen, struct mk_message *message, size_t room);
int mk_transfer_write(struct mk_channel *channel, struct mk_peer_seen *seen, const struct mk_message *message);
bool mk_transfer_readable(struct mk_channel *channel, const struct mk_peer_seen *seen);
bool mk_transfer_writable(struct mk_channel *channel, const struct mk_peer_seen *seen);
bool mk_transfer_changed(struct mk_channel *channel, const struct mk_peer_seen *seen);
/* Of channel.c, with the channel's lock held. */
void mk_channel_refresh(struct mk_channel *channel);
bool mk_channel_put_message(struct mk_channel *channel, const struct mk_message *message);
void mk_channel_took(struct mk_channel *channel, u32 tail);

/* node.c: devices below /dev/mkchan that may be renamed */
struct mk_node *mk_node_new(const char *name, const struct file_operations *fops, void *owner);
void mk_node_free(struct mk_node *node);
void *mk_node_owner(void *private_data);

/* endpoint.c: /dev/mkchan/NAME */
extern const struct file_operations mk_endpoint_fops;

/* share.c: plain memory that two kernels share */
int mk_share_add(const char *name, u64 address, u64 size, unsigned int end, unsigned int writers);
bool mk_share_there(const char *name);
int mk_share_rename(const char *name, const char *to);
int mk_share_remove(const char *name);
int mk_shares_show(char *buf, int at);
void mk_shares_stop(void);

/* watch.c: what is between two instances */
int mk_watch_add(const char *name, u64 address);
bool mk_watch_there(const char *name);
int mk_watch_rename(const char *name, const char *to);
int mk_watch_remove(const char *name);
void mk_watches_peer_gone(u32 apic_id);
int mk_watches_show(char *buf, int at);
void mk_watches_stop(void);

#endif
