// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a scan reads of a region: main's blocks on main, remapped ones in their slots, and
 * never main under a remap.
 *
 * The mapping is looked at inside the gate, which is left before anything is read: what is
 * read is thrown away, and only errors count.  So a block may have moved by then, and a
 * slot may be another block's, and nothing is lost by it: each block whose read failed is an
 * order for the healer, who looks its place up again behind the closed gate, reads it
 * there, and alone decides.  So is each block with retry sectors, to try them in passing.
 *
 * What fails on main for the medium's sake is halved down to blocks, and one that failed
 * alone and is read by the healer is weak.  Slots that lie one after the other are read at
 * once; if that fails the healer looks at each.
 *
 * How long main took for what it read well is what scan_slow.c judges.
 */
#include <linux/delay.h>
#include <linux/ioprio.h>
#include <linux/vmalloc.h>

#include "dm-remap.h"

#define ON_MAIN (~0ull)

static int read_at(struct dmr_disk *d, enum dmr_side side, u64 offset, unsigned int length)
{
	struct bio *bio = bio_alloc_bioset(d->dev[side]->bdev, DIV_ROUND_UP(length, PAGE_SIZE),
					   REQ_OP_READ, GFP_NOIO, &d->bios);
	unsigned int at;
	int error;

	bio->bi_iter.bi_sector = offset / DMR_SECTOR_SIZE;
	bio->bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
	for (at = 0; at < length; at += PAGE_SIZE)
		__bio_add_page(bio, vmalloc_to_page(d->scan.buffer->data + at),
			       min_t(unsigned int, length - at, PAGE_SIZE), 0);
	error = submit_bio_wait(bio);
	bio_put(bio);
	dmr_count_call(d, side, DMR_OP_READ, !error);
	return error;
}

/* Blocks of one region, up to main's end. */
static unsigned int length_of(struct dmr_disk *d, u64 block, unsigned int count)
{
	return min_t(u64, (u64)count * DMR_BLOCK_SIZE, d->size - block * DMR_BLOCK_SIZE);
}

static int read_main(struct dmr_disk *d, u64 block, unsigned int count)
{
	struct dmr_scan_buffer *b = d->scan.buffer;
	u64 start = ktime_get_ns();
	int error = read_at(d, DMR_MAIN, block * DMR_BLOCK_SIZE, length_of(d, block, count));

	b->main_ns += ktime_get_ns() - start;
	b->main_blocks += count;
	if (error && !b->main_error)
		b->main_error = error;
	return error;
}

int dmr_scan_check(struct dmr_disk *d, u64 block, bool suspected, u64 *found)
{
	struct dmr_order order = {
		.kind = DMR_ORDER_CHECK,
		.suspected = suspected,
		.first = block,
		.last = block,
	};

	dmr_scan_give(d, &order);
	*found += order.bad;
	if (order.weak)
		dmr_scan_weak(d, block, order.changed);
	if (!dmr_scan_wait(d, d->scan.buffer->orders, 0))
		return -EAGAIN;
	return order.error == -ENOMEM ? -ENOMEM : 0;
}

static int read_run(struct dmr_disk *d, u64 block, unsigned int count, u64 *found)
{
	int error = read_main(d, block, count);

	switch (dmr_classify(error)) {
	case DMR_CLASS_NONE:
		return 0;
	case DMR_CLASS_GONE: /* the healer shall see it, too */
		return dmr_scan_check(d, block, false, found) ? : error;
	case DMR_CLASS_MEDIUM:
		break;
	default:
		return error;
	}
	if (count == 1)
		return dmr_scan_check(d, block, true, found);
	error = read_run(d, block, count / 2, found);
	return error ? : read_run(d, block + count / 2, count - count / 2, found);
}

/* Where the blocks of [first, stop) live, and which have retry sectors. */
static void find_places(struct dmr_disk *d, u64 first, u64 stop, unsigned long *retry)
{
	u64 *slots = d->scan.buffer->slots;
	unsigned int gate = dmr_gate_of(first);
	struct dmr_remap *r;

	memset(slots, 0xff, sizeof(d->scan.buffer->slots));
	bitmap_zero(retry, DMR_SCAN_BLOCKS);
	while (!dmr_gate_enter(d, gate))
		msleep(20); /* who closed it opens it, whatever happens */
	if (dmr_map_may_hold(d, first)) {
		for (r = dmr_map_lower_bound(d, first); r && r->block < stop;
		     r = dmr_map_next(d, r)) {
			slots[r->block - first] = r->slot;
			__assign_bit(r->block - first, retry, r->retry);
		}
	}
	dmr_gate_leave(d, gate);
}

/* How many blocks from this one on, at most `most`, one read takes. */
static unsigned int run_of(struct dmr_disk *d, const u64 *slots, unsigned int most)
{
	unsigned int count = 1;
	u64 offset;

	if (slots[0] == DMR_FENCED)
		return 1;
	if (slots[0] == ON_MAIN) {
		while (count < most && slots[count] == ON_MAIN)
			count++;
		return count;
	}
	offset = dmr_slot_offset(d->sb, slots[0]);
	while (count < most && slots[count] != ON_MAIN && slots[count] != DMR_FENCED &&
	       dmr_slot_offset(d->sb, slots[count]) == offset + (u64)count * DMR_BLOCK_SIZE)
		count++;
	return count;
}

static int read_slots(struct dmr_disk *d, u64 first, unsigned int at, unsigned int count,
		      const unsigned long *retry, u64 *found)
{
	u64 offset = dmr_slot_offset(d->sb, d->scan.buffer->slots[at]);
	int failed = read_at(d, DMR_SPARE, offset, length_of(d, first + at, count)), error = 0;
	unsigned int i;

	for (i = at; i < at + count && !error; i++)
		if (failed || test_bit(i, retry))
			error = dmr_scan_check(d, first + i, false, found);
	return error;
}

static u64 begin(struct dmr_disk *d)
{
	struct dmr_scan_buffer *b = d->scan.buffer;

	b->main_ns = b->main_blocks = 0;
	b->main_error = 0;
	return dmr_bios_ended(d);
}

int dmr_scan_region(struct dmr_disk *d, u64 first, u64 stop, u64 *found)
{
	const u64 *slots = d->scan.buffer->slots;
	DECLARE_BITMAP(retry, DMR_SCAN_BLOCKS);
	unsigned int at, run, count = stop - first;
	u64 bios = begin(d);
	int error = 0;

	find_places(d, first, stop, retry);
	for (at = 0; at < count && !error; at += run) {
		run = run_of(d, slots + at, count - at);
		if (slots[at] == ON_MAIN)
			error = read_run(d, first + at, run, found);
		else if (slots[at] != DMR_FENCED)
			error = read_slots(d, first, at, run, retry, found);
	}
	d->scan.buffer->quiet = dmr_bios_ended(d) == bios;
	return error;
}

void dmr_scan_time(struct dmr_disk *d, u64 first, unsigned int count)
{
	const u64 *slots = d->scan.buffer->slots;
	DECLARE_BITMAP(retry, DMR_SCAN_BLOCKS);
	unsigned int at, run;
	u64 bios = begin(d);

	find_places(d, first, first + count, retry);
	for (at = 0; at < count; at += run) {
		run = run_of(d, slots + at, count - at);
		if (slots[at] == ON_MAIN)
			read_main(d, first + at, run);
	}
	d->scan.buffer->quiet = dmr_bios_ended(d) == bios;
}

/* Where nobody else reads nobody would notice that a device is back. */
void dmr_scan_probe(struct dmr_disk *d, u64 block)
{
	if (dmr_active(d, DMR_SPARE_GONE))
		dmr_read(d, DMR_SPARE, dmr_copy_offsets[0], d->scan.buffer->data, DMR_BLOCK_SIZE);
	read_main(d, block, 1);
	dmr_wake_healer(d);
}
