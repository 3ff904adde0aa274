// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * kexec_file_load(2) with the multikernel flag, and /proc/kimage. The files are kept, so that an instance that has halted boots
 * again without them.
 */
#include "kernfs.h"

#include <linux/err.h>
#include <linux/kernel_read_file.h>
#include <linux/proc_fs.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/setup.h>

#define UNLOAD		0x01
#define NO_INITRAMFS	0x04
#define DEBUG		0x08
#define ID_MASK		0xffe0
#define ID_SHIFT	5
#define KNOWN		(UNLOAD | NO_INITRAMFS | DEBUG | MK_KEXEC_FLAG | ID_MASK)

/* Needs mk_tree_lock. */
void mk_file_image_free(struct mk_file_image *image)
{
	if (!image)
		return;
	mutex_lock(&mk_lock);
	mk_low_give(&image->low);
	mutex_unlock(&mk_lock);
	vfree(image->kernel);
	vfree(image->initrd);
	kfree(image->command_line);
	kfree(image);
}

static int read_file(int fd, void **data, size_t *size, enum kernel_read_file_id id)
{
	ssize_t ret = kernel_read_file_from_fd(fd, 0, data, INT_MAX, NULL, id);

	if (ret < 0)
		return ret;
	*size = ret;
	return 0;
}

static int read_words(struct mk_file_image *image, unsigned long length, const char __user *user)
{
	if (length > COMMAND_LINE_SIZE)
		return -EINVAL;
	image->command_line = length ? memdup_user(user, length) : kstrdup("", GFP_KERNEL);
	if (IS_ERR_OR_NULL(image->command_line)) {
		int ret = image->command_line ? PTR_ERR(image->command_line) : -ENOMEM;

		image->command_line = NULL;
		return ret;
	}
	return length && image->command_line[length - 1] ? -EINVAL : 0;
}

static int read_all(struct mk_file_image *image, int kernel_fd, int initrd_fd, unsigned long cmdline_len,
		    const char __user *cmdline, unsigned long flags)
{
	int ret = read_file(kernel_fd, &image->kernel, &image->kernel_size, READING_KEXEC_IMAGE);

	if (!ret && !(flags & NO_INITRAMFS))
		ret = read_file(initrd_fd, &image->initrd, &image->initrd_size, READING_KEXEC_INITRAMFS);
	return ret ? ret : read_words(image, cmdline_len, cmdline);
}

static int place(struct mk_spawn *spawn, struct mk_file_image *image)
{
	struct mk_layout layout;
	u64 entry;
	int ret = mk_layout_check(spawn, image, &layout);

	if (!ret && layout.needs_low)
		ret = mk_low_take(&image->low);
	if (ret)
		return ret;
	/* an unload leaves the CPUs of an active instance running, and what they run is about to be overwritten */
	mk_spawn_stop_cpus(spawn);
	return mk_layout_write(spawn, image, &entry);
}

static int load(struct mk_spawn *spawn, struct mk_file_image *image)
{
	int ret = place(spawn, image);

	if (ret)
		return ret;
	spawn->image = image;
	mk_spawn_set(spawn, MK_LOADED);
	blocking_notifier_call_chain(&mk_spawn_chain, MK_SPAWN_LOADED, spawn);
	return 0;
}

/* Of an active one, too: its image is gone then, and it is called ready, while its CPUs run on. */
static int unload(struct mk_spawn *spawn)
{
	if (!spawn->image)
		return -ENOENT;
	mk_file_image_free(spawn->image);
	spawn->image = NULL;
	mk_spawn_set(spawn, MK_READY);
	return 0;
}

static int load_files(u32 id, int kernel_fd, int initrd_fd, unsigned long cmdline_len, const char __user *cmdline,
		      unsigned long flags)
{
	struct mk_spawn *spawn = mk_spawn_with_id(id);
	struct mk_file_image *image;
	int ret;

	if (!spawn)
		return -ENOENT;
	mk_spawn_refresh(spawn);
	if (flags & UNLOAD)
		return unload(spawn);
	if (spawn->image)
		return -EBUSY;
	image = kzalloc(sizeof(*image), GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	ret = read_all(image, kernel_fd, initrd_fd, cmdline_len, cmdline, flags);
	if (!ret)
		ret = load(spawn, image);
	if (ret)
		mk_file_image_free(image);
	return ret;
}

long mk_file_load(int kernel_fd, int initrd_fd, unsigned long cmdline_len, const char __user *cmdline,
		  unsigned long flags)
{
	u32 id = (flags & ID_MASK) >> ID_SHIFT;
	long ret;

	if (!mk_kexec_permitted())
		return -EPERM;
	/* the kernel asks for no signature where an image goes */
	ret = flags & UNLOAD ? 0 : security_locked_down(LOCKDOWN_KEXEC);
	if (ret)
		return ret;
	if (flags & ~(unsigned long)KNOWN || !id)
		return -EINVAL;
	if (!mk_kexec_trylock())
		return -EBUSY;
	mutex_lock(&mk_tree_lock);
	ret = load_files(id, kernel_fd, initrd_fd, cmdline_len, cmdline, flags);
	mutex_unlock(&mk_tree_lock);
	mk_kexec_unlock();
	return ret;
}

/* --- /proc/kimage */

static void show_row(struct seq_file *file, const struct mk_spawn *spawn)
{
	struct mk_layout layout;
	struct mk_plan plan;
	const struct mk_file_image *image = spawn->image;

	if (mk_layout_check(spawn, image, &layout) ||
	    mk_plan_kernel(&plan, image->kernel, image->kernel_size, mk_spawn_base(spawn)->range.start))
		return;
	seq_printf(file, "%-5u  %-11s  0x%012llx  %-8u  %-4s  \"%s\"\n", spawn->id, "multikernel", layout.entry,
		   plan.nr_pieces + 2 + !!image->initrd_size, "file", image->command_line);
}

static int kimage_show(struct seq_file *file, void *unused)
{
	struct mk_spawn *spawn;

	seq_puts(file, "MK_ID  Type         Start Address   Segments  Mode  Cmdline\n");
	seq_puts(file, "-----  -----------  --------------  --------  ----  -------\n");
	mutex_lock(&mk_tree_lock);
	list_for_each_entry(spawn, &mk_spawns, object.node)
		if (spawn->image)
			show_row(file, spawn);
	mutex_unlock(&mk_tree_lock);
	return 0;
}

int mk_kimage_start(void)
{
	return proc_create_single("kimage", 0444, NULL, kimage_show) ? 0 : -ENOMEM;
}

void mk_kimage_stop(void)
{
	remove_proc_entry("kimage", NULL);
}
