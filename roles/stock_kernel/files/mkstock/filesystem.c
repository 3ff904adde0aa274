// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The file system type `multikernel`. The kernel's own kernfs is not open to modules, so this is one of its own kind: nothing is
 * pinned, each look-up asks whether the name is there now, and a name that is not in use is forgotten at once. Whoever holds a
 * directory that has gone keeps what it stood for, but nobody finds it any more.
 *
 * Reads and writes take no lock of an inode, so mk_tree_lock lies inside those: rmdir() comes with them held.
 */
#include "filesystem.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs_context.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sysfs.h>

/* What directories hold by fixed names. */
static const struct {
	enum mk_kind parent;
	const char *name;
	umode_t mode;
} entries[MK_IN_NR_KINDS] = {
	[MK_IN_INSTANCES] = { MK_IN_ROOT, "instances", S_IFDIR | 0755 },
	[MK_IN_OVERLAYS] = { MK_IN_ROOT, "overlays", S_IFDIR | 0755 },
	[MK_IN_ROOT_TREE] = { MK_IN_ROOT, "device_tree", S_IFREG | 0644 },
	[MK_IN_OVERLAY_NEW] = { MK_IN_OVERLAYS, "new", S_IFREG | 0200 },
	[MK_IN_SPAWN_ID] = { MK_IN_SPAWN, "id", S_IFREG | 0444 },
	[MK_IN_SPAWN_STATUS] = { MK_IN_SPAWN, "status", S_IFREG | 0444 },
	[MK_IN_SPAWN_TREE] = { MK_IN_SPAWN, "device_tree", S_IFREG | 0444 },
	[MK_IN_TX_ID] = { MK_IN_TRANSACTION, "id", S_IFREG | 0444 },
	[MK_IN_TX_STATUS] = { MK_IN_TRANSACTION, "status", S_IFREG | 0444 },
	[MK_IN_TX_TARGET] = { MK_IN_TRANSACTION, "instance", S_IFREG | 0444 },
	[MK_IN_TX_RESOURCES] = { MK_IN_TRANSACTION, "resources", S_IFREG | 0444 },
	[MK_IN_TX_BLOB] = { MK_IN_TRANSACTION, "dtbo", S_IFREG | 0444 },
};

static struct mk_transaction *transaction_of(const struct inode *inode)
{
	return container_of(inode->i_private, struct mk_transaction, object);
}

/* --- directories */

static const struct inode_operations plain_directory, overlays_directory;
static const struct file_operations directory_fops;

static struct inode *new_entry(struct super_block *sb, enum mk_kind kind, umode_t mode, struct mk_object *object)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = (object ? object->serial : 0) * MK_IN_KINDS + kind;
	inode->i_mode = mode;
	inode->i_private = object ? mk_object_get(object) : NULL;
	if (S_ISDIR(mode)) {
		inode->i_op = kind == MK_IN_OVERLAYS ? &overlays_directory : &plain_directory;
		inode->i_fop = &directory_fops;
		set_nlink(inode, 2);
	} else {
		inode->i_fop = &mk_file_operations;
		inode->i_size = MK_TREE_MAX;
	}
	return inode;
}

static void name_of(const struct mk_object *object, enum mk_kind parent, char *name, size_t size)
{
	if (parent == MK_IN_INSTANCES)
		snprintf(name, size, "%s", container_of(object, struct mk_spawn, object)->name);
	else
		snprintf(name, size, "tx_%u", container_of(object, struct mk_transaction, object)->id);
}

static struct list_head *objects_in(enum mk_kind directory)
{
	switch (directory) {
	case MK_IN_INSTANCES:
		return &mk_spawns;
	case MK_IN_OVERLAYS:
		return &mk_transactions;
	default:
		return NULL;
	}
}

/* The inode of what has that name now; NULL for nothing. */
static struct inode *find_object(struct super_block *sb, enum mk_kind parent, const char *wanted)
{
	struct list_head *list = objects_in(parent);
	struct mk_object *object;
	struct inode *inode = NULL;
	char name[MK_NAME_SIZE];

	if (!list)
		return NULL;
	mutex_lock(&mk_list_lock);
	list_for_each_entry(object, list, node) {
		name_of(object, parent, name, sizeof(name));
		if (strcmp(name, wanted))
			continue;
		inode = new_entry(sb, parent == MK_IN_INSTANCES ? MK_IN_SPAWN : MK_IN_TRANSACTION, S_IFDIR | 0755, object);
		if (inode)
			object->inode = inode;
		else
			inode = ERR_PTR(-ENOMEM);
		break;
	}
	mutex_unlock(&mk_list_lock);
	return inode;
}

static struct inode *find_entry(struct inode *directory, const char *name)
{
	enum mk_kind parent = mk_kind_of(directory), kind;
	struct inode *inode;

	for (kind = MK_IN_INSTANCES; kind < MK_IN_NR_KINDS; kind++) {
		if (!entries[kind].name || entries[kind].parent != parent || strcmp(entries[kind].name, name))
			continue;
		inode = new_entry(directory->i_sb, kind, entries[kind].mode, directory->i_private);
		return inode ? inode : ERR_PTR(-ENOMEM);
	}
	return find_object(directory->i_sb, parent, name);
}

/* A name that is not there is not remembered: it may be there the next time. */
static struct dentry *directory_lookup(struct inode *directory, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	inode = find_entry(directory, dentry->d_name.name);
	if (IS_ERR_OR_NULL(inode))
		return ERR_CAST(inode);
	d_add(dentry, inode);
	d_mark_dontcache(inode);
	return NULL;
}

static bool emit_fixed(struct dir_context *context, enum mk_kind parent, u64 serial)
{
	enum mk_kind kind;

	for (kind = context->pos - 2; kind < MK_IN_NR_KINDS; kind++, context->pos++)
		if (entries[kind].name && entries[kind].parent == parent &&
		    !dir_emit(context, entries[kind].name, strlen(entries[kind].name), serial * MK_IN_KINDS + kind,
			      S_ISDIR(entries[kind].mode) ? DT_DIR : DT_REG))
			return false;
	return true;
}

/* Positions are "." and "..", the fixed names, and then the serial numbers of what comes and goes. */
static int directory_iterate(struct file *file, struct dir_context *context)
{
	struct inode *inode = file_inode(file);
	enum mk_kind parent = mk_kind_of(inode);
	struct list_head *list = objects_in(parent);
	struct mk_object *object;
	char name[MK_NAME_SIZE];

	if (!dir_emit_dots(file, context))
		return 0;
	if (context->pos < 2 + MK_IN_NR_KINDS && !emit_fixed(context, parent, inode->i_ino / MK_IN_KINDS))
		return 0;
	if (!list)
		return 0;
	mutex_lock(&mk_list_lock);
	list_for_each_entry(object, list, node) {
		if (object->serial + 2 + MK_IN_NR_KINDS < context->pos)
			continue;
		context->pos = object->serial + 2 + MK_IN_NR_KINDS;
		name_of(object, parent, name, sizeof(name));
		if (!dir_emit(context, name, strlen(name), object->serial * MK_IN_KINDS + (parent == MK_IN_INSTANCES ? MK_IN_SPAWN : MK_IN_TRANSACTION),
			      DT_DIR))
			break;
		context->pos++;
	}
	mutex_unlock(&mk_list_lock);
	return 0;
}

/* Only a transaction can be removed, which rolls it back. */
static int overlays_rmdir(struct inode *directory, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	int ret;

	if (mk_kind_of(inode) != MK_IN_TRANSACTION)
		return -EPERM;
	if (mutex_lock_killable(&mk_tree_lock))
		return -EINTR;
	ret = mk_transaction_undo(transaction_of(inode));
	mutex_unlock(&mk_tree_lock);
	return ret;
}

static const struct inode_operations plain_directory = {
	.lookup = directory_lookup,
};

static const struct inode_operations overlays_directory = {
	.lookup = directory_lookup,
	.rmdir = overlays_rmdir,
};

static const struct file_operations directory_fops = {
	.owner = THIS_MODULE,
	.read = generic_read_dir,
	.iterate_shared = directory_iterate,
	.llseek = generic_file_llseek,
};

/* --- the file system */

static void evict(struct inode *inode)
{
	struct mk_object *object = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (!object)
		return;
	mutex_lock(&mk_list_lock);
	if (object->inode == inode)
		object->inode = NULL;
	mutex_unlock(&mk_list_lock);
	mk_object_put(object);
}

static const struct super_operations super_operations = {
	.statfs = simple_statfs,
	.evict_inode = evict,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MK_FS_MAGIC;
	sb->s_op = &super_operations;
	sb->s_time_gran = 1;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	root = new_entry(sb, MK_IN_ROOT, S_IFDIR | 0755, NULL);
	sb->s_root = root ? d_make_root(root) : NULL;
	return sb->s_root ? 0 : -ENOMEM;
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_single(fc, fill_super);
}

static const struct fs_context_operations context_operations = { .get_tree = get_tree };

static int init_context(struct fs_context *fc)
{
	fc->ops = &context_operations;
	return 0;
}

static struct file_system_type type = {
	.owner = THIS_MODULE,
	.name = MK_FS_TYPE,
	.init_fs_context = init_context,
	.kill_sb = kill_anon_super,
};
MODULE_ALIAS_FS(MK_FS_TYPE);

int mk_fs_start(void)
{
	int ret = sysfs_create_mount_point(fs_kobj, MK_FS_TYPE);

	if (ret)
		return ret;
	ret = register_filesystem(&type);
	if (ret)
		sysfs_remove_mount_point(fs_kobj, MK_FS_TYPE);
	return ret;
}

void mk_fs_stop(void)
{
	unregister_filesystem(&type);
	sysfs_remove_mount_point(fs_kobj, MK_FS_TYPE);
}
