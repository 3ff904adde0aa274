/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_FILESYSTEM_H
#define MK_FILESYSTEM_H

#include "kernfs.h"

#include <linux/build_bug.h>
#include <linux/fs.h>

enum mk_kind {
	MK_IN_ROOT, MK_IN_INSTANCES, MK_IN_OVERLAYS, MK_IN_SPAWN, MK_IN_TRANSACTION, MK_IN_NR_DIRECTORIES,	/* directories */
	MK_IN_ROOT_TREE = MK_IN_NR_DIRECTORIES, MK_IN_OVERLAY_NEW,
	MK_IN_SPAWN_ID, MK_IN_SPAWN_STATUS, MK_IN_SPAWN_TREE,
	MK_IN_TX_ID, MK_IN_TX_STATUS, MK_IN_TX_TARGET, MK_IN_TX_RESOURCES, MK_IN_TX_BLOB, MK_IN_NR_KINDS
};

/* An inode's number tells its kind, and behind it the serial number of the object that it is about. */
#define MK_IN_KINDS 16
static_assert(MK_IN_NR_KINDS < MK_IN_KINDS);

static inline enum mk_kind mk_kind_of(const struct inode *inode)
{
	return inode->i_ino % MK_IN_KINDS;
}

/* files.c */
extern const struct file_operations mk_file_operations;

#endif
