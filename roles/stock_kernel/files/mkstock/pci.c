// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * PCI functions that the host gives away. A driver of this module takes the place of the one that a function had, so that no other
 * driver gets it; it does nothing to the function but to silence it between two owners.
 */
#include "kernfs.h"
#include "pci.h"

#include <linux/kernel.h>
#include <linux/pci.h>
#include <linux/rculist.h>
#include <asm/pci_x86.h>

#define IDS_MAX 64

static struct list_head *ecams;		/* pci_mmcfg_list */
static struct pci_dev *wanted;		/* under mk_tree_lock */
static u64 ids[IDS_MAX];		/* that the driver was told, never untold */
static unsigned int nr_ids;

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return pdev == READ_ONCE(wanted) ? 0 : -ENODEV;
}

static struct pci_driver keeper = {
	.name = "multikernel",
	.probe = probe,
	.driver = { .probe_type = PROBE_FORCE_SYNCHRONOUS, .suppress_bind_attrs = true },
};

static void quiet(struct pci_dev *pdev)
{
	pci_clear_master(pdev);
	if (pci_reset_function(pdev))
		pr_info("PCI device %s cannot be reset: its next owner finds it as it is\n", pci_name(pdev));
}

static int attach(struct pci_dev *pdev)
{
	u64 id = (u64)pdev->vendor << 32 | pdev->device;
	unsigned int i;
	int ret;

	for (i = 0; i < nr_ids && ids[i] != id; i++)
		;
	if (i == IDS_MAX)
		return -ENOSPC;
	WRITE_ONCE(wanted, pdev);
	if (i < nr_ids) {
		ret = driver_attach(&keeper.driver);
	} else {
		ret = pci_add_dynid(&keeper, pdev->vendor, pdev->device, PCI_ANY_ID, PCI_ANY_ID, 0, 0, 0);
		if (!ret)
			ids[nr_ids++] = id;
	}
	WRITE_ONCE(wanted, NULL);
	return !ret && pci_dev_driver(pdev) != &keeper ? -EBUSY : ret;
}

static bool fits(const struct mk_device *device, const struct pci_dev *pdev)
{
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL || pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE)
		return false;
	/* an operation names no ids, a baseline does */
	return !device->vendor || (device->vendor == pdev->vendor && device->device == pdev->device);
}

int mk_pci_seize(struct mk_device *device)
{
	struct pci_dev *pdev = pci_get_domain_bus_and_slot(device->domain, device->bus,
							   PCI_DEVFN(device->slot, device->function));
	int ret;

	if (!pdev)
		return -ENODEV;
	if (!ecams || !fits(device, pdev)) {
		pci_dev_put(pdev);
		return -ENODEV;
	}
	device_release_driver(&pdev->dev);
	ret = attach(pdev);
	if (ret) {
		if (device_attach(&pdev->dev) < 0)
			pr_warn("PCI device %s stays without a driver\n", pci_name(pdev));
		pci_dev_put(pdev);
		return ret;
	}
	quiet(pdev);
	device->vendor = pdev->vendor;
	device->device = pdev->device;
	device->pdev = pdev;
	return 0;
}

void mk_pci_release(struct mk_device *device)
{
	struct pci_dev *pdev = device->pdev;

	if (!pdev)
		return;
	quiet(pdev);
	device_release_driver(&pdev->dev);
	if (device_attach(&pdev->dev) < 0)
		pr_warn("PCI device %s stays without a driver\n", pci_name(pdev));
	device->pdev = NULL;
	pci_dev_put(pdev);
}

void mk_pci_quiet(const struct list_head *devices)
{
	struct mk_device *device;

	list_for_each_entry(device, devices, node)
		if (device->pdev)
			quiet(device->pdev);
}

static u64 ecam_of(u16 segment, u8 number)
{
	struct pci_mmcfg_region *region;
	u64 address = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(region, ecams, list)
		if (region->segment == segment && region->start_bus <= number && number <= region->end_bus)
			address = region->address + ((u64)number << 20);
	rcu_read_unlock();
	return address;
}

static bool owns(const struct list_head *devices, const struct pci_dev *pdev)
{
	struct mk_device *device;

	list_for_each_entry(device, devices, node)
		if (device->pdev == pdev)
			return true;
	return false;
}

/* An instance finds all that is on its bus, and its drivers take it. Called with mk_tree_lock; hotplug of the bus is left aside. */
static bool is_theirs(const struct list_head *devices, const struct pci_bus *bus)
{
	struct pci_dev *pdev;

	if (pci_is_root_bus((struct pci_bus *)bus))
		return false;
	list_for_each_entry(pdev, &bus->devices, bus_list)
		if (!owns(devices, pdev)) {
			pr_warn("%s is on a bus of an instance, and not the instance's\n", pci_name(pdev));
			return false;
		}
	return true;
}

static int describe(struct mk_bus *to, const struct pci_bus *bus)
{
	unsigned int i;

	memset(to, 0, sizeof(*to));
	to->segment = pci_domain_nr((struct pci_bus *)bus);
	to->number = bus->number;
	to->ecam = ecam_of(to->segment, to->number);
	if (!to->ecam)
		return -ENODEV;
	for (i = 0; i < PCI_BRIDGE_RESOURCE_NUM && to->nr_windows < MK_WINDOWS_MAX; i++) {
		const struct resource *resource = bus->resource[i];
		bool io;

		if (!resource || !resource->parent || !(resource->flags & (IORESOURCE_IO | IORESOURCE_MEM)))
			continue;
		io = resource->flags & IORESOURCE_IO;
		if (io && resource->end > 0xffff)
			continue;
		to->windows[to->nr_windows++] = (struct mk_window){
			resource->start, resource->end, io, resource->flags & IORESOURCE_PREFETCH,
		};
	}
	return 0;
}

int mk_pci_buses(const struct list_head *devices, struct mk_bus *buses)
{
	struct mk_device *device;
	int i, count = 0, ret;

	list_for_each_entry(device, devices, node) {
		const struct pci_bus *bus;

		if (!device->pdev)
			continue;
		bus = device->pdev->bus;
		for (i = 0; i < count; i++)
			if (buses[i].segment == device->domain && buses[i].number == bus->number)
				break;
		if (i < count)
			continue;
		if (count == MK_BUSES_MAX)
			return -ENOSPC;
		if (!is_theirs(devices, bus))
			return -EXDEV;
		ret = describe(&buses[count++], bus);
		if (ret)
			return ret;
	}
	return count;
}

int mk_pci_start(void)
{
	ecams = mk_symbol("pci_mmcfg_list");
	if (!ecams) {
		pr_info("this kernel does not tell where PCI configuration space is: no devices for instances\n");
		return 0;
	}
	return pci_register_driver(&keeper);
}

void mk_pci_stop(void)
{
	if (ecams)
		pci_unregister_driver(&keeper);
	ecams = NULL;
	nr_ids = 0;
}
