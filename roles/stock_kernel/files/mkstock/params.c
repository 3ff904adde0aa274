// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * boot_params of an instance, with the memory that it may know of. Documentation/arch/x86/boot.rst and zero-page.rst.
 */
#include "kernfs.h"

#include <linux/kernel.h>
#include <linux/mm.h>
#include <asm/bootparam.h>
#include <asm/e820/types.h>

#define RESERVED_HEAD	0x10000		/* of the first region: mailbox, tables, stub, console */
#define ANY_LOADER	0xff

static int put_range(struct boot_params *params, u64 start, u64 size, u32 type)
{
	if (params->e820_entries == E820_MAX_ENTRIES_ZEROPAGE)
		return -ENOSPC;
	params->e820_table[params->e820_entries++] = (struct boot_e820_entry){ start, size, type };
	return 0;
}

static int put_memory(struct boot_params *params, const struct mk_spawn *spawn, const struct mk_file_image *image)
{
	const struct mk_region *first = mk_spawn_base(spawn), *region;
	u64 low = image->low.size;
	int ret = 0;

	/* above 4 GiB its last page stands in for the IO-APIC */
	if (low && first->range.start >= SZ_4G)
		low -= PAGE_SIZE;
	if (low)
		ret = put_range(params, image->low.start, low, E820_TYPE_RAM);
	list_for_each_entry(region, &spawn->regions, mine) {
		u64 skip = region == first ? RESERVED_HEAD : 0;

		if (skip && !ret)
			ret = put_range(params, region->range.start, skip, E820_TYPE_RESERVED);
		if (!ret)
			ret = put_range(params, region->range.start + skip, region->range.size - skip, E820_TYPE_RAM);
	}
	return ret;
}

/* As the jump at its beginning would end it, were it a real one. */
static void plain_header(struct setup_header *header)
{
	header->boot_flag = 0xaa55;
	header->header = 0x53726448;
	header->version = 0x020f;
	header->kernel_alignment = SZ_2M;
	header->xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
}

/* @page is zeroed. @rsdp, @command_line, @initrd: physical addresses. */
int mk_params_build(u8 *page, const struct mk_plan *plan, const struct mk_spawn *spawn, const struct mk_file_image *image,
		    u64 rsdp, u64 command_line, u64 initrd)
{
	struct boot_params *params = (struct boot_params *)page;
	struct setup_header *header = &params->hdr;

	if (plan->header)
		memcpy(header, plan->header, min_t(size_t, plan->header_size, sizeof(*header)));
	else
		plain_header(header);
	params->acpi_rsdp_addr = rsdp;
	header->type_of_loader = ANY_LOADER;
	header->loadflags = LOADED_HIGH;	/* as kexec's own loader does: nothing of what the file says but this */
	header->code32_start = plan->load;
	header->setup_data = 0;
	header->ramdisk_image = initrd;
	params->ext_ramdisk_image = initrd >> 32;
	header->ramdisk_size = image->initrd_size;
	params->ext_ramdisk_size = (u64)image->initrd_size >> 32;
	header->cmd_line_ptr = command_line;
	params->ext_cmd_line_ptr = command_line >> 32;
	return put_memory(params, spawn, image);
}
