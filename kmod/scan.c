// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scan: reads main from end to end, to find bad blocks before the user does.
 *
 * Cursor, pass and totals are the superblock's, in the daemon's manner, so that either
 * goes on where the other was (FORMAT.md, Scan).  A pass is asked for by a message; once
 * one has been whole, the next begin by themselves when they are due.
 *
 * One work item reads one region a time, and what is remapped in it not at all: the
 * mapping is looked at inside the gate, which is left before main is read, for what is
 * read is thrown away.  What fails for the medium's sake is halved down to blocks, and
 * each of those is an order for the healer: behind the closed gate it reads the block
 * again, and moves it if that still fails.  So the scan itself decides nothing about
 * data.  Any other error says nothing of the place: the region is read again later,
 * and after SCAN_TRIES left out of this pass.  Nothing is read while the disk cannot be
 * written or a device does not answer; but for one block now and then, since somebody
 * must notice that main is back.
 *
 * The cursor moves when a region's orders are done, and is written to the superblock by
 * the healer, every SAVE_EVERY, at the end and at suspend: it is never ahead of what is
 * committed.
 *
 * Pace: scan_speed_max; and where users read or wrote since the last region, ten times
 * as long as that region took is left to them.
 *
 * Threads: the work item, messages (with d->lock) and the healer share the record under
 * scan.lock, which nobody holds across I/O.  dmr_scan_stop() waits for the work, which
 * may wait for the healer, so it comes before the healer's end.
 */
#include <linux/delay.h>
#include <linux/ioprio.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "dm-remap.h"

#define REGION_BLOCKS (DMR_REGION_SECTORS / DMR_SECTORS_PER_BLOCK)
#define REGION_BYTES (DMR_REGION_SECTORS * DMR_SECTOR_SIZE)
#define SAVE_EVERY (30 * HZ)
#define IDLE_LOOKS (60 * HZ)
#define PROBE_EVERY (30 * HZ)
#define SCAN_TRIES 6

static void scan_work(struct work_struct *work);

void dmr_scan_init(struct dmr_disk *d)
{
	mutex_init(&d->scan.lock);
	INIT_DELAYED_WORK(&d->scan.work, scan_work);
}

/* The work's own: a message that came meanwhile wants it sooner, and has its way. */
static void next_look(struct dmr_disk *d, unsigned long delay)
{
	if (!READ_ONCE(d->closing))
		queue_delayed_work(system_unbound_wq, &d->scan.work, delay);
}

/* At opening, and after that its work goes on by itself. */
void dmr_scan_start(struct dmr_disk *d)
{
	struct dmr_scan *s = &d->scan;
	const struct dmr_superblock *sb = d->sb;
	bool kept = dmr_le32(sb->compat) & DMR_COMPAT_SCAN;
	bool pass = dmr_scan_pass_valid(sb);

	mutex_lock(&s->lock);
	s->cursor = dmr_scan_cursor(sb);
	s->pass_start = dmr_le64(sb->scan_pass_start);
	s->pass_end = min_t(u64, dmr_le64(sb->scan_pass_end), ktime_get_real_seconds());
	s->passes = dmr_le64(sb->scan_passes);
	s->found = dmr_le64(sb->scan_found);
	s->pass_found = kept ? dmr_le64(sb->scan_pass_found) : 0;
	s->state = pass ? dmr_le32(sb->scan_state) : DMR_SCAN_NONE;
	s->begin = pass ? dmr_le64(sb->scan_begin) : 0;
	s->end = pass ? dmr_le64(sb->scan_end) : 0;
	s->changed = false;
	s->saved = s->probed = jiffies;
	s->tries = 0;
	mutex_unlock(&s->lock);
	if (dmr_writable(d))
		next_look(d, 0);
}

/* Until the next dmr_scan_start() nothing is read and nobody gives an order for it. */
void dmr_scan_stop(struct dmr_disk *d)
{
	cancel_delayed_work_sync(&d->scan.work);
	vfree(d->scan.buffer);
	d->scan.buffer = NULL;
}

/* What the next superblock shall say; the fields stay as they are when no scan was here. */
void dmr_scan_store(struct dmr_disk *d, struct dmr_superblock *sb)
{
	struct dmr_scan *s = &d->scan;

	mutex_lock(&s->lock);
	if (s->changed) {
		if (!(dmr_le32(sb->compat) & DMR_COMPAT_SCAN)) {
			memset(sb->history, 0, sizeof(sb->history));
			sb->metadata_repairs = 0;
		}
		sb->compat = dmr_to_le32(dmr_le32(sb->compat) | DMR_COMPAT_SCAN);
		sb->scan_cursor = dmr_to_le64(s->cursor);
		sb->scan_pass_start = dmr_to_le64(s->pass_start);
		sb->scan_pass_end = dmr_to_le64(s->pass_end);
		sb->scan_passes = dmr_to_le64(s->passes);
		sb->scan_found = dmr_to_le64(s->found);
		sb->scan_begin = dmr_to_le64(s->begin);
		sb->scan_end = dmr_to_le64(s->end);
		sb->scan_pass_found = dmr_to_le64(s->pass_found);
		sb->scan_state = dmr_to_le32(s->state);
	}
	mutex_unlock(&s->lock);
}

/* The healer's. */
int dmr_scan_save(struct dmr_disk *d)
{
	struct dmr_superblock *next;
	int error;

	if (!dmr_writable(d) || d->table.broken)
		return -EROFS;
	next = kmalloc(sizeof(*next), GFP_NOIO);
	if (!next)
		return -ENOMEM;
	*next = *d->sb;
	dmr_scan_store(d, next);
	error = dmr_superblock_write(d, next, 1);
	kfree(next);
	return error;
}

/* ---------------------------------------------------------------- the work item's */

static void give_order(struct dmr_disk *d, struct dmr_order *order)
{
	DECLARE_COMPLETION_ONSTACK(done);

	order->done = &done;
	dmr_heal_order(d, order);
	wait_for_completion(&done);
}

static void save(struct dmr_disk *d)
{
	struct dmr_order order = { .kind = DMR_ORDER_SCAN };

	d->scan.saved = jiffies;
	give_order(d, &order);
	if (order.error)
		DMWARN_LIMIT("%s: how far the scan is can not be written to %s (error %d)",
			     dmr_name(d), d->path[DMR_SPARE], order.error);
}

static bool obstacle(struct dmr_disk *d)
{
	return !dmr_writable(d) || dmr_active(d, DMR_BREAKER) || dmr_active(d, DMR_DEVICE_GONE) ||
	       dmr_active(d, DMR_SPARE_GONE);
}

/* Blocks of one region, in one I/O. */
static int read_main(struct dmr_disk *d, u64 block, unsigned int count)
{
	u64 start = block * DMR_BLOCK_SIZE;
	unsigned int length = min_t(u64, (u64)count * DMR_BLOCK_SIZE, d->size - start);
	struct bio *bio = bio_alloc_bioset(d->dev[DMR_MAIN]->bdev, DIV_ROUND_UP(length, PAGE_SIZE),
					   REQ_OP_READ, GFP_NOIO, &d->bios);
	unsigned int at;
	int error;

	bio->bi_iter.bi_sector = start / DMR_SECTOR_SIZE;
	bio->bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
	for (at = 0; at < length; at += PAGE_SIZE)
		__bio_add_page(bio, vmalloc_to_page(d->scan.buffer + at),
			       min_t(unsigned int, length - at, PAGE_SIZE), 0);
	error = submit_bio_wait(bio);
	bio_put(bio);
	dmr_count_call(d, DMR_MAIN, DMR_OP_READ, !error);
	return error;
}

/* The healer's word on one block.  -EAGAIN: something stands in the way now. */
static int check_block(struct dmr_disk *d, u64 block, u64 *found)
{
	struct dmr_order order = { .kind = DMR_ORDER_CHECK, .first = block, .last = block };

	give_order(d, &order);
	*found += order.changed;
	return obstacle(d) || READ_ONCE(d->closing) ? -EAGAIN : 0;
}

static int read_run(struct dmr_disk *d, u64 block, unsigned int count, u64 *found)
{
	int error = read_main(d, block, count);

	switch (dmr_classify(error)) {
	case DMR_CLASS_NONE:
		return 0;
	case DMR_CLASS_GONE: /* the healer shall see it, too */
		return check_block(d, block, found) ? : error;
	case DMR_CLASS_MEDIUM:
		break;
	default:
		return error;
	}
	if (count == 1)
		return check_block(d, block, found);
	error = read_run(d, block, count / 2, found);
	return error ? : read_run(d, block + count / 2, count - count / 2, found);
}

/* Which blocks of [first, stop), all of one region, live in slots. */
static void find_remapped(struct dmr_disk *d, u64 first, u64 stop, unsigned long *remapped)
{
	unsigned int gate = dmr_gate_of(first);
	struct dmr_remap *r;

	bitmap_zero(remapped, REGION_BLOCKS);
	while (!dmr_gate_enter(d, gate))
		msleep(20); /* who closed it opens it, whatever happens */
	if (dmr_map_may_hold(d, first))
		for (r = dmr_map_lower_bound(d, first); r && r->block < stop; r = dmr_map_next(d, r))
			set_bit(r->block - first, remapped);
	dmr_gate_leave(d, gate);
}

static int read_region(struct dmr_disk *d, u64 first, u64 stop, u64 *found)
{
	DECLARE_BITMAP(remapped, REGION_BLOCKS);
	unsigned int from, to, count = stop - first;
	int error = 0;

	find_remapped(d, first, stop, remapped);
	for (from = find_first_zero_bit(remapped, count); from < count && !error;
	     from = find_next_zero_bit(remapped, count, to)) {
		to = find_next_bit(remapped, count, from);
		error = read_run(d, first + from, to - from, found);
	}
	return error;
}

/* What the users, and how fast main, want the next region to wait: in jiffies. */
static unsigned long pace(struct dmr_disk *d, u64 took_ns)
{
	u64 speed = READ_ONCE(d->parameters.scan_speed_max), bios = dmr_bios_completed(d);
	u64 ms = speed ? REGION_BYTES / 1024 * 1000 / speed : 0;

	if (bios != d->scan.bios)
		ms = max(ms, div_u64(took_ns, NSEC_PER_MSEC / 10) + 1);
	d->scan.bios = bios;
	return msecs_to_jiffies(min(ms, 60000ull));
}

/* With s->lock. */
static void begin_pass(struct dmr_disk *d, u64 begin, u64 end)
{
	struct dmr_scan *s = &d->scan;

	s->state = DMR_SCAN_RUNNING;
	s->begin = s->cursor = begin;
	s->end = end;
	s->pass_start = ktime_get_real_seconds();
	s->pass_found = 0;
	s->tries = 0;
	s->changed = true;
	s->orders++;
}

/* With s->lock.  How far a pass that did not begin at 0 came says nothing of the rest. */
static void leave_pass(struct dmr_scan *s)
{
	s->state = DMR_SCAN_NONE;
	s->pass_end = ktime_get_real_seconds();
	s->cursor = s->begin ? 0 : s->cursor;
	s->changed = true;
	s->orders++;
}

static bool due(struct dmr_disk *d)
{
	u64 now = ktime_get_real_seconds();

	return dmr_scans_begin(d) && d->scan.passes && now >= d->scan.pass_end &&
	       now - d->scan.pass_end >= dmr_scan_hours(d) * 3600ull;
}

/* One region of the pass that `orders` began.  When the next may be looked at, in jiffies. */
static unsigned long scan_region(struct dmr_disk *d, u64 first, u64 end, u64 orders)
{
	struct dmr_scan *s = &d->scan;
	u64 stop = min(end, (first | (REGION_BLOCKS - 1)) + 1), found = 0, start = ktime_get_ns();
	int error = first < end ? read_region(d, first, stop, &found) : 0;
	bool ended = false, again;

	mutex_lock(&s->lock);
	again = error == -EAGAIN || (error && ++s->tries < SCAN_TRIES);
	s->found += found;
	s->pass_found += found;
	s->changed = true;
	if (s->orders == orders && !again) {
		s->tries = 0;
		s->cursor = first < end ? stop : end;
		ended = s->cursor >= end;
		s->passes += ended && !s->begin && end == dmr_main_blocks(d->sb);
		if (ended)
			leave_pass(s);
	}
	found = s->pass_found;
	mutex_unlock(&s->lock);
	if (ended)
		DMINFO("%s: the scan has ended; it found %llu bad blocks", dmr_name(d),
		       (unsigned long long)found);
	if (ended || time_after(jiffies, s->saved + SAVE_EVERY))
		save(d);
	return again ? HZ : pace(d, ktime_get_ns() - start);
}

static void scan_work(struct work_struct *work)
{
	struct dmr_disk *d = container_of(to_delayed_work(work), struct dmr_disk, scan.work);
	struct dmr_scan *s = &d->scan;
	unsigned int noio = memalloc_noio_save();
	u64 first, end, orders;
	bool running;

	mutex_lock(&s->lock);
	if (s->state == DMR_SCAN_NONE && due(d) && !obstacle(d))
		begin_pass(d, 0, dmr_main_blocks(d->sb));
	running = s->state == DMR_SCAN_RUNNING;
	first = s->cursor;
	end = s->end;
	orders = s->orders;
	mutex_unlock(&s->lock);
	if (running && !s->buffer)
		s->buffer = vmalloc(REGION_BYTES);
	if (!running) {
		vfree(s->buffer);
		s->buffer = NULL;
		next_look(d, IDLE_LOOKS);
	} else if (!s->buffer) {
		next_look(d, HZ);
	} else if (obstacle(d)) {
		if (time_after(jiffies, s->probed + PROBE_EVERY)) {
			s->probed = jiffies;
			read_main(d, min(first, end - 1), 1);
			dmr_wake_healer(d);
		}
		next_look(d, HZ);
	} else {
		next_look(d, scan_region(d, first, end, orders));
	}
	memalloc_noio_restore(noio);
}

/* ---------------------------------------------------------------- messages */

/*
 * start, stop, pause or resume, with d->lock held; count 0: to the end.  0: the record is
 * to be saved; -EALREADY: it is so; or what is not possible.
 */
int dmr_scan_order(struct dmr_disk *d, const char *verb, u64 sector, u64 count)
{
	u64 sectors = d->size / DMR_SECTOR_SIZE;
	u32 wanted = strcmp(verb, "pause") ? DMR_SCAN_RUNNING : DMR_SCAN_PAUSED;
	struct dmr_scan *s = &d->scan;
	int error = 0;

	if (!dmr_writable(d))
		return -EROFS;
	if (sector >= sectors || count > sectors - sector)
		return -ERANGE;
	mutex_lock(&s->lock);
	if (!strcmp(verb, "start")) {
		if (s->state == DMR_SCAN_NONE)
			begin_pass(d, sector / DMR_SECTORS_PER_BLOCK,
				   DIV_ROUND_UP_ULL(count ? sector + count : sectors,
						    DMR_SECTORS_PER_BLOCK));
		else
			error = -EBUSY;
	} else if (s->state == DMR_SCAN_NONE) {
		error = strcmp(verb, "stop") ? -ENOENT : -EALREADY;
	} else if (!strcmp(verb, "stop")) {
		leave_pass(s);
	} else if (s->state == wanted) {
		error = -EALREADY;
	} else {
		s->state = wanted;
		s->changed = true;
		s->orders++;
	}
	mutex_unlock(&s->lock);
	if (!error)
		mod_delayed_work(system_unbound_wq, &d->scan.work, 0);
	return error;
}

const char *dmr_scan_state(struct dmr_disk *d)
{
	static const char *const names[] = { "idle", "running", "paused" };
	u32 state = READ_ONCE(d->scan.state);

	return state == DMR_SCAN_RUNNING && obstacle(d) ? "waiting" : names[state];
}
