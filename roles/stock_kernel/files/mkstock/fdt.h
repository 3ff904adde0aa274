/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_FDT_H
#define MK_FDT_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

/* Cells of a tree, big-endian and of any alignment. The kernel's own functions for it have moved between headers. */
static inline u32 mk_cell(const void *at)
{
	__be32 cell;

	memcpy(&cell, at, sizeof(cell));
	return be32_to_cpu(cell);
}

static inline u64 mk_cells(const void *at)
{
	__be64 cells;

	memcpy(&cells, at, sizeof(cells));
	return be64_to_cpu(cells);
}

static inline void mk_set_cell(void *at, u32 value)
{
	__be32 cell = cpu_to_be32(value);

	memcpy(at, &cell, sizeof(cell));
}

static inline void mk_set_cells(void *at, u64 value)
{
	__be64 cells = cpu_to_be64(value);

	memcpy(at, &cells, sizeof(cells));
}

/* A flattened device tree that somebody else wrote. A node is the offset of its beginning; MK_NO_NODE is none. */
struct mk_fdt {
	const u8 *structure, *strings;
	u32 structure_size, strings_size;
};

#define MK_NO_NODE (-1)

int mk_fdt_open(struct mk_fdt *fdt, const void *blob, size_t size);
u32 mk_fdt_total(const void *blob);
int mk_fdt_root(const struct mk_fdt *fdt);
/* The child after @previous, or the first one for MK_NO_NODE. */
int mk_fdt_child(const struct mk_fdt *fdt, int node, int previous);
int mk_fdt_find(const struct mk_fdt *fdt, int node, const char *name);
const char *mk_fdt_name(const struct mk_fdt *fdt, int node);
/* The names of a node's properties, one after the other; *@at begins at 0. NULL after the last one. */
const char *mk_fdt_property_name(const struct mk_fdt *fdt, int node, u32 *at);
/* NULL when there is no such property. */
const void *mk_fdt_get(const struct mk_fdt *fdt, int node, const char *name, u32 *size);
/* -ENOENT when it is not there, -EINVAL when it has another width or, for a string, no end. */
int mk_fdt_u32(const struct mk_fdt *fdt, int node, const char *name, u32 *value);
int mk_fdt_u64(const struct mk_fdt *fdt, int node, const char *name, u64 *value);
int mk_fdt_string(const struct mk_fdt *fdt, int node, const char *name, const char **value);

/* A tree in the making. After the first failure nothing more is written, and the end says so. */
struct mk_fdt_buffer {
	u8 *data;
	size_t used, room;
};

struct mk_fdt_out {
	struct mk_fdt_buffer structure, strings;
	int error;
};

void mk_fdt_begin(struct mk_fdt_out *out, const char *name);
void mk_fdt_end(struct mk_fdt_out *out);
void mk_fdt_put(struct mk_fdt_out *out, const char *name, const void *data, u32 size);
void mk_fdt_put_u32(struct mk_fdt_out *out, const char *name, u32 value);
void mk_fdt_put_u64s(struct mk_fdt_out *out, const char *name, const u64 *values, unsigned int count);
void mk_fdt_put_string(struct mk_fdt_out *out, const char *name, const char *value);
/* The blob, to be freed by kvfree(), or an error; @out is empty again. */
void *mk_fdt_finish(struct mk_fdt_out *out, size_t *size);

#endif
