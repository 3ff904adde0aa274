// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * A channel of plain memory: /dev/mkchan/NAME is mapped by both kernels, and by its declared writer alone to be written.
 *
 * Only this kernel's processes are held to that; nothing but the other kernel holds its own.
 */
#include "channel.h"
#include "record.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

struct share {
	struct list_head node;
	struct kref users;
	char name[MK_NAME_MAX];
	struct mk_node *device;
	u64 address, size;
	unsigned int end, writers;	/* writers: a bit for each end */
	struct mk_pin *pin;
};

static LIST_HEAD(shares);		/* under the mutex of the channels */
static unsigned int nr_shares;

static bool may_write(const struct share *share)
{
	return share->writers & BIT(share->end);
}

static void release(struct kref *users)
{
	struct share *share = container_of(users, struct share, users);

	if (share->pin)
		mk_pin_put(share->pin);
	kfree(share);
}

/* A file that cannot be written cannot be mapped so either, nor made so later: that is the kernel's own rule. */
static int share_open(struct inode *inode, struct file *file)
{
	struct share *share = mk_node_owner(file->private_data);

	if ((file->f_mode & FMODE_WRITE) && !may_write(share))
		return -EACCES;
	kref_get(&share->users);
	file->private_data = share;
	return nonseekable_open(inode, file);
}

static int share_release(struct inode *inode, struct file *file)
{
	struct share *share = file->private_data;

	kref_put(&share->users, release);
	return 0;
}

/* A private mapping would be a copy, which nobody else sees. */
static int share_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct share *share = file->private_data;
	u64 offset = PFN_PHYS((u64)vma->vm_pgoff), size = vma->vm_end - vma->vm_start;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff >= PHYS_PFN(share->size) || size > share->size - offset)
		return -ENXIO;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(share->address + offset), size, vma->vm_page_prot);
}

/* There are no messages in it; what the memory means is between the two programs. */
static ssize_t share_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	return -EOPNOTSUPP;
}

static ssize_t share_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	return -EOPNOTSUPP;
}

static const struct file_operations share_fops = {
	.owner = THIS_MODULE,
	.open = share_open,
	.release = share_release,
	.read = share_read,
	.write = share_write,
	.mmap = share_mmap,
};

static struct share *find(const char *name)
{
	struct share *share;

	list_for_each_entry(share, &shares, node)
		if (!strcmp(share->name, name))
			return share;
	return NULL;
}

bool mk_share_there(const char *name)
{
	return find(name);
}

/* In the host its memory stays in the pool as long as somebody may have it mapped. */
static int pin(struct share *share)
{
	struct mk_range range = { share->address, share->size };
	struct mk_pin *taken;

	if (mk_is_client)
		return 0;
	taken = mk_pin_new(&range);
	if (IS_ERR(taken))
		return PTR_ERR(taken);
	share->pin = taken;
	return 0;
}

int mk_share_add(const char *name, u64 address, u64 size, unsigned int end, unsigned int writers)
{
	struct share *share;
	int ret;

	if (!size || !PAGE_ALIGNED(address) || !PAGE_ALIGNED(size))
		return -EINVAL;
	if (nr_shares == MK_CHANNELS_MAX)
		return -ENOSPC;
	if (!mk_area_allowed(address, size))
		return -EADDRNOTAVAIL;
	share = kzalloc(sizeof(*share), GFP_KERNEL);
	if (!share)
		return -ENOMEM;
	kref_init(&share->users);
	strscpy(share->name, name, sizeof(share->name));
	share->address = address;
	share->size = size;
	share->end = end;
	share->writers = writers;
	ret = pin(share);
	if (ret)
		goto out;
	share->device = mk_node_new(name, &share_fops, share);
	if (IS_ERR(share->device)) {
		ret = PTR_ERR(share->device);
		goto out;
	}
	list_add_tail(&share->node, &shares);
	nr_shares++;
	return 0;
out:
	kref_put(&share->users, release);
	return ret;
}

int mk_share_rename(const char *name, const char *to)
{
	struct share *share = find(name);
	struct mk_node *node = mk_node_new(to, &share_fops, share), *old = share->device;

	if (IS_ERR(node))
		return PTR_ERR(node);
	share->device = node;
	strscpy(share->name, to, sizeof(share->name));
	mk_node_free(old);
	return 0;
}

/* Who has it mapped keeps it, and its memory, until he unmaps it. */
static void take_out(struct share *share)
{
	list_del(&share->node);
	nr_shares--;
	mk_node_free(share->device);
	kref_put(&share->users, release);
}

int mk_share_remove(const char *name)
{
	struct share *share = find(name);

	if (!share)
		return -ENOENT;
	take_out(share);
	return 0;
}

static const char *const who[] = { "-", "0", "1", "both" };

void mk_shares_save(struct mk_record *record)
{
	struct share *share;

	list_for_each_entry(share, &shares, node) {
		mk_record_put(record, "channel share %s 0x%llx 0x%llx %u %s\n", share->name, share->address, share->size, share->end,
			      who[share->writers]);
		record->channels++;
	}
}

int mk_shares_show(char *buf, int at)
{
	struct share *share;
	int n = 0;

	list_for_each_entry(share, &shares, node)
		n += sysfs_emit_at(buf, at + n, "%s 0x%llx end=%u kind=shared_memory bytes=0x%llx writer=%s open=%u\n", share->name,
				   share->address, share->end, share->size, who[share->writers],
				   kref_read(&share->users) - 1);
	return n;
}

void mk_shares_stop(void)
{
	struct share *share, *next;

	list_for_each_entry_safe(share, next, &shares, node)
		take_out(share);
}
