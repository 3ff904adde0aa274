// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Inside an instance: how it is goes into its mailbox and out as heartbeats; how it ends, too.
 *
 * A stock kernel restarts by resetting the machine, and a machine of several kernels is not its own to reset. So this is the
 * last thing that an instance does: it reports, and then its CPUs halt for ever. The host starts them anew.
 */
#include "mailbox.h"

#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>
#include <asm/msr.h>
#include <asm/tsc.h>

static ulong mailbox_address;
module_param_named(mailbox, mailbox_address, ulong, 0444);
MODULE_PARM_DESC(mailbox, "physical address of this instance's mailbox (role=client)");

static struct mk_mailbox *mailbox;
static DEFINE_MUTEX(beat_mutex);

static void set_state(enum mk_mailbox_state state)
{
	if (mailbox)
		WRITE_ONCE(mailbox->state, state);
}

/* A sign of life: what @text says stands in the mailbox, and every channel carries a heartbeat. */
int mk_client_beat(const char *text)
{
	static u64 beats;

	mutex_lock(&beat_mutex);
	beats++;
	if (mailbox) {
		u64 now = rdtsc_ordered();

		memset(mailbox->uname, 0, sizeof(mailbox->uname));
		strscpy(mailbox->uname, text, sizeof(mailbox->uname));
		mailbox->nproc = num_online_cpus();
		if (!mailbox->tsc_first)
			mailbox->tsc_first = now;
		else if (now - mailbox->tsc_last > mailbox->longest)
			mailbox->longest = now - mailbox->tsc_last;
		mailbox->tsc_last = now;
		set_state(MK_RUNNING);
		smp_store_release(&mailbox->beats, mailbox->beats + 1);
	}
	mk_channels_broadcast(MK_HEARTBEAT, &beats, sizeof(beats));
	mutex_unlock(&beat_mutex);
	return 0;
}

static void report(enum mk_mailbox_state state, const char *text)
{
	if (mailbox)
		strscpy(mailbox->text, text, sizeof(mailbox->text));
	smp_wmb();	/* who sees the state finds the text */
	set_state(state);
	mk_channels_broadcast(MK_EXIT, text, strlen(text));
}

static void __noreturn halt_this_cpu(void *unused)
{
	local_irq_disable();
	for (;;)
		asm volatile("hlt");
}

/* One by one: a broadcast would be sent to "all but self", which on this machine includes the CPUs of other kernels. */
static void __noreturn halt_all_cpus(void)
{
	int cpu, self;

	preempt_disable();
	self = smp_processor_id();
	if (!irqs_disabled())
		for_each_online_cpu(cpu)
			if (cpu != self)
				smp_call_function_single(cpu, halt_this_cpu, NULL, 0);
	halt_this_cpu(NULL);
}

/* Instead of the machine's reset, where no notifier came first. */
void mk_client_emergency(void)
{
	report(MK_RESTART_REQUESTED, "restart requested (emergency)");
	halt_all_cpus();
}

/* The host asks by a word in the mailbox and an interrupt. The notifier below answers, when all that is to be done first is. */
static void halt_as_asked(struct work_struct *unused)
{
	pr_info("the host asks this kernel to halt\n");
	ksys_sync_helper();
	kernel_halt();
}
static DECLARE_WORK(halt_work, halt_as_asked);

/* In the interrupt. */
void mk_client_look(void)
{
	struct mk_mailbox *mine = READ_ONCE(mailbox);

	if (mine && cmpxchg(&mine->request, MK_PLEASE_HALT, MK_NO_REQUEST) == MK_PLEASE_HALT)
		schedule_work(&halt_work);
}

static int on_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	switch (action) {
	case SYS_HALT:
		report(MK_HALTED, "halted");
		break;
	case SYS_POWER_OFF:
		report(MK_POWERED_OFF, "powered off");
		break;
	default:
		report(MK_RESTART_REQUESTED, "restart requested");
	}
	halt_all_cpus();
}

/* Its presence is what counts: a kernel that knows no way to power off halts instead, and would say so. */
static int on_power_off(struct sys_off_data *data)
{
	report(MK_POWERED_OFF, "powered off");
	halt_all_cpus();
}

/* The other CPUs are stopped already, unless the panic came before that could be done. */
static int on_panic(struct notifier_block *nb, unsigned long action, void *data)
{
	static char text[MK_TEXT_MAX];

	scnprintf(text, sizeof(text), "panic: %s", (const char *)data);
	report(MK_PANICKED, text);
	halt_this_cpu(NULL);
}

/* The last of their chains, so that everything else has been said and written. */
static struct notifier_block reboot_nb = { .notifier_call = on_reboot, .priority = INT_MIN };
static struct notifier_block panic_nb = { .notifier_call = on_panic, .priority = INT_MIN };
static struct sys_off_handler *power_off;

static int map_mailbox(void)
{
	if (!mailbox_address)
		return 0;
	if (mailbox_address & ~PAGE_MASK)
		return -EINVAL;
	mailbox = memremap(mailbox_address, PAGE_SIZE, MEMREMAP_WB);
	if (!mailbox)
		return -ENOMEM;
	if (mailbox->magic == MK_MAILBOX_MAGIC)
		return 0;
	pr_err("there is no mailbox at 0x%lx\n", mailbox_address);
	memunmap(mailbox);
	return -EINVAL;
}

/* Of this instance's memory; 0 when no mailbox was named. */
u64 mk_client_base(void)
{
	return mailbox ? mailbox_address : 0;
}

int mk_client_start(void)
{
	int ret = map_mailbox();

	if (ret)
		return ret;
	ret = register_reboot_notifier(&reboot_nb);
	if (ret)
		goto out_unmap;
	ret = atomic_notifier_chain_register(&panic_notifier_list, &panic_nb);
	if (ret)
		goto out_reboot;
	power_off = register_sys_off_handler(SYS_OFF_MODE_POWER_OFF, SYS_OFF_PRIO_DEFAULT, on_power_off, NULL);
	if (IS_ERR(power_off)) {
		ret = PTR_ERR(power_off);
		goto out_panic;
	}
	if (mailbox && mailbox->state == MK_BLANK)
		set_state(MK_STARTING);
	return 0;
out_panic:
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_nb);
out_reboot:
	unregister_reboot_notifier(&reboot_nb);
out_unmap:
	if (mailbox)
		memunmap(mailbox);
	return ret;
}

void mk_client_stop(void)
{
	struct mk_mailbox *old = mailbox;

	unregister_sys_off_handler(power_off);
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_nb);
	unregister_reboot_notifier(&reboot_nb);
	WRITE_ONCE(mailbox, NULL);
	synchronize_rcu();	/* the interrupt looks at it */
	cancel_work_sync(&halt_work);
	if (old)
		memunmap(old);
}
