/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_RING_H
#define MK_RING_H

#include "mkstock.h"

#include <linux/build_bug.h>
#include <linux/sizes.h>
#include <linux/stddef.h>

#define MK_CONSOLE_MAGIC	0x31595454534e4b4dULL	/* "MKNSTTY1" */
#define MK_CONSOLE_OFFSET	0x8000			/* from the instance's base, by its memory map */
#define MK_CONSOLE_SIZE		SZ_32K
#define MK_INPUT_SIZE		SZ_8K
#define MK_OUTPUT_SIZE		SZ_16K

/*
 * The console of an instance: one header, two rings of bytes. Who produces writes the head, who consumes the tail; both only
 * grow and are used modulo the ring's size, which is no word of the header but fixed. So whatever the other kernel writes
 * here, this one stays inside the rings; false indices garble the console, nothing else.
 */
struct mk_console_area {
	u64 magic;
	u32 host_apic, instance_apic;	/* where "look" is sent to */
	u32 readers;			/* host: that many read; with 0, output runs on and its tail counts for nothing */
	u32 attached;			/* instance: it listens */
	u32 want_room;			/* instance: a writer waits until the output is read */
	u32 dropped;			/* instance: bytes of its log that found no room */
	u8 pad1[96];
	u32 input_head;
	u8 pad2[60];
	u32 input_tail;
	u8 pad3[60];
	u32 output_head;
	u8 pad4[60];
	u32 output_tail;
	u8 pad5[0x1000 - 0x144];
	u8 input[MK_INPUT_SIZE];
	u8 unused[SZ_4K];
	u8 output[MK_OUTPUT_SIZE];
};
static_assert(offsetof(struct mk_console_area, input_head) == 0x80);
static_assert(offsetof(struct mk_console_area, output_tail) == 0x140);
static_assert(offsetof(struct mk_console_area, input) == 0x1000);
static_assert(offsetof(struct mk_console_area, output) == 0x4000);
static_assert(sizeof(struct mk_console_area) == MK_CONSOLE_SIZE);

struct mk_ring {
	u8 *data;
	u32 size;			/* a power of two */
	u32 *head, *tail;
};

struct mk_ring mk_ring_input(struct mk_console_area *area);
struct mk_ring mk_ring_output(struct mk_console_area *area);
u32 mk_ring_used(const struct mk_ring *ring);
u32 mk_ring_room(const struct mk_ring *ring);
void mk_ring_put(const struct mk_ring *ring, const void *data, u32 n);
u32 mk_ring_copy(const struct mk_ring *ring, void *data, u32 n);
void mk_ring_drop(const struct mk_ring *ring, u32 n);
u32 mk_ring_last(const struct mk_ring *ring, void *data, u32 n);

#endif
