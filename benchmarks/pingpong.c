/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * Round trips and messages a second, of one process and another: by a channel, a pipe, or a UNIX socket. Each is pinned to a CPU, sleeps
 * in read() until something comes, and does nothing else. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 256

static const char usage[] =
	"pingpong pipe|socket CPU CPU COUNT SIZE   two processes of this kernel\n"
	"pingpong channel NAME CPU COUNT SIZE      with the other end's `serve`\n"
	"pingpong serve NAME CPU                   answers until it is killed\n";

/* Where one side reads and writes whole messages. */
struct side {
	int in, out;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
}

static void put(const struct side *side, const void *message, size_t size)
{
	if (write(side->out, message, size) != (ssize_t)size)
		die("write");
}

/* A pipe knows no messages, so all that travels one way has one size; a channel and a socket give one each. */
static void get(const struct side *side, void *message, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(side->in, (char *)message + got, size - got);

		if (n <= 0)
			exit(n < 0);
		got += n;
	}
}

enum { ECHO, COUNT };

/* The first bytes of a message say what it wants: an echo, or to be counted until there were so many, which is said then. */
struct head {
	uint32_t kind, count;
};

static void serve(const struct side *side, size_t size)
{
	char message[MESSAGE_MAX];
	struct head *head = (struct head *)message;
	uint32_t counted = 0;

	for (;;) {
		get(side, message, size);
		if (head->kind == COUNT && ++counted < head->count)
			continue;
		counted = 0;
		put(side, message, size);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const struct side *side, uint32_t count, size_t size)
{
	uint64_t *times = calloc(count, sizeof(*times)), begin;
	char message[MESSAGE_MAX] = "";
	struct head *head = (struct head *)message;
	uint32_t i;

	head->kind = ECHO;
	for (i = 0; i < count / 10; i++) {
		put(side, message, size);
		get(side, message, size);
	}
	for (i = 0; i < count; i++) {
		begin = now();
		put(side, message, size);
		get(side, message, size);
		times[i] = now() - begin;
	}
	qsort(times, count, sizeof(*times), compare);
	*head = (struct head){ COUNT, count * 4 };
	begin = now();
	for (i = 0; i < count * 4; i++)
		put(side, message, size);
	get(side, message, size);
	printf("p50=%llu p99=%llu max=%llu messages_per_s=%llu\n", (long long)times[count / 2], (long long)times[count / 100 * 99],
	       (long long)times[count - 1], (long long)(count * 4 * 1000000000ull / (now() - begin)));
}

static void make_sides(int by_socket, struct side *a, struct side *b)
{
	int there[2], back[2];

	if (by_socket) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, there))
			die("socketpair");
		*a = (struct side){ there[0], there[0] };
		*b = (struct side){ there[1], there[1] };
		return;
	}
	if (pipe(there) || pipe(back))
		die("pipe");
	*a = (struct side){ back[0], there[1] };
	*b = (struct side){ there[0], back[1] };
}

static int local(int by_socket, int cpu_a, int cpu_b, uint32_t count, size_t size)
{
	struct side a, b;
	pid_t child;

	make_sides(by_socket, &a, &b);
	child = fork();
	if (!child) {
		pin(cpu_b);
		serve(&b, size);
	}
	pin(cpu_a);
	measure(&a, count, size);
	kill(child, 9);
	waitpid(child, NULL, 0);
	return 0;
}

static struct side channel(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/mkchan/%s", name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		die(path);
	return (struct side){ fd, fd };
}

/* Messages of any size: a channel gives each as it came. */
static void serve_channel(const char *name)
{
	struct side side = channel(name);
	char message[MESSAGE_MAX];
	struct head *head = (struct head *)message;
	uint32_t counted = 0;
	ssize_t size;

	for (;;) {
		size = read(side.in, message, sizeof(message));
		if (size < (ssize_t)sizeof(*head))
			continue;
		if (head->kind == COUNT && ++counted < head->count)
			continue;
		counted = 0;
		put(&side, message, size);
	}
}

int main(int argc, char **argv)
{
	struct side side;

	if (argc == 6 && (!strcmp(argv[1], "pipe") || !strcmp(argv[1], "socket")))
		return local(argv[1][0] == 's', atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "channel")) {
		pin(atoi(argv[3]));
		side = channel(argv[2]);
		measure(&side, atoi(argv[4]), atoi(argv[5]));
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "serve")) {
		pin(atoi(argv[3]));
		serve_channel(argv[2]);
	}
	fputs(usage, stderr);
	return 2;
}
