// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * A selection says what the next boot by the same process starts: which image, on which CPUs, in which memory. Without one a
 * boot follows the RFC: the first image of the list, on one CPU.
 */
#include "mkstock.h"

#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

static LIST_HEAD(selections);
static unsigned int nr_selections;

void mk_select_free(struct mk_selection *selection)
{
	if (!selection)
		return;
	put_pid(selection->owner);
	kfree(selection);
}

static void forget(struct mk_selection *selection)
{
	list_del(&selection->node);
	nr_selections--;
}

/* A process that died between its selection and its boot leaves one behind. */
static void forget_dead(void)
{
	struct mk_selection *selection, *next;

	list_for_each_entry_safe(selection, next, &selections, node) {
		bool dead;

		rcu_read_lock();
		dead = !pid_task(selection->owner, PIDTYPE_TGID);
		rcu_read_unlock();
		if (dead) {
			forget(selection);
			mk_select_free(selection);
		}
	}
}

/* The caller's selection, which is his no longer: it holds for one boot. Needs mk_lock. */
struct mk_selection *mk_select_take(void)
{
	struct mk_selection *selection;

	list_for_each_entry(selection, &selections, node) {
		if (selection->owner == task_tgid(current)) {
			forget(selection);
			return selection;
		}
	}
	return NULL;
}

/* Whether the caller has one. */
bool mk_select_pending(void)
{
	struct mk_selection *selection;
	bool yes = false;

	mutex_lock(&mk_lock);
	list_for_each_entry(selection, &selections, node)
		yes |= selection->owner == task_tgid(current);
	mutex_unlock(&mk_lock);
	return yes;
}

static int parse_word(struct mk_selection *selection, char *word)
{
	char *value = strchr(word, '=');
	int ret;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(word, "entry"))
		return kstrtoul(value, 0, &selection->entry);
	if (!strcmp(word, "cpus"))
		return cpulist_parse(value, &selection->cpus) ? -EINVAL : 0;
	if (strcmp(word, "memory"))
		return -EINVAL;
	ret = mk_ranges_parse(value, selection->memory, ARRAY_SIZE(selection->memory));
	if (ret < 0)
		return ret;
	selection->nr_memory = ret;
	return 0;
}

static int parse(struct mk_selection *selection, char *text)
{
	char *word;
	int ret;

	while ((word = strsep(&text, " \t\n"))) {
		if (!*word)
			continue;
		ret = parse_word(selection, word);
		if (ret)
			return ret;
	}
	if (!selection->entry || cpumask_empty(&selection->cpus) || !selection->nr_memory)
		return -EINVAL;
	return cpumask_subset(&selection->cpus, cpu_possible_mask) ? 0 : -EINVAL;
}

/* entry=0x.. cpus=2,3 memory=0x..+0x..[,..] */
int mk_select_write(char *text)
{
	struct mk_selection *selection, *old;
	int ret;

	if (mk_strict)
		return -EOPNOTSUPP;
	selection = kzalloc(sizeof(*selection), GFP_KERNEL);
	if (!selection)
		return -ENOMEM;
	selection->owner = get_pid(task_tgid(current));
	ret = parse(selection, text);
	if (ret)
		goto out;

	mutex_lock(&mk_lock);
	old = mk_select_take();
	forget_dead();
	if (nr_selections < MK_INSTANCES_MAX) {
		list_add(&selection->node, &selections);
		nr_selections++;
		selection = old;
	} else {
		ret = -ENOSPC;
	}
	mutex_unlock(&mk_lock);
out:
	mk_select_free(selection);
	return ret;
}

void mk_select_stop(void)
{
	struct mk_selection *selection, *next;

	list_for_each_entry_safe(selection, next, &selections, node) {
		forget(selection);
		mk_select_free(selection);
	}
}
