// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Parameters, and the order in which the parts of the module start and stop.
 */
#include "kernfs.h"

#include <linux/module.h>
#include <linux/string.h>

DEFINE_MUTEX(mk_lock);

bool mk_strict;
module_param_named(strict_rfc, mk_strict, bool, 0444);
MODULE_PARM_DESC(strict_rfc, "behave like the RFC kernel in its dangers, too (but never touch memory of the host)");

bool mk_is_client;
static char *role = "host";
module_param(role, charp, 0444);
MODULE_PARM_DESC(role, "host: starts instances; client: is one");

bool mk_abi_rfc = true, mk_abi_kernfs;
static char *abi = "rfc";
module_param(abi, charp, 0444);
MODULE_PARM_DESC(abi, "which interface the host shows: rfc (/proc/multikernel), kernfs (/sys/fs/multikernel) or both");

struct part {
	int (*start)(void);
	void (*stop)(void);
};

/* The doors last: nobody comes in before everything stands, and all are out before anything goes. */
static const struct part host_parts[] = {
	{ mk_symbol_start, NULL },
	{ mk_pool_start, mk_pool_stop },
	{ mk_start_start, mk_start_stop },
	{ mk_instance_start, mk_instance_stop },
	{ mk_kernfs_start, mk_kernfs_stop },	/* its pool goes after the channels that lie in it */
	{ mk_channels_start, mk_channels_stop },
	{ NULL, mk_select_stop },
	{ mk_image_start, mk_image_stop },
	{ mk_window_start, mk_window_stop },
	{ mk_control_start, mk_control_stop },
	{ mk_tty_start, mk_tty_stop },
	{ mk_record_start, mk_record_stop },
	{ mk_hook_start, mk_hook_stop },
	{ mk_adopt_start, mk_adopt_stop },	/* cannot be undone: instances hold the module */
	{ }
};

static const struct part client_parts[] = {
	{ mk_channels_start, mk_channels_stop },
	{ mk_client_start, mk_client_stop },
	{ mk_console_start, mk_console_stop },
	{ mk_control_start, mk_control_stop },
	{ mk_hook_start, mk_hook_stop },
	{ }
};

static const struct part *parts(void)
{
	return mk_is_client ? client_parts : host_parts;
}

static bool is_end(const struct part *part)
{
	return !part->start && !part->stop;
}

static void stop_before(const struct part *part)
{
	while (part-- != parts())
		if (part->stop)
			part->stop();
}

static int __init mk_init(void)
{
	const struct part *part;
	int ret = 0;

	if (!strcmp(role, "client"))
		mk_is_client = true;
	else if (strcmp(role, "host"))
		return -EINVAL;
	mk_abi_rfc = strcmp(abi, "kernfs");
	mk_abi_kernfs = strcmp(abi, "rfc");
	if (mk_abi_rfc && mk_abi_kernfs && strcmp(abi, "both"))
		return -EINVAL;
	for (part = parts(); !is_end(part); part++) {
		ret = part->start ? part->start() : 0;
		if (ret)
			goto out;
	}
	return 0;
out:
	stop_before(part);
	return ret;
}

static void __exit mk_exit(void)
{
	const struct part *end = parts();

	while (!is_end(end))
		end++;
	stop_before(end);
}

module_init(mk_init);
module_exit(mk_exit);
MODULE_LICENSE("GPL v2");
MODULE_VERSION(MK_VERSION);
MODULE_AUTHOR("multikernel.core contributors");
MODULE_DESCRIPTION("Multikernel RFC interface for stock kernels");
