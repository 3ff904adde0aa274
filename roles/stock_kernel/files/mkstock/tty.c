// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * /dev/mktty: the consoles of the instances. The first write says which ("3\n"); then reads are output, writes are input.
 *
 * While nobody reads, an instance's output runs on in its ring and nothing is sent here. With a reader, programs wait for room
 * and the kernel's log is dropped for want of it. There is no history before the connection; the last words, of an instance
 * that is halted or panicked, too, are in /sys/kernel/mkstock/tty/ID.
 */
#include "ring.h"

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#define VECTOR		X86_PLATFORM_IPI_VECTOR
#define MESSAGE_MAX	4080	/* what one write may bring */
#define LOOKED_AT	15	/* of the first write */
#define TAIL		(PAGE_SIZE - 1)
/* For what no interrupt tells: a lost one, and that an instance has read its input. */
#define POLL_JIFFIES	max(HZ / 20, 1)

struct mk_tty {
	struct list_head node;
	struct kref users;
	struct kobj_attribute tail;
	char file_name[12];
	u32 id;
	u64 base;
	u32 apic_id;
	spinlock_t lock;		/* the area, of which no byte is touched once it is unmapped */
	struct mk_console_area *area;	/* NULL: the instance is gone */
	unsigned int readers;
};

static LIST_HEAD(ttys);
static DEFINE_MUTEX(ttys_mutex);	/* the list; taken outside a tty's lock */
static struct kobject *directory;
static DECLARE_WAIT_QUEUE_HEAD(wait);	/* readers and writers of all instances: they are few */
static atomic_t all_readers = ATOMIC_INIT(0);

static void wake(struct irq_work *unused)
{
	wake_up_all(&wait);
}
static DEFINE_IRQ_WORK(wake_work, wake);

static void poll_again(struct work_struct *work)
{
	wake_up_all(&wait);
	if (atomic_read(&all_readers))
		schedule_delayed_work(to_delayed_work(work), POLL_JIFFIES);
}
static DECLARE_DELAYED_WORK(poll_work, poll_again);

/* Hard interrupt. */
void mk_tty_interrupt(void)
{
	if (atomic_read(&all_readers))
		irq_work_queue(&wake_work);
}

static void release(struct kref *users)
{
	kfree(container_of(users, struct mk_tty, users));
}

static void put_tty(struct mk_tty *tty)
{
	kref_put(&tty->users, release);
}

static struct mk_tty *find(u32 id)
{
	struct mk_tty *tty;

	list_for_each_entry(tty, &ttys, node)
		if (tty->id == id)
			return tty;
	return NULL;
}

/* An instance that does not listen (not yet, or no more) is not interrupted. Needs the tty's lock. */
static void notify(struct mk_tty *tty)
{
	if (!READ_ONCE(tty->area->attached))
		return;
	local_irq_disable();
	mk_send_ipi(APIC_DM_FIXED | VECTOR, tty->apic_id);
	local_irq_enable();
}

static ssize_t tail_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct mk_tty *tty = container_of(attr, struct mk_tty, tail);
	struct mk_ring ring;
	ssize_t n = -ENODEV;

	spin_lock(&tty->lock);
	if (tty->area) {
		ring = mk_ring_output(tty->area);
		n = mk_ring_last(&ring, buf, TAIL);
	}
	spin_unlock(&tty->lock);
	return n;
}

static void reset(struct mk_tty *tty)
{
	memset(tty->area, 0, sizeof(*tty->area));
	tty->area->host_apic = mk_apic_id(0);
	tty->area->instance_apic = tty->apic_id;
	tty->area->readers = tty->readers;
	tty->area->magic = MK_CONSOLE_MAGIC;
}

static int restart(struct mk_tty *tty, u64 base, u32 apic_id)
{
	if (tty->base != base)
		return -EEXIST;
	spin_lock(&tty->lock);
	tty->apic_id = apic_id;
	reset(tty);
	spin_unlock(&tty->lock);
	return 0;
}

static int add(u32 id, u64 base, u32 apic_id, bool kept)
{
	struct mk_tty *tty = kzalloc(sizeof(*tty), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!tty)
		return -ENOMEM;
	kref_init(&tty->users);
	spin_lock_init(&tty->lock);
	tty->id = id;
	tty->base = base;
	tty->apic_id = apic_id;
	tty->area = memremap(base + MK_CONSOLE_OFFSET, MK_CONSOLE_SIZE, MEMREMAP_WB);
	if (!tty->area)
		goto out;
	ret = -EINVAL;
	if (!kept)
		reset(tty);
	else if (tty->area->magic != MK_CONSOLE_MAGIC || tty->area->host_apic != mk_apic_id(0))
		goto out_unmap;
	WRITE_ONCE(tty->area->readers, 0);
	snprintf(tty->file_name, sizeof(tty->file_name), "%u", id);
	sysfs_attr_init(&tty->tail.attr);
	tty->tail.attr.name = tty->file_name;
	tty->tail.attr.mode = 0400;
	tty->tail.show = tail_show;
	ret = sysfs_create_file(directory, &tty->tail.attr);
	if (ret)
		goto out_unmap;
	list_add_tail(&tty->node, &ttys);
	return 0;
out_unmap:
	memunmap(tty->area);
out:
	kfree(tty);
	return ret;
}

/*
 * Instance @id is about to start at @base, with the CPU @apic_id first: its console is laid out anew, and whoever reads it goes
 * on reading. The caller holds the memory until mk_tty_gone(). -EEXIST: the id belongs to an instance elsewhere.
 */
int mk_tty_add(u32 id, u64 base, u32 apic_id)
{
	struct mk_tty *tty;
	int ret;

	if (!id || id > INT_MAX)
		return -EINVAL;
	mutex_lock(&ttys_mutex);
	tty = find(id);
	ret = tty ? restart(tty, base, apic_id) : add(id, base, apic_id, false);
	mutex_unlock(&ttys_mutex);
	return ret;
}

/* The same for an instance that runs already and knows its console: what is in it stays. */
int mk_tty_adopt(u32 id, u64 base, u32 apic_id)
{
	int ret = -EEXIST;

	if (!id || id > INT_MAX)
		return -EINVAL;
	mutex_lock(&ttys_mutex);
	if (!find(id))
		ret = add(id, base, apic_id, true);
	mutex_unlock(&ttys_mutex);
	return ret;
}

/* Nobody reads from now on, until there is another kernel: no instance waits for that. */
void mk_tty_leave(void)
{
	struct mk_tty *tty;

	mutex_lock(&ttys_mutex);
	list_for_each_entry(tty, &ttys, node)
		WRITE_ONCE(tty->area->readers, 0);
	mutex_unlock(&ttys_mutex);
}

/* The memory of instance @id may become anything now. Readers are told that there is no such device. */
void mk_tty_gone(u32 id, u64 base)
{
	struct mk_console_area *area;
	struct mk_tty *tty;

	mutex_lock(&ttys_mutex);
	tty = find(id);
	if (tty && tty->base == base) {
		list_del(&tty->node);
		sysfs_remove_file(directory, &tty->tail.attr);
		spin_lock(&tty->lock);
		area = tty->area;
		WRITE_ONCE(tty->area, NULL);
		spin_unlock(&tty->lock);
		memunmap(area);
		put_tty(tty);
	}
	mutex_unlock(&ttys_mutex);
	wake_up_all(&wait);
}

static bool gone(const struct mk_tty *tty)
{
	return !READ_ONCE(tty->area);
}

static bool readable(struct mk_tty *tty)
{
	struct mk_ring ring;
	bool any = true;

	spin_lock(&tty->lock);
	if (!gone(tty)) {
		ring = mk_ring_output(tty->area);
		any = mk_ring_used(&ring);
	}
	spin_unlock(&tty->lock);
	return any;
}

static bool writable(struct mk_tty *tty)
{
	struct mk_ring ring;
	bool room = true;

	spin_lock(&tty->lock);
	if (!gone(tty)) {
		ring = mk_ring_input(tty->area);
		room = mk_ring_room(&ring) >= MESSAGE_MAX;
	}
	spin_unlock(&tty->lock);
	return room;
}

/* The first reader finds what comes from now on. */
static int join(struct mk_tty *tty)
{
	struct mk_ring ring;
	int ret = -ENODEV;

	spin_lock(&tty->lock);
	if (!gone(tty)) {
		ring = mk_ring_output(tty->area);
		if (!tty->readers)
			WRITE_ONCE(*ring.tail, READ_ONCE(*ring.head));
		smp_store_release(&tty->area->readers, ++tty->readers);
		atomic_inc(&all_readers);
		schedule_delayed_work(&poll_work, POLL_JIFFIES);
		ret = 0;
	}
	spin_unlock(&tty->lock);
	return ret;
}

static void leave(struct mk_tty *tty)
{
	spin_lock(&tty->lock);
	tty->readers--;
	if (!gone(tty)) {
		WRITE_ONCE(tty->area->readers, tty->readers);
		if (!tty->readers)
			notify(tty);	/* a writer that waits for room need not any more */
	}
	spin_unlock(&tty->lock);
	atomic_dec(&all_readers);
}

static int choose(struct file *file, const char __user *user, size_t size)
{
	char text[LOOKED_AT + 1] = "";
	struct mk_tty *tty;
	int id, ret;

	if (copy_from_user(text, user, min_t(size_t, size, LOOKED_AT)))
		return -EFAULT;
	if (kstrtoint(strim(text), 10, &id) || id < 1)
		return -EINVAL;
	mutex_lock(&ttys_mutex);
	tty = find(id);
	if (tty)
		kref_get(&tty->users);
	mutex_unlock(&ttys_mutex);
	if (!tty)
		return -ENODEV;
	ret = join(tty);
	if (!ret && cmpxchg(&file->private_data, NULL, tty)) {
		leave(tty);
		ret = -EBUSY;	/* another thread chose at the same time */
	}
	if (ret)
		put_tty(tty);
	return ret;
}

static int tty_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;	/* misc_open() left the device here */
	return nonseekable_open(inode, file);
}

static int tty_release(struct inode *inode, struct file *file)
{
	struct mk_tty *tty = file->private_data;

	if (tty) {
		leave(tty);
		put_tty(tty);
	}
	return 0;
}

static ssize_t take(struct mk_tty *tty, void *data, size_t size)
{
	struct mk_ring ring;
	ssize_t n = -ENODEV;

	spin_lock(&tty->lock);
	if (!gone(tty)) {
		ring = mk_ring_output(tty->area);
		n = mk_ring_copy(&ring, data, size);
		mk_ring_drop(&ring, n);
		if (n && READ_ONCE(tty->area->want_room))
			notify(tty);
	}
	spin_unlock(&tty->lock);
	return n;
}

static ssize_t tty_read(struct file *file, char __user *user, size_t size, loff_t *pos)
{
	struct mk_tty *tty = READ_ONCE(file->private_data);
	ssize_t n;
	u8 *data;

	if (!tty)
		return -ENOTCONN;
	if (!size)
		return 0;
	size = min_t(size_t, size, MK_OUTPUT_SIZE);
	data = kmalloc(size, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	while (!(n = take(tty, data, size))) {
		n = -EAGAIN;
		if (file->f_flags & O_NONBLOCK)
			break;
		n = -ERESTARTSYS;
		if (wait_event_interruptible(wait, readable(tty)))
			break;
	}
	if (n > 0 && copy_to_user(user, data, n))
		n = -EFAULT;
	kfree(data);
	return n;
}

static int give(struct mk_tty *tty, const void *data, size_t size)
{
	struct mk_ring ring;
	int ret = -ENODEV;

	spin_lock(&tty->lock);
	if (!gone(tty)) {
		ring = mk_ring_input(tty->area);
		ret = -ENOSPC;
		if (mk_ring_room(&ring) >= size) {
			mk_ring_put(&ring, data, size);
			notify(tty);
			ret = 0;
		}
	}
	spin_unlock(&tty->lock);
	return ret;
}

static ssize_t tty_write(struct file *file, const char __user *user, size_t size, loff_t *pos)
{
	struct mk_tty *tty = READ_ONCE(file->private_data);
	void *data;
	int ret;

	if (!tty)
		return choose(file, user, size) ?: size;
	size = min_t(size_t, size, MESSAGE_MAX);
	data = memdup_user(user, size);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = give(tty, data, size);
	kfree(data);
	return ret ?: size;
}

static __poll_t tty_poll(struct file *file, poll_table *table)
{
	struct mk_tty *tty = READ_ONCE(file->private_data);
	__poll_t events = 0;

	poll_wait(file, &wait, table);
	if (!tty)
		return EPOLLOUT | EPOLLWRNORM;
	if (gone(tty))
		return EPOLLERR | EPOLLHUP;
	if (readable(tty))
		events |= EPOLLIN | EPOLLRDNORM;
	if (writable(tty))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static const struct file_operations tty_fops = {
	.owner = THIS_MODULE,
	.open = tty_open,
	.release = tty_release,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
};

static struct miscdevice tty_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mktty",
	.fops = &tty_fops,
	.mode = 0600,
};

int mk_tty_start(void)
{
	int ret;

	directory = kobject_create_and_add("tty", mk_control_directory());
	if (!directory)
		return -ENOMEM;
	ret = misc_register(&tty_device);
	if (ret)
		kobject_put(directory);
	return ret;
}

/* No instance is left and no file is open: each holds the module. */
void mk_tty_stop(void)
{
	misc_deregister(&tty_device);
	tracepoint_synchronize_unregister();	/* an interrupt that is just looking */
	irq_work_sync(&wake_work);
	cancel_delayed_work_sync(&poll_work);
	kobject_put(directory);
}
