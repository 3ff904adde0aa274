// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Devices of the pool and of instances. What a tree says of them is understood and kept here; how a device is taken from its
 * driver and brought to an instance is seize() and release().
 */
#include "kernfs.h"
#include "pci.h"

#include <linux/kernel.h>
#include <linux/slab.h>

LIST_HEAD(mk_devices);		/* free ones of the pool */

/* The host lets go of the device, or takes it back. */
static int seize(struct mk_device *device)
{
	return device->pci ? mk_pci_seize(device) : -ENODEV;
}

static void release(struct mk_device *device)
{
	if (device->pci)
		mk_pci_release(device);
}

static bool same(const struct mk_device *a, const struct mk_device *b)
{
	if (a->pci != b->pci)
		return false;
	if (!a->pci)
		return !strcmp(a->name, b->name);
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot && a->function == b->function;
}

static struct mk_device *find(const struct list_head *devices, const struct mk_device *like)
{
	struct mk_device *device;

	list_for_each_entry(device, devices, node)
		if (same(device, like))
			return device;
	return NULL;
}

static bool parse_pci_id(const char *text, struct mk_device *device)
{
	char rest;

	return sscanf(text, "%x:%x:%x.%x%c", &device->domain, &device->bus, &device->slot, &device->function, &rest) == 4 &&
	       device->bus < 256 && device->slot < 32 && device->function < 8;
}

static int parse_pci(const struct mk_fdt *fdt, int node, struct mk_device *device)
{
	const char *text;

	if (mk_fdt_string(fdt, node, "pci-id", &text) || !parse_pci_id(text, device) ||
	    mk_fdt_u32(fdt, node, "vendor-id", &device->vendor) || mk_fdt_u32(fdt, node, "device-id", &device->device))
		return -EINVAL;
	device->pci = true;
	return 0;
}

/*
 * A node below /resources/devices. -EINVAL when it is damaged; 0 without a device for a type that is not known, which is skipped.
 */
int mk_device_parse(const struct mk_fdt *fdt, int node, struct mk_device **result)
{
	const char *type = "", *text = NULL;
	struct mk_device *device;
	int ret = 0;

	*result = NULL;
	mk_fdt_string(fdt, node, "device-type", &type);
	if (strcmp(type, "pci") && strcmp(type, "platform") && mk_fdt_string(fdt, node, "pci-id", &text)) {
		pr_warn("device %s is neither pci nor platform: skipped\n", mk_fdt_name(fdt, node));
		return 0;
	}
	device = kzalloc(sizeof(*device), GFP_KERNEL);
	if (!device)
		return -ENOMEM;
	if (strcmp(type, "platform"))
		ret = parse_pci(fdt, node, device);
	if (mk_fdt_string(fdt, node, "device-name", &text))
		text = mk_fdt_name(fdt, node);
	strscpy(device->name, text, sizeof(device->name));
	if (!mk_fdt_string(fdt, node, "acpi-hid", &text))
		strscpy(device->acpi_hid, text, sizeof(device->acpi_hid));
	if (ret)
		kfree(device);
	else
		*result = device;
	return ret;
}

/* Takes the device into the pool, or frees it. */
int mk_device_pool(struct mk_device *device)
{
	int ret = find(&mk_devices, device) ? -EBUSY : seize(device);

	if (ret) {
		pr_warn("device %s cannot join the pool: %d\n", device->name, ret);
		kfree(device);
	} else {
		list_add_tail(&device->node, &mk_devices);
	}
	return ret;
}

/* A pci@N item of an operation; @like is what it names. */
static int parse_item(const struct mk_fdt *fdt, int item, struct mk_device *like)
{
	const char *text;

	if (mk_fdt_string(fdt, item, "pci-id", &text) || !parse_pci_id(text, like))
		return -EINVAL;
	like->pci = true;
	strscpy(like->name, text, sizeof(like->name));
	if (!mk_fdt_string(fdt, item, "alias", &text))
		strscpy(like->alias, text, sizeof(like->alias));
	return 0;
}

/* device-add and device-remove of /resources, one item. */
int mk_devices_edit(const struct mk_fdt *fdt, int item, bool add)
{
	struct mk_device like = { }, *device;
	int ret = parse_item(fdt, item, &like);

	if (ret)
		return ret;
	if (add) {
		device = kmemdup(&like, sizeof(like), GFP_KERNEL);
		return device ? mk_device_pool(device) : -ENOMEM;
	}
	device = find(&mk_devices, &like);
	if (!device)
		return -EBUSY;
	list_del(&device->node);
	release(device);
	kfree(device);
	return 0;
}

/* -ENOENT when it is not free in the pool. */
int mk_device_lend(struct list_head *to, const struct mk_device *like)
{
	struct mk_device *device = find(&mk_devices, like);

	if (!device)
		return -ENOENT;
	list_move_tail(&device->node, to);
	return 0;
}

int mk_device_lend_item(struct list_head *to, const struct mk_fdt *fdt, int item)
{
	struct mk_device like = { };
	int ret = parse_item(fdt, item, &like);

	return ret ? ret : mk_device_lend(to, &like);
}

int mk_device_return_item(struct list_head *from, const struct mk_fdt *fdt, int item)
{
	struct mk_device like = { }, *device;
	int ret = parse_item(fdt, item, &like);

	if (ret)
		return ret;
	device = find(from, &like);
	if (!device)
		return -ENOENT;
	list_move_tail(&device->node, &mk_devices);
	return 0;
}

void mk_devices_return(struct list_head *from)
{
	list_splice_tail_init(from, &mk_devices);
}

void mk_devices_release(void)
{
	struct mk_device *device, *next;

	list_for_each_entry_safe(device, next, &mk_devices, node) {
		list_del(&device->node);
		release(device);
		kfree(device);
	}
}

static void put_pci(struct mk_fdt_out *out, const struct mk_device *device)
{
	u8 reg[20] = "";
	char name[24];

	snprintf(name, sizeof(name), "pci@%x", device->bus);
	mk_fdt_begin(out, name);
	mk_fdt_put_string(out, "compatible", "multikernel,pci-host-bridge");
	mk_fdt_put_u32(out, "linux,pci-domain", device->domain);
	snprintf(name, sizeof(name), "pci@%x,%x", device->slot, device->function);
	mk_fdt_begin(out, name);
	mk_set_cell(reg, device->bus << 16 | device->slot << 11 | device->function << 8);
	mk_fdt_put(out, "reg", reg, sizeof(reg));
	mk_fdt_put_u32(out, "vendor-id", device->vendor);
	mk_fdt_put_u32(out, "device-id", device->device);
	mk_fdt_end(out);
	mk_fdt_end(out);
}

/* The pci@BUS nodes at the root of a tree. */
void mk_devices_put(struct mk_fdt_out *out, const struct list_head *devices)
{
	struct mk_device *device;

	list_for_each_entry(device, devices, node)
		if (device->pci)
			put_pci(out, device);
}
