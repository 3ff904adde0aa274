/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * mkt: the test's own small client of the multikernel ABI. It is written from the ABI's description, apart from the product's
 * loader, so that a mistake in one does not hide in the other.
 */
#ifndef MKT_H
#define MKT_H

#include <stddef.h>
#include <stdint.h>

#define KEXEC_MULTIKERNEL 0x10

struct segment {
	const void *buf;
	size_t bufsz;
	unsigned long mem, memsz;
};

struct mailbox {
	uint64_t magic, beats, tsc_first, tsc_last;
	uint32_t state, nproc;
	uint64_t nonce;
	uint8_t unused[8];
	uint64_t longest;
	char uname[192];
	char text[256];
};

/* Memory map of an instance, relative to its base. */
enum {
	AT_MAILBOX = 0, AT_ACPI = 0x1000, AT_IOAPIC = 0x2000, AT_ENTRY = 0x3000, HEAD_SIZE = 0x4000,
	AT_RAM = 0x10000, AT_BOOT_PARAMS = 0x10000, AT_CMDLINE = 0x11000, AT_KERNEL = 0x1000000
};

#define PAGES(n) (((n) + 4095ul) & ~4095ul)

void die(const char *what);
void *slurp(const char *path, size_t *size);
/* Prints "ok" or the name of the error; returns 0 or 1. */
int result(long ret);
int load(unsigned long entry, const struct segment *segments, unsigned long nr, unsigned long flags);
void new_mailbox(struct mailbox *mailbox);

/* acpi.c: tables of an instance that has these CPUs and nothing else */
void acpi_build(uint8_t *page, uint64_t address, uint64_t ioapic, const unsigned int *ids, unsigned int nr, unsigned int bsp);

/* linux.c */
int load_linux(int argc, char **argv);

/* channel.c: the area of a channel as the loader writes it; NULL when there is none */
struct segment *channel_segment(const char *text);
int poke(const char *address, const char *value);

/* transfer.c: messages through /dev/mkchan */
int channel_open(const char *name, int flags);
int flood(const char *name, int count, size_t size);
int receive(const char *name, int seconds);
int count(const char *name, int seconds);
int events(const char *name, int seconds, int count);
int edge(const char *name);
int ping_pong(const char *name, int count, int asks);
int read_short(const char *name, int size);
int stress(const char *name, long count, size_t room);

/* share.c: memory through /dev/mkchan */
int share_write(const char *name, long offset, const char *text);
int share_read(const char *name, long offset);
int share_limits(const char *name, long size);

/* kexec.c */
int record_get(void);
int record_put(const char *flaw);
int host_kexec(const char *kernel, const char *initrd, const char *words);

/* tty.c: /dev/mktty */
int tty_choose(const char *text);
int tty_errors(const char *id);
int tty_fill(const char *id);
int tty_talk(const char *id, int seconds, const char *wanted, const char *text);
int tty_drain(const char *id, int seconds, const char *text);
int tty_hold(const char *id, int seconds);

/* payload.S: an instance that is no Linux */
extern const char payload[], flat_payload[], payload_end[];

/* fuzz.c */
int fuzz(char **argv);

/* fdt.c */
int fdt_build(int argc, char **argv);
int fdt_show(const char *path);

/* kernfs.c */
int put_file(const char *path, long offset);
int read_sizes(const char *path, size_t size);
int file_load(unsigned long id, const char *kernel, const char *initrd, const char *words, unsigned long flags);
int file_load_endless(unsigned long id, const char *kernel);
int file_unload(unsigned long id);
int command(const char *name, int id);
int write_payload(void);

#endif
