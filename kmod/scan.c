// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scan: reads all of main where it lives, and then the metadata, to find what is bad
 * before the user does.
 *
 * Cursor, pass and totals are the superblock's, in the daemon's manner, so that either
 * goes on where the other was (FORMAT.md, Scan).  A pass is asked for by a message; once
 * one has been whole, the next begin by themselves when they are due.
 *
 * One work item does one thing a time: a region (scan_read.c), a look at one that was slow
 * (scan_slow.c), or, when the cursor has come to the end of the pass, some of the metadata
 * (scan_metadata.c).  It only reads; what fails is an order for the healer, who looks at it
 * again and decides.  The cursor says nothing of the last two: a pass that goes on after an
 * order has no suspects, and behind its last region begins with the first page.
 *
 * What fails for another reason than the medium's says nothing of the place: the region is
 * read again later, and after SCAN_TRIES left out of this pass.  So is a page that the spare
 * says nothing of, without more tries than its reads make.
 * Nothing is read while the disk cannot be written or a device does not answer; but for one
 * block now and then, since somebody must notice that it is back.  Nor is anything while the
 * machine hibernates (hibernate.c).
 *
 * The cursor moves when a region's orders are done, and is written to the superblock by
 * the healer, every SAVE_EVERY if there is something new, at the end and at suspend: it is
 * never ahead of what is committed.  With it go the days (scan_days.c).  It is written
 * before a look, too, for a look may take long.
 *
 * Pace: scan_speed_max; and where a user's bio has ended since the last read, ten times
 * as long as that read took is left to them.  Metadata is little, and has none.
 *
 * Threads: the work item, messages (with d->lock) and the healer share the record under
 * scan.lock, which nobody holds across I/O.  dmr_scan_stop() waits for the work, which
 * may wait for the healer, so it comes before the healer's end.
 */
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "dm-remap.h"

#define SAVE_EVERY (30 * HZ)
#define IDLE_LOOKS (60 * HZ)
#define PROBE_EVERY (30 * HZ)
#define SCAN_TRIES 6

static void scan_work(struct work_struct *work);

void dmr_scan_init(struct dmr_disk *d)
{
	mutex_init(&d->scan.lock);
	INIT_DELAYED_WORK(&d->scan.work, scan_work);
	init_waitqueue_head(&d->scan.wait);
	xa_init(&d->scan.weak);
}

void dmr_scan_exit(struct dmr_disk *d)
{
	dmr_scan_forget_all(d);
	mutex_destroy(&d->scan.lock);
}

/* The work's own: a message that came meanwhile wants it sooner, and has its way. */
static void next_look(struct dmr_disk *d, unsigned long delay)
{
	if (!READ_ONCE(d->closing))
		queue_delayed_work(dmr_unbound_wq, &d->scan.work, delay);
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
	s->repairs = kept ? dmr_le64(sb->metadata_repairs) : 0;
	dmr_days_load(d);
	s->saved = s->probed = jiffies;
	s->saved_cursor = s->cursor;
	s->saved_found = s->found;
	s->page = 0;
	s->tries = 0;
	s->skipped = false;
	mutex_unlock(&s->lock);
	memset(&s->latency, 0, sizeof(s->latency));
	dmr_scan_forget_all(d);
	if (dmr_writable(d))
		next_look(d, 0);
}

/* When this returns, whoever is hindered since before the call does nothing any more. */
void dmr_scan_settle(struct dmr_disk *d)
{
	wake_up_all(&d->scan.wait);
	flush_delayed_work(&d->scan.work);
}

/* Until the next dmr_scan_start() nothing is read and nobody gives an order for it. */
void dmr_scan_stop(struct dmr_disk *d)
{
	wake_up_all(&d->scan.wait);
	cancel_delayed_work_sync(&d->scan.work);
	vfree(d->scan.buffer);
	d->scan.buffer = NULL;
}

/* What the next superblock shall say. */
void dmr_scan_store(struct dmr_disk *d, struct dmr_superblock *sb)
{
	struct dmr_scan *s = &d->scan;

	mutex_lock(&s->lock);
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
	sb->metadata_repairs = dmr_to_le64(s->repairs);
	dmr_days_store(d, sb);
	mutex_unlock(&s->lock);
}

/* The healer's. */
int dmr_scan_save(struct dmr_disk *d)
{
	struct dmr_scan *s = &d->scan;
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
	mutex_lock(&s->lock);
	s->saved = jiffies;
	s->saved_cursor = dmr_le64(next->scan_cursor);
	s->saved_found = dmr_le64(next->scan_found);
	mutex_unlock(&s->lock);
	kfree(next);
	return error;
}

/* ---------------------------------------------------------------- the work item's */

void dmr_scan_give(struct dmr_disk *d, struct dmr_order *order)
{
	DECLARE_COMPLETION_ONSTACK(done);

	order->done = &done;
	dmr_heal_order(d, order);
	wait_for_completion(&done);
}

static void save(struct dmr_disk *d)
{
	struct dmr_order order = { .kind = DMR_ORDER_SCAN };

	dmr_scan_give(d, &order);
	if (order.error)
		DMWARN_LIMIT("%s: how far the scan is can not be written to %s (error %d)",
			     dmr_name(d), d->path[DMR_SPARE], order.error);
}

static bool something_new(struct dmr_scan *s)
{
	bool new;

	mutex_lock(&s->lock);
	new = s->cursor != s->saved_cursor || s->found != s->saved_found;
	mutex_unlock(&s->lock);
	return new;
}

static bool save_is_due(struct dmr_scan *s)
{
	return time_after(jiffies, s->saved + SAVE_EVERY) && something_new(s);
}

bool dmr_scan_hindered(struct dmr_disk *d)
{
	return dmr_hibernating() || !dmr_writable(d) || dmr_active(d, DMR_BREAKER) ||
	       dmr_active(d, DMR_DEVICE_GONE) || dmr_active(d, DMR_SPARE_GONE);
}

unsigned long dmr_scan_pace(struct dmr_disk *d, unsigned int bytes, u64 took_ns)
{
	u64 speed = READ_ONCE(d->parameters.scan_speed_max), bios = dmr_bios_ended(d);
	u64 ms = speed ? bytes / 1024 * 1000 / speed : 0;

	if (bios != d->scan.bios)
		ms = max(ms, div_u64(took_ns, NSEC_PER_MSEC / 10) + 1);
	d->scan.bios = bios;
	return msecs_to_jiffies(min(ms, 60000ull));
}

static bool stands(struct dmr_disk *d, u64 orders)
{
	return !READ_ONCE(d->closing) && READ_ONCE(d->scan.orders) == orders &&
	       !dmr_scan_hindered(d);
}

bool dmr_scan_wait(struct dmr_disk *d, u64 orders, unsigned long delay)
{
	wait_event_timeout(d->scan.wait, !stands(d, orders), delay);
	return stands(d, orders);
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
	s->page = 0;
	s->tries = 0;
	s->skipped = false;
	s->orders++;
}

/* With s->lock.  How far a pass that did not begin at 0 came says nothing of the rest. */
static void leave_pass(struct dmr_scan *s)
{
	s->state = DMR_SCAN_NONE;
	s->pass_end = ktime_get_real_seconds();
	s->cursor = s->begin ? 0 : s->cursor;
	s->orders++;
}

static bool due(struct dmr_disk *d)
{
	u64 now = ktime_get_real_seconds();

	return dmr_scans_begin(d) && d->scan.passes && now >= d->scan.pass_end &&
	       now - d->scan.pass_end >= dmr_scan_hours(d) * 3600ull;
}

/* A pass that was stopped has found nothing more, but it was found. */
static void count_found(struct dmr_scan *s, u64 orders, u64 found)
{
	mutex_lock(&s->lock);
	s->found += found;
	if (s->orders == orders)
		s->pass_found += found;
	mutex_unlock(&s->lock);
}

/* One region of the pass that `orders` began.  When to go on, in jiffies. */
static unsigned long scan_region(struct dmr_disk *d, u64 first, u64 end, u64 orders)
{
	struct dmr_scan *s = &d->scan;
	u64 stop = min(end, (first | (DMR_SCAN_BLOCKS - 1)) + 1), found = 0;
	u64 start = ktime_get_ns();
	int error = dmr_scan_region(d, first, stop, &found);
	bool again;

	if (!error)
		dmr_scan_judge(d, first, stop - first);
	count_found(s, orders, found);
	mutex_lock(&s->lock);
	again = error == -EAGAIN || (error && ++s->tries < SCAN_TRIES);
	if (s->orders == orders && !again) {
		s->tries = 0;
		s->cursor = stop;
		s->skipped |= error;
	}
	mutex_unlock(&s->lock);
	if (again)
		return HZ;
	s->buffer->read_bytes += (stop - first) * DMR_BLOCK_SIZE;
	return dmr_scan_pace(d, DMR_SCAN_BYTES, ktime_get_ns() - start);
}

/* It may take long, so what was read before is saved. */
static unsigned long look_again(struct dmr_disk *d, struct dmr_suspect *suspect, u64 orders)
{
	struct dmr_scan *s = &d->scan;
	bool skipped = false;
	u64 found = 0;
	unsigned long later;

	if (something_new(s))
		save(d);
	later = dmr_scan_look(d, suspect, &found, &skipped);
	count_found(s, orders, found);
	mutex_lock(&s->lock);
	s->skipped |= skipped && s->orders == orders;
	mutex_unlock(&s->lock);
	return later;
}

/* Behind the last region; likewise.  *ended: so has the pass. */
static unsigned long scan_metadata(struct dmr_disk *d, u64 orders, bool *ended)
{
	struct dmr_scan *s = &d->scan;
	struct dmr_metadata_check check = { .page = s->page };
	struct dmr_order order = { .kind = DMR_ORDER_METADATA, .metadata = &check };
	u64 found, first = s->page;
	bool skip, skipped;

	dmr_scan_give(d, &order);
	/* The first one of this errand; one behind others begins the next errand. */
	skip = check.unknown && check.page == first && !dmr_scan_hindered(d);
	mutex_lock(&s->lock);
	s->repairs += check.repaired;
	*ended = s->orders == orders && check.ended;
	if (s->orders == orders) {
		s->skipped |= skip;
		s->page = check.page + skip;
	}
	if (*ended) {
		s->passes += !s->begin && s->end == dmr_main_blocks(d->sb);
		leave_pass(s);
	}
	skipped = s->skipped;
	found = s->pass_found;
	mutex_unlock(&s->lock);
	if (check.repaired)
		DMINFO("%s: the scan has rewritten %llu damaged copies of metadata on %s",
		       dmr_name(d), (unsigned long long)check.repaired, d->path[DMR_SPARE]);
	if (*ended)
		DMINFO("%s: the scan has ended; it found %llu bad blocks%s", dmr_name(d),
		       (unsigned long long)found,
		       skipped ? ", and something could not be looked at" : "");
	return check.unknown && !skip ? HZ : 0;
}

/* With the orders begins another run. */
static bool have_buffer(struct dmr_scan *s, u64 orders)
{
	if (!s->buffer)
		s->buffer = vmalloc(sizeof(*s->buffer));
	else if (s->buffer->orders == orders)
		return true;
	if (!s->buffer)
		return false;
	s->buffer->orders = orders;
	s->buffer->read_bytes = 0;
	s->buffer->suspected = 0;
	s->buffer->pause = 0;
	return true;
}

static void scan_work(struct work_struct *work)
{
	struct dmr_disk *d = container_of(to_delayed_work(work), struct dmr_disk, scan.work);
	struct dmr_scan *s = &d->scan;
	unsigned int noio = memalloc_noio_save();
	bool running, missing, ended = false;
	struct dmr_suspect *suspect;
	u64 first, end, orders;
	unsigned long later;

	mutex_lock(&s->lock);
	if (s->state == DMR_SCAN_NONE && due(d) && !dmr_scan_hindered(d))
		begin_pass(d, 0, dmr_main_blocks(d->sb));
	running = s->state == DMR_SCAN_RUNNING;
	first = s->cursor;
	end = s->end;
	orders = s->orders;
	missing = !running && dmr_day_is_missing(d);
	mutex_unlock(&s->lock);
	if (!running) {
		vfree(s->buffer);
		s->buffer = NULL;
		if (missing && !dmr_scan_hindered(d))
			save(d);
		next_look(d, IDLE_LOOKS);
	} else if (!have_buffer(s, orders)) {
		next_look(d, HZ);
	} else if (dmr_scan_hindered(d)) {
		if (!dmr_hibernating() && time_after(jiffies, s->probed + PROBE_EVERY)) {
			s->probed = jiffies;
			dmr_scan_probe(d, min(first, end - 1));
		}
		next_look(d, HZ);
	} else {
		suspect = dmr_scan_suspect(d, first >= end);
		later = suspect	    ? look_again(d, suspect, orders) :
			first < end ? scan_region(d, first, end, orders) :
				      scan_metadata(d, orders, &ended);
		if (ended || save_is_due(s))
			save(d);
		next_look(d, later);
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
		s->orders++;
	}
	mutex_unlock(&s->lock);
	if (!error) {
		wake_up_all(&s->wait);
		mod_delayed_work(dmr_unbound_wq, &d->scan.work, 0);
	}
	return error;
}

const char *dmr_scan_state(struct dmr_disk *d)
{
	static const char *const names[] = { "idle", "running", "paused" };
	u32 state = READ_ONCE(d->scan.state);

	return state == DMR_SCAN_RUNNING && dmr_scan_hindered(d) ? "waiting" : names[state];
}
