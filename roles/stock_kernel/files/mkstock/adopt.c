// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Adoption: the kernel before this one left by kexec while instances ran, and left a record of them. Each line of it is held against
 * this machine before anything is done; what does not fit is left alone, and `adopted` says why.
 */
#include "record.h"

#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static char *report;			/* one page of text, for the control file; under mk_lock once it is complete */
static int reported;
static unsigned int adopted, refused;
static const char *nothing;		/* why there was nothing to adopt */

static __printf(1, 2) void tell(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	reported += vscnprintf(report + reported, PAGE_SIZE / 2 - reported, format, arguments);
	va_end(arguments);
}

/* One line of the report, and of the log. */
static void judge(const char *what, int error, const char *why)
{
	if (!error) {
		adopted++;
		tell("%s adopted\n", what);
		pr_info("adopted %s\n", what);
		return;
	}
	refused++;
	if (why)
		tell("%s refused: %s\n", what, why);
	else
		tell("%s refused: error %d\n", what, -error);
	pr_err("not adopted: %s: %s (%d)\n", what, why ?: "see the lines before", error);
}

static int adopt_pool(char *words, const char **why)
{
	char command[48];
	int ret;

	snprintf(command, sizeof(command), "add %s", words);
	ret = mk_pool_write(command);
	if (ret == -EEXIST)		/* named by the module's own parameter */
		return 0;
	if (ret == -EBUSY)
		*why = "this host uses that memory: it was not reserved on its command line";
	return ret;
}

static int ranges(char *text, struct mk_range *list, const char **why)
{
	int nr = text ? mk_ranges_parse(text, list, MK_RANGES_MAX) : -EINVAL;

	if (nr < 0)
		*why = "its memory cannot be read";
	return nr;
}

static int adopt_image(char *words, const char **why)
{
	struct mk_range segments[MK_RANGES_MAX];
	char *entry_word = strsep(&words, " ");
	u64 entry;
	int nr = ranges(words, segments, why);

	if (nr < 0)
		return nr;
	return kstrtou64(entry_word, 0, &entry) ? -EINVAL : mk_image_adopt(entry, segments, nr, why);
}

/* ENTRY APICIDS MEMORY CONSOLE NONCE */
static int adopt_instance(char *words, const char **why)
{
	struct mk_range *memory = kcalloc(MK_RANGES_MAX, sizeof(*memory), GFP_KERNEL);
	char *word[5];
	u64 entry, nonce;
	u32 console;
	int i, nr, ret = -EINVAL;

	if (!memory)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(word); i++) {
		word[i] = strsep(&words, " ");
		if (!word[i])
			goto out;
	}
	if (kstrtou64(word[0], 0, &entry) || kstrtou32(word[3], 0, &console) || kstrtou64(word[4], 0, &nonce))
		goto out;
	nr = ranges(word[2], memory, why);
	ret = nr < 0 ? nr : mk_instance_adopt(entry, word[1], memory, nr, console, nonce, why);
out:
	kfree(memory);
	return ret;
}

static int adopt_channel(char *words, const char **why)
{
	int ret = mk_channels_write(words);

	if (ret == -EADDRNOTAVAIL)
		*why = "its memory is not in the pool";
	if (ret == -EINVAL)
		*why = "there is no channel at its address any more";
	return ret;
}

static int adopt_layout(char *words, const char **why)
{
	return mk_record_layout(words);
}

static const struct {
	const char *name;
	int (*adopt)(char *words, const char **why);
	unsigned int named;		/* how many words say which it is */
} kinds[] = {
	{ "layout", adopt_layout, 0 },
	{ "pool", adopt_pool, 2 },
	{ "image", adopt_image, 1 },
	{ "instance", adopt_instance, 1 },
	{ "channel", adopt_channel, 2 },
};

/* The kind and its first @words words. */
static void name_it(char *buf, size_t size, const char *line, unsigned int words)
{
	size_t n = strcspn(line, " ");

	while (words-- && line[n])
		n += 1 + strcspn(line + n + 1, " ");
	strscpy(buf, line, min(size, n + 1));
}

static void adopt_line(char *line)
{
	char *words = strchr(line, ' '), what[80];
	const char *why = NULL;
	unsigned int i;
	int ret;

	for (i = 0; words && i < ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i].name);

		if (words - line != n || memcmp(line, kinds[i].name, n))
			continue;
		name_it(what, sizeof(what), line, kinds[i].named);
		ret = kinds[i].adopt(words + 1, &why);
		judge(what, ret, why);
		return;
	}
	judge("a line of an unknown kind", -EINVAL, "it was written by another version of this module");
}

ssize_t mk_adopt_show(char *buf)
{
	int n;

	if (!report)
		return sysfs_emit(buf, "state pending\n");
	if (nothing)
		return sysfs_emit(buf, "state none\nreason %s\n", nothing);
	n = sysfs_emit(buf, "state %s\nadopted %u\nrefused %u\n",
		       !refused ? "adopted" : adopted ? "partly" : "refused", adopted, refused);
	return n + sysfs_emit_at(buf, n, "%s", report);
}

/* Last of all parts, because what is adopted holds the module; it never fails the load. */
int mk_adopt_start(void)
{
	char *text, *rest, *line;
	const char *why;
	u32 size;

	report = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!report)
		return -ENOMEM;
	text = mk_record_found(&size, &why);
	if (!text) {
		nothing = why;
		pr_info("nothing is adopted: %s\n", why);
		return 0;
	}
	rest = text;
	while ((line = strsep(&rest, "\n")) && strcmp(line, "end"))
		if (*line)
			adopt_line(line);
	kfree(text);
	return 0;
}

void mk_adopt_stop(void)
{
	kfree(report);
}
