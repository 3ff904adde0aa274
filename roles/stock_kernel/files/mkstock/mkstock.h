/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * mkstock: the user-visible ABI of the multikernel RFC on a stock kernel. One header for all parts; each part is one file.
 */
#ifndef MKSTOCK_H
#define MKSTOCK_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct e820_table;
struct kexec_segment;
struct kobject;
struct seq_file;

#define MK_VERSION			"1"
#define MK_KEXEC_FLAG			0x00000010	/* kexec_load(2): KEXEC_MULTIKERNEL */
#define MK_REBOOT_CMD			0x4D4B4C49	/* reboot(2): LINUX_REBOOT_CMD_MULTIKERNEL */
#define MK_REBOOT_HALT			0x4D4B4C48	/* kernfs: an instance, by id */
#define MK_REBOOT_FORCE			0x4D4B4C46
#define MK_UNLOAD_BATCH			10		/* images that an unload of the RFC kernel removes */
#define MK_INSTANCES_MAX		64
#define MK_CHANNELS_MAX			16
#define MK_RANGES_MAX			16
#define MK_CHUNKS_MAX			64
#define MK_TEXT_MAX			256
/*
 * Bytes of an image that are copied before somebody else gets the CPU. An emulator takes a hundred times longer for memory
 * from which a kernel has run, and all that shares the CPU with the copying waited for a mebibyte of it, 120 ms.
 */
#define MK_PIECE			SZ_64K

/*
 * Guards images, selections and instances. Taken inside cpus_read_lock() and the kernel's own kexec lock, never around them.
 * What interrupts, page faults and hotplug notifiers look at has locks of its own.
 */
extern struct mutex mk_lock;

/* main.c */
extern bool mk_strict;
extern bool mk_is_client;
extern bool mk_abi_rfc, mk_abi_kernfs;	/* what the host shows */

/* symbol.c: what the kernel does not export */
int mk_symbol_start(void);
void *mk_symbol(const char *name);
bool mk_kexec_trylock(void);
void mk_kexec_unlock(void);
bool mk_kexec_permitted(void);
void mk_transition_lock(void);
void mk_transition_unlock(void);
phys_addr_t mk_boot_params(void);
phys_addr_t mk_real_mode(void);
const struct e820_table *mk_firmware_map(void);
void mk_forget_booted(const struct cpumask *cpus);

/* range.c: pieces of physical memory */
struct mk_range {
	u64 start;
	u64 size;
};
bool mk_range_sane(const struct mk_range *range);
bool mk_range_overlap(const struct mk_range *a, const struct mk_range *b);
int mk_ranges_parse(char *text, struct mk_range *ranges, unsigned int max);
int mk_ranges_print(char *buf, int at, const struct mk_range *ranges, unsigned int count);

/* memory.c: memory that the host does not use */
bool mk_memory_unused(const struct mk_range *range);
bool mk_memory_is_low(const struct mk_range *range);
bool mk_memory_survives(const struct mk_range *range);
ssize_t mk_low_show(char *buf);
int mk_low_take(struct mk_range *chunk);
void mk_low_give(const struct mk_range *chunk);

/* pool.c: memory that instances may be given */
struct mk_pin;
int mk_pool_start(void);
void mk_pool_stop(void);
bool mk_pool_covers(const struct mk_range *range);
bool mk_pool_lends(const struct mk_range *range);
int mk_pool_take(const struct mk_range *range);
int mk_pool_give(const struct mk_range *range);
ssize_t mk_pool_show(char *buf);
int mk_pool_write(char *command);
struct mk_pin *mk_pin_new(const struct mk_range *range);
void mk_pin_get(struct mk_pin *pin);
void mk_pin_put(struct mk_pin *pin);

/* image.c: kexec_load(2) and /proc/multikernel */
struct mk_image {
	struct list_head node;
	unsigned long entry;
	unsigned long nr_segments;
	struct mk_range segments[];
};
int mk_image_start(void);
void mk_image_stop(void);
struct mk_image *mk_image_find(unsigned long entry);
struct mk_image *mk_image_first(void);
bool mk_image_uses(const struct mk_range *range);
long mk_image_load(unsigned long entry, unsigned long nr_segments,
		   struct kexec_segment __user *segments, unsigned long flags);

/* select.c: what the next boot of this process starts, and where */
struct mk_selection {
	struct list_head node;
	struct pid *owner;
	unsigned long entry;
	struct cpumask cpus;
	unsigned int nr_memory;
	struct mk_range memory[MK_RANGES_MAX];
};
int mk_select_write(char *text);
struct mk_selection *mk_select_take(void);
bool mk_select_pending(void);
void mk_select_free(struct mk_selection *selection);
void mk_select_stop(void);

/* tables.c: the identity map on which an instance is entered */
struct mk_tables {
	u64 *root;
};
int mk_tables_build(struct mk_tables *tables, unsigned long entry,
		    const struct mk_range *memory, unsigned int nr_memory);
void mk_tables_free(struct mk_tables *tables);

/* apic.c: messages between CPUs */
u32 mk_apic_id(unsigned int cpu);
void mk_send_ipi(u32 what, u32 apic_id);
void mk_send_init(u32 apic_id);

/* start.c: the trampoline page, and a CPU's way over it */
int mk_start_start(void);
void mk_start_stop(void);
phys_addr_t mk_trampoline_page(void);
int mk_start_cpu(u32 apic_id, unsigned long entry, const struct mk_tables *tables);

/* instance.c: kernels that run on CPUs of ours */
int mk_instance_start(void);
void mk_instance_stop(void);
long mk_instance_boot(const int __user *arg);
int mk_instance_run(u32 id, unsigned long entry, unsigned int cpu, const struct cpumask *cpus,
		    const struct mk_range *memory, unsigned int nr_memory);
bool mk_instance_runs(unsigned int cpu);
int mk_instance_kill(unsigned int cpu);
bool mk_instance_has(unsigned int cpu);
bool mk_instance_uses(const struct mk_range *range);
void mk_instance_ended(u32 apic_id, const char *text);
ssize_t mk_instance_show(char *buf);

/* hook.c: redirects */
int mk_hook_start(void);
void mk_hook_stop(void);

/* area.c: the shared memory of a channel */
enum mk_type {
	MK_TAKEN,		/* by its consumer, before older ones */
	MK_DATA,
	MK_HEARTBEAT,
	MK_EXIT,
	MK_PING,
	MK_PONG,
};

#define MK_MESSAGE_MAX 256

struct mk_message {
	s32 sender;
	u32 type;
	u64 size;
	u8 data[MK_MESSAGE_MAX];
};

struct mk_area {
	void *base;
	u32 slots, message_size, stride, size;
	u32 ring[2];
};
int mk_area_map(struct mk_area *area, u64 address);
int mk_area_create(u64 address, u32 slots, u32 message_size, u32 apic_id0, u32 apic_id1);
void mk_area_unmap(struct mk_area *area);
u32 mk_area_apic_id(const struct mk_area *area, unsigned int end);
enum mk_wish { MK_ROOM, MK_NEWS };
bool mk_area_allowed(u64 address, u64 size);
void mk_area_attach(struct mk_area *area, unsigned int end, u32 epoch);
void mk_area_detach(struct mk_area *area, unsigned int end);
u32 mk_area_epoch(const struct mk_area *area, unsigned int end);
u32 mk_area_first(const struct mk_area *area, unsigned int ring);
bool mk_area_keeps_promises(const struct mk_area *area, unsigned int end);
void mk_area_want(struct mk_area *area, unsigned int end, enum mk_wish wish);
bool mk_area_wanted(struct mk_area *area, unsigned int end, enum mk_wish wish);
bool mk_area_full(const struct mk_area *area, unsigned int ring);
bool mk_area_put(struct mk_area *area, unsigned int ring, const struct mk_message *message);
void mk_area_span(struct mk_area *area, unsigned int ring, u32 *tail, u32 *head);
u32 mk_area_type(const struct mk_area *area, unsigned int ring, u32 index);
void mk_area_copy(const struct mk_area *area, unsigned int ring, u32 index, struct mk_message *message);
void mk_area_mark_taken(struct mk_area *area, unsigned int ring, u32 index);
void mk_area_drop(struct mk_area *area, unsigned int ring, u32 tail);
void mk_area_refuse(struct mk_area *area, unsigned int ring);
u64 mk_area_refused(const struct mk_area *area, unsigned int ring);

/* channels.c: the channels that this kernel has an end of; one of them is in channel.h */
int mk_channels_start(void);
void mk_channels_stop(void);
ssize_t mk_channels_show(char *buf);
int mk_channels_write(char *command);
void mk_channels_peer_gone(u32 apic_id);
void mk_channels_leave(void);
void mk_channels_broadcast(enum mk_type type, const void *data, size_t size);

/* window.c: /dev/mkstock */
int mk_window_start(void);
void mk_window_stop(void);

/* client.c: an instance tells how it is and how it ends */
int mk_client_start(void);
void mk_client_stop(void);
int mk_client_beat(const char *text);
u64 mk_client_base(void);
void mk_client_emergency(void);
void mk_client_look(void);

/* control.c: /sys/kernel/mkstock */
struct kobject *mk_control_directory(void);
int mk_control_start(void);
void mk_control_stop(void);

/* tty.c: /dev/mktty, the consoles of instances in the host; an instance's base holds its console's area */
int mk_tty_start(void);
void mk_tty_stop(void);
void mk_tty_interrupt(void);
int mk_tty_add(u32 id, u64 base, u32 apic_id);
void mk_tty_gone(u32 id, u64 base);

int mk_tty_adopt(u32 id, u64 base, u32 apic_id);
void mk_tty_leave(void);

/* record.c: what is left behind for the next kernel of this host; the rest of it is in record.h */
int mk_record_start(void);
void mk_record_stop(void);
ssize_t mk_record_show(char *buf);
bool mk_record_left(void);
bool mk_record_uses(const struct mk_range *range);
int mk_record_layout(char *text);
ssize_t mk_record_layout_show(char *buf);

/* adopt.c: what the kernel before this one left running */
int mk_adopt_start(void);
void mk_adopt_stop(void);
ssize_t mk_adopt_show(char *buf);

/* console.c: the same console in the instance, the tty and the log's console mktty0 */
int mk_console_start(void);
void mk_console_stop(void);
void mk_console_interrupt(void);

#endif
