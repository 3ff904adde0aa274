// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The pool's CPUs: taken offline in the host, kept from going online by hand, and given back when they leave the pool.
 */
#include "kernfs.h"

#include <linux/cpu.h>
#include <asm/apic.h>

#define BOOT_CPU 0

/* Set before a CPU goes offline and cleared before it goes online, because CPU hotplug looks at it (instance.c). */
struct cpumask mk_pooled;
struct cpumask mk_lent;		/* to instances */

#ifdef MK_RCU_EXPEDITE
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#else
static inline void rcu_expedite_gp(void) { }
static inline void rcu_unexpedite_gp(void) { }
#endif

/* CPU hotplug waits for several grace periods of RCU, one after the other, and a pool may have many CPUs. */
static int move(int (*how)(unsigned int cpu), unsigned int cpu)
{
	int ret;

	rcu_expedite_gp();
	ret = how(cpu);
	rcu_unexpedite_gp();
	return ret;
}

int mk_cpu_find(u64 apic_id)
{
	unsigned int cpu;

	for_each_present_cpu(cpu)
		if (apic_id != BAD_APICID && mk_apic_id(cpu) == apic_id)
			return cpu;
	return -ENODEV;
}

int mk_cpu_may_pool(u64 apic_id)
{
	int cpu = mk_cpu_find(apic_id);

	return min(cpu, 0);
}

int mk_cpu_pool(u64 apic_id)
{
	int cpu = mk_cpu_find(apic_id), ret;

	if (cpu < 0)
		return cpu;
	if (cpu == BOOT_CPU || !cpu_online(cpu) || cpumask_test_cpu(cpu, &mk_pooled))
		return -EINVAL;
	cpumask_set_cpu(cpu, &mk_pooled);
	ret = move(remove_cpu, cpu);
	if (ret < 0)
		cpumask_clear_cpu(cpu, &mk_pooled);
	return min(ret, 0);
}

static int give_back(unsigned int cpu)
{
	int ret;

	cpumask_clear_cpu(cpu, &mk_pooled);
	ret = move(add_cpu, cpu);
	if (ret < 0) {
		pr_err("CPU %u does not come back to the host: %d\n", cpu, ret);
		cpumask_set_cpu(cpu, &mk_pooled);
	}
	return min(ret, 0);
}

int mk_cpu_unpool(u64 apic_id)
{
	int cpu = mk_cpu_find(apic_id);

	if (cpu < 0)
		return cpu;
	if (!cpumask_test_cpu(cpu, &mk_pooled) || cpumask_test_cpu(cpu, &mk_lent))
		return -EBUSY;
	return give_back(cpu);
}

void mk_cpus_release(void)
{
	unsigned int cpu;

	for_each_cpu(cpu, &mk_pooled)
		give_back(cpu);
	cpumask_clear(&mk_pooled);
}
