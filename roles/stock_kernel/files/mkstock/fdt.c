// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Flattened device trees, read. Debian's kernels for x86 have no libfdt, and root may write anything here: every offset is
 * checked against what was received, and a tree that is cut or damaged shows up as one that lacks nodes.
 */
#include "fdt.h"

#include <linux/errno.h>
#include <linux/kernel.h>

#define MAGIC		0xd00dfeed
#define BEGIN_NODE	1
#define END_NODE	2
#define PROP		3
#define NOP		4
#define END		9

struct header {
	__be32 magic, totalsize, off_dt_struct, off_dt_strings, off_mem_rsvmap, version, last_comp_version;
	__be32 boot_cpuid_phys, size_dt_strings, size_dt_struct;
};

u32 mk_fdt_total(const void *blob)
{
	return mk_cell(&((const struct header *)blob)->totalsize);
}

/* What of a block of @size bytes at @offset was received. */
static u32 received(u32 offset, u32 size, size_t all)
{
	return offset >= all ? 0 : min_t(size_t, size, all - offset);
}

/* As libfdt checks a header: magic, version, and blocks that lie within the total size; whether all of it came is not asked. */
int mk_fdt_open(struct mk_fdt *fdt, const void *blob, size_t size)
{
	const struct header *h = blob;
	u32 total, structure, strings, structure_size, strings_size, reserved;

	if (size < sizeof(*h) || mk_cell(&h->magic) != MAGIC)
		return -EINVAL;
	if (mk_cell(&h->version) < 17 || mk_cell(&h->last_comp_version) > 17 ||
	    mk_cell(&h->last_comp_version) > mk_cell(&h->version))
		return -EINVAL;
	total = mk_cell(&h->totalsize);
	structure = mk_cell(&h->off_dt_struct);
	strings = mk_cell(&h->off_dt_strings);
	reserved = mk_cell(&h->off_mem_rsvmap);
	structure_size = mk_cell(&h->size_dt_struct);
	strings_size = mk_cell(&h->size_dt_strings);
	if (total < sizeof(*h) || total > INT_MAX)
		return -EINVAL;
	if (reserved < sizeof(*h) || reserved > total || structure < sizeof(*h) || structure > total ||
	    structure_size > total - structure || strings < sizeof(*h) || strings > total ||
	    strings_size > total - strings)
		return -EINVAL;
	fdt->structure = blob + structure;
	fdt->structure_size = received(structure, structure_size, size);
	fdt->strings = blob + strings;
	fdt->strings_size = received(strings, strings_size, size);
	return 0;
}

/* One token of the structure block: what it is, and where the next one begins. */
struct token {
	u32 what;
	u32 next;
	u32 size;	/* of a property's value */
	u32 name;	/* of a property: offset of its name */
	const u8 *data;	/* of a property: its value; of a node: its name */
};

static struct token token_at(const struct mk_fdt *fdt, u32 at)
{
	struct token token = { .what = END };
	u32 left, length;

	if (at % 4 || at > fdt->structure_size || fdt->structure_size - at < 4)
		return token;
	left = fdt->structure_size - at - 4;
	token.data = fdt->structure + at + 4;
	token.next = at + 4;
	switch (mk_cell(fdt->structure + at)) {
	case BEGIN_NODE:
		length = strnlen(token.data, left);
		if (length == left)
			return token;
		token.next += ALIGN(length + 1, 4);
		token.what = BEGIN_NODE;
		break;
	case PROP:
		if (left < 8)
			return token;
		token.size = mk_cell(token.data);
		token.name = mk_cell(token.data + 4);
		if (token.size > left - 8)
			return token;
		token.data += 8;
		token.next += 8 + ALIGN(token.size, 4);
		token.what = PROP;
		break;
	case END_NODE:
		token.what = END_NODE;
		break;
	case NOP:
		token.what = NOP;
		break;
	}
	return token;
}

int mk_fdt_root(const struct mk_fdt *fdt)
{
	struct token token;
	u32 at;

	for (at = 0; ; at = token.next) {
		token = token_at(fdt, at);
		if (token.what == BEGIN_NODE)
			return at;
		if (token.what != NOP)
			return MK_NO_NODE;
	}
}

/* Where the first thing inside @node is, or what comes behind its end. */
static u32 inside(const struct mk_fdt *fdt, int node)
{
	return token_at(fdt, node).next;
}

static u32 behind(const struct mk_fdt *fdt, int node)
{
	u32 at = inside(fdt, node), depth = 1;

	while (depth) {
		struct token token = token_at(fdt, at);

		if (token.what == END)
			return at;
		if (token.what == BEGIN_NODE)
			depth++;
		if (token.what == END_NODE)
			depth--;
		at = token.next;
	}
	return at;
}

int mk_fdt_child(const struct mk_fdt *fdt, int node, int previous)
{
	u32 at;

	if (node == MK_NO_NODE)
		return MK_NO_NODE;
	at = previous == MK_NO_NODE ? inside(fdt, node) : behind(fdt, previous);
	for (;;) {
		struct token token = token_at(fdt, at);

		if (token.what == BEGIN_NODE)
			return at;
		if (token.what != PROP && token.what != NOP)
			return MK_NO_NODE;
		at = token.next;
	}
}

const char *mk_fdt_name(const struct mk_fdt *fdt, int node)
{
	return (const char *)token_at(fdt, node).data;
}

int mk_fdt_find(const struct mk_fdt *fdt, int node, const char *name)
{
	int child = MK_NO_NODE;

	while ((child = mk_fdt_child(fdt, node, child)) != MK_NO_NODE)
		if (!strcmp(mk_fdt_name(fdt, child), name))
			break;
	return child;
}

static bool is_named(const struct mk_fdt *fdt, u32 offset, const char *name)
{
	size_t length = strlen(name) + 1;

	return offset < fdt->strings_size && length <= fdt->strings_size - offset &&
	       !memcmp(fdt->strings + offset, name, length);
}

const void *mk_fdt_get(const struct mk_fdt *fdt, int node, const char *name, u32 *size)
{
	u32 at;

	if (node == MK_NO_NODE)
		return NULL;
	for (at = inside(fdt, node); ; ) {
		struct token token = token_at(fdt, at);

		/* properties come before the nodes inside */
		if (token.what != PROP && token.what != NOP)
			return NULL;
		if (token.what == PROP && is_named(fdt, token.name, name)) {
			*size = token.size;
			return token.data;
		}
		at = token.next;
	}
}

const char *mk_fdt_property_name(const struct mk_fdt *fdt, int node, u32 *at)
{
	if (!*at)
		*at = inside(fdt, node);
	for (;;) {
		struct token token = token_at(fdt, *at);

		if (token.what != PROP && token.what != NOP)
			return NULL;
		*at = token.next;
		if (token.what == PROP && token.name < fdt->strings_size &&
		    strnlen(fdt->strings + token.name, fdt->strings_size - token.name) < fdt->strings_size - token.name)
			return (const char *)fdt->strings + token.name;
	}
}

int mk_fdt_u32(const struct mk_fdt *fdt, int node, const char *name, u32 *value)
{
	const void *data;
	u32 size;

	data = mk_fdt_get(fdt, node, name, &size);
	if (!data)
		return -ENOENT;
	if (size != 4)
		return -EINVAL;
	*value = mk_cell(data);
	return 0;
}

int mk_fdt_u64(const struct mk_fdt *fdt, int node, const char *name, u64 *value)
{
	const void *data;
	u32 size;

	data = mk_fdt_get(fdt, node, name, &size);
	if (!data)
		return -ENOENT;
	if (size != 8)
		return -EINVAL;
	*value = mk_cells(data);
	return 0;
}

int mk_fdt_string(const struct mk_fdt *fdt, int node, const char *name, const char **value)
{
	const char *data;
	u32 size;

	data = mk_fdt_get(fdt, node, name, &size);
	if (!data)
		return -ENOENT;
	if (!size || strnlen(data, size) == size)
		return -EINVAL;
	*value = data;
	return 0;
}
