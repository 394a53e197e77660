// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Weak blocks: those that can be read, but only slowly, or when they are tried again.
 * They are told of, and moved while their data can still be had if relocate_weak says so.
 * The daemon's manner and numbers (core/engine/scanner.h, scan_latency.h).
 *
 * A read is slow that takes longer than
 *
 *	T = max(8 * median, 4 * 90th percentile, 5 ms)
 *
 * of the reads of whole regions so far, of which older ones count less and less; there is
 * no T before ENOUGH of them.  So it is the device's own pace that is exceeded, and a device
 * that is slow everywhere has no slow places.  Single blocks that are slow beside a suspect
 * are added too, so that T follows a device that becomes slow.
 *
 * A region that is slow while no user was about is a suspect.  After LOOK_AFTER bytes more,
 * which no drive has in its cache, or at the end of main, it is read again, for most were
 * slow by chance; if it is slow again, then its blocks one by one; the slow ones again; and
 * a block that was slow each time is weak, unless blocks of other places, taken by chance,
 * are slow as well just then: then it is the device, and nobody is a suspect any more.
 *
 * It decides nothing about data: what is read is thrown away, a weak block is an order for
 * the healer, who looks its place up again behind the closed gate and moves what it reads
 * there.  A suspect, or one that is found weak, says nothing to the breaker: main answered.
 * A block is weak until it moves, or is read well: a read that failed, or while a user was
 * about, says nothing of it.
 *
 * Threads: all is the work item's; weak_blocks is read by others.
 */
#include <linux/random.h>

#include "dm-remap.h"

#define ENOUGH 64u
#define HALVE_AFTER 4096u
#define FLOOR_NS (5 * NSEC_PER_MSEC)
#define LOOK_AFTER (256ull << 20)
#define LOOKS 3u
#define CONTROLS 4u
#define TRIES 6u /* for want of memory */
#define WEAK_LISTED 4096u

/* ---------------------------------------------------------------- what is slow */

/* Four of them to a power of two: exact to a quarter. */
static unsigned int bucket_of(u64 ns)
{
	unsigned int width = fls64(ns);

	return width < 3 ? ns : 4 * (width - 2) + ((ns >> (width - 3)) & 3);
}

static u64 floor_of(unsigned int bucket)
{
	return bucket < 4 ? bucket : (u64)(4 | (bucket & 3)) << (bucket / 4 - 1);
}

static u64 percentile(const struct dmr_scan_latency *l, unsigned int hundredths)
{
	u32 wanted = DIV_ROUND_UP(l->count * hundredths, 100), seen = 0;
	unsigned int bucket = 0;

	while (bucket + 1 < DMR_SCAN_LATENCIES && seen + l->buckets[bucket] < wanted)
		seen += l->buckets[bucket++];
	return floor_of(bucket);
}

static void add_latency(struct dmr_scan_latency *l, u64 ns)
{
	unsigned int i;

	l->buckets[bucket_of(ns)]++;
	l->count++;
	if (l->count >= 2 * HALVE_AFTER) {
		l->count = 0;
		for (i = 0; i < DMR_SCAN_LATENCIES; i++)
			l->count += l->buckets[i] /= 2;
	}
	if (l->count >= ENOUGH)
		l->threshold = max3(8 * percentile(l, 50), 4 * percentile(l, 90),
				    (u64)FLOOR_NS);
}

static bool is_slow(const struct dmr_scan_latency *l, u64 ns)
{
	return l->threshold && ns > l->threshold;
}

/* ---------------------------------------------------------------- who is weak */

void dmr_scan_forget_all(struct dmr_disk *d)
{
	xa_destroy(&d->scan.weak);
	WRITE_ONCE(d->scan.weak_blocks, 0);
}

static void forget(struct dmr_disk *d, unsigned long block)
{
	struct dmr_scan *s = &d->scan;

	if (xa_erase(&s->weak, block))
		WRITE_ONCE(s->weak_blocks, s->weak_blocks - 1);
}

void dmr_scan_weak(struct dmr_disk *d, u64 block, bool moved)
{
	struct dmr_scan *s = &d->scan;

	DMWARN_LIMIT("%s: the block at sector %llu of %s can be read only slowly or by trying again%s",
		     dmr_name(d), (unsigned long long)dmr_first_sector(block), d->path[DMR_MAIN],
		     moved ? "; it is moved" : "");
	if (moved)
		forget(d, block);
	else if (s->weak_blocks < WEAK_LISTED && !xa_store(&s->weak, block, xa_mk_value(1), GFP_NOIO))
		WRITE_ONCE(s->weak_blocks, s->weak_blocks + 1);
}

/* Those that were read well. */
static void forget_range(struct dmr_disk *d, u64 first, unsigned int count)
{
	unsigned long block;
	void *weak;

	xa_for_each_range(&d->scan.weak, block, weak, first, first + count - 1)
		forget(d, block);
}

/* ---------------------------------------------------------------- suspects */

static bool told_nothing(const struct dmr_scan_buffer *b)
{
	return b->main_error || !b->main_blocks || !b->quiet;
}

void dmr_scan_judge(struct dmr_disk *d, u64 first, unsigned int count)
{
	struct dmr_scan_latency *l = &d->scan.latency;
	struct dmr_scan_buffer *b = d->scan.buffer;
	bool known = l->threshold, slow = is_slow(l, b->main_ns);
	struct dmr_suspect *suspect;

	if (told_nothing(b))
		return;
	if (b->main_blocks == DMR_SCAN_BLOCKS)
		add_latency(l, b->main_ns);
	if (slow && b->suspected < DMR_SUSPECTS) {
		suspect = &b->suspects[b->suspected++];
		suspect->region = first / DMR_SCAN_BLOCKS;
		suspect->after = b->read_bytes + LOOK_AFTER;
		suspect->looks = suspect->tries = 0;
		bitmap_fill(suspect->slow, DMR_SCAN_BLOCKS);
	} else if (known && !slow) {
		forget_range(d, first, count);
	}
}

struct dmr_suspect *dmr_scan_suspect(struct dmr_disk *d, bool all)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	unsigned int i;

	for (i = 0; i < b->suspected; i++)
		if (all || b->suspects[i].after <= b->read_bytes)
			return &b->suspects[i];
	return NULL;
}

/* At the pace of the scan.  False: the orders have changed, or something stands in the way. */
static bool read_alone(struct dmr_disk *d, u64 first, unsigned int count)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	u64 start;

	if (!dmr_scan_wait(d, b->orders, b->pause))
		return false;
	start = ktime_get_ns();
	dmr_scan_time(d, first, count);
	b->pause = dmr_scan_pace(d, count * DMR_BLOCK_SIZE, ktime_get_ns() - start);
	return true;
}

/* Single blocks of other places, by chance.  False: as above. */
static bool slow_everywhere(struct dmr_disk *d, u64 region, bool *everywhere)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	unsigned int tried, read = 0, slow = 0;
	u64 block;

	for (tried = 0; tried < 4 * CONTROLS && read < CONTROLS; tried++) {
		div64_u64_rem(get_random_u64(), dmr_main_blocks(d->sb), &block);
		if (block / DMR_SCAN_BLOCKS == region)
			continue;
		if (!read_alone(d, block, 1))
			return false;
		if (b->main_error || !b->main_blocks)
			continue;
		read++;
		if (is_slow(&d->scan.latency, b->main_ns)) {
			slow++;
			add_latency(&d->scan.latency, b->main_ns);
		}
	}
	*everywhere = 2 * slow >= read; /* also where there is nothing to compare with */
	return true;
}

/* Reads the blocks of a suspect that were slow each time; *slow: still, *failed: alone. */
static bool read_blocks(struct dmr_disk *d, const struct dmr_suspect *suspect,
			unsigned int count, unsigned long *slow, unsigned long *failed)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	unsigned int i;

	bitmap_zero(slow, DMR_SCAN_BLOCKS);
	bitmap_zero(failed, DMR_SCAN_BLOCKS);
	for_each_set_bit(i, suspect->slow, count) {
		if (!read_alone(d, suspect->region * DMR_SCAN_BLOCKS + i, 1))
			return false;
		if (dmr_classify(b->main_error) == DMR_CLASS_MEDIUM)
			__set_bit(i, failed);
		else if (told_nothing(b))
			continue;
		else if (is_slow(&d->scan.latency, b->main_ns))
			__set_bit(i, slow);
		else
			forget(d, suspect->region * DMR_SCAN_BLOCKS + i);
	}
	return true;
}

/* Takes those out of which the healer has had its say. */
static int check_blocks(struct dmr_disk *d, u64 region, unsigned long *blocks, u64 *found)
{
	unsigned int i;
	int error = 0;

	for_each_set_bit(i, blocks, DMR_SCAN_BLOCKS) {
		error = dmr_scan_check(d, region * DMR_SCAN_BLOCKS + i, true, found);
		if (error)
			break;
		__clear_bit(i, blocks);
	}
	return error;
}

/* The whole region again.  *done: it was slow by chance.  False: as above. */
static bool look_at_region(struct dmr_disk *d, struct dmr_suspect *suspect, unsigned int count,
			   bool *done, bool *everywhere)
{
	struct dmr_scan_buffer *b = d->scan.buffer;

	if (!read_alone(d, suspect->region * DMR_SCAN_BLOCKS, count))
		return false;
	*done = !b->main_error && (!b->quiet || !is_slow(&d->scan.latency, b->main_ns));
	if (*done && !told_nothing(b))
		forget_range(d, suspect->region * DMR_SCAN_BLOCKS, count);
	return *done || slow_everywhere(d, suspect->region, everywhere);
}

/* The work item waits for it. */
static unsigned long take_pause(struct dmr_scan_buffer *b)
{
	unsigned long pause = b->pause;

	b->pause = 0;
	return pause;
}

unsigned long dmr_scan_look(struct dmr_disk *d, struct dmr_suspect *suspect, u64 *found,
			    bool *skipped)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	u64 base = suspect->region * DMR_SCAN_BLOCKS;
	unsigned int count = min_t(u64, DMR_SCAN_BLOCKS, dmr_main_blocks(d->sb) - base);
	DECLARE_BITMAP(slow, DMR_SCAN_BLOCKS);
	DECLARE_BITMAP(failed, DMR_SCAN_BLOCKS);
	bool done = false, everywhere = false;
	int error;

	if (!suspect->looks) {
		if (!look_at_region(d, suspect, count, &done, &everywhere))
			return take_pause(b);
	} else {
		if (!read_blocks(d, suspect, count, slow, failed))
			return take_pause(b);
		if (!bitmap_empty(slow, DMR_SCAN_BLOCKS) &&
		    !slow_everywhere(d, suspect->region, &everywhere))
			return take_pause(b);
		if (everywhere) /* it was the device; what has failed has failed */
			bitmap_zero(slow, DMR_SCAN_BLOCKS);
		bitmap_copy(suspect->slow, slow, DMR_SCAN_BLOCKS);
		done = bitmap_empty(slow, DMR_SCAN_BLOCKS) || suspect->looks + 1 == LOOKS;
		error = check_blocks(d, suspect->region, failed, found);
		if (!error && done)
			error = check_blocks(d, suspect->region, slow, found);
		*skipped = error == -ENOMEM && ++suspect->tries == TRIES;
		if (error && !*skipped) {
			/* Nothing was done for some of these: they are looked at again. */
			bitmap_or(suspect->slow, slow, failed, DMR_SCAN_BLOCKS);
			suspect->looks = 1;
			suspect->after = b->read_bytes + LOOK_AFTER;
			return HZ;
		}
		done |= *skipped;
	}
	suspect->looks++;
	suspect->after = b->read_bytes + LOOK_AFTER;
	if (everywhere)
		b->suspected = 0;
	else if (done)
		*suspect = b->suspects[--b->suspected];
	return take_pause(b);
}
