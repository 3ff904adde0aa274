/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *map(const char *name, int flags, int protection, size_t size, int shared, off_t offset)
{
	return mmap(NULL, size, protection, shared, channel_open(name, flags), offset);
}

int share_write(const char *name, long offset, const char *text)
{
	char *p = map(name, O_RDWR, PROT_READ | PROT_WRITE, PAGES(offset + strlen(text) + 1), MAP_SHARED, 0);

	if (p == MAP_FAILED)
		return result(-1);
	strcpy(p + offset, text);
	return result(0);
}

int share_read(const char *name, long offset)
{
	char *p = map(name, O_RDONLY, PROT_READ, PAGES(offset + 256), MAP_SHARED, 0);

	if (p == MAP_FAILED)
		return result(-1);
	puts(p + offset);
	return 0;
}

static const char *name_of(long failed)
{
	return failed ? strerrorname_np(errno) : "ok";
}

/*
 * What a reader of SIZE bytes is refused, one word each: opening to write, a writable mapping, a private one, one that is longer, one
 * behind the end, read(); then it maps all, and is refused to make that writable.
 */
int share_limits(const char *name, long size)
{
	char path[64], byte = 0;
	int fd;
	void *p;

	snprintf(path, sizeof(path), "/dev/mkchan/%s", name);
	printf("%s ", name_of(open(path, O_RDWR) < 0));
	fd = channel_open(name, O_RDONLY);
	printf("%s ", name_of(mmap(NULL, size, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED));
	printf("%s ", name_of(mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED));
	printf("%s ", name_of(mmap(NULL, size + 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED));
	printf("%s ", name_of(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, size) == MAP_FAILED));
	printf("%s ", name_of(read(fd, &byte, 1) < 0));
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	printf("%s ", name_of(p == MAP_FAILED));
	printf("%s\n", name_of(mprotect(p, size, PROT_READ | PROT_WRITE)));
	return 0;
}
