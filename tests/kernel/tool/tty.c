/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICE "/dev/mktty"

static int device(int flags)
{
	int fd = open(DEVICE, O_RDWR | flags);

	if (fd < 0)
		die(DEVICE);
	return fd;
}

static int console(const char *id, int flags)
{
	int fd = device(flags);
	char text[16];

	snprintf(text, sizeof(text), "%s\n", id);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		puts(strerrorname_np(errno));
		exit(1);
	}
	return fd;
}

/* TEXT is the whole first write. */
int tty_choose(const char *text)
{
	return result(write(device(0), text, strlen(text)));
}

/* What a read says before a choice, and after it when there is nothing; how much one write takes. */
int tty_errors(const char *id)
{
	static char page[8192];
	int fd = device(O_NONBLOCK);
	ssize_t n = read(fd, page, sizeof(page));

	printf("unchosen=%s", n < 0 ? strerrorname_np(errno) : "ok");
	fd = console(id, O_NONBLOCK);
	n = read(fd, page, sizeof(page));
	printf(" empty=%s", n < 0 ? strerrorname_np(errno) : "ok");
	memset(page, 'x', sizeof(page));
	n = write(fd, page, sizeof(page));
	printf(" long=%zd\n", n);
	return 0;
}

/* Types until nothing more is taken. */
int tty_fill(const char *id)
{
	static char block[4000];
	int fd = console(id, 0), n = 0, tries = 200;

	memset(block, 'x', sizeof(block));
	while (tries-- && write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		n++;
	printf("writes=%d then=%s\n", n, strerrorname_np(errno));
	return 0;
}

int tty_hold(const char *id, int seconds)
{
	int fd = console(id, 0);

	(void)fd;
	sleep(seconds);
	return 0;
}

static int type(int fd, const char *text)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s\n", text);
	return write(fd, line, strlen(line)) < 0 ? result(-1) : 0;
}

int tty_talk(const char *id, int seconds, const char *wanted, const char *text)
{
	static char all[1 << 20];
	int fd = console(id, O_NONBLOCK);	/* another reader may be faster */
	struct pollfd p = { fd, POLLIN, 0 };
	size_t used = 0;
	ssize_t n;

	if (*text && type(fd, text))
		return 1;
	while (poll(&p, 1, seconds * 1000) > 0) {
		n = read(fd, all + used, sizeof(all) - 1 - used);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0) {
			puts(all);
			return result(-1);
		}
		used += n;
		if (strstr(all, wanted) || used == sizeof(all) - 1)
			break;
	}
	puts(all);
	return !strstr(all, wanted);
}

int tty_drain(const char *id, int seconds, const char *text)
{
	int fd = console(id, 0);
	struct pollfd p = { fd, POLLIN, 0 };
	char data[4096];
	long total = 0, lines = 0, i;
	ssize_t n;

	if (type(fd, text))
		return 1;
	while (poll(&p, 1, seconds * 1000) > 0 && (n = read(fd, data, sizeof(data))) > 0) {
		total += n;
		for (i = 0; i < n; i++)
			lines += data[i] == '\n';
	}
	printf("bytes=%ld lines=%ld\n", total, lines);
	return 0;
}
