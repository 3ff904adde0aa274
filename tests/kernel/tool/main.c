/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#define _GNU_SOURCE
#include "mkt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"mkt linux BASE SIZE LOW KERNEL INITRD APICIDS BSP CMDLINE [CHANNEL]\n"
	"mkt flat BASE [TOUCH]            the built-in payload; TOUCH: an address that it writes to\n"
	"mkt load ENTRY FLAGS MEM:MEMSZ:BUFSZ...    any shape of image (BUFSZ bytes of a dummy buffer)\n"
	"mkt badptr | manyseg | unload [FLAGS]\n"
	"mkt boot CPU | bootptr | bootmagic\n"
	"mkt select TEXT CPU              writes TEXT to the select file and boots CPU, as one process\n"
	"mkt unprivileged COMMAND...      the command without CAP_SYS_BOOT\n"
	"mkt mailbox ADDRESS | nonce ADDRESS | entrystate ADDRESS | await ADDRESS SECONDS | text ADDRESS TEXT\n"
	"mkt maps ADDRESS SIZE | hold ADDRESS SIZE SECONDS | poke ADDRESS VALUE\n"
	"mkt fdt WORDS... | tree FILE | put FILE [OFFSET] | reads FILE SIZE | payload\n"
	"mkt file ID KERNEL INITRD|- CMDLINE [FLAGS] | endless ID KERNEL | fileunload ID | exec|halt|force ID\n"
	"mkt kexec KERNEL INITRD CMDLINE  the host itself goes into another kernel\n"
	"mkt record get | put none|magic|version|size|crc|tsc   the host's record by /dev/mem; put reads its lines and spoils one word\n"
	"mkt tty choose TEXT | errors ID | fill ID | hold ID SECONDS\n"
	"mkt tty talk ID SECONDS WANTED TEXT   types a line, prints what comes up to WANTED\n"
	"mkt tty drain ID SECONDS TEXT         types a line, counts what comes until it is still\n"
	"mkt send NAME TEXT | flood NAME COUNT SIZE | recv NAME SECONDS | count NAME SECONDS\n"
	"mkt stress NAME COUNT SIZE       COUNT checked messages each way; the other end does the same\n"
	"mkt events NAME SECONDS COUNT    the next COUNT messages and errors, in one line\n"
	"mkt ask NAME COUNT | answer NAME COUNT     round trips\n"
	"mkt fuzz SEED SECONDS BASE SIZE CPU          for so long, and 25,600 calls at least\n"
	"mkt edge NAME | short NAME SIZE | share write NAME OFFSET TEXT | share read NAME OFFSET | share limits NAME SIZE\n";

void die(const char *what)
{
	perror(what);
	exit(1);
}

void *slurp(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	*size = st.st_size;
	return p;
}

int result(long ret)
{
	puts(ret < 0 ? strerrorname_np(errno) : "ok");
	return ret < 0;
}

int load(unsigned long entry, const struct segment *segments, unsigned long nr, unsigned long flags)
{
	return result(syscall(SYS_kexec_load, entry, nr, segments, flags));
}

void new_mailbox(struct mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mailbox->magic = 0x31424c49414d4b4dull;
	mailbox->state = 1;
	mailbox->nonce = time(NULL) * 2654435761ull;
}

static void *map(const char *address, size_t size)
{
	int fd = open("/dev/mkstock", O_RDWR);
	void *p;

	if (fd < 0)
		die("/dev/mkstock");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, strtoull(address, NULL, 0));
	if (p == MAP_FAILED) {
		puts(strerrorname_np(errno));
		exit(1);
	}
	close(fd);
	return p;
}

static int load_flat(const char *base_text, const char *touch)
{
	static uint8_t head[HEAD_SIZE];
	unsigned long base = strtoul(base_text, NULL, 0);
	uint64_t address = touch ? strtoull(touch, NULL, 0) : 0;
	struct segment segment = { head, sizeof(head), base, sizeof(head) };

	new_mailbox((struct mailbox *)head);
	memcpy(head + 0x848, &address, 8);
	memcpy(head + AT_ENTRY, payload, payload_end - payload);
	return load(base + AT_ENTRY, &segment, 1, KEXEC_MULTIKERNEL);
}

static int load_shape(const char *entry, const char *flags, char **shapes, int nr)
{
	struct segment segments[32];
	static char dummy[1 << 20];
	int i;

	for (i = 0; i < nr && i < 32; i++) {
		segments[i].buf = dummy;
		if (sscanf(shapes[i], "%lx:%lx:%zx", &segments[i].mem, &segments[i].memsz, &segments[i].bufsz) != 3)
			return 2;
	}
	return load(strtoul(entry, NULL, 0), segments, nr, strtoul(flags, NULL, 0));
}

static int boot(long cpu)
{
	struct { int cpu; } args = { cpu };

	return result(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4d4b4c49, &args));
}

static int select_and_boot(const char *text, long cpu)
{
	int fd = open("/sys/kernel/mkstock/select", O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return result(-1);
	close(fd);
	return boot(cpu);
}

static int show_mailbox(const char *address)
{
	struct mailbox m = *(struct mailbox *)map(address, 4096);

	printf("beats=%llu state=%u nproc=%u uname=\"%.191s\" text=\"%.255s\" ticks=%llu longest=%llu\n", (long long)m.beats, m.state,
	       m.nproc, m.uname, m.text, (long long)(m.tsc_last - m.tsc_first), (long long)m.longest);
	return 0;
}

static int await(const char *address, int seconds)
{
	volatile struct mailbox *m = map(address, 4096);
	int tries = seconds * 50;

	while (tries-- && !(m->state == 2 && m->beats))
		usleep(20000);
	return show_mailbox(address) || !m->beats;
}

static int show_entry_state(const char *address)
{
	static const char *const names[] = { "cr0", "cr4", "efer", "cs", "ss", "rsi", "r14", "r15", "flags" };
	uint64_t *words = (uint64_t *)((char *)map(address, 4096) + 0x800);
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf("%s=0x%llx ", names[i], (long long)words[i]);
	puts("");
	return 0;
}

static int unprivileged(char **argv)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		die("setresuid");
	execv("/proc/self/exe", argv);
	return 1;
}

#define IS(name, arguments) (argc == (arguments) + 2 && !strcmp(argv[1], name))

int main(int argc, char **argv)
{
	struct segment none = { 0 };

	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 2 && !strcmp(argv[1], "linux"))
		return load_linux(argc - 2, argv + 2);
	if (IS("flat", 1) || IS("flat", 2))
		return load_flat(argv[2], argc > 3 ? argv[3] : NULL);
	if (argc >= 4 && !strcmp(argv[1], "load"))
		return load_shape(argv[2], argv[3], argv + 4, argc - 4);
	if (IS("badptr", 0))
		return load(0, (void *)0x1000, 1, KEXEC_MULTIKERNEL);
	if (IS("manyseg", 0))
		return load(0, &none, 17, KEXEC_MULTIKERNEL);
	if (IS("unload", 0) || IS("unload", 1))
		return load(0, NULL, 0, argc > 2 ? strtoul(argv[2], NULL, 0) : KEXEC_MULTIKERNEL);
	if (IS("boot", 1))
		return boot(atol(argv[2]));
	if (IS("bootptr", 0))
		return result(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4d4b4c49, 0x1000));
	if (IS("bootmagic", 0))
		return result(syscall(SYS_reboot, 0xfee1dead, 1, 0x4d4b4c49, &none));
	if (IS("select", 2))
		return select_and_boot(argv[2], atol(argv[3]));
	if (argc > 2 && !strcmp(argv[1], "unprivileged"))
		return unprivileged(argv + 1);
	if (IS("mailbox", 1))
		return show_mailbox(argv[2]);
	if (IS("nonce", 1)) {
		printf("%llx\n", (long long)((struct mailbox *)map(argv[2], 4096))->nonce);
		return 0;
	}
	if (IS("entrystate", 1))
		return show_entry_state(argv[2]);
	if (IS("await", 2))
		return await(argv[2], atoi(argv[3]));
	if (IS("text", 2)) {
		strncpy(((struct mailbox *)map(argv[2], 4096))->text, argv[3], 255);
		return 0;
	}
	if (IS("maps", 2)) {
		map(argv[2], strtoul(argv[3], NULL, 0));
		puts("ok");
		return 0;
	}
	if (IS("hold", 3)) {
		map(argv[2], strtoul(argv[3], NULL, 0));
		sleep(atoi(argv[4]));
		return 0;
	}
	if (IS("poke", 2))
		return poke(argv[2], argv[3]);
	if (IS("send", 2)) {
		int fd = channel_open(argv[2], O_WRONLY);

		return result(write(fd, argv[3], strlen(argv[3])));
	}
	if (IS("flood", 3))
		return flood(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (IS("recv", 2))
		return receive(argv[2], atoi(argv[3]));
	if (IS("count", 2))
		return count(argv[2], atoi(argv[3]));
	if (IS("stress", 3))
		return stress(argv[2], atol(argv[3]), atoi(argv[4]));
	if (IS("events", 3))
		return events(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (IS("ask", 2) || IS("answer", 2))
		return ping_pong(argv[2], atoi(argv[3]), argv[1][1] == 's');
	if (IS("edge", 1))
		return edge(argv[2]);
	if (IS("short", 2))
		return read_short(argv[2], atoi(argv[3]));
	if (IS("share", 4) && !strcmp(argv[2], "write"))
		return share_write(argv[3], atol(argv[4]), argv[5]);
	if (IS("share", 3) && !strcmp(argv[2], "read"))
		return share_read(argv[3], atol(argv[4]));
	if (IS("share", 3) && !strcmp(argv[2], "limits"))
		return share_limits(argv[3], atol(argv[4]));
	if (IS("fuzz", 5))
		return fuzz(argv + 2);
	if (argc > 1 && !strcmp(argv[1], "fdt"))
		return fdt_build(argc - 2, argv + 2);
	if (IS("tree", 1))
		return fdt_show(argv[2]);
	if (IS("put", 1) || IS("put", 2))
		return put_file(argv[2], argc > 3 ? atol(argv[3]) : 0);
	if (IS("reads", 2))
		return read_sizes(argv[2], atol(argv[3]));
	if (IS("payload", 0))
		return write_payload();
	if (IS("file", 4) || IS("file", 5))
		return file_load(atol(argv[2]), argv[3], argv[4], argv[5], argc > 6 ? strtoul(argv[6], NULL, 0) : 0);
	if (IS("endless", 2))
		return file_load_endless(atol(argv[2]), argv[3]);
	if (IS("fileunload", 1))
		return file_unload(atol(argv[2]));
	if (IS("exec", 1) || IS("halt", 1) || IS("force", 1))
		return command(argv[1], atoi(argv[2]));
	if (IS("record", 1) && !strcmp(argv[2], "get"))
		return record_get();
	if (IS("record", 2) && !strcmp(argv[2], "put"))
		return record_put(argv[3]);
	if (IS("kexec", 3))
		return host_kexec(argv[2], argv[3], argv[4]);
	if (IS("tty", 2) && !strcmp(argv[2], "choose"))
		return tty_choose(argv[3]);
	if (IS("tty", 2) && !strcmp(argv[2], "errors"))
		return tty_errors(argv[3]);
	if (IS("tty", 2) && !strcmp(argv[2], "fill"))
		return tty_fill(argv[3]);
	if (IS("tty", 3) && !strcmp(argv[2], "hold"))
		return tty_hold(argv[3], atoi(argv[4]));
	if (IS("tty", 5) && !strcmp(argv[2], "talk"))
		return tty_talk(argv[3], atoi(argv[4]), argv[5], argv[6]);
	if (IS("tty", 4) && !strcmp(argv[2], "drain"))
		return tty_drain(argv[3], atoi(argv[4]), argv[5]);
	fputs(usage, stderr);
	return 2;
}
