/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_MAILBOX_H
#define MK_MAILBOX_H

#include "mkstock.h"

#include <linux/build_bug.h>
#include <linux/stddef.h>

#define MK_MAILBOX_MAGIC	0x31424c49414d4b4dULL	/* "MKMAILB1" */
#define MK_MAILBOX_TO_ENTRY	0x3000			/* the entry stub lies behind it, by the memory map of an instance */
#define MK_INSTANCE_HEAD	0x10000			/* mailbox, tables, entry, console: no kernel's own memory */

enum mk_mailbox_state {
	MK_BLANK, MK_STARTING, MK_RUNNING, MK_PANICKED, MK_HALTED, MK_RESTART_REQUESTED, MK_POWERED_OFF
};

enum mk_mailbox_request { MK_NO_REQUEST, MK_PLEASE_HALT };

/* One page, where an instance says how it is; the loader writes it, then the instance does. */
struct mk_mailbox {
	u64 magic, beats, tsc_first, tsc_last;
	u32 state, nproc;
	u64 nonce;
	u32 request;		/* of the host: an enum mk_mailbox_request */
	u32 unused;
	u64 longest;		/* between two beats, in TSC ticks */
	char uname[192];
	char text[MK_TEXT_MAX];
};
static_assert(offsetof(struct mk_mailbox, uname) == 0x40);
static_assert(offsetof(struct mk_mailbox, text) == 0x100);

#endif
