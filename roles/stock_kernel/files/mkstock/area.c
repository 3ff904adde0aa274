// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The shared memory of a channel: a header and two rings of messages, one for each direction.
 *
 * The other end may be broken or hostile. The geometry is read once, checked and kept; indices are read anew each time and only
 * ever used modulo the number of slots; sizes are clamped. A false index can spoil the channel's own messages, nothing else.
 *
 * Each end writes a new number, its epoch, whenever it attaches, so that the other sees a restart however short it was. Messages stay
 * where they are until a reader takes them: neither end's restart loses any.
 */
#include "mkstock.h"

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/barrier.h>

#define MAGIC		0x48434b4d	/* "MKCH" */
#define VERSION		1
#define SLOTS_MAX	SZ_64K
#define SLOT_HEADER	16
#define KEEPS_PROMISES	BIT(0)	/* in the flags: this end tells who wants to be told, and marks its wishes */

#define HDR_MAGIC	0x00
#define HDR_VERSION	0x04
#define HDR_SLOTS	0x08
#define HDR_MESSAGE_SIZE	0x0c
#define HDR_STRIDE	0x10
#define HDR_RING(k)	(0x14 + 4 * (k))
#define HDR_SIZE		0x1c
#define HDR_APIC_ID(k)	(0x20 + 0x20 * (k))
#define HDR_ATTACHED(k)	(0x24 + 0x20 * (k))
#define HDR_EPOCH(k)	(0x28 + 0x20 * (k))
#define HDR_FIRST(k)	(0x2c + 0x20 * (k))
#define HDR_FLAGS(k)	(0x30 + 0x20 * (k))
#define HDR_WANTS(k)	(0x34 + 0x20 * (k))	/* room, and at + 4: news */
#define HDR_HEAD(k)	(0x80 + 0x80 * (k))
#define HDR_REJECTED(k)	(0x88 + 0x80 * (k))
#define HDR_TAIL(k)	(0xc0 + 0x80 * (k))

static u32 *word(const struct mk_area *area, unsigned int offset)
{
	return area->base + offset;
}

static u32 get(const struct mk_area *area, unsigned int offset)
{
	return READ_ONCE(*word(area, offset));
}

static u64 *rejected(const struct mk_area *area, unsigned int ring)
{
	return area->base + HDR_REJECTED(ring);
}

/* The host takes what lies in the pool; an instance, which knows of no pool, what is not its own memory. */
bool mk_area_allowed(u64 address, u64 size)
{
	struct mk_range range = { address, size };

	if (!mk_range_sane(&range))
		return false;
	if (mk_is_client)
		return region_intersects(address, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) ==
		       REGION_DISJOINT;
	return mk_pool_covers(&range);
}

static bool read_geometry(struct mk_area *area)
{
	u64 bytes;

	area->slots = get(area, HDR_SLOTS);
	area->message_size = get(area, HDR_MESSAGE_SIZE);
	area->stride = get(area, HDR_STRIDE);
	area->ring[0] = get(area, HDR_RING(0));
	area->ring[1] = get(area, HDR_RING(1));
	area->size = get(area, HDR_SIZE);
	if (get(area, HDR_MAGIC) != MAGIC || get(area, HDR_VERSION) != VERSION)
		return false;
	if (!is_power_of_2(area->slots) || area->slots > SLOTS_MAX)
		return false;
	if (!area->message_size || area->message_size > MK_MESSAGE_MAX ||
	    area->stride != SLOT_HEADER + ALIGN(area->message_size, 16))
		return false;
	bytes = (u64)area->slots * area->stride;
	return area->ring[0] >= PAGE_SIZE && IS_ALIGNED(area->ring[0], 16) &&
	       area->ring[1] >= area->ring[0] + bytes && IS_ALIGNED(area->ring[1], 16) &&
	       area->ring[1] + bytes <= area->size && IS_ALIGNED(area->size, PAGE_SIZE);
}

int mk_area_map(struct mk_area *area, u64 address)
{
	bool good;

	if (!mk_area_allowed(address, PAGE_SIZE))
		return -EADDRNOTAVAIL;
	area->base = memremap(address, PAGE_SIZE, MEMREMAP_WB);
	if (!area->base)
		return -ENOMEM;
	good = read_geometry(area);
	memunmap(area->base);
	area->base = NULL;
	if (!good)
		return -EINVAL;
	if (!mk_area_allowed(address, area->size))
		return -EADDRNOTAVAIL;
	area->base = memremap(address, area->size, MEMREMAP_WB);
	return area->base ? 0 : -ENOMEM;
}

/*
 * An empty area, where there may have been anything: two rings, one behind the other. Only where instances' memory or the pool is;
 * whoever has an end of it attaches himself.
 */
int mk_area_create(u64 address, u32 slots, u32 message_size, u32 apic_id0, u32 apic_id1)
{
	u32 stride, rings[2], size;
	struct mk_area area;

	if (!is_power_of_2(slots) || slots > SLOTS_MAX || !message_size || message_size > MK_MESSAGE_MAX)
		return -EINVAL;
	stride = SLOT_HEADER + ALIGN(message_size, 16);
	rings[0] = PAGE_SIZE;
	rings[1] = rings[0] + ALIGN(slots * stride, 64);
	size = PAGE_ALIGN(rings[1] + slots * stride);
	if (!mk_area_allowed(address, size))
		return -EADDRNOTAVAIL;
	area.base = memremap(address, size, MEMREMAP_WB);
	if (!area.base)
		return -ENOMEM;
	memset(area.base, 0, size);
	*word(&area, HDR_VERSION) = VERSION;
	*word(&area, HDR_SLOTS) = slots;
	*word(&area, HDR_MESSAGE_SIZE) = message_size;
	*word(&area, HDR_STRIDE) = stride;
	*word(&area, HDR_RING(0)) = rings[0];
	*word(&area, HDR_RING(1)) = rings[1];
	*word(&area, HDR_SIZE) = size;
	*word(&area, HDR_APIC_ID(0)) = apic_id0;
	*word(&area, HDR_APIC_ID(1)) = apic_id1;
	smp_store_release(word(&area, HDR_MAGIC), MAGIC);
	mk_area_unmap(&area);
	return 0;
}

void mk_area_unmap(struct mk_area *area)
{
	memunmap(area->base);
	area->base = NULL;
}

u32 mk_area_apic_id(const struct mk_area *area, unsigned int end)
{
	return get(area, HDR_APIC_ID(end));
}

/* The other end may look at any moment: it never sees the new epoch with the old first message. */
void mk_area_attach(struct mk_area *area, unsigned int end, u32 epoch)
{
	WRITE_ONCE(*word(area, HDR_ATTACHED(end)), 0);
	smp_wmb();
	WRITE_ONCE(*word(area, HDR_FIRST(end)), get(area, HDR_HEAD(end)));
	WRITE_ONCE(*word(area, HDR_EPOCH(end)), epoch);
	WRITE_ONCE(*word(area, HDR_FLAGS(end)), KEEPS_PROMISES);
	/* somebody may have said so to an area that was written anew meanwhile */
	WRITE_ONCE(*word(area, HDR_WANTS(end) + 4 * MK_ROOM), 1);
	WRITE_ONCE(*word(area, HDR_WANTS(end) + 4 * MK_NEWS), 1);
	smp_store_release(word(area, HDR_ATTACHED(end)), 1);
}

void mk_area_detach(struct mk_area *area, unsigned int end)
{
	WRITE_ONCE(*word(area, HDR_ATTACHED(end)), 0);
}

/* The number of this attachment, 0 when there is none; an end that writes no number has 1. */
u32 mk_area_epoch(const struct mk_area *area, unsigned int end)
{
	if (smp_load_acquire(word(area, HDR_ATTACHED(end))) != 1)
		return 0;
	return get(area, HDR_EPOCH(end)) ?: 1;
}

/* The index of the first message that the attached producer of @ring has sent; older ones are of an earlier one. */
u32 mk_area_first(const struct mk_area *area, unsigned int ring)
{
	return get(area, HDR_FIRST(ring));
}

/* False for an end that never attached, or by a module that does not know of wishes. */
bool mk_area_keeps_promises(const struct mk_area *area, unsigned int end)
{
	return get(area, HDR_FLAGS(end)) & KEEPS_PROMISES;
}

/* Says that @end waits for something. What it waits for has to be looked at once more afterwards. */
void mk_area_want(struct mk_area *area, unsigned int end, enum mk_wish wish)
{
	WRITE_ONCE(*word(area, HDR_WANTS(end) + 4 * wish), 1);
	smp_mb();
}

/* True once for each time that @end said so. Called after what it may wait for was written. */
bool mk_area_wanted(struct mk_area *area, unsigned int end, enum mk_wish wish)
{
	u32 *wanted = word(area, HDR_WANTS(end) + 4 * wish);

	smp_mb();
	if (!READ_ONCE(*wanted))
		return false;
	WRITE_ONCE(*wanted, 0);
	return true;
}

/* More than all slots used is an index that the other end broke: full for its producer, nothing for its consumer. */
bool mk_area_full(const struct mk_area *area, unsigned int ring)
{
	return get(area, HDR_HEAD(ring)) - get(area, HDR_TAIL(ring)) >= area->slots;
}

static void *slot(const struct mk_area *area, unsigned int ring, u32 index)
{
	return area->base + area->ring[ring] + (index & (area->slots - 1)) * area->stride;
}

/* The only producer of @ring. False when it is full: nothing is ever overwritten. */
bool mk_area_put(struct mk_area *area, unsigned int ring, const struct mk_message *message)
{
	u32 head = get(area, HDR_HEAD(ring));
	u32 tail = smp_load_acquire(word(area, HDR_TAIL(ring)));
	u64 size = min_t(u64, message->size, area->message_size);
	struct mk_message *to = slot(area, ring, head);

	if (head - tail >= area->slots)
		return false;
	memcpy(to, message, SLOT_HEADER + size);
	to->size = size;
	smp_store_release(word(area, HDR_HEAD(ring)), head + 1);
	return true;
}

/*
 * For the only consumer of @ring: the indices between which there are messages. When the other end broke its index, what is there is
 * given up.
 */
void mk_area_span(struct mk_area *area, unsigned int ring, u32 *tail, u32 *head)
{
	*head = smp_load_acquire(word(area, HDR_HEAD(ring)));
	*tail = get(area, HDR_TAIL(ring));
	if (*head - *tail <= area->slots)
		return;
	*tail = *head;
	mk_area_drop(area, ring, *head);
}

u32 mk_area_type(const struct mk_area *area, unsigned int ring, u32 index)
{
	const struct mk_message *from = slot(area, ring, index);

	return READ_ONCE(from->type);
}

void mk_area_copy(const struct mk_area *area, unsigned int ring, u32 index, struct mk_message *message)
{
	const struct mk_message *from = slot(area, ring, index);

	message->sender = READ_ONCE(from->sender);
	message->type = READ_ONCE(from->type);
	message->size = min_t(u64, READ_ONCE(from->size), area->message_size);
	memcpy(message->data, from->data, message->size);
}

/* A message in the middle that needs no reader. Who consumes the ring after us, finds it so, too. */
void mk_area_mark_taken(struct mk_area *area, unsigned int ring, u32 index)
{
	struct mk_message *from = slot(area, ring, index);

	WRITE_ONCE(from->type, MK_TAKEN);
}

/* What lies before @tail may be written over. */
void mk_area_drop(struct mk_area *area, unsigned int ring, u32 tail)
{
	smp_store_release(word(area, HDR_TAIL(ring)), tail);
}

void mk_area_refuse(struct mk_area *area, unsigned int ring)
{
	WRITE_ONCE(*rejected(area, ring), mk_area_refused(area, ring) + 1);
}

u64 mk_area_refused(const struct mk_area *area, unsigned int ring)
{
	return READ_ONCE(*rejected(area, ring));
}
