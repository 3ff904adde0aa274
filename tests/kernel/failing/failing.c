// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Lets one allocation or registration of mkstock fail, and counts what was not given back; see failing.h.
 */
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(lock);

static int fail_in;
module_param(fail_in, int, 0644);
MODULE_PARM_DESC(fail_in, "so many from now is the one that fails, and counts down to it; 0: none does");

static const char *failed = "nothing";	/* the last that did, a file and a line */
static int failed_line;

static int made;
module_param(made, int, 0444);
MODULE_PARM_DESC(made, "what is allocated and not given back yet");

bool mk_fails(const char *where, int line)
{
	unsigned long flags;
	bool fails;

	spin_lock_irqsave(&lock, flags);
	fails = fail_in && !--fail_in;
	if (fails) {
		failed = where;
		failed_line = line;
	}
	spin_unlock_irqrestore(&lock, flags);
	if (fails)
		printk(KERN_INFO "mkstock: failing %s:%d\n", where, line);
	return fails;
}

static void count(int change)
{
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	made += change;
	spin_unlock_irqrestore(&lock, flags);
}

void *mk_made(void *memory)
{
	if (!IS_ERR_OR_NULL(memory))
		count(1);
	return memory;
}

void mk_gone(const void *memory)
{
	if (!IS_ERR_OR_NULL(memory))
		count(-1);
}

int mk_settled(int ret)
{
	if (ret && made)
		printk(KERN_ERR "mkstock: BUG: %d allocations were not given back, after %s:%d failed\n", made, failed, failed_line);
	return ret;
}
