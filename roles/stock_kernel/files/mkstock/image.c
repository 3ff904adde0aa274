// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Images: what kexec_load(2) with the multikernel flag does, and /proc/multikernel, which lists them.
 */
#include "record.h"

#include <linux/err.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static LIST_HEAD(images);
static struct kimage **default_image, **crash_image;

struct mk_image *mk_image_first(void)
{
	return list_first_entry_or_null(&images, struct mk_image, node);
}

struct mk_image *mk_image_find(unsigned long entry)
{
	struct mk_image *image;

	list_for_each_entry(image, &images, node)
		if (image->entry == entry)
			return image;
	return NULL;
}

bool mk_image_uses(const struct mk_range *range)
{
	struct mk_image *image;
	unsigned long i;

	list_for_each_entry(image, &images, node)
		for (i = 0; i < image->nr_segments; i++)
			if (mk_range_overlap(&image->segments[i], range))
				return true;
	return false;
}

static void unload(unsigned int most)
{
	struct mk_image *image, *next;

	list_for_each_entry_safe(image, next, &images, node) {
		if (!most--)
			break;
		list_del(&image->node);
		kfree(image);
	}
}

/* The checks of the kernel's sanity_check_segment_list(), in its order. */
static int check_shape(const struct kexec_segment *segments, unsigned long nr)
{
	unsigned long i, j, pages = 0, half = totalram_pages() / 2;

	for (i = 0; i < nr; i++) {
		struct mk_range range = { segments[i].mem, segments[i].memsz };

		if (range.size && !mk_range_sane(&range))
			return -EADDRNOTAVAIL;
		if (range.start & ~PAGE_MASK)
			return -EADDRNOTAVAIL;
	}
	for (i = 0; i < nr; i++)
		for (j = 0; j < i; j++)
			if (segments[i].mem < segments[j].mem + segments[j].memsz &&
			    segments[j].mem < segments[i].mem + segments[i].memsz)
				return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (segments[i].bufsz > segments[i].memsz)
			return -EINVAL;
		pages += segments[i].memsz >> PAGE_SHIFT;
		if (pages > half)
			return -EINVAL;
	}
	return 0;
}

/* The check that the RFC leaves to its caller: whose memory is it? */
static int check_place(const struct mk_range *range)
{
	if (!range->size)
		return 0;
	if (!mk_memory_is_low(range) && (!mk_pool_lends(range) || !mk_memory_unused(range))) {
		pr_warn_ratelimited("load: 0x%llx+0x%llx is not in the pool, or the host uses it\n",
				    range->start, range->size);
		return -EADDRNOTAVAIL;
	}
	if (!mk_strict && mk_instance_uses(range)) {
		pr_warn_ratelimited("load: 0x%llx+0x%llx belongs to a running instance; kill it first\n",
				    range->start, range->size);
		return -EBUSY;
	}
	return 0;
}

static int copy(const struct kexec_segment *segment)
{
	size_t done, piece, given = segment->bufsz;
	void *memory;
	int ret = 0;

	if (!segment->memsz)
		return 0;
	memory = memremap(segment->mem, segment->memsz, MEMREMAP_WB);
	if (!memory)
		return -ENOMEM;
	for (done = 0; done < segment->memsz; done += piece) {
		piece = min_t(size_t, (done < given ? given : segment->memsz) - done, MK_PIECE);
		if (done >= given) {
			memset(memory + done, 0, piece);
		} else if (copy_from_user(memory + done, segment->buf + done, piece)) {
			ret = -EFAULT;
			break;
		}
		cond_resched();
	}
	memunmap(memory);
	return ret;
}

static int load(unsigned long entry, const struct kexec_segment *segments, unsigned long nr)
{
	struct mk_image *image;
	unsigned long i;
	int ret;

	ret = check_shape(segments, nr);
	if (ret)
		return ret;
	image = kzalloc(struct_size(image, segments, nr), GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	image->entry = entry;
	image->nr_segments = nr;
	for (i = 0; i < nr; i++) {
		image->segments[i] = (struct mk_range){ segments[i].mem, segments[i].memsz };
		ret = check_place(&image->segments[i]);
		if (ret)
			goto out;
	}
	for (i = 0; i < nr; i++) {
		ret = copy(&segments[i]);
		if (ret)
			goto out;
	}
	list_add_tail(&image->node, &images);
	return 0;
out:
	kfree(image);
	return ret;
}

/*
 * kexec_load(2) with the multikernel flag: checks in the order of the kernel's own call. Together with another kind of image
 * only KEXEC_PRESERVE_CONTEXT is let through, as the RFC does; with the crash flag its host dies, so that is refused.
 */
long mk_image_load(unsigned long entry, unsigned long nr_segments,
		   struct kexec_segment __user *user, unsigned long flags)
{
	struct kexec_segment *segments = NULL;
	unsigned long arch = flags & KEXEC_ARCH_MASK;
	long ret;

	if (!mk_kexec_permitted())
		return -EPERM;
	ret = security_kernel_load_data(LOADING_KEXEC_IMAGE, false);
	if (ret < 0)
		return ret;
	/* the RFC's kernel refuses to unload as well; what was loaded before the lock may go all the same */
	ret = nr_segments || mk_strict ? security_locked_down(LOCKDOWN_KEXEC) : 0;
	if (ret)
		return ret;
	if (flags & ~(KEXEC_ARCH_MASK | MK_KEXEC_FLAG | KEXEC_PRESERVE_CONTEXT))
		return -EINVAL;
	if (nr_segments > KEXEC_SEGMENT_MAX)
		return -EINVAL;
	if (arch != KEXEC_ARCH_DEFAULT && arch != KEXEC_ARCH_X86_64)
		return -EINVAL;
	if (nr_segments) {
		segments = memdup_user(user, nr_segments * sizeof(*segments));
		if (IS_ERR(segments))
			return PTR_ERR(segments);
	}
	ret = -EBUSY;
	if (!mk_kexec_trylock())
		goto out;
	mutex_lock(&mk_lock);
	if (nr_segments) {
		ret = load(entry, segments, nr_segments);
	} else {
		unload(mk_strict ? MK_UNLOAD_BATCH : UINT_MAX);
		ret = 0;
	}
	mutex_unlock(&mk_lock);
	mk_kexec_unlock();
out:
	kfree(segments);
	return ret;
}

/* Where an image was loaded; its bytes are there. */
void mk_images_save(struct mk_record *record)
{
	struct mk_image *image;
	const char *comma;
	unsigned long i;

	list_for_each_entry(image, &images, node) {
		mk_record_put(record, "image 0x%lx ", image->entry);
		for (i = 0, comma = ""; i < image->nr_segments; i++) {
			if (!image->segments[i].size)
				continue;
			mk_record_put(record, "%s0x%llx+0x%llx", comma, image->segments[i].start, image->segments[i].size);
			comma = ",";
		}
		mk_record_put(record, "\n");
	}
}

int mk_image_adopt(u64 entry, const struct mk_range *segments, unsigned int nr, const char **why)
{
	struct mk_image *image = kzalloc(struct_size(image, segments, nr), GFP_KERNEL);
	unsigned int i;
	int ret = 0;

	if (!image)
		return -ENOMEM;
	image->entry = entry;
	image->nr_segments = nr;
	mutex_lock(&mk_lock);
	for (i = 0; i < nr && !ret; i++) {
		image->segments[i] = segments[i];
		ret = check_place(&segments[i]);
	}
	if (!ret)
		list_add_tail(&image->node, &images);
	mutex_unlock(&mk_lock);
	if (ret) {
		*why = "its memory is not in the pool, or this host uses it";
		kfree(image);
	}
	return ret;
}

static void show_row(struct seq_file *file, const char *type, unsigned long entry,
		     unsigned long nr_segments)
{
	seq_printf(file, "%-10s  0x%012lx  %8lu\n", type, entry, nr_segments);
}

static int show_kimage(struct seq_file *file, const char *type, struct kimage **slot)
{
	struct kimage *image = slot ? READ_ONCE(*slot) : NULL;

	if (image)
		show_row(file, type, image->start, image->nr_segments);
	return !!image;
}

/*
 * The kernel frees its own images under the kexec lock only, so the lock is taken to look at them; but not where there are
 * none, lest a reader of the table make somebody's load fail.
 */
static int show_kimages(struct seq_file *file)
{
	int rows;

	if (!(default_image && READ_ONCE(*default_image)) && !(crash_image && READ_ONCE(*crash_image)))
		return 0;
	while (!mk_kexec_trylock())
		if (schedule_timeout_killable(1))
			return -EINTR;
	rows = show_kimage(file, "default", default_image);
	rows += show_kimage(file, "crash", crash_image);
	mk_kexec_unlock();
	return rows;
}

static int table_show(struct seq_file *file, void *unused)
{
	struct mk_image *image;
	int rows;

	seq_puts(file, "Type        Start Address   Segments\n");
	seq_puts(file, "----------  --------------  --------\n");
	rows = show_kimages(file);
	if (rows < 0)
		return rows;
	mutex_lock(&mk_lock);
	list_for_each_entry(image, &images, node)
		show_row(file, "multikernel", image->entry, image->nr_segments);
	if (!rows && list_empty(&images))
		seq_puts(file, "No kimages loaded\n");
	mutex_unlock(&mk_lock);
	return 0;
}

int mk_image_start(void)
{
	default_image = mk_symbol("kexec_image");
	crash_image = mk_symbol("kexec_crash_image");
	if (!mk_abi_rfc)
		return 0;
	return proc_create_single("multikernel", 0444, NULL, table_show) ? 0 : -ENOMEM;
}

void mk_image_stop(void)
{
	if (mk_abi_rfc)
		remove_proc_entry("multikernel", NULL);
	unload(UINT_MAX);
}
