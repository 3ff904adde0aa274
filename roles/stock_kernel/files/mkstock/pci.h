/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) 2026 multikernel.core contributors */
#ifndef MK_PCI_H
#define MK_PCI_H

#include <linux/list.h>
#include <linux/types.h>

struct mk_device;
struct pci_dev;

#define MK_BUSES_MAX	8
#define MK_WINDOWS_MAX	4

struct mk_window {
	u64 start, end;
	bool io, prefetch;
};

/* One PCI bus of an instance: where its configuration space begins, and what the host's bridge passes on to it. */
struct mk_bus {
	u16 segment;
	u8 number;
	u64 ecam;
	unsigned int nr_windows;
	struct mk_window windows[MK_WINDOWS_MAX];
};

/* pci.c */
int mk_pci_start(void);
void mk_pci_stop(void);
int mk_pci_seize(struct mk_device *device);
void mk_pci_release(struct mk_device *device);
/* No DMA and no MSI from then on; reset where that is possible. */
void mk_pci_quiet(const struct list_head *devices);
/* How many buses these devices are on; -EXDEV when one of them is not theirs alone. */
int mk_pci_buses(const struct list_head *devices, struct mk_bus *buses);

/* aml.c: bytes written, or -ENOSPC */
int mk_aml_buses(u8 *at, unsigned int room, const struct mk_bus *buses, unsigned int count);

#endif
