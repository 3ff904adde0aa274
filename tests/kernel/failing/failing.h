/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Compiled before each file of mkstock, for the suite `nomem`: whatever may fail for want of memory fails when it is told to, and what
 * is allocated is counted until it is given back. Debian's kernels have no fault injection of their own (CONFIG_FAULT_INJECTION).
 */
#ifndef MK_FAILING_H
#define MK_FAILING_H

#include <linux/console.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/tty_driver.h>

bool mk_fails(const char *where, int line);	/* whether this one is to fail */
void *mk_made(void *memory);			/* counts it, unless it is NULL or an error */
void mk_gone(const void *memory);
int mk_settled(int ret);			/* at the end, and where the start failed: nothing may be left */

#define MK_FAILS mk_fails(KBUILD_BASENAME, __LINE__)
#define MK_NULL(call) (MK_FAILS ? NULL : mk_made(call))
#define MK_ERROR(call) (MK_FAILS ? ERR_PTR(-ENOMEM) : (call))
#define MK_INT(call) (MK_FAILS ? -ENOMEM : (call))

#undef kmalloc
#undef kzalloc
#undef kcalloc
#undef kvmalloc
#undef kvzalloc
#undef kmemdup
#undef kmemdup_nul
#undef kstrdup
#undef kstrndup
#define kmalloc(...) MK_NULL((kmalloc)(__VA_ARGS__))
#define kzalloc(...) MK_NULL((kzalloc)(__VA_ARGS__))
#define kcalloc(...) MK_NULL((kcalloc)(__VA_ARGS__))
#define kvmalloc(...) MK_NULL((kvmalloc)(__VA_ARGS__))
#define kvzalloc(...) MK_NULL((kvzalloc)(__VA_ARGS__))
#define kmemdup(...) MK_NULL((kmemdup)(__VA_ARGS__))
#define kmemdup_nul(...) MK_NULL((kmemdup_nul)(__VA_ARGS__))
#define kstrdup(...) MK_NULL((kstrdup)(__VA_ARGS__))
#define kstrndup(...) MK_NULL((kstrndup)(__VA_ARGS__))
#define kvasprintf(...) MK_NULL((kvasprintf)(__VA_ARGS__))
#define memremap(...) MK_NULL((memremap)(__VA_ARGS__))
#define memdup_user(...) MK_ERROR(mk_made((memdup_user)(__VA_ARGS__)))
#define kfree(memory) do { const void *mk_it = (memory); mk_gone(mk_it); (kfree)(mk_it); } while (0)
#define kvfree(memory) do { const void *mk_it = (memory); mk_gone(mk_it); (kvfree)(mk_it); } while (0)
#define memunmap(memory) do { void *mk_it = (memory); mk_gone(mk_it); (memunmap)(mk_it); } while (0)

#define __tty_alloc_driver(...) MK_ERROR((__tty_alloc_driver)(__VA_ARGS__))
#define kobject_create_and_add(...) (MK_FAILS ? NULL : (kobject_create_and_add)(__VA_ARGS__))
#define proc_create_single_data(...) (MK_FAILS ? NULL : (proc_create_single_data)(__VA_ARGS__))
#define new_inode(...) (MK_FAILS ? NULL : (new_inode)(__VA_ARGS__))
#define zalloc_cpumask_var(...) (!MK_FAILS && (zalloc_cpumask_var)(__VA_ARGS__))

#define register_sys_off_handler(...) MK_ERROR((register_sys_off_handler)(__VA_ARGS__))
#define misc_register(...) MK_INT((misc_register)(__VA_ARGS__))
#define register_reboot_notifier(...) MK_INT((register_reboot_notifier)(__VA_ARGS__))
#define register_memory_notifier(...) MK_INT((register_memory_notifier)(__VA_ARGS__))
#define register_kprobe(...) MK_INT((register_kprobe)(__VA_ARGS__))
#define register_ftrace_function(...) MK_INT((register_ftrace_function)(__VA_ARGS__))
#define ftrace_set_filter(...) MK_INT((ftrace_set_filter)(__VA_ARGS__))
#define register_filesystem(...) MK_INT((register_filesystem)(__VA_ARGS__))
#define tty_register_driver(...) MK_INT((tty_register_driver)(__VA_ARGS__))
#define insert_resource(...) MK_INT((insert_resource)(__VA_ARGS__))
#define sysfs_create_group(...) MK_INT((sysfs_create_group)(__VA_ARGS__))
#define sysfs_create_file(...) MK_INT((sysfs_create_file)(__VA_ARGS__))
#define sysfs_create_mount_point(...) MK_INT((sysfs_create_mount_point)(__VA_ARGS__))
#define cpuhp_setup_state_nocalls(...) MK_INT((cpuhp_setup_state_nocalls)(__VA_ARGS__))
#define __pci_register_driver(...) MK_INT((__pci_register_driver)(__VA_ARGS__))
#define pci_add_dynid(...) MK_INT((pci_add_dynid)(__VA_ARGS__))

#undef module_init
#undef module_exit
#define module_init(start) \
	static int __init mk_judged_start(void) { return mk_settled(start()); } \
	int init_module(void) __copy(mk_judged_start) __attribute__((alias("mk_judged_start")));
#define module_exit(stop) \
	static void __exit mk_judged_stop(void) { stop(); mk_settled(-1); } \
	void cleanup_module(void) __copy(mk_judged_stop) __attribute__((alias("mk_judged_stop")));

#endif
