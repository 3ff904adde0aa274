/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
#include "mkt.h"

#include <string.h>

enum { RSDP = 0, XSDT = 0x40, FADT = 0x100, MADT = 0x300, DSDT = 0x800 };

static void put(uint8_t *at, uint64_t value, int bytes)
{
	memcpy(at, &value, bytes);
}

static uint8_t checksum(const uint8_t *at, int n)
{
	uint8_t sum = 0;

	while (n--)
		sum -= *at++;
	return sum;
}

static void header(uint8_t *table, const char *signature, uint32_t length, uint8_t revision)
{
	memcpy(table, signature, 4);
	put(table + 4, length, 4);
	table[8] = revision;
	memcpy(table + 10, "MKTESTINSTANCE", 14);
	put(table + 24, 1, 4);
	memcpy(table + 28, "MKT ", 4);
	put(table + 32, 1, 4);
	table[9] = 0;
	table[9] = checksum(table, length);
}

static void fadt(uint8_t *t, uint64_t dsdt)
{
	put(t + 109, 0x3c, 2);	/* no 8042, no VGA, no MSI, no ASPM, no CMOS clock */
	put(t + 112, 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 19 | 1 << 20, 4);	/* physical APIC destinations, hardware reduced */
	t[131] = 3;
	put(t + 140, dsdt, 8);
	header(t, "FACP", 276, 6);
}

/* The machine's boot CPU comes first, as not enabled: since 6.9 a kernel that does not see it takes itself for a crash kernel. */
static void madt(uint8_t *t, uint64_t ioapic, const unsigned int *ids, unsigned int nr, unsigned int bsp)
{
	unsigned int i, length = 44;

	put(t + 36, 0xfee00000, 4);
	for (i = 0; i <= nr; i++, length += 8) {
		t[length + 1] = 8;
		t[length + 2] = i ? i - 1 : 0xfe;
		t[length + 3] = i ? ids[i - 1] : bsp;
		put(t + length + 4, i ? 1 : 2, 4);
	}
	t[length] = 1;
	t[length + 1] = 12;
	put(t + length + 4, ioapic, 4);
	header(t, "APIC", length + 12, 5);
}

void acpi_build(uint8_t *page, uint64_t address, uint64_t ioapic, const unsigned int *ids, unsigned int nr, unsigned int bsp)
{
	header(page + DSDT, "DSDT", 36, 2);
	fadt(page + FADT, address + DSDT);
	madt(page + MADT, ioapic, ids, nr, bsp);
	put(page + XSDT + 36, address + FADT, 8);
	put(page + XSDT + 44, address + MADT, 8);
	header(page + XSDT, "XSDT", 52, 1);
	memcpy(page + RSDP, "RSD PTR ", 8);
	memcpy(page + RSDP + 9, "MKTEST", 6);
	page[15] = 2;
	put(page + 20, 36, 4);
	put(page + 24, address + XSDT, 8);
	page[8] = checksum(page, 20);
	page[32] = checksum(page, 36);
}
