/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * The router: clients on the host speak to it, and it to whichever kernel has the channel svc.
 *
 *	router serve			runs it
 *	router status|hold|switch|release	tells a running one what to do, prints its answer; status 1 when it cannot
 *
 * Clients connect to /run/service/requests (SOCK_SEQPACKET) and send TEXT; the answer is VERSION RELEASE COUNT SUM. Each client has
 * one request at a time. A request goes to one kernel, and its answer comes from there:
 *
 *	hold	new requests wait here; answers when no request is out any more
 *	switch	opens /dev/mkchan/svc anew: new requests go to the kernel that has it now, those that are out are still answered by the other
 *	release	requests are served again; answers when nobody waits for the other kernel any more
 *
 * All three may be said again without harm. Only when a kernel is gone (its device is removed, or its end is down) are the requests
 * that were out at it sent anew, since nobody will answer them; they are counted as "again".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"/dev/mkchan/svc"
#define FOLDER		"/run/service"
#define REQUESTS	FOLDER "/requests"
#define CONTROL		FOLDER "/control"
#define SIZE		256
#define CLIENTS		64
#define WAYS		4
#define PATIENCE_MS	10000	/* for the last answer of a kernel that is left */
#define RETRY_MS	5	/* between two looks for a device, or for a peer, that is away */

enum state { IDLE, QUEUED, SENT };

struct client {
	int fd;			/* -1: none */
	enum state state;
	unsigned long sequence;
	int way;		/* where it was sent to */
	char text[SIZE];
};

struct way {
	int fd;			/* -1: none */
	dev_t device;
	unsigned long out;	/* requests that are there */
};

struct waiter {
	int fd;			/* -1: none; it is answered when the condition holds */
	bool release;
	long deadline;
};

static struct client clients[CLIENTS];
static struct way ways[WAYS];
static struct waiter waiter = { .fd = -1 };
static int current = -1;	/* the way of new requests */
static bool held;
static unsigned long sequence, done, again, switches;

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void requeue(int way)
{
	for (struct client *one = clients; one < clients + CLIENTS; one++)
		if (one->fd >= 0 && one->state == SENT && one->way == way) {
			one->state = QUEUED;
			again++;
		}
	ways[way].out = 0;
}

static void leave(int way)
{
	if (ways[way].fd >= 0)
		close(ways[way].fd);
	ways[way].fd = -1;
	if (current == way)
		current = -1;
}

/* True when new requests go to the kernel that has the channel now. */
static bool take(void)
{
	struct stat seen;
	int fd, way;

	if (stat(DEVICE, &seen))
		return false;
	if (current >= 0 && ways[current].device == seen.st_rdev)
		return true;
	for (way = 0; way < WAYS; way++)
		if (ways[way].fd >= 0 && ways[way].device == seen.st_rdev) {
			current = way;	/* back to one that still answers */
			switches++;
			return true;
		}
	for (way = 0; way < WAYS && ways[way].fd >= 0; way++)
		;
	if (way == WAYS)
		return false;
	fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	ways[way] = (struct way){ .fd = fd, .device = seen.st_rdev };
	current = way;
	switches++;
	return true;
}

static void send_queued(void)
{
	char message[SIZE + 32];

	for (struct client *one = clients; one < clients + CLIENTS && current >= 0; one++) {
		int n;

		if (one->fd < 0 || one->state != QUEUED)
			continue;
		n = snprintf(message, sizeof(message), "%lu %s", ++sequence, one->text);
		if (write(ways[current].fd, message, n) == n) {
			one->state = SENT;
			one->sequence = sequence;
			one->way = current;
			ways[current].out++;
		} else if (errno == ENODEV) {
			requeue(current);
			leave(current);
		} else {
			return;	/* full, or its other end is away: later */
		}
	}
}

static void answer(int way, char *reply)
{
	char *rest;
	unsigned long mine = strtoul(reply, &rest, 10);

	for (struct client *one = clients; one < clients + CLIENTS; one++)
		if (one->fd >= 0 && one->state == SENT && one->way == way && one->sequence == mine) {
			one->state = IDLE;
			ways[way].out--;
			done++;
			if (send(one->fd, rest + 1, strlen(rest + 1), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
				close(one->fd);
				one->fd = -1;
			}
			return;
		}
}

static void hear(int way)
{
	char reply[SIZE + 1];
	ssize_t n;

	while ((n = read(ways[way].fd, reply, SIZE)) >= 0) {
		reply[n] = '\0';
		answer(way, reply);
	}
	if (errno == EAGAIN || errno == EINTR)
		return;
	requeue(way);	/* the kernel at the other end is gone, or another one */
	if (errno == ENODEV)
		leave(way);
}

static void accept_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	for (struct client *one = clients; one < clients + CLIENTS && fd >= 0; one++)
		if (one->fd < 0) {
			*one = (struct client){ .fd = fd };
			return;
		}
	if (fd >= 0)
		close(fd);
}

static void hear_client(struct client *one)
{
	ssize_t n = recv(one->fd, one->text, 200, MSG_DONTWAIT);

	if (n <= 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (one->state == SENT)
			ways[one->way].out--;
		close(one->fd);
		one->fd = -1;
		return;
	}
	one->text[n] = '\0';
	one->state = QUEUED;
}

static unsigned long out_elsewhere(void)
{
	unsigned long out = 0;

	for (int way = 0; way < WAYS; way++)
		if (ways[way].fd >= 0 && way != current)
			out += ways[way].out;
	return out;
}

static void tell(int fd, const char *word)
{
	char text[SIZE];
	unsigned long waiting = 0, out = current >= 0 ? ways[current].out : 0;
	int n;

	for (struct client *one = clients; one < clients + CLIENTS; one++)
		waiting += one->fd >= 0 && one->state == QUEUED;
	n = snprintf(text, sizeof(text), "%s: device=%s held=%d done=%lu waiting=%lu out=%lu elsewhere=%lu again=%lu switches=%lu", word,
		     current >= 0 ? DEVICE : "none", held, done, waiting, out, out_elsewhere(), again, switches);
	send(fd, text, n, MSG_NOSIGNAL);
	close(fd);
}

static void obey(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char word[32];
	ssize_t n = fd < 0 ? -1 : recv(fd, word, sizeof(word) - 1, 0);

	if (n < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	word[n] = '\0';
	if (!strcmp(word, "switch")) {
		tell(fd, take() ? "ok" : "failed");
	} else if (!strcmp(word, "hold") || !strcmp(word, "release")) {
		held = !strcmp(word, "hold");
		if (waiter.fd >= 0)
			tell(waiter.fd, "failed");
		waiter = (struct waiter){ .fd = fd, .release = !held, .deadline = now_ms() + PATIENCE_MS };
	} else {
		tell(fd, "ok");
	}
}

/* Who asked for hold or release is answered when it is so; who has left a kernel forgets it then. */
static void settle(void)
{
	unsigned long out = out_elsewhere();

	if (!out)
		for (int way = 0; way < WAYS; way++)
			if (ways[way].fd >= 0 && way != current && current >= 0)
				leave(way);
	if (waiter.fd < 0)
		return;
	if (!waiter.release && current >= 0)
		out += ways[current].out;
	if (out && now_ms() < waiter.deadline)
		return;
	if (out && waiter.release)
		for (int way = 0; way < WAYS; way++)
			if (ways[way].fd >= 0 && way != current) {
				requeue(way);
				leave(way);
			}
	tell(waiter.fd, out && !waiter.release ? "failed" : "ok");
	waiter.fd = -1;
}

static int socket_at(const char *path, bool listens)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (listens)
		unlink(path);
	if (fd < 0 || (listens ? bind(fd, (void *)&address, sizeof(address)) || listen(fd, 16) :
				 connect(fd, (void *)&address, sizeof(address)))) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void serve(void)
{
	struct pollfd polled[2 + WAYS + CLIENTS];
	int requests, control;

	mkdir(FOLDER, 0755);
	requests = socket_at(REQUESTS, true);
	control = socket_at(CONTROL, true);
	for (int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	for (int i = 0; i < WAYS; i++)
		ways[i].fd = -1;
	for (;;) {
		bool waiting = waiter.fd >= 0;

		if (current < 0)
			take();
		if (!held)
			send_queued();
		polled[0] = (struct pollfd){ requests, POLLIN, 0 };
		polled[1] = (struct pollfd){ control, POLLIN, 0 };
		for (int i = 0; i < WAYS; i++)
			polled[2 + i] = (struct pollfd){ ways[i].fd, POLLIN, 0 };
		for (int i = 0; i < CLIENTS; i++) {
			polled[2 + WAYS + i] = (struct pollfd){ clients[i].fd, clients[i].state == IDLE ? POLLIN : 0, 0 };
			waiting |= clients[i].fd >= 0 && clients[i].state == QUEUED && !held;
		}
		poll(polled, 2 + WAYS + CLIENTS, waiting || current < 0 ? RETRY_MS : -1);
		for (int i = 0; i < WAYS; i++)
			if (ways[i].fd >= 0 && polled[2 + i].fd == ways[i].fd && polled[2 + i].revents)
				hear(i);
		for (int i = 0; i < CLIENTS; i++)
			if (clients[i].fd >= 0 && polled[2 + WAYS + i].fd == clients[i].fd && polled[2 + WAYS + i].revents)
				hear_client(clients + i);
		if (polled[0].revents)
			accept_client(requests);
		if (polled[1].revents)
			obey(control);
		settle();
	}
}

int main(int argc, char **argv)
{
	char text[SIZE + 1];
	ssize_t n;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: router serve|status|hold|switch|release\n");
		return 2;
	}
	if (!strcmp(argv[1], "serve"))
		serve();
	fd = socket_at(CONTROL, false);
	if (send(fd, argv[1], strlen(argv[1]), 0) < 0 || (n = recv(fd, text, SIZE, 0)) <= 0) {
		perror("router");
		return 1;
	}
	text[n] = '\0';
	puts(text);
	return strncmp(text, "ok", 2) != 0;
}
