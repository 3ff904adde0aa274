// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Private ACPI tables of an instance: its own CPUs, hardware-reduced, nothing of the firmware's. `acpi=off` is no way: the kernel
 * would believe the firmware's MP table, which names another boot CPU and the real IO-APIC. ACPI 6.3, chapter 5.2.
 */
#include "kernfs.h"
#include "pci.h"

#include <linux/kernel.h>
#include <linux/mm.h>

#define AT_XSDT		0x040
#define AT_DSDT		0x080
#define AT_FADT		0x100
#define AT_MADT		0x300
#define HEADER_SIZE	36
#define FADT_SIZE	276
#define APIC_ID_MAX	254	/* an instance runs in xAPIC mode, and 255 addresses all */

#define IAPC_BOOT_ARCH	0x3c	/* no 8042, no VGA, no MSI, no ASPM, no CMOS RTC */
#define IAPC_BOOT_ARCH_PCI	0x34	/* MSI, for there is no other interrupt */
#define MCFG_ENTRY	16
/* WBINVD, C1, no buttons, physical APIC destinations (its first logical id would be the host's CPU 0's), hardware reduced */
#define FADT_FLAGS	(BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(19) | BIT(20))
#define ENABLED		1
#define ONLINE_CAPABLE	2

static void put(u8 *at, u64 value, unsigned int bytes)
{
	memcpy(at, &value, bytes);
}

static u8 checksum(const u8 *at, unsigned int size)
{
	u8 sum = 0;

	while (size--)
		sum -= *at++;
	return sum;
}

static void finish(u8 *table, const char *signature, u32 size, u8 revision)
{
	memcpy(table, signature, 4);
	put(table + 4, size, 4);
	table[8] = revision;
	memcpy(table + 10, "MKRNELINSTANCE", 14);
	put(table + 24, 1, 4);
	memcpy(table + 28, "MKRN", 4);
	put(table + 32, 1, 4);
	table[9] = 0;
	table[9] = checksum(table, size);
}

static unsigned int put_local_apic(u8 *at, u8 uid, u32 apic_id, u32 flags)
{
	at[0] = 0;
	at[1] = 8;
	at[2] = uid;
	at[3] = apic_id;
	put(at + 4, flags, 4);
	return 8;
}

/*
 * The host's boot CPU comes first, "online capable" and not enabled: a kernel since 6.9 that finds itself to be the first one, and
 * not the machine's boot CPU, takes itself for a crash kernel and stays on one CPU.
 */
static int put_madt(u8 *table, unsigned int *end, u64 io_apic, const struct mk_spawn *spawn)
{
	unsigned int i, size = HEADER_SIZE + 8;

	if (spawn->nr_cpus > APIC_ID_MAX || io_apic >> 32)
		return -EINVAL;
	put(table + HEADER_SIZE, 0xfee00000, 4);
	size += put_local_apic(table + size, 0xfe, mk_apic_id(0), ONLINE_CAPABLE);
	for (i = 0; i < spawn->nr_cpus; i++) {
		u32 apic_id = mk_apic_id(spawn->cpus[i]);

		if (apic_id > APIC_ID_MAX)
			return -EINVAL;
		size += put_local_apic(table + size, i, apic_id, ENABLED);
	}
	table[size] = 1;
	table[size + 1] = 12;
	put(table + size + 4, io_apic, 4);
	finish(table, "APIC", size + 12, 5);
	*end = ALIGN(AT_MADT + size + 12, 16);
	return 0;
}

/* MCFG and, behind it, a DSDT with the buses; *@dsdt_at is where that lies. */
static int put_buses(u8 *page, unsigned int mcfg_at, const struct mk_bus *buses, unsigned int count, unsigned int *dsdt_at)
{
	unsigned int i, size = HEADER_SIZE + 8 + count * MCFG_ENTRY;
	u8 *entry = page + mcfg_at + HEADER_SIZE + 8;
	int used;

	*dsdt_at = ALIGN(mcfg_at + size, 16);
	if (*dsdt_at + HEADER_SIZE > PAGE_SIZE)
		return -ENOSPC;
	for (i = 0; i < count; i++, entry += MCFG_ENTRY) {
		/* the address is that of bus 0 */
		put(entry, buses[i].ecam - ((u64)buses[i].number << 20), 8);
		put(entry + 8, buses[i].segment, 2);
		entry[10] = entry[11] = buses[i].number;
	}
	finish(page + mcfg_at, "MCFG", size, 1);
	used = mk_aml_buses(page + *dsdt_at + HEADER_SIZE, PAGE_SIZE - *dsdt_at - HEADER_SIZE, buses, count);
	if (used < 0)
		return used;
	finish(page + *dsdt_at, "DSDT", HEADER_SIZE + used, 2);
	return 0;
}

/* @page is zeroed and will lie at @address; @io_apic: a page of zeros below 4 GiB that stands in for an IO-APIC. */
int mk_acpi_build(u8 *page, u64 address, u64 io_apic, const struct mk_spawn *spawn)
{
	u8 *fadt = page + AT_FADT, *xsdt = page + AT_XSDT;
	struct mk_bus buses[MK_BUSES_MAX];
	int ret, count = mk_pci_buses(&spawn->devices, buses);
	unsigned int free, dsdt_at = AT_DSDT;

	if (count < 0)
		return count;
	ret = put_madt(page + AT_MADT, &free, io_apic, spawn);
	if (!ret && count)
		ret = put_buses(page, free, buses, count, &dsdt_at);
	if (ret)
		return ret;
	if (!count)
		finish(page + AT_DSDT, "DSDT", HEADER_SIZE, 2);
	put(fadt + 109, count ? IAPC_BOOT_ARCH_PCI : IAPC_BOOT_ARCH, 2);
	put(fadt + 112, FADT_FLAGS, 4);
	fadt[131] = 3;		/* minor version */
	put(fadt + 140, address + dsdt_at, 8);
	finish(fadt, "FACP", FADT_SIZE, 6);
	put(xsdt + HEADER_SIZE, address + AT_FADT, 8);
	put(xsdt + HEADER_SIZE + 8, address + AT_MADT, 8);
	if (count)
		put(xsdt + HEADER_SIZE + 16, address + free, 8);
	finish(xsdt, "XSDT", HEADER_SIZE + (count ? 24 : 16), 1);
	memcpy(page, "RSD PTR ", 8);
	memcpy(page + 9, "MKRNEL", 6);
	page[15] = 2;
	put(page + 20, 36, 4);
	put(page + 24, address + AT_XSDT, 8);
	page[8] = checksum(page, 20);
	page[32] = checksum(page, 36);
	return 0;
}
