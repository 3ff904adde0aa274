// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /dev/mkchan/NAME: one read() or write() is one whole message's data. A write to a full ring blocks, or gives EAGAIN with
 * O_NONBLOCK and counts as rejected.
 */
#include "channel.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* For a peer that does not tell when there is room again. */
#define RETRY_JIFFIES max(HZ / 100, 1)

/* The device's node apart from the channel, which may get another one. */
struct mk_node {
	struct miscdevice device;
	char name[MK_NAME_MAX + 8];
	struct mk_channel *channel;
};

static struct mk_channel *channel_of(struct file *file)
{
	return file->private_data;
}

static int endpoint_open(struct inode *inode, struct file *file)
{
	struct mk_channel *channel = container_of(file->private_data, struct mk_node, device)->channel;

	mk_channel_get(channel);
	file->private_data = channel;
	return nonseekable_open(inode, file);
}

static int endpoint_release(struct inode *inode, struct file *file)
{
	mk_channel_put(channel_of(file));
	return 0;
}

static ssize_t endpoint_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct mk_channel *channel = channel_of(file);
	struct mk_message message;

	/* A message is never cut, and one that was taken cannot be put back. */
	if (size < channel->area.message_size)
		return -EMSGSIZE;
	while (!mk_channel_receive(channel, &message)) {
		if (READ_ONCE(channel->removed))
			return -ENODEV;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(channel->wait, mk_channel_readable(channel) ||
					     READ_ONCE(channel->removed)))
			return -ERESTARTSYS;
	}
	return copy_to_user(user, message.data, message.size) ? -EFAULT : message.size;
}

static ssize_t endpoint_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	struct mk_channel *channel = channel_of(file);
	struct mk_message message = { .type = MK_DATA, .size = size };

	if (size > channel->area.message_size)
		return -EMSGSIZE;
	if (copy_from_user(message.data, user, size))
		return -EFAULT;
	message.sender = mk_apic_id(raw_smp_processor_id());
	while (!READ_ONCE(channel->removed)) {
		if (mk_channel_send(channel, &message))
			return size;
		if (file->f_flags & O_NONBLOCK) {
			mk_channel_refuse(channel);
			return -EAGAIN;
		}
		if (wait_event_interruptible_timeout(channel->wait, mk_channel_writable(channel) ||
						     READ_ONCE(channel->removed), RETRY_JIFFIES) < 0)
			return -ERESTARTSYS;
	}
	return -ENODEV;
}

static __poll_t endpoint_poll(struct file *file, poll_table *table)
{
	struct mk_channel *channel = channel_of(file);
	__poll_t events = 0;

	poll_wait(file, &channel->wait, table);
	if (READ_ONCE(channel->removed))
		return EPOLLERR | EPOLLHUP;
	if (mk_channel_readable(channel))
		events |= EPOLLIN | EPOLLRDNORM;
	if (mk_channel_writable(channel))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static const struct file_operations endpoint_fops = {
	.owner = THIS_MODULE,
	.open = endpoint_open,
	.release = endpoint_release,
	.read = endpoint_read,
	.write = endpoint_write,
	.poll = endpoint_poll,
};

static struct mk_node *new_node(struct mk_channel *channel, const char *name)
{
	struct mk_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int ret;

	if (!node)
		return ERR_PTR(-ENOMEM);
	snprintf(node->name, sizeof(node->name), "mkchan/%s", name);
	node->channel = channel;
	node->device = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = node->name,
		.fops = &endpoint_fops,
		.nodename = node->name,
		.mode = 0600,
	};
	ret = misc_register(&node->device);
	if (!ret)
		return node;
	kfree(node);
	return ERR_PTR(ret);
}

/* Opening goes under the lock that this takes, so nobody holds the node afterwards. */
static void free_node(struct mk_node *node)
{
	misc_deregister(&node->device);
	kfree(node);
}

int mk_endpoint_add(struct mk_channel *channel)
{
	struct mk_node *node = new_node(channel, channel->name);

	if (IS_ERR(node))
		return PTR_ERR(node);
	channel->device = node;
	return 0;
}

/* The new name is there before the old one goes; who has the device open has the channel, whatever it is called. */
int mk_endpoint_rename(struct mk_channel *channel, const char *name)
{
	struct mk_node *old = channel->device, *node = new_node(channel, name);

	if (IS_ERR(node))
		return PTR_ERR(node);
	channel->device = node;
	strscpy(channel->name, name, sizeof(channel->name));
	free_node(old);
	return 0;
}

void mk_endpoint_remove(struct mk_channel *channel)
{
	free_node(channel->device);
}
