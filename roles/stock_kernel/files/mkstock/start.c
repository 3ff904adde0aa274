// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Starting a CPU: INIT, STARTUP, and the page below 1 MiB where it begins.
 *
 * All waits go by ktime: where several sockets make the TSC doubtful, udelay() counts loops and can be far too short.
 */
#include "mkstock.h"

#include <linux/delay.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <asm/apic.h>

/* Linux waits 10 s for the first sign of life of an AP: below a hypervisor or in an emulator that is short of time, a CPU is late. */
#define ARRIVAL_NS	(5 * NSEC_PER_SEC)
#define SECOND_TRY_NS	(300 * NSEC_PER_USEC)

static ulong tramp;
module_param(tramp, ulong, 0444);
MODULE_PARM_DESC(tramp, "page below 1 MiB for the trampoline (0: choose one)");

extern const char mk_trampoline[], mk_trampoline_words[], mk_trampoline_end[];

/* What the trampoline reads and writes; laid out in tramp.S. */
struct words {
	u64 entry, boot_params;
	u32 cr3, arrived;
};

static void *page;
static struct words *words;
static bool page_taken;	/* by a CPU that nobody has seen arrive yet */

phys_addr_t mk_trampoline_page(void)
{
	return tramp;
}

static bool arrived_within(u64 ns)
{
	u64 deadline = ktime_get_mono_fast_ns() + ns;

	while (!READ_ONCE(words->arrived) && ktime_get_mono_fast_ns() < deadline)
		usleep_range(10, 50);
	return READ_ONCE(words->arrived);
}

/* A strict boot does not wait, so the page may still be needed when the next boot comes. */
static void await_page(void)
{
	if (page_taken)
		arrived_within(ARRIVAL_NS);
	page_taken = false;
}

/*
 * Returns -EIO when the CPU does not come. It is sent INIT then, so that it cannot come later, when nobody owns it.
 */
int mk_start_cpu(u32 apic_id, unsigned long entry, const struct mk_tables *tables)
{
	await_page();
	memcpy(page, mk_trampoline, mk_trampoline_end - mk_trampoline);
	words->entry = entry;
	words->boot_params = mk_boot_params();
	words->cr3 = __pa(tables->root);
	WRITE_ONCE(words->arrived, 0);
	wmb();	/* the CPU to start reads all of this, and the IPI is no barrier in x2APIC mode */

	mk_send_init(apic_id);
	mk_send_ipi(APIC_DM_STARTUP | PHYS_PFN(tramp), apic_id);
	if (arrived_within(SECOND_TRY_NS))
		return 0;
	mk_send_ipi(APIC_DM_STARTUP | PHYS_PFN(tramp), apic_id);
	if (mk_strict) {
		page_taken = true;
		return 0;
	}
	if (arrived_within(ARRIVAL_NS))
		return 0;
	mk_send_init(apic_id);
	return -EIO;
}

static bool suitable(u64 address)
{
	struct mk_range range = { address, PAGE_SIZE };

	return range.start + range.size <= SZ_1M && mk_memory_unused(&range);
}

/* The highest free page: it is the one that most likely breaks no chunk of 64 KiB. */
static int choose_page(void)
{
	u64 address;

	for (address = SZ_1M - PAGE_SIZE; address && !tramp; address -= PAGE_SIZE)
		if (suitable(address))
			tramp = address;
	return tramp ? 0 : -ENOMEM;
}

int mk_start_start(void)
{
	if (tramp ? !suitable(tramp) : choose_page()) {
		pr_err("no free page below 1 MiB%s for the trampoline\n", tramp ? " at tramp=" : "");
		return -EINVAL;
	}
	page = memremap(tramp, PAGE_SIZE, MEMREMAP_WB);
	if (!page)
		return -ENOMEM;
	words = page + (mk_trampoline_words - mk_trampoline);
	return 0;
}

void mk_start_stop(void)
{
	await_page();
	memunmap(page);
}
