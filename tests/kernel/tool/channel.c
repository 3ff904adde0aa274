/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#include "mkt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct header {
	uint32_t magic, version, slots, message_size, stride, ring[2], size;
	struct { uint32_t apic_id, attached, unused[6]; } end[2];
};

/* ADDRESS:SLOTS:SIZE:APICID0:APICID1 */
struct segment *channel_segment(const char *text)
{
	static struct segment segment;
	unsigned long address;
	struct header *h;
	unsigned int slots, size, id0, id1;

	if (sscanf(text, "%lx:%u:%u:%u:%u", &address, &slots, &size, &id0, &id1) != 5)
		die("channel");
	h = calloc(1, 4096);
	h->magic = 0x48434b4d;
	h->version = 1;
	h->slots = slots;
	h->message_size = size;
	h->stride = 16 + ((size + 15) & ~15u);
	h->ring[0] = 0x1000;
	h->ring[1] = 0x1000 + ((slots * h->stride + 63) & ~63u);
	h->size = PAGES(h->ring[1] + slots * h->stride);
	h->end[0].apic_id = id0;
	h->end[1].apic_id = id1;
	segment = (struct segment){ h, 4096, address, h->size };
	return &segment;
}

/* Overwrites one word of physical memory, as a broken or hostile peer would. */
int poke(const char *address, const char *value)
{
	unsigned long at = strtoul(address, NULL, 0);
	int fd = open("/dev/mkstock", O_RDWR);
	char *page;

	if (fd < 0)
		die("/dev/mkstock");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at & ~4095ul);
	if (page == MAP_FAILED)
		die("mmap");
	*(volatile uint32_t *)(page + (at & 4095)) = strtoul(value, NULL, 0);
	return 0;
}
