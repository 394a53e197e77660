// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done behind a closed gate, alone with a region: bios that failed or that need
 * more than one I/O, and the healing itself.
 *
 * Nothing here trusts what the failed bio saw: every block is looked up again, tried
 * again, and only what fails now, alone, leads to a relocation.  So a write that came
 * between a failed read and its salvage is what the salvage finds (P1, and the known
 * mistake 14).  Before a bio begins, changes of its blocks that are only staged are
 * committed, so that it sees them.
 *
 * Bios hold whole logical blocks; nothing smaller is read or written.
 */
#include <linux/highmem.h>

#include "dm-remap.h"

/* Of one block, bytes [begin, end) of its `length`; at: where they are in the bio. */
struct part {
	struct bio *bio;
	u64 block;
	unsigned int length, begin, end, at;
	bool zero, fua;
};

static void copy(const struct part *p, u8 *block, bool to_bio)
{
	struct bvec_iter iter = dmr_bio(p->bio)->iter;
	unsigned int left = p->end - p->begin;
	u8 *at = block + p->begin;

	if (p->zero) {
		memset(at, 0, left);
		return;
	}
	bio_advance_iter(p->bio, &iter, p->at);
	while (left) {
		struct bio_vec bv = bio_iter_iovec(p->bio, iter);

		bv.bv_len = min(bv.bv_len, left);
		if (to_bio)
			memcpy_to_bvec(&bv, at);
		else
			memcpy_from_bvec(at, &bv);
		at += bv.bv_len;
		left -= bv.bv_len;
		bio_advance_iter(p->bio, &iter, bv.bv_len);
	}
}

/* What FUA asks for is a flush of its own. */
static int write_part_of(struct dmr_disk *d, struct part *p, enum dmr_side side, u64 offset,
			 unsigned int from, unsigned int to)
{
	int error = dmr_write(d, side, offset + from, d->block + from, to - from);

	return !error && p->fua && dmr_flush(d, side) ? -EROFS : error;
}

static int read_main(struct dmr_disk *d, const struct part *p)
{
	u64 start = p->block * DMR_BLOCK_SIZE;
	struct dmr_staged change = { .block = p->block, .reason = DMR_REASON_READ };
	u8 bad;
	int error = dmr_read(d, DMR_MAIN, start + p->begin, d->block + p->begin,
			     p->end - p->begin);

	if (!error) {
		copy(p, d->block, true);
		return 0;
	}
	if (dmr_classify(error) != DMR_CLASS_MEDIUM)
		return error;
	memset(d->block, 0, DMR_BLOCK_SIZE);
	error = dmr_salvage(d, DMR_MAIN, start, d->block, p->length, &bad);
	if (error)
		return error;
	if (!(bad & dmr_sectors(p->begin, p->end)))
		copy(p, d->block, true);
	else
		error = -EIO;
	change.lost = bad;
	change.retry = bad;
	/* A relocation that can not be staged changes nothing for this reader. */
	if (bad && dmr_writable(d) && READ_ONCE(d->parameters.remap_on_read_error) &&
	    dmr_breaker_allows(d, false, p->block))
		dmr_relocate(d, &change, d->block);
	return error;
}

/* The block keeps it: the error may pass (P5). */
static void tell_of_bad_slot(struct dmr_disk *d, u64 block)
{
	DMERR_LIMIT("%s: the slot of the block at sector %llu can not be read on %s", dmr_name(d),
		    (unsigned long long)dmr_first_sector(block), d->path[DMR_SPARE]);
}

static int read_slot(struct dmr_disk *d, const struct part *p, const struct dmr_remap *remap)
{
	u8 bad;
	int error;

	if (remap->slot == DMR_FENCED || (remap->lost & dmr_sectors(p->begin, p->end)))
		return -EIO;
	error = dmr_salvage(d, DMR_SPARE, dmr_slot_offset(d->sb, remap->slot) + p->begin,
			    d->block + p->begin, p->end - p->begin, &bad);
	if (error)
		return error;
	if (bad) {
		tell_of_bad_slot(d, p->block);
		return -EIO;
	}
	copy(p, d->block, true);
	return 0;
}

/* [from, to) of d->block is new; the rest comes from the device.  *bad: what did not. */
static int fill_rest(struct dmr_disk *d, enum dmr_side side, u64 offset, unsigned int length,
		     unsigned int from, unsigned int to, u8 *bad)
{
	int error;

	*bad = 0;
	if (to - from == length)
		return 0;
	memset(d->block2, 0, DMR_BLOCK_SIZE);
	error = dmr_salvage(d, side, offset, d->block2, length, bad);
	if (error)
		return error;
	*bad &= ~dmr_sectors(from, to);
	memcpy(d->block, d->block2, from);
	memcpy(d->block + to, d->block2 + to, DMR_BLOCK_SIZE - to);
	return 0;
}

static int write_main(struct dmr_disk *d, struct part *p)
{
	u64 start = p->block * DMR_BLOCK_SIZE;
	struct dmr_staged change = {
		.block = p->block,
		.reason = DMR_REASON_WRITE,
		.bio = p->bio,
	};
	bool failed = false;
	unsigned int at;
	u8 bad;
	int error;

	memset(d->block, 0, DMR_BLOCK_SIZE);
	copy(p, d->block, false);
	error = write_part_of(d, p, DMR_MAIN, start, p->begin, p->end);
	if (dmr_classify(error) != DMR_CLASS_MEDIUM)
		return error;
	/* Again by logical block: perhaps no single one is bad. */
	for (at = p->begin; at < p->end; at += d->logical_block) {
		error = write_part_of(d, p, DMR_MAIN, start, at, at + d->logical_block);
		if (dmr_classify(error) == DMR_CLASS_MEDIUM)
			failed = true;
		else if (error)
			return error;
	}
	if (!failed)
		return 0;
	if (!dmr_breaker_allows(d, true, p->block))
		return -EIO;
	error = fill_rest(d, DMR_MAIN, start, p->length, p->begin, p->end, &bad);
	if (error)
		return error;
	change.lost = bad;
	change.retry = bad;
	return dmr_relocate(d, &change, d->block);
}

/*
 * The slot will not take the write, or its entry not the change: the block goes to a
 * new slot with [from, to) of d->block and the rest from the old one.  If that rest can
 * not be read the block keeps its slot (P5).
 */
static int move_written(struct dmr_disk *d, const struct dmr_remap *remap, unsigned int from,
			unsigned int to, u8 lost, bool slot_is_bad, struct bio *bio)
{
	struct dmr_staged change = {
		.block = remap->block,
		.lost = lost,
		.retry = remap->retry & lost,
		.reason = dmr_entry_at(d, remap->slot)->reason,
		.has_old = true,
		.old_slot = remap->slot,
		.old_bad = slot_is_bad,
		.old_same = from == to,
		.cleared = remap->lost & ~lost,
		.bio = bio,
	};
	u8 bad;
	int error = fill_rest(d, DMR_SPARE, dmr_slot_offset(d->sb, remap->slot),
			      dmr_block_length(d, remap->block), from, to, &bad);

	if (error)
		return error;
	if (bad & ~lost)
		return -EIO;
	return dmr_relocate(d, &change, d->block);
}

static int write_slot(struct dmr_disk *d, struct part *p, const struct dmr_remap *found)
{
	const struct dmr_remap remap = *found;
	u64 slot = dmr_slot_offset(d->sb, remap.slot);
	u8 lost = remap.lost & ~dmr_sectors(p->begin, p->end);
	int error;

	if (remap.slot == DMR_FENCED)
		return -EIO;
	memset(d->block, 0, DMR_BLOCK_SIZE);
	copy(p, d->block, false);
	error = write_part_of(d, p, DMR_SPARE, slot, p->begin, p->end);
	if (dmr_classify(error) == DMR_CLASS_MEDIUM)
		error = write_part_of(d, p, DMR_SPARE, slot, p->begin, p->end);
	if (error && dmr_classify(error) != DMR_CLASS_MEDIUM)
		return dmr_classify(error) == DMR_CLASS_NO_SPACE ? -ENOSPC : error;
	if (!error && lost == remap.lost)
		return 0; /* no mark goes: the data alone is the change */
	if (error || dmr_slot_retired(d, remap.slot))
		return move_written(d, &remap, p->begin, p->end, lost, error, p->bio);
	dmr_change_marks(d, &remap, lost, remap.retry & lost, false, p->bio);
	return 0;
}

/* Sets the bio's error; a commit may set it later. */
void dmr_exclusive_bio(struct dmr_disk *d, struct bio *bio)
{
	struct dmr_bio *b = dmr_bio(bio);
	enum req_op op = bio_op(bio);
	u64 start = b->iter.bi_sector * DMR_SECTOR_SIZE, end = start + b->iter.bi_size, at;
	struct part p = {
		.bio = bio,
		.zero = op == REQ_OP_WRITE_ZEROES,
		.fua = b->fua,
	};

	if (op != REQ_OP_READ && !dmr_writable(d)) {
		b->error = -EIO;
		return;
	}
	if (dmr_is_staged(d, start / DMR_BLOCK_SIZE, (end - 1) / DMR_BLOCK_SIZE))
		dmr_commit(d);
	for (at = start; at < end; at += p.end - p.begin) {
		struct dmr_remap *remap;
		int error = 0;

		p.block = at / DMR_BLOCK_SIZE;
		p.length = dmr_block_length(d, p.block);
		p.begin = at % DMR_BLOCK_SIZE;
		p.end = min_t(u64, p.length, p.begin + end - at);
		p.at = at - start;
		remap = dmr_map_find(d, p.block);
		if (op == REQ_OP_READ)
			error = remap ? read_slot(d, &p, remap) : read_main(d, &p);
		else if (op == REQ_OP_DISCARD)
			error = 0; /* advice, not worth an I/O of its own */
		else
			error = remap ? write_slot(d, &p, remap) : write_main(d, &p);
		/* Every block is tried, so that a bad one keeps no neighbour unhealed. */
		if (error && !b->error)
			b->error = error;
	}
}

/* By hand.  0: staged, -EALREADY: nothing to do, or why it stays. */
int dmr_remap_block(struct dmr_disk *d, struct dmr_order *order, u64 block)
{
	struct dmr_remap *found = dmr_map_find(d, block);
	struct dmr_staged change = {
		.block = block,
		.reason = DMR_REASON_MANUAL,
		.order = order,
	};
	u8 bad;
	int error;

	if (found)
		return found->slot == DMR_FENCED ? -EIO : -EALREADY;
	if (!dmr_writable(d))
		return -EROFS;
	memset(d->block, 0, DMR_BLOCK_SIZE);
	error = dmr_salvage(d, DMR_MAIN, block * DMR_BLOCK_SIZE, d->block,
			    dmr_block_length(d, block), &bad);
	if (error)
		return error;
	if (bad && !dmr_breaker_allows(d, false, block))
		return -EIO;
	change.lost = bad;
	change.retry = bad;
	return dmr_relocate(d, &change, d->block);
}

/*
 * The retry sectors of a block, read from main once more.  What comes back goes to a new
 * slot where the lost sectors share a physical block of the spare with good ones: a
 * power cut in a write there could take those with it.
 */
void dmr_retry_block(struct dmr_disk *d, u64 block)
{
	struct dmr_remap *found = dmr_map_find(d, block), remap;
	unsigned int at, grain = d->logical_block, length = dmr_block_length(d, block);
	u8 lost, bad;

	if (!found || found->slot == DMR_FENCED || !found->retry || !dmr_writable(d))
		return;
	remap = *found;
	lost = remap.lost;
	memset(d->block, 0, DMR_BLOCK_SIZE);
	if (dmr_salvage(d, DMR_SPARE, dmr_slot_offset(d->sb, remap.slot), d->block, length, &bad) ||
	    (bad & ~remap.lost))
		return;
	for (at = 0; at < length; at += grain) {
		u8 here = dmr_sectors(at, at + grain);

		if ((remap.retry & here) != here ||
		    dmr_salvage(d, DMR_MAIN, block * DMR_BLOCK_SIZE + at, d->block2, grain, &bad) ||
		    bad)
			continue;
		memcpy(d->block + at, d->block2, grain);
		lost &= ~here;
	}
	if (lost != remap.lost) {
		struct dmr_staged change = {
			.block = block,
			.lost = lost,
			.retry = remap.retry & lost,
			.reason = dmr_entry_at(d, remap.slot)->reason,
			.has_old = true,
			.old_slot = remap.slot,
			.old_same = true, /* what it holds stays as good as it was */
			.cleared = remap.lost & ~lost,
			.salvaged = true,
		};

		dmr_relocate(d, &change, d->block);
	}
}

/* What can be read stays, unless it is weak and such are to be moved. */
static int check_main(struct dmr_disk *d, struct dmr_order *order, u64 block)
{
	struct dmr_staged change = { .block = block, .order = order };
	u64 start = block * DMR_BLOCK_SIZE;
	unsigned int length = dmr_block_length(d, block);
	bool weak = order->suspected, wanted;
	u8 bad = 0;
	int error;

	memset(d->block, 0, DMR_BLOCK_SIZE);
	error = dmr_read(d, DMR_MAIN, start, d->block, length);
	if (dmr_classify(error) == DMR_CLASS_MEDIUM) {
		weak = true;
		memset(d->block, 0, DMR_BLOCK_SIZE);
		error = dmr_salvage(d, DMR_MAIN, start, d->block, length, &bad);
	}
	if (error)
		return error;
	if (bad)
		order->bad++;
	order->weak = weak && !bad;
	wanted = bad ? READ_ONCE(d->parameters.remap_on_read_error) :
		       weak && READ_ONCE(d->parameters.relocate_weak);
	if (!wanted)
		return -EALREADY;
	if (!dmr_writable(d))
		return -EROFS;
	if (bad ? !dmr_breaker_allows(d, false, block) : d->breaker.tripped)
		return -EIO;
	change.reason = bad ? DMR_REASON_SCAN : DMR_REASON_SLOW;
	change.lost = bad;
	change.retry = bad;
	return dmr_relocate(d, &change, d->block);
}

/*
 * For the scan, one block an order.  In a slot: it keeps the block, whatever is found (P5),
 * and retry sectors are tried in passing.
 */
int dmr_check_block(struct dmr_disk *d, struct dmr_order *order, u64 block)
{
	struct dmr_remap *found = dmr_map_find(d, block), remap;
	u8 bad;
	int error;

	if (!found)
		return check_main(d, order, block);
	remap = *found;
	if (remap.slot == DMR_FENCED)
		return -EALREADY;
	error = dmr_salvage(d, DMR_SPARE, dmr_slot_offset(d->sb, remap.slot), d->block,
			    dmr_block_length(d, block), &bad);
	if (error)
		return error;
	if (bad & ~remap.lost) {
		order->bad++;
		tell_of_bad_slot(d, block);
	}
	dmr_retry_block(d, block);
	return -EALREADY;
}

static int move_whole(struct dmr_disk *d, const struct dmr_remap *found)
{
	const struct dmr_remap remap = *found; /* a commit may move it */

	memset(d->block, 0, DMR_BLOCK_SIZE);
	return move_written(d, &remap, 0, 0, remap.lost, false, NULL);
}

/* The block in this slot, on a retired page, to a good page. */
void dmr_move_slot(struct dmr_disk *d, u64 slot)
{
	struct dmr_remap *found;

	if (slot >= d->table.ready || !dmr_slot_live(d, slot) || !dmr_writable(d))
		return;
	found = dmr_map_find(d, dmr_le64(dmr_entry_at(d, slot)->main_block));
	if (found && found->slot == slot)
		move_whole(d, found);
}

/* For the opener.  0: the block, wherever it is, goes to a new slot with the next commit. */
int dmr_map_anew(struct dmr_disk *d, u64 block)
{
	struct dmr_remap *found = dmr_map_find(d, block);

	if (!dmr_writable(d))
		return -EROFS;
	if (!found)
		return dmr_remap_block(d, NULL, block);
	return found->slot == DMR_FENCED ? -EIO : move_whole(d, found);
}
