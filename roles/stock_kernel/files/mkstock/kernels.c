// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Where the parts of a kernel file go in an instance's memory: a bzImage, which unpacks itself; a vmlinux; or a flat payload, which
 * is whatever is neither. Damaged ones are -ENOEXEC. Nothing of the file is believed that was not checked against its size.
 */
#include "kernfs.h"

#include <linux/elf.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <asm/bootparam.h>
#include <asm/setup.h>

#define AT_KERNEL	0x1000000
#define AT_FLAT		0x200000
#define ENTRY_64	0x200
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define AT_HEADER	offsetof(struct boot_params, hdr)

static int add(struct mk_plan *plan, const void *data, u64 address, u64 size, u64 room)
{
	if (plan->nr_pieces == MK_PIECES_MAX || size > room || address + room < address || room > BIT_ULL(40))
		return -ENOEXEC;
	plan->pieces[plan->nr_pieces++] = (struct mk_piece){ data, address, size, PAGE_ALIGN(room) };
	plan->end = max(plan->end, address + PAGE_ALIGN(room));
	return 0;
}

static int plan_flat(struct mk_plan *plan, const void *file, size_t size, u64 base)
{
	plan->target = plan->load = base + AT_FLAT;
	plan->cmdline_size = PAGE_SIZE - 1;
	return add(plan, file, plan->load, size, size);
}

static int plan_elf(struct mk_plan *plan, const void *file, size_t size, u64 base)
{
	const Elf64_Ehdr *elf = file;
	const Elf64_Phdr *table, *p;
	bool entered = false;
	unsigned int i;
	int ret;

	if (size < sizeof(*elf) || elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf->e_machine != EM_X86_64 || elf->e_phentsize != sizeof(*p))
		return -ENOEXEC;
	if (elf->e_phoff > size || elf->e_phnum * sizeof(*p) > size - elf->e_phoff)
		return -ENOEXEC;
	table = file + elf->e_phoff;
	plan->load = U64_MAX;
	for (i = 0; i < elf->e_phnum; i++) {
		p = &table[i];
		if (p->p_type != PT_LOAD || !p->p_memsz)
			continue;
		/* a kernel lies anywhere in the first GiBs by its file, and what is below it belongs to the loader */
		if (p->p_offset > size || p->p_filesz > size - p->p_offset || p->p_paddr & ~PAGE_MASK ||
		    p->p_paddr < AT_FLAT || p->p_paddr > BIT_ULL(40))
			return -ENOEXEC;
		ret = add(plan, file + p->p_offset, base + p->p_paddr, p->p_filesz, p->p_memsz);
		if (ret)
			return ret;
		plan->load = min(plan->load, base + p->p_paddr);
		entered |= elf->e_entry - p->p_paddr < p->p_memsz;
	}
	/* x86_64 kernels relocate themselves by any multiple of 2 MiB, so the base is simply added */
	plan->target = base + elf->e_entry;
	plan->cmdline_size = COMMAND_LINE_SIZE - 1;
	plan->is_linux = true;
	return entered ? 0 : -ENOEXEC;
}

static int plan_bzimage(struct mk_plan *plan, const void *file, size_t size, u64 base)
{
	const struct setup_header *header = file + AT_HEADER;
	size_t setup = ((header->setup_sects ?: 4) + 1) * 512;
	u64 start, end;
	int ret;

	if (header->boot_flag != 0xaa55 || header->version < 0x020c || !(header->loadflags & LOADED_HIGH) ||
	    (header->xloadflags & (XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G)) !=
	    (XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G))
		return -ENOEXEC;
	if (!header->relocatable_kernel || !is_power_of_2(header->kernel_alignment) || !header->init_size ||
	    setup >= size || header->syssize * 16ULL >= size - setup + 16)
		return -ENOEXEC;
	plan->load = base + AT_KERNEL;
	plan->target = plan->load + ENTRY_64;
	plan->is_linux = true;
	plan->cmdline_size = header->cmdline_size;
	/* the header's end is told by the jump over it */
	plan->header = file + AT_HEADER;
	plan->header_size = 0x202 - AT_HEADER + ((const u8 *)file)[0x201];
	ret = add(plan, file + setup, plan->load, size - setup, size - setup);
	if (ret)
		return ret;
	/* boot.rst, init_size: counted from the runtime start, which is the load address rounded up, or the preferred one */
	start = max_t(u64, ALIGN(plan->load, header->kernel_alignment), header->pref_address);
	end = start + header->init_size;
	plan->end = max(plan->end, end);
	return 0;
}

int mk_plan_kernel(struct mk_plan *plan, const void *file, size_t size, u64 base)
{
	*plan = (struct mk_plan){ };
	if (size >= SELFMAG && !memcmp(file, ELFMAG, SELFMAG))
		return plan_elf(plan, file, size, base);
	if (size >= 1024 && ((const struct setup_header *)(file + AT_HEADER))->header == HEADER_MAGIC)
		return plan_bzimage(plan, file, size, base);
	return size ? plan_flat(plan, file, size, base) : -ENOEXEC;
}
