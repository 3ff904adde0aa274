// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Pieces of physical memory: checks, reading and printing.
 */
#include "mkstock.h"

#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <asm/processor.h>

/* Four-level page tables map the lower 47 bits one to one. */
static u64 address_limit(void)
{
	return BIT_ULL(min_t(unsigned int, boot_cpu_data.x86_phys_bits, 47));
}

/* Whole pages, at least one, that do not wrap and can be addressed. */
bool mk_range_sane(const struct mk_range *range)
{
	u64 end = range->start + range->size;

	return range->size && end > range->start && end <= address_limit() &&
	       !((range->start | range->size) & ~PAGE_MASK);
}

bool mk_range_overlap(const struct mk_range *a, const struct mk_range *b)
{
	return a->start < b->start + b->size && b->start < a->start + a->size;
}

/* START+SIZE[,START+SIZE...]; returns how many, or an error. Writes into @text. */
int mk_ranges_parse(char *text, struct mk_range *ranges, unsigned int max)
{
	unsigned int count = 0;
	char *word, *size;

	while ((word = strsep(&text, ","))) {
		if (count == max)
			return -E2BIG;
		size = strchr(word, '+');
		if (!size)
			return -EINVAL;
		*size++ = '\0';
		if (kstrtou64(word, 0, &ranges[count].start) ||
		    kstrtou64(size, 0, &ranges[count].size) ||
		    !mk_range_sane(&ranges[count]))
			return -EINVAL;
		count++;
	}
	return count;
}

int mk_ranges_print(char *buf, int at, const struct mk_range *ranges, unsigned int count)
{
	unsigned int i;
	int n = 0;

	for (i = 0; i < count; i++)
		n += sysfs_emit_at(buf, at + n, "%s0x%llx+0x%llx", i ? "," : "",
				   ranges[i].start, ranges[i].size);
	return n;
}
