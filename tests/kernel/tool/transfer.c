/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

int channel_open(const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/mkchan/%s", name);
	fd = open(path, flags);
	if (fd < 0)
		die(path);
	return fd;
}

/* Sends COUNT messages without waiting, those that are taken numbered without a gap; says how many were. */
int flood(const char *name, int count, size_t size)
{
	int fd = channel_open(name, O_WRONLY | O_NONBLOCK), taken = 0, i;
	char message[256] = "";

	for (i = 0; i < count; i++) {
		snprintf(message, sizeof(message), "message %d", taken);
		if (write(fd, message, size) == (ssize_t)size)
			taken++;
		else if (errno != EAGAIN)
			return result(-1);
	}
	printf("taken=%d refused=%d\n", taken, count - taken);
	return 0;
}

int receive(const char *name, int seconds)
{
	int fd = channel_open(name, O_RDONLY);
	struct pollfd p = { fd, POLLIN, 0 };
	char message[257];
	ssize_t n;

	if (poll(&p, 1, seconds * 1000) <= 0)
		return 1;
	n = read(fd, message, 256);	/* also after POLLERR: the error has a name */
	if (n < 0)
		return result(-1);
	message[n] = '\0';
	puts(message);
	return 0;
}

/* Reads numbered messages up to the flood's own summary: none may be missing, twice or out of order. */
int count(const char *name, int seconds)
{
	int fd = channel_open(name, O_RDONLY), n = 0, number, said = -1, in_order = 1;
	struct pollfd p = { fd, POLLIN, 0 };
	char message[257];
	ssize_t size;

	while (said < 0 && poll(&p, 1, seconds * 1000) > 0) {
		size = read(fd, message, 256);
		if (size < 0)
			die("read");
		message[size] = '\0';
		if (sscanf(message, "taken=%d", &said) == 1)
			break;
		if (sscanf(message, "message %d", &number) != 1 || number != n)
			in_order = 0;
		n++;
	}
	printf("got=%d said=%d in_order=%d\n", n, said, in_order);
	return !in_order || n != said;
}


/* The next COUNT messages and errors in one line, whichever comes. */
int events(const char *name, int seconds, int count)
{
	int fd = channel_open(name, O_RDWR);
	struct pollfd p = { fd, POLLIN | POLLPRI, 0 };
	char message[257];
	ssize_t n;

	while (count-- > 0) {
		if (poll(&p, 1, seconds * 1000) <= 0) {
			puts("timeout");
			return 1;
		}
		n = read(fd, message, 256);
		message[n < 0 ? 0 : n] = '\0';
		printf("%s%s%s ", p.revents & POLLPRI ? "!" : "", n < 0 ? strerrorname_np(errno) : message,
		       p.revents & POLLHUP ? "^" : "");
	}
	puts("");
	return 0;
}

/* Two questions, each followed by reads until EAGAIN; an edge-triggered epoll must tell of either answer. */
int edge(const char *name)
{
	int fd = channel_open(name, O_RDWR | O_NONBLOCK), poll = epoll_create1(0), i;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	char message[257];

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	for (i = 0; i < 2; i++) {
		while (read(fd, message, 256) >= 0)
			;
		if (write(fd, "edge", 4) != 4 || epoll_wait(poll, &event, 1, 10000) != 1) {
			puts("nothing came");
			return 1;
		}
		usleep(10000);
	}
	puts("told twice");
	return 0;
}

/* COUNT round trips; an answer that does not come within 20 s ends it. The other end answers with the same COUNT. */
int ping_pong(const char *name, int count, int asks)
{
	int fd = channel_open(name, O_RDWR), i, got;
	struct pollfd p = { fd, POLLIN, 0 };

	for (i = 0; i < count; i++) {
		if (asks && write(fd, &i, sizeof(i)) != sizeof(i))
			die("write");
		if (poll(&p, 1, 20000) <= 0 || read(fd, &got, sizeof(got)) != sizeof(got) || got != i)
			break;
		if (!asks && write(fd, &i, sizeof(i)) != sizeof(i))
			die("write");
	}
	printf("%d of %d\n", i, count);
	return i != count;
}

/* With too little room the message stays; how long it is can be tried. */
int read_short(const char *name, int size)
{
	char message[256];

	return result(read(channel_open(name, O_RDONLY | O_NONBLOCK), message, size));
}

struct checked {
	uint64_t number;
	uint32_t size, checksum;
	uint8_t data[240];
};
#define HEAD offsetof(struct checked, data)

static uint32_t checksum(const struct checked *m)
{
	uint32_t sum = 2166136261u ^ (uint32_t)m->number ^ m->size;
	uint32_t i;

	for (i = 0; i < m->size - HEAD; i++)
		sum = (sum ^ m->data[i]) * 16777619u;
	return sum;
}

static void fill(struct checked *m, uint64_t number, size_t room)
{
	uint64_t random = number * 6364136223846793005ull + 1442695040888963407ull;
	uint32_t i;

	m->number = number;
	m->size = HEAD + (random >> 33) % (room - HEAD + 1);
	for (i = 0; i < m->size - HEAD; i++)
		m->data[i] = random >> (i % 8 * 8);
	m->checksum = checksum(m);
}

static int produce(const char *name, long count, size_t room)
{
	int fd = channel_open(name, O_WRONLY);
	struct checked m;
	long i;

	for (i = 0; i < count; i++) {
		fill(&m, i, room);
		if (write(fd, &m, m.size) != (ssize_t)m.size)
			return 1;
	}
	return 0;
}

/* Both ways at once. Lost, doubled and bad are counted on the way in. */
int stress(const char *name, long count, size_t room)
{
	long got = 0, lost = 0, doubled = 0, bad = 0;
	int fd = channel_open(name, O_RDONLY), status;
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t next = 0;
	struct checked m;
	pid_t child = fork();
	ssize_t n;

	if (!child)
		_exit(produce(name, count, room));
	while (next < (uint64_t)count && poll(&p, 1, 60000) > 0) {
		n = read(fd, &m, sizeof(m));
		if (n < 0)
			die("read");
		got++;
		if (n < (ssize_t)HEAD || n != (ssize_t)m.size || m.checksum != checksum(&m)) {
			bad++;
			continue;
		}
		if (m.number < next)
			doubled++;
		else
			lost += m.number - next;
		if (m.number >= next)
			next = m.number + 1;
	}
	lost += count - next;
	waitpid(child, &status, 0);
	printf("%s=%ld received=%ld lost=%ld doubled=%ld bad=%ld\n", status ? "write failed" : "sent", count, got, lost, doubled, bad);
	return status || lost || doubled || bad;
}
