// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The term list of a DSDT that tells an instance of its PCI buses: for each a host bridge (PNP0A08) with the bus and the windows,
 * and an owner of its configuration space (PNP0C02), without which Linux does not believe the MCFG table. ACPI 6.3, 6.4 and 20.2.
 */
#include "kernfs.h"
#include "pci.h"

#include <linux/kernel.h>

#define BUS_SIZE	SZ_1M

struct out {
	u8 *at;
	unsigned int room, used;
	bool overflow;
};

static void put(struct out *out, const void *data, unsigned int size)
{
	if (size > out->room - out->used) {
		out->overflow = true;
		return;
	}
	memcpy(out->at + out->used, data, size);
	out->used += size;
}

static void number(struct out *out, u64 value, unsigned int bytes)
{
	put(out, &value, bytes);
}

/* A package whose length is written when it ends, in two bytes whatever it is. */
static unsigned int begin(struct out *out, const char *opcode, unsigned int size)
{
	put(out, opcode, size);
	number(out, 0, 2);
	return out->used - 2;
}

static void end(struct out *out, unsigned int start)
{
	unsigned int size = out->used - start;

	if (out->overflow || size > 0xfff) {
		out->overflow = true;
		return;
	}
	out->at[start] = 0x40 | (size & 0xf);
	out->at[start + 1] = size >> 4;
}

static unsigned int begin_device(struct out *out, const char *prefix, unsigned int index)
{
	unsigned int start = begin(out, "\x5b\x82", 2);
	char name[5];

	snprintf(name, sizeof(name), "%.2s%02X", prefix, index);
	put(out, name, 4);
	return start;
}

/* The value as a DWord. */
static void named(struct out *out, const char *name, u32 value)
{
	put(out, "\x08", 1);
	put(out, name, 4);
	put(out, "\x0c", 1);
	number(out, value, 4);
}

#define EISA_PNP0A08	0x080ad041
#define EISA_PNP0A03	0x030ad041
#define EISA_PNP0C02	0x020cd041

/* _CRS; the size of the buffer, a word, is written when it ends. */
static unsigned int begin_resources(struct out *out, unsigned int *size_at)
{
	unsigned int start;

	put(out, "\x08_CRS", 5);
	start = begin(out, "\x11", 1);
	put(out, "\x0b", 1);
	*size_at = out->used;
	number(out, 0, 2);
	return start;
}

static void end_resources(struct out *out, unsigned int start, unsigned int size_at)
{
	put(out, "\x79", 2);	/* and the zero behind it: no checksum */
	if (!out->overflow) {
		u16 size = out->used - size_at - 2;

		memcpy(out->at + size_at, &size, 2);
	}
	end(out, start);
}

/* Word descriptors for buses and ports, quad-word ones for memory; least and greatest address fixed. */
static void word(struct out *out, u8 type, u8 flags, u16 first, u16 last)
{
	const u8 head[] = { 0x88, 13, 0, type, 0x0c, flags };

	put(out, head, sizeof(head));
	number(out, 0, 2);
	number(out, first, 2);
	number(out, last, 2);
	number(out, 0, 2);
	number(out, last - first + 1, 2);
}

static void quad(struct out *out, u8 general, u8 flags, u64 first, u64 last)
{
	const u8 head[] = { 0x8a, 43, 0, 0, 0x0c | general, flags };

	put(out, head, sizeof(head));
	number(out, 0, 8);
	number(out, first, 8);
	number(out, last, 8);
	number(out, 0, 8);
	number(out, last - first + 1, 8);
}

static void put_bridge(struct out *out, const struct mk_bus *bus, unsigned int index)
{
	unsigned int device = begin_device(out, "PC", index), resources, size_at, i;

	named(out, "_HID", EISA_PNP0A08);
	named(out, "_CID", EISA_PNP0A03);
	named(out, "_UID", index);
	named(out, "_SEG", bus->segment);
	named(out, "_BBN", bus->number);
	resources = begin_resources(out, &size_at);
	word(out, 2, 0, bus->number, bus->number);
	for (i = 0; i < bus->nr_windows; i++) {
		const struct mk_window *window = &bus->windows[i];

		if (window->io)
			word(out, 1, 3, window->start, window->end);
		else
			quad(out, 0, window->prefetch ? 7 : 1, window->start, window->end);
	}
	end_resources(out, resources, size_at);
	end(out, device);
}

static void put_owner(struct out *out, const struct mk_bus *bus, unsigned int index)
{
	unsigned int device = begin_device(out, "MC", index), resources, size_at;

	named(out, "_HID", EISA_PNP0C02);
	named(out, "_UID", index);
	resources = begin_resources(out, &size_at);
	quad(out, 1, 1, bus->ecam, bus->ecam + BUS_SIZE - 1);
	end_resources(out, resources, size_at);
	end(out, device);
}

int mk_aml_buses(u8 *at, unsigned int room, const struct mk_bus *buses, unsigned int count)
{
	struct out out = { at, room };
	unsigned int scope = begin(&out, "\x10", 1), i;

	put(&out, "\\_SB_", 5);
	for (i = 0; i < count; i++) {
		put_bridge(&out, &buses[i], i);
		put_owner(&out, &buses[i], i);
	}
	end(&out, scope);
	return out.overflow ? -ENOSPC : out.used;
}
