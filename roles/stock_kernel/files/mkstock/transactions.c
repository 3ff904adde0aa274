// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Transactions: each overlay that was written and had a header leaves one, whether it could be applied or not. The errno of a
 * failed one goes to the kernel's log only.
 */
#include "kernfs.h"

#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/slab.h>

LIST_HEAD(mk_transactions);
static u32 last_id = 1;		/* counted up before it is used: the first one is 2 */

static const char *const outcomes[] = {
	[MK_PENDING] = "pending", [MK_APPLIED] = "applied", [MK_TX_FAILED] = "failed", [MK_REMOVED] = "removed",
};

const char *mk_transaction_status(const struct mk_transaction *transaction)
{
	return outcomes[READ_ONCE(transaction->outcome)];
}

static void free_transaction(struct mk_object *object)
{
	kvfree(container_of(object, struct mk_transaction, object));
}

/* fragment@HEX */
static int unit_of(const struct mk_fdt *fdt, int node, u32 *unit)
{
	static const char prefix[] = "fragment@";
	const char *name = mk_fdt_name(fdt, node);

	if (strncmp(name, prefix, strlen(prefix)))
		return -ENOENT;
	return kstrtou32(name + strlen(prefix), 16, unit) ? -EINVAL : 0;
}

/* The fragment whose unit comes next in the given direction; -ENOENT after the last one, -EINVAL when one has no number. */
static int next_fragment(const struct mk_fdt *fdt, s64 *at, bool backwards, int *fragment)
{
	int node = MK_NO_NODE, ret;
	s64 best = 0;
	u32 unit;

	*fragment = MK_NO_NODE;
	while ((node = mk_fdt_child(fdt, mk_fdt_root(fdt), node)) != MK_NO_NODE) {
		ret = unit_of(fdt, node, &unit);
		if (ret == -EINVAL)
			return ret;
		if (ret || (backwards ? unit >= *at : unit <= *at))
			continue;
		if (*fragment != MK_NO_NODE && (backwards ? unit <= best : unit >= best))
			continue;
		best = unit;
		*fragment = node;
	}
	*at = best;
	return *fragment == MK_NO_NODE ? -ENOENT : 0;
}

static int apply(struct mk_transaction *transaction, const struct mk_fdt *fdt)
{
	unsigned int count = 0;
	int fragment, ret;
	s64 at = -1;

	for (;;) {
		ret = next_fragment(fdt, &at, false, &fragment);
		if (ret == -ENOENT)
			return count ? 0 : -EINVAL;
		if (!ret)
			ret = mk_fragment_apply(fdt, fragment);
		if (ret)
			return ret;
		count++;
	}
}

static void describe(struct mk_transaction *transaction, const struct mk_fdt *fdt)
{
	const char *text;
	int fragment;
	s64 at = -1;

	strscpy(transaction->target, "unknown", sizeof(transaction->target));
	strscpy(transaction->resources, "unknown", sizeof(transaction->resources));
	if (!mk_fdt_string(fdt, mk_fdt_root(fdt), "mk,resources", &text))
		strscpy(transaction->resources, text, sizeof(transaction->resources));
	if (!next_fragment(fdt, &at, false, &fragment) && !mk_fdt_string(fdt, fragment, "target-path", &text))
		strscpy(transaction->target, text, sizeof(transaction->target));
}

/* 0 also for an overlay that then fails: the transaction's status says so. Needs mk_tree_lock. */
int mk_transaction_submit(const void *blob, size_t size)
{
	struct mk_transaction *transaction;
	struct mk_fdt fdt;
	int ret;

	if (!size || mk_fdt_open(&fdt, blob, size))
		return -EINVAL;
	transaction = kvzalloc(struct_size(transaction, blob, size), GFP_KERNEL);
	if (!transaction)
		return -ENOMEM;
	memcpy(transaction->blob, blob, size);
	transaction->size = size;
	mk_fdt_open(&fdt, transaction->blob, size);
	describe(transaction, &fdt);
	transaction->id = ++last_id;
	mk_object_init(&transaction->object, &mk_transactions, free_transaction);
	ret = apply(transaction, &fdt);
	if (ret)
		pr_warn("overlay: transaction %u failed: %d\n", transaction->id, ret);
	WRITE_ONCE(transaction->outcome, ret ? MK_TX_FAILED : MK_APPLIED);
	return 0;
}

/* Sends the inverse of each operation, last one first, whether it was ever applied or not. Needs mk_tree_lock. */
int mk_transaction_undo(struct mk_transaction *transaction)
{
	s64 at = (s64)U32_MAX + 1;
	struct mk_fdt fdt;
	int fragment, ret;

	if (transaction->outcome == MK_REMOVED)
		return -ENOENT;
	mk_fdt_open(&fdt, transaction->blob, transaction->size);
	while (!(ret = next_fragment(&fdt, &at, true, &fragment))) {
		ret = mk_fragment_undo(&fdt, fragment);
		if (ret)
			goto failed;
	}
	if (ret != -ENOENT)
		goto failed;
	WRITE_ONCE(transaction->outcome, MK_REMOVED);
	mk_object_remove(&transaction->object);
	return 0;
failed:
	pr_warn("overlay: rollback of transaction %u failed: %d\n", transaction->id, ret);
	WRITE_ONCE(transaction->outcome, MK_TX_FAILED);
	return ret;
}

void mk_transactions_release(void)
{
	struct mk_transaction *transaction, *next;

	list_for_each_entry_safe(transaction, next, &mk_transactions, object.node)
		mk_object_remove(&transaction->object);
}
