// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Flattened device trees, written: the structure block and the strings grow side by side and are put together at the end.
 */
#include "fdt.h"

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#define HEADER	40
#define RESERVE	16	/* the reserve map's empty last entry */

static void *grow(struct mk_fdt_out *out, struct mk_fdt_buffer *buffer, size_t size)
{
	size_t wanted = buffer->used + size, room = max_t(size_t, 2 * buffer->room, 1024);
	u8 *data;

	if (out->error)
		return NULL;
	if (wanted > buffer->room) {
		room = max(room, wanted);
		data = kvzalloc(room, GFP_KERNEL);
		if (!data) {
			out->error = -ENOMEM;
			return NULL;
		}
		if (buffer->used)
			memcpy(data, buffer->data, buffer->used);
		kvfree(buffer->data);
		buffer->data = data;
		buffer->room = room;
	}
	data = buffer->data + buffer->used;
	buffer->used = wanted;
	return data;
}

static void put_word(struct mk_fdt_out *out, u32 value)
{
	void *at = grow(out, &out->structure, 4);

	if (at)
		mk_set_cell(at, value);
}

/* Padded with zeros to whole words. */
static void put_bytes(struct mk_fdt_out *out, const void *data, size_t size)
{
	void *at = grow(out, &out->structure, ALIGN(size, 4));

	if (!at)
		return;
	memcpy(at, data, size);
	memset(at + size, 0, ALIGN(size, 4) - size);
}

static u32 string_offset(struct mk_fdt_out *out, const char *name)
{
	size_t at, size = strlen(name) + 1;
	char *new;

	for (at = 0; at < out->strings.used; at += strlen((char *)out->strings.data + at) + 1)
		if (!strcmp((char *)out->strings.data + at, name))
			return at;
	new = grow(out, &out->strings, size);
	if (new)
		memcpy(new, name, size);
	return at;
}

void mk_fdt_begin(struct mk_fdt_out *out, const char *name)
{
	put_word(out, 1);
	put_bytes(out, name, strlen(name) + 1);
}

void mk_fdt_end(struct mk_fdt_out *out)
{
	put_word(out, 2);
}

void mk_fdt_put(struct mk_fdt_out *out, const char *name, const void *data, u32 size)
{
	put_word(out, 3);
	put_word(out, size);
	put_word(out, string_offset(out, name));
	put_bytes(out, data, size);
}

void mk_fdt_put_u32(struct mk_fdt_out *out, const char *name, u32 value)
{
	__be32 cell = cpu_to_be32(value);

	mk_fdt_put(out, name, &cell, sizeof(cell));
}

void mk_fdt_put_u64s(struct mk_fdt_out *out, const char *name, const u64 *values, unsigned int count)
{
	unsigned int i;
	void *at;

	put_word(out, 3);
	put_word(out, 8 * count);
	put_word(out, string_offset(out, name));
	at = grow(out, &out->structure, 8 * count);
	for (i = 0; at && i < count; i++)
		mk_set_cells(at + 8 * i, values[i]);
}

void mk_fdt_put_string(struct mk_fdt_out *out, const char *name, const char *value)
{
	mk_fdt_put(out, name, value, strlen(value) + 1);
}

void *mk_fdt_finish(struct mk_fdt_out *out, size_t *size)
{
	u32 structure = HEADER + RESERVE, strings, total;
	u32 *header = NULL;

	put_word(out, 9);
	strings = structure + out->structure.used;
	total = strings + out->strings.used;
	if (!out->error) {
		header = kvzalloc(total, GFP_KERNEL);
		if (!header)
			out->error = -ENOMEM;
	}
	if (!out->error) {
		const u32 words[] = {
			0xd00dfeed, total, structure, strings, HEADER, 17, 16, 0, out->strings.used,
			out->structure.used
		};
		unsigned int i;

		for (i = 0; i < ARRAY_SIZE(words); i++)
			mk_set_cell(&header[i], words[i]);
		memcpy((u8 *)header + structure, out->structure.data, out->structure.used);
		if (out->strings.used)
			memcpy((u8 *)header + strings, out->strings.data, out->strings.used);
		*size = total;
	}
	kvfree(out->structure.data);
	kvfree(out->strings.data);
	return out->error ? ERR_PTR(out->error) : header;
}
