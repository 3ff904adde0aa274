// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Messages between CPUs, addressed by APIC id: the only CPU number that all kernels of a machine share.
 */
#include "mkstock.h"

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <asm/apic.h>

static uint init_ms = 10;
module_param(init_ms, uint, 0644);
MODULE_PARM_DESC(init_ms, "how long INIT is asserted, in ms (0 is enough for processors of this century)");

u32 mk_apic_id(unsigned int cpu)
{
	return per_cpu(x86_cpu_to_apicid, cpu);
}

/* In x2APIC mode there is no delivery status to wait for, and since 6.6 no method either. */
static void wait_idle(void)
{
	if (apic->wait_icr_idle)
		apic->wait_icr_idle();
}

/* Physical destination. By the method table, because the static call that replaced it in 6.6 is not exported. */
void mk_send_ipi(u32 what, u32 apic_id)
{
	preempt_disable();
	wait_idle();
	apic->icr_write(what, apic_id);
	wait_idle();
	preempt_enable();
}

void mk_send_init(u32 apic_id)
{
	mk_send_ipi(APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT, apic_id);
	if (init_ms)
		usleep_range(init_ms * 1000, init_ms * 1000 + 100);
	mk_send_ipi(APIC_INT_LEVELTRIG | APIC_DM_INIT, apic_id);
}
