// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Redirects into kernel functions, by ftrace as live patches do it.
 *
 * The decision falls before the function's first instruction: a call that concerns us continues in our function, any other one
 * in the original as if nothing were there. So nobody here needs an address inside the original, and a plain kexec or reboot
 * never passes through this module.
 *
 * The 32-bit entry points (__ia32_*) stay as they are, deliberately: the structures of the calls are those of 64-bit callers,
 * and the stock kernel answers the unknown flag or command with EINVAL.
 */
#include "kernfs.h"

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/kexec.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

struct hook {
	const char *function;
	void *target;
	bool (*wanted)(const struct pt_regs *regs);
	const bool *abi;	/* the interface that needs it, NULL for any */
	bool optional;
	bool installed;
	struct ftrace_ops ops;
};

static atomic_t inside = ATOMIC_INIT(0);

/* A system call's own registers are what its entry point is given as first argument. */
static __always_inline const struct pt_regs *syscall_regs(const struct pt_regs *regs)
{
	return (const struct pt_regs *)regs->di;
}

static notrace bool is_load(const struct pt_regs *regs)
{
	return syscall_regs(regs)->r10 & MK_KEXEC_FLAG;
}

static notrace bool is_file_load(const struct pt_regs *regs)
{
	return syscall_regs(regs)->r8 & MK_KEXEC_FLAG;
}

static notrace bool is_boot(const struct pt_regs *regs)
{
	u32 command = syscall_regs(regs)->dx;

	return command == MK_REBOOT_CMD ||
	       (mk_abi_kernfs && (command == MK_REBOOT_HALT || command == MK_REBOOT_FORCE));
}

static notrace bool is_any(const struct pt_regs *regs)
{
	return true;
}

static asmlinkage long load_target(const struct pt_regs *regs)
{
	long ret;

	atomic_inc(&inside);
	ret = mk_image_load(regs->di, regs->si, (void __user *)regs->dx, regs->r10);
	atomic_dec(&inside);
	return ret;
}

static asmlinkage long file_load_target(const struct pt_regs *regs)
{
	long ret;

	atomic_inc(&inside);
	ret = mk_file_load(regs->di, regs->si, regs->dx, (void __user *)regs->r10, regs->r8);
	atomic_dec(&inside);
	return ret;
}

/*
 * The two ABIs share the command that boots; one gives a CPU's number and the other an instance's id. Where both are shown, a
 * caller that has made a selection means the RFC's, and so does a number that is no instance's id.
 */
static long boot_one(const int __user *arg)
{
	int id;
	long ret;

	if (!mk_abi_kernfs)
		return mk_instance_boot(arg);
	if (get_user(id, arg))
		return -EFAULT;
	if (mk_abi_rfc && mk_select_pending())
		return mk_instance_boot(arg);
	ret = mk_spawn_exec(id);
	return ret == -ESRCH ? (mk_abi_rfc ? mk_instance_boot(arg) : -EINVAL) : ret;
}

/* No other reboot has to wait for an instance that takes its time to halt, so this is done without the kernel's lock. */
static long stop_one(u32 command, const int __user *arg)
{
	int id;

	if (get_user(id, arg))
		return -EFAULT;
	return command == MK_REBOOT_HALT ? mk_spawn_halt(id) : mk_spawn_force(id);
}

static long boot_checked(u32 magic1, u32 magic2, u32 command, const int __user *arg)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	long ret;

	if (!ns_capable(ns->user_ns, CAP_SYS_BOOT))
		return -EPERM;
	if (magic1 != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
	     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	/* In a container reboot(2) is about the container, which has no other kernels. */
	if (ns != &init_pid_ns)
		return -EINVAL;
	if (command != MK_REBOOT_CMD)
		return stop_one(command, arg);
	mk_transition_lock();
	ret = boot_one(arg);
	mk_transition_unlock();
	return ret;
}

static asmlinkage long boot_target(const struct pt_regs *regs)
{
	long ret;

	atomic_inc(&inside);
	ret = boot_checked(regs->di, regs->si, regs->dx, (const int __user *)regs->r10);
	atomic_dec(&inside);
	return ret;
}

static struct hook host_hooks[] = {
	{ .function = "__x64_sys_reboot", .target = boot_target, .wanted = is_boot },
	{ .function = "__x64_sys_kexec_load", .target = load_target, .wanted = is_load, .abi = &mk_abi_rfc },
	{ .function = "__x64_sys_kexec_file_load", .target = file_load_target, .wanted = is_file_load,
	  .abi = &mk_abi_kernfs },
};

/* Every reset of the machine but a triple fault ends here, also those that pass no notifier (SysRq, a panic's timeout). */
static struct hook client_hooks[] = {
	{ .function = "native_machine_emergency_restart", .target = mk_client_emergency,
	  .wanted = is_any, .optional = true },
};

static notrace void redirect(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct hook *hook = container_of(ops, struct hook, ops);
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs && hook->wanted(regs))
		regs->ip = (unsigned long)hook->target;
}

static int install(struct hook *hook)
{
	int ret;

	hook->ops.func = redirect;
	hook->ops.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY;
	ret = ftrace_set_filter(&hook->ops, (unsigned char *)hook->function,
				strlen(hook->function), 0);
	if (!ret)
		ret = register_ftrace_function(&hook->ops);
	hook->installed = !ret;
	if (ret)
		pr_warn("cannot redirect %s: %d (is it live-patched?)\n", hook->function, ret);
	return hook->optional ? 0 : ret;
}

static struct hook *hooks_of(unsigned int *count)
{
	*count = mk_is_client ? ARRAY_SIZE(client_hooks) : ARRAY_SIZE(host_hooks);
	return mk_is_client ? client_hooks : host_hooks;
}

int mk_hook_start(void)
{
	unsigned int i, count;
	struct hook *hooks = hooks_of(&count);
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		if (!hooks[i].abi || *hooks[i].abi)
			ret = install(&hooks[i]);
	if (ret)
		mk_hook_stop();
	return ret;
}

/*
 * A caller may be between the redirect and its first instruction here, or behind its last one, which counts as a task that
 * has not yet scheduled voluntarily; or it may sleep inside, which the counter tells.
 */
void mk_hook_stop(void)
{
	unsigned int i, count;
	struct hook *hooks = hooks_of(&count);

	for (i = 0; i < count; i++)
		if (hooks[i].installed)
			unregister_ftrace_function(&hooks[i].ops);
	synchronize_rcu_tasks();
	while (atomic_read(&inside))
		msleep(20);
	synchronize_rcu_tasks();
	for (i = 0; i < count; i++)
		if (hooks[i].ops.func)
			ftrace_free_filter(&hooks[i].ops);
}
