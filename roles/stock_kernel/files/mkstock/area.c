// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The shared memory of a channel: a header and two rings of messages, one for each direction.
 *
 * The other end may be broken or hostile. The geometry is read once, checked and kept; indices are read anew each time and only
 * ever used modulo the number of slots; sizes are clamped. A false index can spoil the channel's own messages, nothing else.
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

#define AT_MAGIC	0x00
#define AT_VERSION	0x04
#define AT_SLOTS	0x08
#define AT_MESSAGE_SIZE	0x0c
#define AT_STRIDE	0x10
#define AT_RING(k)	(0x14 + 4 * (k))
#define AT_SIZE		0x1c
#define AT_APIC_ID(k)	(0x20 + 0x20 * (k))
#define AT_ATTACHED(k)	(0x24 + 0x20 * (k))
#define AT_HEAD(k)	(0x80 + 0x80 * (k))
#define AT_REJECTED(k)	(0x88 + 0x80 * (k))
#define AT_TAIL(k)	(0xc0 + 0x80 * (k))

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
	return area->base + AT_REJECTED(ring);
}

/* The host takes what lies in the pool; an instance, which knows of no pool, what is not its own memory. */
static bool allowed(u64 address, u64 size)
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

	area->slots = get(area, AT_SLOTS);
	area->message_size = get(area, AT_MESSAGE_SIZE);
	area->stride = get(area, AT_STRIDE);
	area->ring[0] = get(area, AT_RING(0));
	area->ring[1] = get(area, AT_RING(1));
	area->size = get(area, AT_SIZE);
	if (get(area, AT_MAGIC) != MAGIC || get(area, AT_VERSION) != VERSION)
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

	if (!allowed(address, PAGE_SIZE))
		return -EADDRNOTAVAIL;
	area->base = memremap(address, PAGE_SIZE, MEMREMAP_WB);
	if (!area->base)
		return -ENOMEM;
	good = read_geometry(area);
	memunmap(area->base);
	area->base = NULL;
	if (!good)
		return -EINVAL;
	if (!allowed(address, area->size))
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
	if (!allowed(address, size))
		return -EADDRNOTAVAIL;
	area.base = memremap(address, size, MEMREMAP_WB);
	if (!area.base)
		return -ENOMEM;
	memset(area.base, 0, size);
	*word(&area, AT_VERSION) = VERSION;
	*word(&area, AT_SLOTS) = slots;
	*word(&area, AT_MESSAGE_SIZE) = message_size;
	*word(&area, AT_STRIDE) = stride;
	*word(&area, AT_RING(0)) = rings[0];
	*word(&area, AT_RING(1)) = rings[1];
	*word(&area, AT_SIZE) = size;
	*word(&area, AT_APIC_ID(0)) = apic_id0;
	*word(&area, AT_APIC_ID(1)) = apic_id1;
	smp_store_release(word(&area, AT_MAGIC), MAGIC);
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
	return get(area, AT_APIC_ID(end));
}

void mk_area_attach(struct mk_area *area, unsigned int end, bool attached)
{
	WRITE_ONCE(*word(area, AT_ATTACHED(end)), attached);
}

bool mk_area_attached(const struct mk_area *area, unsigned int end)
{
	return get(area, AT_ATTACHED(end)) == 1;
}

/* More than all slots used is an index that the other end broke: full for its producer, nothing for its consumer. */
bool mk_area_full(const struct mk_area *area, unsigned int ring)
{
	return get(area, AT_HEAD(ring)) - get(area, AT_TAIL(ring)) >= area->slots;
}

bool mk_area_empty(const struct mk_area *area, unsigned int ring)
{
	return get(area, AT_HEAD(ring)) == get(area, AT_TAIL(ring));
}

static void *slot(const struct mk_area *area, unsigned int ring, u32 index)
{
	return area->base + area->ring[ring] + (index & (area->slots - 1)) * area->stride;
}

/* The only producer of @ring. False when it is full: nothing is ever overwritten. */
bool mk_area_put(struct mk_area *area, unsigned int ring, const struct mk_message *message)
{
	u32 head = get(area, AT_HEAD(ring));
	u32 tail = smp_load_acquire(word(area, AT_TAIL(ring)));
	u64 size = min_t(u64, message->size, area->message_size);
	struct mk_message *to = slot(area, ring, head);

	if (head - tail >= area->slots)
		return false;
	memcpy(to, message, SLOT_HEADER + size);
	to->size = size;
	smp_store_release(word(area, AT_HEAD(ring)), head + 1);
	return true;
}

/* The only consumer of @ring. Copies its oldest message, which stays there until it is dropped. */
bool mk_area_peek(const struct mk_area *area, unsigned int ring, struct mk_message *message)
{
	u32 head = smp_load_acquire(word(area, AT_HEAD(ring)));
	u32 tail = get(area, AT_TAIL(ring));

	if (head == tail)
		return false;
	if (head - tail > area->slots) {
		smp_store_release(word(area, AT_TAIL(ring)), head);
		return false;
	}
	memcpy(message, slot(area, ring, tail), SLOT_HEADER + area->message_size);
	message->size = min_t(u64, message->size, area->message_size);
	return true;
}

void mk_area_drop(struct mk_area *area, unsigned int ring)
{
	smp_store_release(word(area, AT_TAIL(ring)), get(area, AT_TAIL(ring)) + 1);
}

void mk_area_refuse(struct mk_area *area, unsigned int ring)
{
	WRITE_ONCE(*rejected(area, ring), mk_area_refused(area, ring) + 1);
}

u64 mk_area_refused(const struct mk_area *area, unsigned int ring)
{
	return READ_ONCE(*rejected(area, ring));
}
