// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /dev/mkstock: maps memory of the pool and free memory below 1 MiB into a process of root, at file offset = physical address.
 * /dev/mem cannot do that: it refuses System RAM, which blocks that were taken offline still are.
 */
#include "mkstock.h"

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/security.h>

/* As long as the mapping lives, its memory cannot leave the pool. */
static void window_open(struct vm_area_struct *vma)
{
	if (vma->vm_private_data)
		mk_pin_get(vma->vm_private_data);
}

static void window_close(struct vm_area_struct *vma)
{
	if (vma->vm_private_data)
		mk_pin_put(vma->vm_private_data);
}

static const struct vm_operations_struct window_ops = {
	.open = window_open,
	.close = window_close,
};

static int window_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mk_range range = { PFN_PHYS((u64)vma->vm_pgoff), vma->vm_end - vma->vm_start };
	struct mk_pin *pin = NULL;
	int ret;

	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	ret = security_locked_down(LOCKDOWN_DEV_MEM);
	if (ret)
		return ret;
	if (vma->vm_pgoff >> (BITS_PER_LONG - PAGE_SHIFT) || !mk_range_sane(&range))
		return -EINVAL;
	if (!mk_memory_is_low(&range)) {
		pin = mk_pin_new(&range);
		if (IS_ERR(pin))
			return PTR_ERR(pin);
	}
	ret = remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, range.size, vma->vm_page_prot);
	if (ret) {
		if (pin)
			mk_pin_put(pin);
		return ret;
	}
	vma->vm_private_data = pin;
	vma->vm_ops = &window_ops;
	return 0;
}

static const struct file_operations window_fops = {
	.owner = THIS_MODULE,
	.mmap = window_mmap,
};

static struct miscdevice window = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mkstock",
	.fops = &window_fops,
	.mode = 0600,
};

int mk_window_start(void)
{
	return misc_register(&window);
}

void mk_window_stop(void)
{
	misc_deregister(&window);
}
