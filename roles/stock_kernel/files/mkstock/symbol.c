// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Symbols of the kernel that are not exported, and the few things that are done with them.
 *
 * Nothing here is called through a pointer: where indirect branch tracking is in force, the kernel has sealed the functions
 * whose address nobody takes, and a call through a pointer would be a fatal fault. The one function that is needed is called
 * through a static call, which is patched into a direct one.
 */
#include "mkstock.h"

#include <linux/capability.h>
#include <linux/atomic.h>
#include <linux/io.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/static_call.h>
#include <asm/e820/types.h>

static atomic_t *kexec_lock;
static int *kexec_load_disabled;
static struct mutex *system_transition_mutex;
static struct cpumask *booted_once;
static struct static_key *use_shorthand;
static struct e820_table **firmware_table;
static phys_addr_t boot_params, real_mode;

/*
 * A kprobe looks its symbol up before it checks whether a probe may be there, so the address is left behind even where the
 * registration is refused, as it is for data. Disabled, it changes no code where it is not refused.
 */
void *mk_symbol(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };

	if (!register_kprobe(&probe))
		unregister_kprobe(&probe);
	return probe.addr;
}

/* Kernels before 6.3 have no limits on the number of loads, only the switch. */
static bool permitted_by_switch(int type)
{
	return capable(CAP_SYS_BOOT) && !READ_ONCE(*kexec_load_disabled);
}
DEFINE_STATIC_CALL(mk_permitted, permitted_by_switch);

bool mk_kexec_permitted(void)
{
	return static_call(mk_permitted)(0);	/* 0: KEXEC_TYPE_DEFAULT, counted by kexec_load_limit_reboot */
}

bool mk_kexec_trylock(void)
{
	return atomic_cmpxchg_acquire(kexec_lock, 0, 1) == 0;
}

void mk_kexec_unlock(void)
{
	atomic_set_release(kexec_lock, 0);
}

void mk_transition_lock(void)
{
	mutex_lock(system_transition_mutex);
}

void mk_transition_unlock(void)
{
	mutex_unlock(system_transition_mutex);
}

phys_addr_t mk_boot_params(void)
{
	return boot_params;
}

phys_addr_t mk_real_mode(void)
{
	return real_mode;
}

/* What the firmware said of the memory, untouched by memmap=. The kernel's own function for it is KVM's alone since 7.x. */
const struct e820_table *mk_firmware_map(void)
{
	return *firmware_table;
}

/*
 * Once every present CPU was booted, the host sends its IPIs to "all but self" when all online CPUs are meant, and those
 * reach the CPU of an instance as well. A present CPU that was "never booted" keeps the host from it; the host sets the bit
 * again by itself when the CPU goes online. Needs cpus_read_lock().
 */
void mk_forget_booted(const struct cpumask *cpus)
{
	if (!booted_once || !use_shorthand)
		return;
	cpumask_andnot(booted_once, booted_once, cpus);
	static_key_disable_cpuslocked(use_shorthand);
}

int mk_symbol_start(void)
{
	void *params = mk_symbol("boot_params");
	void **header = mk_symbol("real_mode_header");
	void *permitted = mk_symbol("kexec_load_permitted");

	kexec_lock = mk_symbol("__kexec_lock");
	kexec_load_disabled = mk_symbol("kexec_load_disabled");
	system_transition_mutex = mk_symbol("system_transition_mutex");
	firmware_table = mk_symbol("e820_table_firmware");
	if (!params || !header || !firmware_table || !kexec_lock || !kexec_load_disabled ||
	    !system_transition_mutex) {
		pr_err("this kernel lacks a symbol of kexec or of the boot code (is CONFIG_KEXEC set?)\n");
		return -ENOENT;
	}
	/* Without these two a host needs no_ipi_broadcast=1 on its command line. */
	booted_once = mk_symbol("cpus_booted_once_mask");
	use_shorthand = mk_symbol("apic_use_ipi_shorthand");
	if (permitted)
		static_call_update(mk_permitted, permitted);
	boot_params = __pa_symbol(params);
	real_mode = __pa(*header);
	return 0;
}
