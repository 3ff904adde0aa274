/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_INSTANCE_H
#define MK_INSTANCE_H

#include "kernfs.h"
#include "mailbox.h"

#define BOOT_CPU	0

struct instance {
	struct list_head node;
	unsigned long entry;
	struct cpumask cpus;
	struct mk_tables tables;
	bool ended;
	bool rfc;			/* booted by the RFC's call, which must not have the CPUs of the kernfs pool */
	u32 id;				/* of the kernfs ABI, else 0 */
	u32 console;			/* its id in /dev/mktty, 0: none */
	char text[MK_TEXT_MAX];
	unsigned int nr_memory;
	struct mk_range memory[];
};

/* instance.c; all of it under mk_lock, and where CPUs are concerned under cpus_read_lock() as well */
extern struct list_head mk_instances;
int mk_instance_check(const struct instance *instance);
bool mk_instance_owns(const struct instance *instance, const struct mk_range *range);
void mk_instance_enlist(struct instance *instance);
void mk_instance_look(struct instance *instance);
const struct mk_mailbox *mk_mailbox_map(u64 base);

static inline u64 mk_instance_base(const struct instance *instance)
{
	return instance->entry - MK_MAILBOX_TO_ENTRY;
}

#endif
