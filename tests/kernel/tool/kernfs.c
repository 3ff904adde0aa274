/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNLOAD		0x1
#define NO_INITRAMFS	0x4
#define HALT		0x4d4b4c48
#define FORCE		0x4d4b4c46
#define EXEC		0x4d4b4c49

/* All of standard input by one write(), at an offset when one is given. */
int put_file(const char *path, long offset)
{
	static char data[1 << 22];
	size_t size = fread(data, 1, sizeof(data), stdin);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	ssize_t written;

	if (fd < 0)
		return result(-1);
	written = offset ? pwrite(fd, data, size, offset) : write(fd, data, size);
	if (written >= 0 && (size_t)written != size) {
		printf("short %zd\n", written);
		return 1;
	}
	return result(written);
}

/* What single reads of SIZE bytes give, in order. */
int read_sizes(const char *path, size_t size)
{
	char *buffer = malloc(size);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return result(-1);
	while ((n = read(fd, buffer, size)) > 0)
		printf("%zd ", n);
	puts(n ? strerrorname_np(errno) : "end");
	return 0;
}

/* FLAGS are added to the multikernel flag and the id; INITRD may be -. */
int file_load(unsigned long id, const char *kernel, const char *initrd, const char *words, unsigned long flags)
{
	int kernel_fd = open(kernel, O_RDONLY), initrd_fd = strcmp(initrd, "-") ? open(initrd, O_RDONLY) : -1;

	if (initrd_fd < 0)
		flags |= NO_INITRAMFS;
	return result(syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(words) + 1, words,
			      KEXEC_MULTIKERNEL | id << 5 | flags));
}

int file_load_endless(unsigned long id, const char *kernel)
{
	return result(syscall(SYS_kexec_file_load, open(kernel, O_RDONLY), -1, 3, "abc",
			      KEXEC_MULTIKERNEL | id << 5 | NO_INITRAMFS));
}

int file_unload(unsigned long id)
{
	return result(syscall(SYS_kexec_file_load, -1, -1, 0, NULL, KEXEC_MULTIKERNEL | id << 5 | UNLOAD));
}

int command(const char *name, int id)
{
	struct { int id; } argument = { id };
	unsigned int number = !strcmp(name, "exec") ? EXEC : !strcmp(name, "halt") ? HALT : FORCE;

	return result(syscall(SYS_reboot, 0xfee1dead, 672274793, number, id < 0 ? (void *)0x1000 : &argument));
}

/* The payload as a file: at +0x200000 of an instance, with the mailbox in RDI. */
int write_payload(void)
{
	return fwrite(flat_payload, payload_end - flat_payload, 1, stdout) != 1;
}
