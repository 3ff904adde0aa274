// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The kernfs ABI as a part of the module: objects with a name in its file system, and the order of start and stop.
 */
#include "kernfs.h"
#include "pci.h"

#include <linux/dcache.h>
#include <linux/fs.h>

DEFINE_MUTEX(mk_tree_lock);
DEFINE_MUTEX(mk_list_lock);

static u64 last_serial;

void mk_object_init(struct mk_object *object, struct list_head *list, void (*free)(struct mk_object *object))
{
	kref_init(&object->users);
	object->free = free;
	mutex_lock(&mk_list_lock);
	object->serial = ++last_serial;
	list_add_tail(&object->node, list);
	mutex_unlock(&mk_list_lock);
}

struct mk_object *mk_object_get(struct mk_object *object)
{
	kref_get(&object->users);
	return object;
}

static void last_put(struct kref *users)
{
	struct mk_object *object = container_of(users, struct mk_object, users);

	object->free(object);
}

void mk_object_put(struct mk_object *object)
{
	kref_put(&object->users, last_put);
}

void mk_object_remove(struct mk_object *object)
{
	struct inode *inode;
	struct dentry *dentry;

	mutex_lock(&mk_list_lock);
	list_del_init(&object->node);
	inode = object->inode ? igrab(object->inode) : NULL;
	mutex_unlock(&mk_list_lock);
	if (inode) {
		/* still in use by somebody, who keeps it; the next look-up must not find it */
		dentry = d_find_alias(inode);
		if (dentry)
			d_drop(dentry);
		dput(dentry);
		iput(inode);
	}
	mk_object_put(object);
}

/* The file system last: nobody comes in before everything stands. */
int mk_kernfs_start(void)
{
	int ret;

	if (!mk_abi_kernfs)
		return 0;
	ret = mk_contig_start();
	if (ret)
		return ret;
	ret = mk_pci_start();
	if (ret)
		return ret;
	ret = mk_kimage_start();
	if (ret)
		goto stop_pci;
	ret = mk_fs_start();
	if (ret)
		goto stop_kimage;
	return 0;

stop_kimage:
	mk_kimage_stop();
stop_pci:
	mk_pci_stop();
	return ret;
}

/* There are no instances any more, since each keeps the module loaded; the pool goes back to the host. */
void mk_kernfs_stop(void)
{
	if (!mk_abi_kernfs)
		return;
	mk_fs_stop();
	mk_kimage_stop();
	mutex_lock(&mk_tree_lock);
	mk_transactions_release();
	mk_devices_release();
	mk_cpus_release();
	mk_chunks_release();
	mutex_unlock(&mk_tree_lock);
	mk_pci_stop();
}
