/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#include "mkt.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <x86intrin.h>
#include <unistd.h>

/* The host goes into another kernel, as kexec(8) does it; comes back only when that is refused. */
int host_kexec(const char *kernel, const char *initrd, const char *words)
{
	int image = open(kernel, O_RDONLY), ram = open(initrd, O_RDONLY);

	if (image < 0 || ram < 0)
		die("open");
	if (syscall(SYS_kexec_file_load, image, ram, strlen(words) + 1, words, 0))
		return result(-1);
	sync();
	return result(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x45584543, 0));
}

/* As the module's description has it: this head, then lines of text; CRC-32 as zlib's, over both, with its own word zero. */
struct head {
	uint64_t magic;
	uint32_t version, size, crc, unused;
	uint64_t tsc;
};

enum { RECORD_AT = 0x1000, RECORD_SIZE = 0xf000 };
#define RECORD_MAGIC 0x3152434552534b4dull

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;
	int bit;

	while (n--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static uint8_t page[RECORD_SIZE];

static int open_memory(void)
{
	int fd = open("/dev/mem", O_RDWR);

	if (fd < 0)
		die("/dev/mem");
	return fd;
}

/* Prints the lines of the record; 1 when there is none, or its checksum is wrong. */
int record_get(void)
{
	struct head *head = (struct head *)page;
	uint32_t crc;

	if (pread(open_memory(), page, sizeof(page), RECORD_AT) != sizeof(page))
		die("read");
	if (head->magic != RECORD_MAGIC || head->size > sizeof(page) - sizeof(*head))
		return 1;
	crc = head->crc;
	head->crc = 0;
	fwrite(head + 1, 1, head->size, stdout);
	return crc != crc32(page, sizeof(*head) + head->size);
}

int record_put(const char *flaw)
{
	struct head *head = (struct head *)page;

	*head = (struct head){ RECORD_MAGIC, 1, 0, 0, 0, __rdtsc() };
	head->size = fread(head + 1, 1, sizeof(page) - sizeof(*head), stdin);
	if (!strcmp(flaw, "magic"))
		head->magic++;
	if (!strcmp(flaw, "version"))
		head->version++;
	if (!strcmp(flaw, "tsc"))
		head->tsc += 1ull << 60;
	head->crc = crc32(page, sizeof(*head) + head->size);
	if (!strcmp(flaw, "crc"))
		page[sizeof(*head)] ^= 1;
	if (!strcmp(flaw, "size"))
		head->size = sizeof(page);
	return result(pwrite(open_memory(), page, sizeof(page), RECORD_AT) == sizeof(page) ? 0 : -1);
}
