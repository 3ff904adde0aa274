/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * Gives an emulator code to translate for so many seconds: pages are written anew with instructions and run, over and over.
 *
 *	translate SECONDS
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE	4096
#define PAGES	64
#define ADD	0x05	/* add $imm32, %eax */
#define RET	0xc3
#define LENGTH	5

static void run(unsigned char *page, uint32_t value)
{
	size_t at;

	for (at = 0; at + LENGTH < PAGE; at += LENGTH) {
		page[at] = ADD;
		memcpy(page + at + 1, &value, sizeof(value));
	}
	page[at] = RET;
	((void (*)(void))page)();
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 1);
	unsigned char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t count = 0;

	if (pages == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	while (time(NULL) < end)
		for (int page = 0; page < PAGES; page++)
			run(pages + page * PAGE, count++);
	return 0;
}
