// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Rings of bytes in memory that another kernel writes, too. Each has one producer and one consumer at a time.
 */
#include "ring.h"

#include <linux/compiler.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/barrier.h>

struct mk_ring mk_ring_input(struct mk_console_area *area)
{
	return (struct mk_ring){ area->input, MK_INPUT_SIZE, &area->input_head, &area->input_tail };
}

struct mk_ring mk_ring_output(struct mk_console_area *area)
{
	return (struct mk_ring){ area->output, MK_OUTPUT_SIZE, &area->output_head, &area->output_tail };
}

/* For the consumer. More than all is a producer that ran on while nobody read: the newest are left. */
u32 mk_ring_used(const struct mk_ring *ring)
{
	u32 head = smp_load_acquire(ring->head);

	if (head - READ_ONCE(*ring->tail) > ring->size)
		smp_store_release(ring->tail, head - ring->size);
	return min(head - READ_ONCE(*ring->tail), ring->size);
}

/* For the producer. */
u32 mk_ring_room(const struct mk_ring *ring)
{
	u32 used = READ_ONCE(*ring->head) - smp_load_acquire(ring->tail);

	return used > ring->size ? 0 : ring->size - used;
}

/* Up to the whole ring; whether there is room is the caller's concern. */
void mk_ring_put(const struct mk_ring *ring, const void *data, u32 n)
{
	u32 head = READ_ONCE(*ring->head);
	u32 at = head & (ring->size - 1);
	u32 first;

	n = min(n, ring->size);
	first = min(n, ring->size - at);
	memcpy(ring->data + at, data, first);
	memcpy(ring->data, data + first, n - first);
	smp_store_release(ring->head, head + n);
}

static void copy_from(const struct mk_ring *ring, u32 index, void *data, u32 n)
{
	u32 at = index & (ring->size - 1);
	u32 first = min(n, ring->size - at);

	memcpy(data, ring->data + at, first);
	memcpy(data + first, ring->data, n - first);
}

/* The oldest bytes, at most @n; they stay until they are dropped. */
u32 mk_ring_copy(const struct mk_ring *ring, void *data, u32 n)
{
	n = min(n, mk_ring_used(ring));
	copy_from(ring, READ_ONCE(*ring->tail), data, n);
	return n;
}

void mk_ring_drop(const struct mk_ring *ring, u32 n)
{
	smp_store_release(ring->tail, READ_ONCE(*ring->tail) + n);
}

/* The newest bytes, read or not, at most @n: what was consumed stands in the ring until it is written over. */
u32 mk_ring_last(const struct mk_ring *ring, void *data, u32 n)
{
	u32 head = smp_load_acquire(ring->head);

	n = min3(n, head, ring->size);
	copy_from(ring, head - n, data, n);
	return n;
}
