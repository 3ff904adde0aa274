// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * Inside an instance: the console that the host reads at /dev/mktty. One tty, mktty0, for programs, and a console of the same
 * name for the kernel's log, which is replayed when the module loads.
 *
 * Programs wait until the host has read, the log never does for long: what finds no room then is dropped and counted. In a panic
 * the newest wins. While nobody reads, output goes round and round in the ring, where the host still finds the last of it.
 */
#include "ring.h"

#include <linux/console.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/hardirq.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#define VECTOR		X86_PLATFORM_IPI_VECTOR
#define NAME		"mktty"
#define CHUNK		256
#define PATIENCE_US	5000	/* of the log, once; the host reads slower than this kernel writes */
/* For a lost interrupt, and for input that found no room in the tty before. */
#define POLL_JIFFIES	max(HZ / 20, 1)

static struct mk_console_area *area;
static bool active;
static u32 host_apic;		/* read once, while the host's word is fresh */
static bool impatient;		/* the log waited in vain the last time */
static DEFINE_RAW_SPINLOCK(out_lock);
static DEFINE_RAW_SPINLOCK(in_lock);
static struct tty_driver *driver;
static struct tty_port port;

static bool is_read(void)
{
	return READ_ONCE(area->readers);
}

/* With interrupts off, since a message takes two writes to the APIC. */
static void notify(void)
{
	if (is_read() && !in_nmi())
		mk_send_ipi(APIC_DM_FIXED | VECTOR, host_apic);
}

/* Needs out_lock. Returns how many bytes went out. */
static u32 put(const void *data, u32 n, bool newest_wins)
{
	struct mk_ring ring = mk_ring_output(area);

	if (is_read() && !newest_wins)
		n = min(n, mk_ring_room(&ring));
	mk_ring_put(&ring, data, n);
	return min(n, ring.size);
}

static u32 room(void)
{
	struct mk_ring ring = mk_ring_output(area);

	return is_read() ? mk_ring_room(&ring) : ring.size;
}

/* --- the log */

static void await_room(u32 n)
{
	unsigned int waited;

	for (waited = 0; room() < n && !impatient; waited += 50) {
		if (waited >= PATIENCE_US)
			impatient = true;
		udelay(50);
	}
	if (room() >= n)
		impatient = false;
}

/* Needs the lock, but in trouble. */
static void log_piece(const void *data, u32 n)
{
	u32 done = put(data, n, oops_in_progress);

	if (done < n)
		WRITE_ONCE(area->dropped, READ_ONCE(area->dropped) + n - done);
	notify();
}

/* Who holds the lock in a panic may never come back, so it is not waited for long. */
static void log_in_trouble(const void *data, u32 n)
{
	unsigned int tries = 100;
	unsigned long flags;

	local_irq_save(flags);
	for (; tries; tries--) {
		if (raw_spin_trylock(&out_lock)) {
			log_piece(data, n);
			raw_spin_unlock(&out_lock);
			break;
		}
		udelay(10);
	}
	if (!tries)
		log_piece(data, n);
	local_irq_restore(flags);
}

static void log_chunk(const void *data, u32 n)
{
	unsigned long flags;

	if (oops_in_progress || in_nmi()) {
		log_in_trouble(data, n);
		return;
	}
	await_room(n);
	raw_spin_lock_irqsave(&out_lock, flags);
	log_piece(data, n);
	raw_spin_unlock_irqrestore(&out_lock, flags);
}

static void log_write(struct console *console, const char *text, unsigned int n)
{
	char chunk[CHUNK];
	u32 used = 0;

	while (n--) {
		if (*text == '\n')
			chunk[used++] = '\r';
		chunk[used++] = *text++;
		if (used >= CHUNK - 1 || !n) {
			log_chunk(chunk, used);
			used = 0;
		}
	}
}

static struct tty_driver *log_device(struct console *console, int *index)
{
	*index = 0;
	return driver;
}

/* Enabled whether or not the command line names it: there is no other way to hear an instance without a UART. */
static struct console log_console = {
	.name = NAME,
	.write = log_write,
	.device = log_device,
	.flags = CON_PRINTBUFFER | CON_ENABLED,
	.index = 0,
};

/* --- input; from the interrupt's irq_work and from the poll */

static void take_input(void)
{
	struct mk_ring ring = mk_ring_input(area);
	bool open = tty_port_initialized(&port);
	bool any = false;
	u8 chunk[CHUNK];
	unsigned long flags;
	u32 n, taken;

	raw_spin_lock_irqsave(&in_lock, flags);
	while ((n = mk_ring_copy(&ring, chunk, sizeof(chunk)))) {
		/* nobody has it open: like a UART, what is typed to no one is lost */
		taken = open ? tty_insert_flip_string(&port, chunk, n) : n;
		mk_ring_drop(&ring, taken);
		any |= open && taken;
		if (taken < n)
			break;
	}
	raw_spin_unlock_irqrestore(&in_lock, flags);
	if (any)
		tty_flip_buffer_push(&port);
}

static void look(struct irq_work *unused)
{
	take_input();
	if (READ_ONCE(area->want_room) && room() >= MK_OUTPUT_SIZE / 4) {
		WRITE_ONCE(area->want_room, 0);
		tty_port_tty_wakeup(&port);
	}
}
static DEFINE_IRQ_WORK(look_work, look);

static void poll_again(struct work_struct *work)
{
	irq_work_queue(&look_work);
	if (tty_port_initialized(&port))
		schedule_delayed_work(to_delayed_work(work), POLL_JIFFIES);
}
static DECLARE_DELAYED_WORK(poll_work, poll_again);

/* Hard interrupt. */
void mk_console_interrupt(void)
{
	if (READ_ONCE(active))
		irq_work_queue(&look_work);
}

/* --- the tty */

static int on_open(struct tty_struct *tty, struct file *file)
{
	int ret = tty_port_open(&port, tty, file);

	if (!ret)
		schedule_delayed_work(&poll_work, POLL_JIFFIES);
	return ret;
}

static void on_close(struct tty_struct *tty, struct file *file)
{
	tty_port_close(&port, tty, file);
}

static void on_hangup(struct tty_struct *tty)
{
	tty_port_hangup(&port);
}

static u32 on_write(const void *data, u32 n)
{
	unsigned long flags;
	u32 done;

	raw_spin_lock_irqsave(&out_lock, flags);
	done = put(data, min_t(u32, n, MK_OUTPUT_SIZE / 2), false);
	if (done < n)
		WRITE_ONCE(area->want_room, 1);
	if (done)
		notify();
	raw_spin_unlock_irqrestore(&out_lock, flags);
	return done;
}

/* The operation's type changed in 6.6; the one that this kernel has is chosen below, and the other is never called. */
static int __maybe_unused write_int(struct tty_struct *tty, const unsigned char *data, int n)
{
	return on_write(data, n);
}

static ssize_t __maybe_unused write_size(struct tty_struct *tty, const unsigned char *data, size_t n)
{
	return on_write(data, min_t(size_t, n, MK_OUTPUT_SIZE));
}

static unsigned int on_write_room(struct tty_struct *tty)
{
	u32 free = room();

	/* who is told of less than it needs (for one character that may be two) sleeps until it is woken */
	if (free < CHUNK)
		WRITE_ONCE(area->want_room, 1);
	return free;
}

static const struct tty_operations operations = {
	.open = on_open,
	.close = on_close,
	.hangup = on_hangup,
	.write = __builtin_choose_expr(
		__builtin_types_compatible_p(typeof(((struct tty_operations *)NULL)->write), typeof(&write_int)),
		write_int, write_size),
	.write_room = on_write_room,
};

static const struct tty_port_operations port_operations = { };

static int make_tty(void)
{
	struct device *device;
	int ret;

	driver = tty_alloc_driver(1, TTY_DRIVER_REAL_RAW | TTY_DRIVER_DYNAMIC_DEV);
	if (IS_ERR(driver))
		return PTR_ERR(driver);
	driver->driver_name = "mkstock";
	driver->name = NAME;
	driver->type = TTY_DRIVER_TYPE_SERIAL;
	driver->subtype = SERIAL_TYPE_NORMAL;
	driver->init_termios = tty_std_termios;
	tty_set_operations(driver, &operations);
	tty_port_init(&port);
	port.ops = &port_operations;
	ret = tty_register_driver(driver);
	if (ret)
		goto out;
	device = tty_port_register_device(&port, driver, 0, NULL);
	if (!IS_ERR(device))
		return 0;
	ret = PTR_ERR(device);
	tty_unregister_driver(driver);
out:
	tty_driver_kref_put(driver);
	tty_port_destroy(&port);
	return ret;
}

static void remove_tty(void)
{
	tty_unregister_device(driver, 0);
	tty_unregister_driver(driver);
	tty_driver_kref_put(driver);
	tty_port_destroy(&port);
}

/* The host that started this instance may have no consoles; then there is none here. */
static bool usable(void)
{
	return area->magic == MK_CONSOLE_MAGIC && host_apic != 0xff && host_apic != BAD_APICID &&
	       host_apic != mk_apic_id(raw_smp_processor_id());
}

int mk_console_start(void)
{
	int ret;

	if (!mk_client_base())
		return 0;
	area = memremap(mk_client_base() + MK_CONSOLE_OFFSET, MK_CONSOLE_SIZE, MEMREMAP_WB);
	if (!area)
		return -ENOMEM;
	host_apic = READ_ONCE(area->host_apic);
	ret = 0;
	if (!usable())
		goto out;
	ret = make_tty();
	if (ret)
		goto out;
	WRITE_ONCE(active, true);
	smp_store_release(&area->attached, 1);
	register_console(&log_console);
	return 0;
out:
	memunmap(area);
	area = NULL;
	return ret;
}

void mk_console_stop(void)
{
	if (!area)
		return;
	unregister_console(&log_console);
	WRITE_ONCE(active, false);
	WRITE_ONCE(area->attached, 0);
	tracepoint_synchronize_unregister();	/* an interrupt that is just looking */
	cancel_delayed_work_sync(&poll_work);
	irq_work_sync(&look_work);
	remove_tty();
	memunmap(area);
	area = NULL;
}
