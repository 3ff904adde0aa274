// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /dev/mkchan/NAME, apart from what it stands for, which may get another name while it is in use.
 */
#include "channel.h"

#include <linux/err.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>

struct mk_node {
	struct miscdevice device;
	char name[MK_NAME_MAX + 8];
	void *owner;
};

struct mk_node *mk_node_new(const char *name, const struct file_operations *fops, void *owner)
{
	struct mk_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int ret;

	if (!node)
		return ERR_PTR(-ENOMEM);
	snprintf(node->name, sizeof(node->name), "mkchan/%s", name);
	node->owner = owner;
	node->device = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = node->name,
		.fops = fops,
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
void mk_node_free(struct mk_node *node)
{
	misc_deregister(&node->device);
	kfree(node);
}

/* From what an opening file's private data is. */
void *mk_node_owner(void *private_data)
{
	return container_of(private_data, struct mk_node, device)->owner;
}
