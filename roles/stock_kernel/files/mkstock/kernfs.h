/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The kernfs ABI (generation G2): /sys/fs/multikernel, kexec_file_load(2) and reboot(2) by instance id. One header for its parts.
 *
 * mk_tree_lock guards all that the device trees describe: the pool, the instances, the transactions. It is taken inside the
 * kernel's kexec lock and around everything else: CPU hotplug, cpus_read_lock(), mk_lock, and mk_list_lock, which guards only
 * the lists and which names are in them, for look-ups below the file system.
 */
#ifndef MK_KERNFS_H
#define MK_KERNFS_H

#include "fdt.h"
#include "mkstock.h"

#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/notifier.h>
#include <linux/numa.h>
#include <linux/sizes.h>

struct inode;
struct pci_dev;

#define MK_FS_TYPE		"multikernel"
#define MK_FS_MAGIC		0x6d6b6673
#define MK_TREE_MAX		SZ_1M		/* a root device_tree, and what st_size says of one */
#define MK_ID_MAX		2047		/* kexec flags have no room for more */
#define MK_NAME_SIZE		256

extern struct mutex mk_tree_lock, mk_list_lock;

/* What a name in the file system stands for; an inode holds a reference. */
struct mk_object {
	struct kref users;
	struct list_head node;
	u64 serial;			/* place in its directory, and never used again */
	struct inode *inode;		/* of its directory, while there is one; under mk_list_lock */
	void (*free)(struct mk_object *object);
};
void mk_object_init(struct mk_object *object, struct list_head *list, void (*free)(struct mk_object *object));
struct mk_object *mk_object_get(struct mk_object *object);
void mk_object_put(struct mk_object *object);
/* Takes it out of its list and its directory; whoever has a file of it open keeps it. */
void mk_object_remove(struct mk_object *object);

/* contig.c: memory that the page allocator gives */
int mk_contig_start(void);
int mk_contig_take(u64 size, int node, struct mk_range *range, int *on_node);
void mk_contig_give(const struct mk_range *range);

/* chunk.c: the pool's memory, and what instances have of it */
struct mk_chunk {
	struct list_head node;
	struct mk_range range;
	int numa_node;
	bool parks;			/* its first pages are the host's park */
	struct resource resource;
	struct list_head regions;	/* by address */
};

struct mk_region {
	struct list_head node;		/* in its chunk */
	struct list_head mine;		/* in its instance, in the order of arrival */
	struct mk_chunk *chunk;
	struct mk_range range;
	struct resource resource;
	char name[MK_NAME_SIZE + 48];
};
extern struct list_head mk_chunks;
int mk_chunk_add(u64 size, int node);
int mk_chunk_remove(const struct mk_range *range);
u64 mk_chunks_free(int node);
int mk_regions_take(struct list_head *regions, u64 size, int node, u32 id, const char *name);
int mk_region_take(struct list_head *regions, const struct mk_range *range, u32 id, const char *name);
void mk_region_give(struct mk_region *region);
void mk_chunks_release(void);

/* cpus.c: the pool's CPUs */
extern struct cpumask mk_pooled, mk_lent;
int mk_cpu_find(u64 apic_id);		/* logical number, or -ENODEV */
int mk_cpu_may_pool(u64 apic_id);
int mk_cpu_pool(u64 apic_id);
int mk_cpu_unpool(u64 apic_id);
void mk_cpus_release(void);

/* devices.c: the pool's devices */
struct mk_device {
	struct list_head node;		/* in the pool or in an instance */
	bool pci;
	u32 domain, bus, slot, function, vendor, device;
	char name[32], alias[32], acpi_hid[16];
	struct pci_dev *pdev;		/* while it is taken from the host */
};
extern struct list_head mk_devices;
int mk_device_parse(const struct mk_fdt *fdt, int node, struct mk_device **device);
int mk_device_pool(struct mk_device *device);
int mk_devices_edit(const struct mk_fdt *fdt, int operation, bool add);
int mk_device_lend(struct list_head *to, const struct mk_device *like);
int mk_device_lend_item(struct list_head *to, const struct mk_fdt *fdt, int item);
int mk_device_return_item(struct list_head *from, const struct mk_fdt *fdt, int item);
void mk_devices_return(struct list_head *from);
void mk_devices_put(struct mk_fdt_out *out, const struct list_head *devices);
void mk_devices_release(void);

/* spawn.c: instances as the device trees know them */
enum mk_state { MK_EMPTY, MK_READY, MK_LOADED, MK_ACTIVE, MK_FAILED };

struct mk_file_image;

struct mk_spawn {
	struct mk_object object;
	char name[MK_NAME_SIZE];
	u32 id;
	enum mk_state state;
	bool gone;
	struct list_head regions, devices;
	unsigned int nr_cpus;
	unsigned int *cpus;		/* logical; the first one boots */
	struct mk_file_image *image;
};
extern struct list_head mk_spawns;
struct mk_spawn *mk_spawn_named(const char *name);
struct mk_spawn *mk_spawn_with_id(u32 id);
const char *mk_spawn_state(struct mk_spawn *spawn);
int mk_spawn_create(const struct mk_fdt *fdt, int operation);
int mk_spawn_remove(struct mk_spawn *spawn);
/* An active one that has ended, by its own word or because its CPUs were stopped, is loaded again. */
void mk_spawn_refresh(struct mk_spawn *spawn);
void mk_spawn_set(struct mk_spawn *spawn, enum mk_state state);
int mk_spawn_cpu(struct mk_spawn *spawn, u64 apic_id, bool add);
int mk_spawn_memory(struct mk_spawn *spawn, const struct mk_range *range, bool add);
struct mk_region *mk_spawn_base(const struct mk_spawn *spawn);

/* For consoles and the like. The chain's data is the spawn; called with mk_tree_lock held. */
enum mk_spawn_event { MK_SPAWN_LOADED, MK_SPAWN_STARTS, MK_SPAWN_STOPPED, MK_SPAWN_GONE };
extern struct blocking_notifier_head mk_spawn_chain;
/* Where instance @id lies and which CPU boots it; -ENODEV when there is none. */
int mk_spawn_place(u32 id, u64 *base, u32 *apic_id);

/* trees.c: what device_tree files say */
void *mk_tree_root(size_t *size);
void *mk_tree_spawn(const struct mk_spawn *spawn, size_t *size);

/* baseline.c: a write of the root device_tree */
int mk_baseline(const void *blob, size_t size);

/* transactions.c: overlays/ */
enum mk_outcome { MK_PENDING, MK_APPLIED, MK_TX_FAILED, MK_REMOVED };

struct mk_transaction {
	struct mk_object object;
	u32 id;
	enum mk_outcome outcome;
	char target[128], resources[256];
	size_t size;
	u8 blob[];
};
extern struct list_head mk_transactions;
int mk_transaction_submit(const void *blob, size_t size);
int mk_transaction_undo(struct mk_transaction *transaction);
const char *mk_transaction_status(const struct mk_transaction *transaction);
void mk_transactions_release(void);

/* operations.c: what a fragment does, and its inverse */
int mk_fragment_apply(const struct mk_fdt *fdt, int fragment);
int mk_fragment_undo(const struct mk_fdt *fdt, int fragment);

/* fileload.c: kexec_file_load(2) with the multikernel flag, and /proc/kimage */
struct mk_file_image {
	void *kernel, *initrd;
	size_t kernel_size, initrd_size;
	char *command_line;
	struct mk_range low;		/* memory below 1 MiB, size 0 for none */
};
long mk_file_load(int kernel_fd, int initrd_fd, unsigned long cmdline_len, const char __user *cmdline,
		  unsigned long flags);
void mk_file_image_free(struct mk_file_image *image);
int mk_kimage_start(void);
void mk_kimage_stop(void);

/* layout.c: an image's bytes, put into the instance's memory */
struct mk_layout {
	u64 entry;
	bool needs_low;
};
int mk_layout_check(const struct mk_spawn *spawn, const struct mk_file_image *image, struct mk_layout *layout);
int mk_layout_write(const struct mk_spawn *spawn, const struct mk_file_image *image, u64 *entry);

/* kernels.c: where the parts of a kernel file go */
struct mk_piece {
	const void *data;
	u64 address, size, room;	/* @size bytes of data, zeros up to @room */
};
#define MK_PIECES_MAX 8
struct mk_plan {
	struct mk_piece pieces[MK_PIECES_MAX];
	unsigned int nr_pieces;
	u64 target, end, load;
	const u8 *header;		/* setup_header as in the file, or NULL */
	unsigned int header_size, cmdline_size;
	bool is_linux;
};
int mk_plan_kernel(struct mk_plan *plan, const void *file, size_t size, u64 base);

/* acpi.c, params.c, words.c: what a stock kernel is told of its machine */
int mk_acpi_build(u8 *page, u64 address, u64 io_apic, const struct mk_spawn *spawn);
int mk_params_build(u8 *page, const struct mk_plan *plan, const struct mk_spawn *spawn, const struct mk_file_image *image,
		    u64 rsdp, u64 command_line, u64 initrd);
int mk_words(char *text, size_t size, const struct mk_spawn *spawn, const struct mk_file_image *image,
	     const struct mk_plan *plan);

/* lifecycle.c: reboot(2) by instance id */
long mk_spawn_exec(u32 id);
long mk_spawn_halt(u32 id);
long mk_spawn_force(u32 id);
void mk_spawn_stop_cpus(struct mk_spawn *spawn);

/* filesystem.c */
int mk_fs_start(void);
void mk_fs_stop(void);

/* kernfs.c: order of start and stop */
int mk_kernfs_start(void);
void mk_kernfs_stop(void);

#endif
