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
#include "kernfs.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

enum kind {
	ROOT, INSTANCES, OVERLAYS, SPAWN, TRANSACTION, NR_DIRECTORIES,	/* directories */
	ROOT_TREE = NR_DIRECTORIES, OVERLAY_NEW,
	SPAWN_ID, SPAWN_STATUS, SPAWN_TREE,
	TX_ID, TX_STATUS, TX_TARGET, TX_RESOURCES, TX_BLOB, NR_KINDS
};

/* What directories hold by fixed names. */
static const struct {
	enum kind parent;
	const char *name;
	umode_t mode;
} entries[NR_KINDS] = {
	[INSTANCES] = { ROOT, "instances", S_IFDIR | 0755 },
	[OVERLAYS] = { ROOT, "overlays", S_IFDIR | 0755 },
	[ROOT_TREE] = { ROOT, "device_tree", S_IFREG | 0644 },
	[OVERLAY_NEW] = { OVERLAYS, "new", S_IFREG | 0200 },
	[SPAWN_ID] = { SPAWN, "id", S_IFREG | 0444 },
	[SPAWN_STATUS] = { SPAWN, "status", S_IFREG | 0444 },
	[SPAWN_TREE] = { SPAWN, "device_tree", S_IFREG | 0444 },
	[TX_ID] = { TRANSACTION, "id", S_IFREG | 0444 },
	[TX_STATUS] = { TRANSACTION, "status", S_IFREG | 0444 },
	[TX_TARGET] = { TRANSACTION, "instance", S_IFREG | 0444 },
	[TX_RESOURCES] = { TRANSACTION, "resources", S_IFREG | 0444 },
	[TX_BLOB] = { TRANSACTION, "dtbo", S_IFREG | 0444 },
};

/* An inode's number tells its kind. */
#define KINDS 16
static_assert(NR_KINDS < KINDS);

static enum kind kind_of(const struct inode *inode)
{
	return inode->i_ino % KINDS;
}

static struct mk_spawn *spawn_of(const struct inode *inode)
{
	return container_of(inode->i_private, struct mk_spawn, object);
}

static struct mk_transaction *transaction_of(const struct inode *inode)
{
	return container_of(inode->i_private, struct mk_transaction, object);
}

/* --- files */

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

	switch (kind_of(inode)) {
	case ROOT_TREE:
	case SPAWN_TREE:
		if (mutex_lock_killable(&mk_tree_lock))
			return ERR_PTR(-EINTR);
		blob = kind_of(inode) == ROOT_TREE ? mk_tree_root(size) : mk_tree_spawn(spawn_of(inode), size);
		mutex_unlock(&mk_tree_lock);
		return blob;
	case SPAWN_ID:
		return text(size, "%u\n", spawn_of(inode)->id);
	case SPAWN_STATUS:
		return status(spawn_of(inode), size);
	case TX_ID:
		return text(size, "%u\n", transaction_of(inode)->id);
	case TX_STATUS:
		return text(size, "%s\n", mk_transaction_status(transaction_of(inode)));
	case TX_TARGET:
		return text(size, "%s\n", transaction_of(inode)->target);
	case TX_RESOURCES:
		return text(size, "%s\n", transaction_of(inode)->resources);
	case TX_BLOB:
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
	bool keeps = kind_of(inode) == ROOT_TREE;
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
	bool overlay = kind_of(inode) == OVERLAY_NEW;
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

static const struct file_operations file_fops = {
	.owner = THIS_MODULE,
	.open = file_open,
	.release = file_release,
	.read = file_read,
	.write = file_write,
	.llseek = generic_file_llseek,
};

/* --- directories */

static const struct inode_operations plain_directory, overlays_directory;
static const struct file_operations directory_fops;

static struct inode *new_entry(struct super_block *sb, enum kind kind, umode_t mode, struct mk_object *object)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = (object ? object->serial : 0) * KINDS + kind;
	inode->i_mode = mode;
	inode->i_private = object ? mk_object_get(object) : NULL;
	if (S_ISDIR(mode)) {
		inode->i_op = kind == OVERLAYS ? &overlays_directory : &plain_directory;
		inode->i_fop = &directory_fops;
		set_nlink(inode, 2);
	} else {
		inode->i_fop = &file_fops;
		inode->i_size = MK_TREE_MAX;
	}
	return inode;
}

static void name_of(const struct mk_object *object, enum kind parent, char *name, size_t size)
{
	if (parent == INSTANCES)
		snprintf(name, size, "%s", container_of(object, struct mk_spawn, object)->name);
	else
		snprintf(name, size, "tx_%u", container_of(object, struct mk_transaction, object)->id);
}

static struct list_head *objects_in(enum kind directory)
{
	switch (directory) {
	case INSTANCES:
		return &mk_spawns;
	case OVERLAYS:
		return &mk_transactions;
	default:
		return NULL;
	}
}

/* The inode of what has that name now; NULL for nothing. */
static struct inode *find_object(struct super_block *sb, enum kind parent, const char *wanted)
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
		inode = new_entry(sb, parent == INSTANCES ? SPAWN : TRANSACTION, S_IFDIR | 0755, object);
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
	enum kind parent = kind_of(directory), kind;
	struct inode *inode;

	for (kind = INSTANCES; kind < NR_KINDS; kind++) {
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

static bool emit_fixed(struct dir_context *context, enum kind parent, u64 serial)
{
	enum kind kind;

	for (kind = context->pos - 2; kind < NR_KINDS; kind++, context->pos++)
		if (entries[kind].name && entries[kind].parent == parent &&
		    !dir_emit(context, entries[kind].name, strlen(entries[kind].name), serial * KINDS + kind,
			      S_ISDIR(entries[kind].mode) ? DT_DIR : DT_REG))
			return false;
	return true;
}

/* Positions are "." and "..", the fixed names, and then the serial numbers of what comes and goes. */
static int directory_iterate(struct file *file, struct dir_context *context)
{
	struct inode *inode = file_inode(file);
	enum kind parent = kind_of(inode);
	struct list_head *list = objects_in(parent);
	struct mk_object *object;
	char name[MK_NAME_SIZE];

	if (!dir_emit_dots(file, context))
		return 0;
	if (context->pos < 2 + NR_KINDS && !emit_fixed(context, parent, inode->i_ino / KINDS))
		return 0;
	if (!list)
		return 0;
	mutex_lock(&mk_list_lock);
	list_for_each_entry(object, list, node) {
		if (object->serial + 2 + NR_KINDS < context->pos)
			continue;
		context->pos = object->serial + 2 + NR_KINDS;
		name_of(object, parent, name, sizeof(name));
		if (!dir_emit(context, name, strlen(name), object->serial * KINDS + (parent == INSTANCES ? SPAWN : TRANSACTION),
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

	if (kind_of(inode) != TRANSACTION)
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
	root = new_entry(sb, ROOT, S_IFDIR | 0755, NULL);
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
