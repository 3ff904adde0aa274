/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * A client of the router that asks one question after the other, and writes down what became of each.
 *
 *	load SECONDS PAUSE_US [LOG]	SECONDS 0: until SIGTERM
 *
 * Prints at the end: sent=N answered=N wrong=N doubled=N longest_ms=X, then the versions that answered, each with its requests. LOG gets a
 * line "TIME_NS GAP_NS VERSION RELEASE" for each reply whose gap to the one before is longer than any before it, or at least 5 ms, or that
 * comes from another version or kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET	"/run/service/requests"
#define SIZE	256
#define KINDS	16
#define NOTED	5000000L	/* ns */

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static uint32_t sum_of(const char *text)
{
	uint32_t sum = 2166136261u;

	while (*text)
		sum = (sum ^ (unsigned char)*text++) * 16777619u;
	return sum;
}

static int open_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&address, sizeof(address))) {
		perror(SOCKET);
		exit(1);
	}
	return fd;
}

struct kind {
	char name[96];
	unsigned long answered;
};

static struct kind kinds[KINDS];

/* Which version and kernel answered; true when it is another than the last. */
static int note_kind(const char *name)
{
	static struct kind *last;
	struct kind *one = kinds;

	while (one < kinds + KINDS - 1 && one->name[0] && strcmp(one->name, name))
		one++;
	if (!one->name[0])
		snprintf(one->name, sizeof(one->name), "%s", name);
	one->answered++;
	if (one == last)
		return 0;
	last = one;
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long sent = 0, answered = 0, wrong = 0, doubled = 0;
	long seconds = argc > 1 ? atol(argv[1]) : 10, pause = argc > 2 ? atol(argv[2]) : 1000;
	FILE *log = argc > 3 ? fopen(argv[3], "a") : NULL;
	int64_t begin = now_ns(), last = 0, longest = 0;
	struct sigaction end = { .sa_handler = stop };
	char request[64], reply[SIZE + 1];
	int fd = open_socket();

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	while (!stopped && (!seconds || now_ns() - begin < seconds * 1000000000LL)) {
		char version[40] = "", release[40] = "", name[96];
		struct pollfd more = { fd, POLLIN, 0 };
		unsigned long count;
		uint32_t sum = 0;
		int64_t at;
		ssize_t n;

		snprintf(request, sizeof(request), "%d-%lu", (int)getpid(), sent);
		if (send(fd, request, strlen(request), 0) < 0)
			break;
		sent++;
		while ((n = recv(fd, reply, SIZE, 0)) < 0 && errno == EINTR)
			;
		if (n <= 0)
			break;
		reply[n] = '\0';
		at = now_ns();
		answered++;
		if (sscanf(reply, "%39s %39s %lu %x", version, release, &count, &sum) != 4 || sum != sum_of(request))
			wrong++;
		snprintf(name, sizeof(name), "%s %s", version, release);
		if ((note_kind(name) | (last && (at - last > longest || at - last >= NOTED))) && log) {
			fprintf(log, "%lld %lld %s\n", (long long)at, (long long)(last ? at - last : 0), name);
			fflush(log);
		}
		if (last && at - last > longest)
			longest = at - last;
		last = at;
		if (pause)
			usleep(pause);
		if (poll(&more, 1, 0) > 0) {	/* nothing was asked */
			doubled++;
			if (recv(fd, reply, SIZE, 0) <= 0)
				break;
		}
	}
	printf("sent=%lu answered=%lu wrong=%lu doubled=%lu longest_ms=%.3f\n", sent, answered, wrong, doubled, longest / 1e6);
	for (struct kind *one = kinds; one < kinds + KINDS && one->name[0]; one++)
		printf("%s answered=%lu\n", one->name, one->answered);
	return sent != answered || wrong || doubled;
}
