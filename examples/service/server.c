/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * The service, PID of an instance: answers each request on /dev/mkchan/svc once.
 *
 *	request	SEQUENCE TEXT				at most 255 bytes
 *	reply	SEQUENCE VERSION RELEASE COUNT SUM	SUM: FNV-1a of TEXT; COUNT: requests answered since this kernel booted
 *
 * VERSION is the first word of /etc/service/version, RELEASE what uname -r says. It needs no library and no shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DEVICE	"/dev/mkchan/svc"
#define SIZE	256

static uint32_t sum_of(const char *text)
{
	uint32_t sum = 2166136261u;

	while (*text)
		sum = (sum ^ (unsigned char)*text++) * 16777619u;
	return sum;
}

static void read_version(char *version, size_t size)
{
	FILE *file = fopen("/etc/service/version", "r");

	snprintf(version, size, "unknown");
	if (!file)
		return;
	if (fgets(version, size, file))
		version[strcspn(version, " \n")] = '\0';
	fclose(file);
}

static int open_device(void)
{
	int fd;

	while ((fd = open(DEVICE, O_RDWR)) < 0)
		usleep(20000);
	return fd;
}

/* A message is taken whole or not at all; the other end may be away for a while. */
static void put(int fd, const char *reply, size_t n)
{
	while (write(fd, reply, n) < 0 && (errno == EINTR || errno == EPIPE || errno == ECONNRESET || errno == EAGAIN))
		usleep(1000);
}

int main(void)
{
	char version[32], request[SIZE + 1], reply[SIZE];
	unsigned long count = 0;
	struct utsname kernel;
	int fd = open_device();

	uname(&kernel);
	read_version(version, sizeof(version));
	for (;;) {
		ssize_t n = read(fd, request, SIZE);
		unsigned long sequence;
		char *text;
		int size;

		if (n < 0) {
			if (errno == ENODEV) {
				close(fd);
				fd = open_device();
			} else if (errno != EINTR) {
				usleep(1000);
			}
			continue;
		}
		request[n] = '\0';
		sequence = strtoul(request, &text, 10);
		if (text == request || *text != ' ')
			continue;	/* no request: whoever sent it waits for nothing */
		size = snprintf(reply, sizeof(reply), "%lu %s %s %lu %08x", sequence, version, kernel.release, ++count, sum_of(text + 1));
		put(fd, reply, size < SIZE ? size : SIZE - 1);
	}
}
