// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /dev/mkchan/NAME: one read() or write() is one whole message's data. A write to a full ring blocks, or gives EAGAIN with
 * O_NONBLOCK and counts as rejected.
 */
#include "channel.h"

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* For a peer that does not tell when there is room again; and for one that may turn out to be such. */
#define RETRY_JIFFIES	max(HZ / 100, 1)
#define MEET_JIFFIES	HZ

struct opened {
	struct mk_channel *channel;
	struct mk_peer_seen seen;
};

static int endpoint_open(struct inode *inode, struct file *file)
{
	struct mk_channel *channel = mk_node_owner(file->private_data);
	struct opened *opened = kzalloc(sizeof(*opened), GFP_KERNEL);

	if (!opened)
		return -ENOMEM;
	mk_channel_get(channel);
	opened->channel = channel;
	mk_transfer_open(channel, &opened->seen);
	file->private_data = opened;
	return nonseekable_open(inode, file);
}

static int endpoint_release(struct inode *inode, struct file *file)
{
	struct opened *opened = file->private_data;

	mk_channel_put(opened->channel);
	kfree(opened);
	return 0;
}

static ssize_t endpoint_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct opened *opened = file->private_data;
	struct mk_channel *channel = opened->channel;
	struct mk_message message;
	int ret;

	for (;;) {
		ret = mk_transfer_read(channel, &opened->seen, &message, size);
		if (READ_ONCE(channel->removed) && ret <= 0)
			return -ENODEV;
		if (ret < 0)
			return ret;
		if (ret)
			break;
		if (signal_pending(current))	/* whatever the other end does to the indices */
			return -ERESTARTSYS;
		if (file->f_flags & O_NONBLOCK) {
			/* leaves word, too: who has been told EAGAIN may wait by an edge-triggered epoll */
			if (mk_transfer_readable(channel, &opened->seen))
				continue;
			return -EAGAIN;
		}
		if (wait_event_interruptible(channel->reading, mk_transfer_readable(channel, &opened->seen) ||
					     READ_ONCE(channel->removed)))
			return -ERESTARTSYS;
	}
	return copy_to_user(user, message.data, message.size) ? -EFAULT : message.size;
}

static long patience(struct mk_channel *channel)
{
	unsigned int peer = mk_channel_incoming(channel);

	if (mk_area_keeps_promises(&channel->area, peer))
		return MAX_SCHEDULE_TIMEOUT;
	return mk_area_epoch(&channel->area, peer) ? RETRY_JIFFIES : MEET_JIFFIES;
}

static ssize_t endpoint_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	struct opened *opened = file->private_data;
	struct mk_channel *channel = opened->channel;
	struct mk_message message = { .type = MK_DATA, .size = size };
	int ret;

	if (size > channel->area.message_size)
		return -EMSGSIZE;
	if (copy_from_user(message.data, user, size))
		return -EFAULT;
	message.sender = mk_apic_id(raw_smp_processor_id());
	while (!READ_ONCE(channel->removed)) {
		ret = mk_transfer_write(channel, &opened->seen, &message);
		if (ret > 0)
			return size;
		if (READ_ONCE(channel->removed))
			break;
		if (ret < 0)
			return ret;
		if (file->f_flags & O_NONBLOCK) {
			if (mk_transfer_writable(channel, &opened->seen))
				continue;
			mk_channel_refuse(channel);
			return -EAGAIN;
		}
		if (signal_pending(current))
			return -ERESTARTSYS;
		channel->blocked++;
		if (wait_event_interruptible_timeout(channel->writing, mk_transfer_writable(channel, &opened->seen) ||
						     READ_ONCE(channel->removed), patience(channel)) < 0)
			return -ERESTARTSYS;
	}
	return -ENODEV;
}

static __poll_t endpoint_poll(struct file *file, poll_table *table)
{
	struct opened *opened = file->private_data;
	struct mk_channel *channel = opened->channel;
	__poll_t events = 0;

	poll_wait(file, &channel->reading, table);
	poll_wait(file, &channel->writing, table);
	if (READ_ONCE(channel->removed))
		return EPOLLERR | EPOLLHUP;
	if (mk_transfer_readable(channel, &opened->seen))
		events |= EPOLLIN | EPOLLRDNORM;
	if (mk_transfer_writable(channel, &opened->seen))
		events |= EPOLLOUT | EPOLLWRNORM;
	if (mk_transfer_changed(channel, &opened->seen))
		events |= EPOLLPRI;
	return events;
}

const struct file_operations mk_endpoint_fops = {
	.owner = THIS_MODULE,
	.open = endpoint_open,
	.release = endpoint_release,
	.read = endpoint_read,
	.write = endpoint_write,
	.poll = endpoint_poll,
};
