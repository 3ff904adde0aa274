/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#include "mkt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Device trees from words and to lines, for the tests of the kernfs ABI. */

enum { BEGIN = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9, ROOM = 1 << 21 };

static uint8_t structure[ROOM], strings[ROOM];
static size_t structure_size, strings_size;

static void word(uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(structure + structure_size, &value, 4);
	structure_size += 4;
}

static void bytes(const void *data, size_t size)
{
	memcpy(structure + structure_size, data, size);
	structure_size += (size + 3) & ~3ul;
}

static uint32_t string_offset(const char *name)
{
	size_t at;

	for (at = 0; at < strings_size; at += strlen((char *)strings + at) + 1)
		if (!strcmp((char *)strings + at, name))
			return at;
	strcpy((char *)strings + at, name);
	strings_size += strlen(name) + 1;
	return at;
}

/* NAME:u64=1,2 | NAME:u32=1 | NAME:str=text | NAME:raw=text (without its end) | NAME: (empty) */
static int property(char *text)
{
	static uint8_t value[ROOM];
	char *kind = strchr(text, ':'), *data, *p;
	size_t size = 0;

	if (!kind)
		return 2;
	*kind++ = '\0';
	data = strchr(kind, '=');
	if (data)
		*data++ = '\0';
	if (!strcmp(kind, "str") || !strcmp(kind, "raw")) {
		size = strlen(data) + !strcmp(kind, "str");
		memcpy(value, data, size);
	} else if (!strcmp(kind, "u32") || !strcmp(kind, "u64")) {
		for (p = strtok(data, ","); p; p = strtok(NULL, ",")) {
			uint64_t number = strtoull(p, NULL, 0), wide = __builtin_bswap64(number);
			uint32_t narrow = __builtin_bswap32(number);

			memcpy(value + size, kind[1] == '6' ? (void *)&wide : (void *)&narrow, kind[1] == '6' ? 8 : 4);
			size += kind[1] == '6' ? 8 : 4;
		}
	} else if (*kind) {
		return 2;
	}
	word(PROP);
	word(size);
	word(string_offset(text));
	bytes(value, size);
	return 0;
}

/* Words: `NAME{` and `}` for nodes inside the root, properties else. The blob goes to standard output. */
int fdt_build(int argc, char **argv)
{
	uint32_t header[14] = { 0 }, words[10];
	int i;

	word(BEGIN);
	bytes("", 1);
	for (i = 0; i < argc; i++) {
		size_t length = strlen(argv[i]);

		if (!strcmp(argv[i], "}")) {
			word(END_NODE);
		} else if (argv[i][length - 1] == '{') {
			argv[i][length - 1] = '\0';
			word(BEGIN);
			bytes(argv[i], length);
		} else if (property(argv[i])) {
			fprintf(stderr, "fdt: %s\n", argv[i]);
			return 2;
		}
	}
	word(END_NODE);
	word(END);
	words[0] = 0xd00dfeed;
	words[1] = 56 + structure_size + strings_size;
	words[2] = 56;
	words[3] = 56 + structure_size;
	words[4] = 40;
	words[5] = 17;
	words[6] = 16;
	words[7] = 0;
	words[8] = strings_size;
	words[9] = structure_size;
	for (i = 0; i < 10; i++)
		header[i] = __builtin_bswap32(words[i]);
	fwrite(header, 56, 1, stdout);
	fwrite(structure, structure_size, 1, stdout);
	fwrite(strings, strings_size, 1, stdout);
	return 0;
}

static uint32_t cell(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return __builtin_bswap32(value);
}

static void show_value(const uint8_t *value, uint32_t size)
{
	uint32_t i, printable = size > 1 && !value[size - 1];

	for (i = 0; printable && i + 1 < size; i++)
		printable = value[i] >= ' ' && value[i] <= '~';
	if (printable) {
		printf(" \"%s\"\n", value);
		return;
	}
	for (i = 0; i < size; i += size % 8 ? 4 : 8)
		printf(size % 8 ? " 0x%x" : " 0x%x%08x", cell(value + i), size % 8 ? 0 : cell(value + i + 4));
	puts("");
}

/* One line for each property: PATH/NAME and its value. The file is read until its end. */
int fdt_show(const char *path)
{
	static uint8_t blob[ROOM];
	char where[1024] = "";
	FILE *file = fopen(path, "r");
	const uint8_t *at;
	size_t size;

	if (!file)
		die(path);
	setvbuf(file, NULL, _IONBF, 0);
	size = fread(blob, 1, sizeof(blob), file);
	if (size < 40 || cell(blob) != 0xd00dfeed || cell(blob + 4) != size) {
		printf("no tree of %zu bytes\n", size);
		return 1;
	}
	for (at = blob + cell(blob + 8); cell(at) != END; ) {
		switch (cell(at)) {
		case BEGIN:
			if (at[4])
				sprintf(where + strlen(where), "/%s", at + 4);
			at += 4 + ((strlen((char *)at + 4) + 4) & ~3ul);
			break;
		case PROP:
			printf("%s/%s", where, blob + cell(blob + 12) + cell(at + 8));
			show_value(at + 12, cell(at + 4));
			at += 12 + ((cell(at + 4) + 3) & ~3u);
			break;
		case END_NODE:
			if (strrchr(where, '/'))
				*strrchr(where, '/') = '\0';
			/* fall through */
		default:
			at += 4;
		}
	}
	return 0;
}
