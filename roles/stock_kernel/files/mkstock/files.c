// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The files of the file system `multikernel`: what a read gives and what a write does.
 */
#include "filesystem.h"

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static struct mk_spawn *spawn_of(const struct inode *inode)
{
	return container_of(inode->i_private, struct mk_spawn, object);
}

static struct mk_transaction *transaction_of(const struct inode *inode)
{
	return container_of(inode->i_private, struct mk_transaction, object);
}

static void *text(size_t *size, const char *format, ...)
{
	va_list arguments;
	char *line;

	va_start(arguments, format);
	line = kvasprintf(GFP_KERNEL, format, arguments);
	va_end(arguments);
	if (!line)
		return ERR_PTR(-ENOMEM);
	*size = strlen(line);
	return line;
}

static void *status(struct mk_spawn *spawn, size_t *size)
{
	/* one that ended by itself is found out now, unless somebody is at work who will look, too */
	if (!READ_ONCE(spawn->gone) && mutex_trylock(&mk_tree_lock)) {
		if (!spawn->gone)
			mk_spawn_refresh(spawn);
		mutex_unlock(&mk_tree_lock);
	}
	return text(size, "%s\n", mk_spawn_state(spawn));
}

static void *contents(const struct inode *inode, size_t *size)
{
	void *blob;

	switch (mk_kind_of(inode)) {
	case MK_IN_ROOT_TREE:
	case MK_IN_SPAWN_TREE:
		if (mutex_lock_killable(&mk_tree_lock))
			return ERR_PTR(-EINTR);
		blob = mk_kind_of(inode) == MK_IN_ROOT_TREE ? mk_tree_root(size) : mk_tree_spawn(spawn_of(inode), size);
		mutex_unlock(&mk_tree_lock);
		return blob;
	case MK_IN_SPAWN_ID:
		return text(size, "%u\n", spawn_of(inode)->id);
	case MK_IN_SPAWN_STATUS:
		return status(spawn_of(inode), size);
	case MK_IN_TX_ID:
		return text(size, "%u\n", transaction_of(inode)->id);
	case MK_IN_TX_STATUS:
		return text(size, "%s\n", mk_transaction_status(transaction_of(inode)));
	case MK_IN_TX_TARGET:
		return text(size, "%s\n", transaction_of(inode)->target);
	case MK_IN_TX_RESOURCES:
		return text(size, "%s\n", transaction_of(inode)->resources);
	case MK_IN_TX_BLOB:
		*size = transaction_of(inode)->size;
		blob = kvmalloc(*size, GFP_KERNEL);
		if (blob)
			memcpy(blob, transaction_of(inode)->blob, *size);
		return blob ? blob : ERR_PTR(-ENOMEM);
	default:
		return ERR_PTR(-EINVAL);
	}
}

/* One picture for each open of the root's tree; all else is asked anew at each read(), and a page at most. */
static ssize_t file_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct inode *inode = file_inode(file);
	bool keeps = mk_kind_of(inode) == MK_IN_ROOT_TREE;
	void *now, *kept = READ_ONCE(file->private_data);
	size_t total;
	ssize_t ret;

	if (kept)
		return simple_read_from_buffer(user, size, pos, kept, mk_fdt_total(kept));
	now = contents(inode, &total);
	if (IS_ERR(now))
		return PTR_ERR(now);
	if (!keeps)
		size = min_t(size_t, size, PAGE_SIZE);
	ret = simple_read_from_buffer(user, size, pos, now, total);
	if (!keeps || cmpxchg(&file->private_data, NULL, now))
		kvfree(now);
	return ret;
}

static ssize_t file_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	struct inode *inode = file_inode(file);
	bool overlay = mk_kind_of(inode) == MK_IN_OVERLAY_NEW;
	void *blob;
	int ret;

	/* the real file has no atomic length, so a longer write is cut, and the rest comes at an offset that is refused */
	if (overlay)
		size = min_t(size_t, size, PAGE_SIZE);
	else if (size > MK_TREE_MAX)
		return -E2BIG;
	if (overlay && *pos)
		return -EINVAL;
	i_size_write(inode, MK_TREE_MAX);
	blob = kvmalloc(size + 1, GFP_KERNEL);
	if (!blob)
		return -ENOMEM;
	ret = copy_from_user(blob, user, size) ? -EFAULT : 0;
	if (!ret && mutex_lock_killable(&mk_tree_lock))
		ret = -EINTR;
	else if (!ret) {
		ret = overlay ? mk_transaction_submit(blob, size) : mk_baseline(blob, size);
		mutex_unlock(&mk_tree_lock);
	}
	kvfree(blob);
	if (ret)
		return ret;
	*pos += size;
	return size;
}

static int file_open(struct inode *inode, struct file *file)
{
	i_size_write(inode, MK_TREE_MAX);
	return 0;
}

static int file_release(struct inode *inode, struct file *file)
{
	i_size_write(inode, MK_TREE_MAX);	/* whoever opened with O_TRUNC has set it to 0 */
	kvfree(file->private_data);
	return 0;
}

const struct file_operations mk_file_operations = {
	.owner = THIS_MODULE,
	.open = file_open,
	.release = file_release,
	.read = file_read,
	.write = file_write,
	.fsync = noop_fsync,	/* kernfs takes it, and clients that write device_tree call it */
	.llseek = generic_file_llseek,
};
