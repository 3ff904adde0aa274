/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_RECORD_H
#define MK_RECORD_H

#include "mkstock.h"

#include <linux/build_bug.h>

#define MK_RECORD_MAGIC		0x3152434552534b4dULL	/* "MKSRECR1" */
#define MK_RECORD_VERSION	1
#define MK_LAYOUT_MAX		160

/*
 * What a host that goes into another kernel by kexec leaves behind: this head, and behind it lines of text. The checksum (CRC-32 as
 * zlib's) is that of head, with this word zero, and text. It is written once, when nothing changes any more.
 */
struct mk_record_head {
	u64 magic;
	u32 version;
	u32 size;		/* of the text, in bytes */
	u32 crc;
	u32 unused;
	u64 tsc;		/* when it was written: a machine that was reset since counts from zero */
};
static_assert(sizeof(struct mk_record_head) == 32);

/* Lines to be written; what finds no room, and what cannot be carried on, makes the whole record void. */
struct mk_record {
	char *text;
	size_t room, used;
	unsigned int instances, channels;
	const char *trouble;	/* the first reason why it cannot be carried on, a sentence */
};

__printf(2, 3) void mk_record_put(struct mk_record *record, const char *format, ...);
void mk_record_trouble(struct mk_record *record, const char *sentence);

/* Each part's lines. Under mk_lock but for the channels'. */
void mk_pool_save(struct mk_record *record);
void mk_images_save(struct mk_record *record);
void mk_instances_save(struct mk_record *record);
void mk_channels_save(struct mk_record *record);
void mk_shares_save(struct mk_record *record);
void mk_watches_save(struct mk_record *record);

/* And back: 0, or an error with a sentence in *@why. The text may be cut into words. */
int mk_image_adopt(u64 entry, const struct mk_range *segments, unsigned int nr, const char **why);
int mk_instance_adopt(u64 entry, char *apic_ids, const struct mk_range *memory, unsigned int nr_memory, u32 console, u64 nonce,
		      const char **why);

/* record.c */
char *mk_record_found(u32 *size, const char **why);

#endif
