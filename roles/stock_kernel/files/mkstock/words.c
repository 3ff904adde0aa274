// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * The command line of an instance: the caller's words as they are, and before them those without which a stock kernel would not
 * stay on its own part of the machine, each only where the caller has no word of that key.
 */
#include "kernfs.h"

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <asm/tsc.h>

/* The kernel takes - and _ in names for the same. */
static bool same_key(const char *word, const char *key, size_t length)
{
	for (; length--; word++, key++)
		if ((*word == '-' ? '_' : *word) != (*key == '-' ? '_' : *key))
			return false;
	return !*word || *word == '=' || isspace(*word);
}

/* The first word of that key, where words are cut at blanks outside of double quotes. */
static const char *find_word(const char *text, const char *key)
{
	bool quoted = false, start = true;

	for (; *text; text++) {
		if (start && !isspace(*text) && same_key(text + (*text == '"'), key, strlen(key)))
			return text;
		if (*text == '"')
			quoted = !quoted;
		start = !quoted && isspace(*text);
	}
	return NULL;
}

struct line {
	char *text;
	size_t size, used;
};

static __printf(2, 3) void add(struct line *line, const char *format, ...)
{
	size_t room = line->used < line->size ? line->size - line->used : 0;
	va_list arguments;

	va_start(arguments, format);
	line->used += vsnprintf(line->text + min(line->used, line->size), room, format, arguments);
	va_end(arguments);
}

/* The UARTs that its own console= does not name: an 8250 driver would take them from their owners. */
static void add_reserve(struct line *line, const char *own, bool pci)
{
	static const unsigned int ports[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	const char *comma = "reserve=";
	char console[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		snprintf(console, sizeof(console), "console=ttyS%u", i);
		if (strstr(own, console))
			continue;
		add(line, "%s0x%x,8", comma, ports[i]);
		comma = ",";
	}
	/* configuration space by ports is the host's; the kernel takes four ranges in all */
	if (pci)
		add(line, "%s0xcf8,8", comma);
	if (pci || *comma == ',')
		add(line, " ");
}

static void add_devices(struct line *line, const struct mk_spawn *spawn)
{
	const struct mk_device *device;

	list_for_each_entry(device, &spawn->devices, node)
		if (device->pci)
			add(line, "multikernel.device=%s%s%04x:%02x:%02x.%x ", device->alias, *device->alias ? "@" : "",
			    device->domain, device->bus, device->slot, device->function);
}

static void add_linux(struct line *line, const struct mk_spawn *spawn, const struct mk_file_image *image)
{
	const char *own = image->command_line;
	const struct {
		const char *word;
		bool wanted;
	} words[] = {
		{ "no_ipi_broadcast=1", true },	/* an IPI to "all but self" would reach everybody */
		{ "nokaslr", !find_word(own, "kaslr") },
		{ "tsc=reliable", true },
		{ "pci=off", list_empty(&spawn->devices) },
		{ "panic=0", true },
		{ "nmi_watchdog=0", true },
		{ "rdinit=/init", image->initrd_size },
	};
	char key[24];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		strscpy(key, words[i].word, sizeof(key));
		strreplace(key, '=', '\0');
		if (words[i].wanted && !find_word(own, key))
			add(line, "%s ", words[i].word);
	}
	if (!find_word(own, "nr_cpus"))
		add(line, "nr_cpus=%u ", spawn->nr_cpus);
	if (!find_word(own, "reserve"))
		add_reserve(line, own, !list_empty(&spawn->devices));
}

/* -EINVAL when it is longer than the kernel takes. */
int mk_words(char *text, size_t size, const struct mk_spawn *spawn, const struct mk_file_image *image,
	     const struct mk_plan *plan)
{
	const char *own = image->command_line;
	struct line line = { text, size };

	if (plan->is_linux)
		add_linux(&line, spawn, image);
	if (!find_word(own, "tsc_early_khz"))
		add(&line, "tsc_early_khz=%u ", tsc_khz);
	if (!find_word(own, "multikernel.name"))
		add(&line, "multikernel.name=%s ", spawn->name);
	if (!find_word(own, "multikernel.mailbox"))
		add(&line, "multikernel.mailbox=0x%llx ", mk_spawn_base(spawn)->range.start);
	if (!find_word(own, "multikernel.device"))
		add_devices(&line, spawn);
	add(&line, "%s", own);
	return line.used < size && line.used <= plan->cmdline_size ? 0 : -EINVAL;
}
