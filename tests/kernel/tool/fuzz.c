/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * mkt fuzz SEED SECONDS BASE SIZE CPU: hostile and senseless calls to everything that mkstock offers, until the time is over and 25,600 were made.
 *
 * Nothing that it does may harm the host, whoever does it, but for what root is meant to be able to do: so it never boots what it has
 * loaded and never stops CPU, which an instance runs on. BASE and SIZE: the pool. It prints how many calls it made, how many of them
 * succeeded, and how many of those changed something; as a user without privileges the last must be 0.
 */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CONTROL "/sys/kernel/mkstock/"

static const char *const written[] = { CONTROL "pool", CONTROL "select", CONTROL "kill", CONTROL "channels", CONTROL "layout", CONTROL "beat" };
static const char *const others[] = {
	"/dev/mkchan/fuzz", "/dev/mkchan/beat", "/dev/mktty", "/dev/mkstock", "/proc/multikernel", "/proc/kimage", CONTROL "info",
	CONTROL "instances", CONTROL "record", CONTROL "adopted", CONTROL "low", CONTROL "tty/3",
};
static const char *const words[] = {
	"add", "remove", "rename", "share", "fuzz", "beat", "none", "-", "0", "1", "2", "-1", "4294967296", "18446744073709551615", "0x", "both",
	"entry=", "cpus=", "memory=", "cpus=3", "cpus=0,1", ",", "=", "../../etc", "a-name-that-is-much-longer-than-a-channel-may-have-it", "\xff\xfe",
};

static uint64_t state, base, size;
static long cpu;
static unsigned long calls, succeeded, changed;

/* xorshift64*, so that a seed tells the same story everywhere */
static uint64_t dice(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ull;
}

static uint64_t upto(uint64_t n)
{
	return dice() % n;
}

#define PICK(list) ((list)[upto(sizeof(list) / sizeof(*(list)))])

/* An address that means something to somebody: in the pool, beside it, the host's, the machine's, or none at all. */
static uint64_t address(void)
{
	switch (upto(8)) {
	case 0: return base + upto(size);
	case 1: return base + (upto(size) & ~0xfffull);
	case 2: return base + size - upto(8192);
	case 3: return upto(1 << 20);
	case 4: return 0x1000000 + (upto(1 << 28) & ~0xfffull);
	case 5: return 0xfee00000 + (upto(4) << 12);
	case 6: return ~0ull - upto(1 << 16);
	default: return dice();
	}
}

static uint64_t length(void)
{
	static const uint64_t sizes[] = { 0, 1, 4095, 4096, 8192, 1 << 20, 1 << 24, 1ull << 32, 1ull << 52, ~0ull };

	return upto(4) ? PICK(sizes) : dice();
}

static long note(long ret, int changes)
{
	calls++;
	if (ret >= 0) {
		succeeded++;
		changed += changes;
	}
	return ret;
}

static size_t sentence(char *text, size_t room, int kills)
{
	size_t n = 0;
	int count = 1 + upto(6);

	if (kills)	/* any CPU but the one of the instance */
		return snprintf(text, room, "%ld", (long)upto(2) ? cpu + 1 + (long)upto(100000) : -(long)upto(1000));
	while (count-- && n + 80 < room) {
		switch (upto(4)) {
		case 0: n += snprintf(text + n, room - n, "%s0x%llx", upto(2) ? " " : "", (long long)address()); break;
		case 1: n += snprintf(text + n, room - n, " 0x%llx", (long long)length()); break;
		case 2: n += snprintf(text + n, room - n, "0x%llx+0x%llx", (long long)address(), (long long)length()); break;
		default: n += snprintf(text + n, room - n, "%s%s", upto(3) ? " " : "", PICK(words)); break;
		}
	}
	return n;
}

static void hammer_write(void)
{
	static char text[8192];
	const char *path = PICK(written);
	int fd = note(open(path, O_WRONLY | O_CLOEXEC), 0);
	size_t n = sentence(text, 512, strstr(path, "kill") != NULL);

	if (fd < 0)
		return;
	/* what is cut must not become another number */
	if (!strstr(path, "kill")) {
		if (!upto(16)) {
			memset(text, 'x', sizeof(text));
			n = upto(sizeof(text));
		}
		if (n && !upto(8))
			text[upto(n)] = dice();
		if (!upto(8))
			n = upto(n + 1);
	}
	note(write(fd, text, n), 1);
	close(fd);
}

static void hammer_file(void)
{
	static char buffer[8192];
	int fd = note(open(PICK(others), (upto(3) ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC), 0), turns = 1 + upto(8);
	struct pollfd one = { fd, POLLIN | POLLOUT, 0 };
	void *p;

	if (fd < 0)
		return;
	while (turns--) {
		switch (upto(7)) {
		case 0: note(read(fd, upto(8) ? buffer : (void *)8, upto(sizeof(buffer))), 0); break;
		case 1: note(write(fd, upto(8) ? buffer : (void *)8, upto(600)), 1); break;
		case 2: note(ioctl(fd, upto(2) ? dice() & 0xffffffff : 0x5400 + upto(256), upto(2) ? (uint64_t)buffer : dice()), 0); break;
		case 3: note(lseek(fd, dice(), upto(6)), 0); break;
		case 4: note(poll(&one, 1, 0), 0); break;
		case 5: note(pread(fd, buffer, upto(sizeof(buffer)), dice()), 0); break;
		default:
			p = mmap(NULL, upto(4) ? (1 + upto(16)) << 12 : length(), 1 + upto(3), 1 + upto(2), fd, address() & ~0xfffull);
			if (note(p == MAP_FAILED ? -1 : 0, 0) >= 0)
				munmap(p, 1 << 16);
		}
	}
	close(fd);
}

static void hammer_load(void)
{
	static const char data[1 << 16];
	struct segment segments[17];
	unsigned long flags = KEXEC_MULTIKERNEL | (upto(4) ? 0 : upto(1 << 24)), nr = upto(18);

	for (unsigned long i = 0; i < nr && i < 17; i++)
		segments[i] = (struct segment){ upto(16) ? data : (void *)dice(), upto(8) ? upto(sizeof(data)) : length(), address() & ~(upto(8) ? 0xfffull : 0),
						upto(2) ? 4096ul << upto(8) : length() };
	/* without the flag it would be the host's own kexec, and without segments it unloads */
	note(syscall(SYS_kexec_load, address(), nr, upto(16) ? segments : (void *)dice(), flags | KEXEC_MULTIKERNEL), 1);
	if (!upto(8))
		note(syscall(SYS_kexec_load, 0, 0, NULL, KEXEC_MULTIKERNEL), 1);
}

/* mkstock's command alone, for a CPU that cannot be booted: it is not there, or the host runs on it. */
static void hammer_reboot(void)
{
	static const unsigned int magics[] = { 672274793, 85072278, 369367448, 537993216, 0, 1 };
	int number = upto(2) ? (int)(cpu + 1 + upto(1 << 20)) : -1 - (int)upto(1 << 20);

	if (!upto(4))
		number = upto(cpu);	/* online */
	note(syscall(SYS_reboot, upto(8) ? 0xfee1dead : dice(), PICK(magics), 0x4d4b4c49, upto(8) ? (void *)&number : (void *)dice()), 1);
}

enum { LEAST = 25600 };	/* calls, however slow the machine is and whoever else is at work on it */

int fuzz(char **argv)
{
	struct timespec now, end;

	state = strtoull(argv[0], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	base = strtoull(argv[2], NULL, 0);
	size = strtoull(argv[3], NULL, 0);
	cpu = atol(argv[4]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += atoi(argv[1]);
	do {
		for (int i = 0; i < 64; i++) {
			switch (upto(8)) {
			case 0: case 1: hammer_write(); break;
			case 2: hammer_load(); break;
			case 3: hammer_reboot(); break;
			default: hammer_file(); break;
			}
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || calls < LEAST);
	printf("calls=%lu succeeded=%lu changed=%lu\n", calls, succeeded, changed);
	return 0;
}
