// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way of a bio.
 *
 * 1. It is cut at the end of its region, so that it has one gate, and enters it.
 *    Closed: it is parked there, and comes again when the healer opens.
 * 2. The filter's bit is clear: the whole of it goes to main.  Else it is cut to its
 *    first run, all of which is on main or on consecutive slots, and goes there.
 * 3. It leaves the gate.  Where the device failed it, it goes to the healer with the
 *    iterator it came with, since its own has advanced by then; the healer decides,
 *    and its second end is only counted.
 *
 * A bio that was parked can not be cut any more (device-mapper counts the pieces
 * while it maps); where it is more than one run the healer carries it out block by
 * block.  So does it with a write over lost sectors, whose marks must go with it.
 *
 * No lock and no allocation for a healthy region.  A flush is one of both devices, and
 * waits for its turn at each (flush.c); so does a write with FUA where the device would
 * make a flush of that.  Once one has failed every later one fails, for what was lost with
 * it nobody knows.  None succeeds while a change stands in one copy of the entry table
 * that is owed the other (table_debt.c).  A discard reaches main only where nothing is
 * remapped: under a remap main may hold the only copy of lost sectors, and a slot has
 * nothing to discard.
 */
#include "dm-remap.h"

/* Ends the bio with this answer; it is inside no gate. */
void dmr_decide(struct bio *bio, blk_status_t status)
{
	dmr_bio(bio)->decided = true;
	bio->bi_status = status;
	bio_endio(bio);
}

void dmr_bio_init(struct dmr_disk *d, struct bio *bio)
{
	struct dmr_bio *b = dmr_bio(bio);

	memset(b, 0, sizeof(*b));
	b->side = DMR_NOWHERE;
	b->start_ns = ktime_get_ns();
	/* Reads may bear FUA, too, and nothing of them is to be durable. */
	b->fua = op_is_write(bio_op(bio)) && (bio->bi_opf & REQ_FUA);
	bio->bi_iter.bi_sector = dm_target_offset(d->ti, bio->bi_iter.bi_sector);
	b->iter = bio->bi_iter;
}

static void send_to(struct dmr_disk *d, struct bio *bio, enum dmr_side side, sector_t sector)
{
	struct dmr_bio *b = dmr_bio(bio);

	b->side = side;
	b->unflushed = b->fua && dmr_flushes_for_fua(d->dev[side]->bdev);
	if (b->unflushed)
		bio->bi_opf &= ~(REQ_FUA | REQ_POLLED); /* nobody polls where it will wait */
	bio_set_dev(bio, d->dev[side]->bdev);
	bio->bi_iter.bi_sector = sector;
}

static int map_flush(struct dmr_disk *d, struct bio *bio)
{
	dmr_bio(bio)->side = dm_bio_get_target_bio_nr(bio) ? DMR_SPARE : DMR_MAIN;
	if (dmr_active(d, DMR_FLUSH_FAILED) || dmr_active(d, DMR_COMMIT_FAILED) ||
	    !dmr_table_firm(d))
		dmr_decide(bio, BLK_STS_IOERR);
	else
		dmr_flush_bio(d, bio);
	return DM_MAPIO_SUBMITTED;
}

struct run {
	enum { RUN_MAIN, RUN_SLOT, RUN_LOST, RUN_FENCED } kind;
	u64 sector; /* where on the spare */
	u64 end;    /* first sector of the disk that is not in it */
};

/* Inside the gate. */
static struct run find_run(struct dmr_disk *d, u64 sector, u64 end, bool mark)
{
	u64 block = sector / DMR_SECTORS_PER_BLOCK, last = (end - 1) / DMR_SECTORS_PER_BLOCK;
	struct dmr_remap *remap = dmr_map_lower_bound(d, block);
	struct run run = { .kind = RUN_MAIN, .end = end };
	u64 offset;

	if (!remap || remap->block > last)
		return run;
	if (remap->block > block) {
		run.end = dmr_first_sector(remap->block);
		return run;
	}
	run.end = min(end, dmr_first_sector(block + 1));
	if (remap->slot == DMR_FENCED) {
		run.kind = RUN_FENCED;
		return run;
	}
	if (remap->lost & (mark ? 0xff : dmr_sectors((sector % 8) * 512,
						     (run.end - dmr_first_sector(block)) * 512))) {
		run.kind = RUN_LOST;
		return run;
	}
	offset = dmr_slot_offset(d->sb, remap->slot);
	run.kind = RUN_SLOT;
	run.sector = offset / DMR_SECTOR_SIZE + sector % DMR_SECTORS_PER_BLOCK;
	while (run.end < end) {
		remap = dmr_map_next(d, remap);
		block++;
		offset += DMR_BLOCK_SIZE;
		if (!remap || remap->block != block || remap->slot == DMR_FENCED || remap->lost ||
		    dmr_slot_offset(d->sb, remap->slot) != offset)
			break;
		run.end = min(end, dmr_first_sector(block + 1));
	}
	return run;
}

static int to_healer(struct dmr_disk *d, struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT)
		dmr_decide(bio, BLK_STS_AGAIN);
	else
		dmr_heal_bio(d, bio);
	return DM_MAPIO_SUBMITTED;
}

static int leave_and_decide(struct dmr_disk *d, struct bio *bio, blk_status_t status)
{
	struct dmr_bio *b = dmr_bio(bio);

	b->inside = false;
	dmr_gate_leave(d, b->gate);
	dmr_decide(bio, status);
	return DM_MAPIO_SUBMITTED;
}

static int leave_to_healer(struct dmr_disk *d, struct bio *bio)
{
	struct dmr_bio *b = dmr_bio(bio);

	b->inside = false;
	dmr_gate_leave(d, b->gate);
	return to_healer(d, bio);
}

/* The bio fits its region.  Returns what map() does. */
static int route_inside(struct dmr_disk *d, struct bio *bio, bool may_split)
{
	struct dmr_bio *b = dmr_bio(bio);
	enum req_op op = bio_op(bio);
	u64 sector = b->iter.bi_sector, end = sector + bio_sectors(bio);
	struct run run = { .kind = RUN_MAIN, .end = end };

	/* Inside the gate: what the healer found out behind it counts. */
	if (op != REQ_OP_READ && unlikely(!dmr_writable(d)))
		return leave_and_decide(d, bio, BLK_STS_IOERR);
	if (dmr_map_may_hold(d, sector / DMR_SECTORS_PER_BLOCK)) {
		/* Of a closed pair nothing is known.  Before 6.9 a thin pool's resume forgot preresume. */
		if (unlikely(!READ_ONCE(d->open)))
			return leave_and_decide(d, bio, BLK_STS_IOERR);
		run = find_run(d, sector, end, op == REQ_OP_WRITE || op == REQ_OP_WRITE_ZEROES);
	}
	if (run.end < end) {
		if (!may_split)
			return leave_to_healer(d, bio);
		dm_accept_partial_bio(bio, run.end - sector);
		b->iter = bio->bi_iter;
	}
	switch (run.kind) {
	case RUN_MAIN:
		send_to(d, bio, DMR_MAIN, sector);
		return DM_MAPIO_REMAPPED;
	case RUN_SLOT:
		if (op == REQ_OP_DISCARD)
			return leave_and_decide(d, bio, BLK_STS_OK);
		send_to(d, bio, DMR_SPARE, run.sector);
		return DM_MAPIO_REMAPPED;
	case RUN_LOST:
		if (op == REQ_OP_DISCARD)
			return leave_and_decide(d, bio, BLK_STS_OK);
		if (op != REQ_OP_READ)
			return leave_to_healer(d, bio);
		break; /* not BLK_STS_MEDIUM: direct I/O would read ENODATA out of it, not EIO */
	case RUN_FENCED:
		break;
	}
	return leave_and_decide(d, bio, BLK_STS_IOERR);
}

int dmr_route(struct dmr_disk *d, struct bio *bio, bool may_split)
{
	struct dmr_bio *b = dmr_bio(bio);

	switch (bio_op(bio)) {
	case REQ_OP_FLUSH:
		return map_flush(d, bio);
	case REQ_OP_READ:
	case REQ_OP_WRITE:
	case REQ_OP_WRITE_ZEROES:
	case REQ_OP_DISCARD:
		break;
	default:
		dmr_decide(bio, BLK_STS_NOTSUPP);
		return DM_MAPIO_SUBMITTED;
	}
	if (!bio_sectors(bio)) {
		if (bio->bi_opf & REQ_PREFLUSH)
			return map_flush(d, bio);
		dmr_decide(bio, BLK_STS_OK);
		return DM_MAPIO_SUBMITTED;
	}
	if (may_split) {
		u32 room = DMR_REGION_SECTORS - (b->iter.bi_sector & (DMR_REGION_SECTORS - 1));

		if (bio_sectors(bio) > room) {
			dm_accept_partial_bio(bio, room);
			b->iter = bio->bi_iter;
		}
		b->gate = dmr_gate_of(b->iter.bi_sector / DMR_SECTORS_PER_BLOCK);
	}
	while (!dmr_gate_enter(d, b->gate)) {
		if (bio->bi_opf & REQ_NOWAIT) {
			dmr_decide(bio, BLK_STS_AGAIN);
			return DM_MAPIO_SUBMITTED;
		}
		bio->bi_opf &= ~REQ_POLLED; /* nobody polls where it is going */
		if (dmr_gate_park(d, b->gate, bio))
			return DM_MAPIO_SUBMITTED;
	}
	b->inside = true;
	return route_inside(d, bio, may_split);
}

static int count_and_end(struct dmr_disk *d, struct bio *bio, blk_status_t status)
{
	struct dmr_bio *b = dmr_bio(bio);

	dmr_count_bio(d, dmr_op_of(bio), !status, b->iter.bi_size, ktime_get_ns() - b->start_ns);
	dmr_tell_bio("%s: %s of %u bytes at sector %llu%s%s: status %d", dmr_name(d),
		     dmr_op_name(dmr_op_of(bio)), b->iter.bi_size,
		     (unsigned long long)b->iter.bi_sector,
		     b->decided ? "" : b->side == DMR_MAIN ? ", main" : ", spare",
		     b->decided ? ", decided here" : "", blk_status_to_errno(status));
	return DM_ENDIO_DONE;
}

/* Errors the healer looks at again: all but those that say "not now" or "not this way". */
static bool for_healer(const struct bio *bio, blk_status_t status)
{
	enum req_op op = bio_op(bio);

	if (op != REQ_OP_READ && op != REQ_OP_WRITE && op != REQ_OP_WRITE_ZEROES)
		return false;
	if (status == BLK_STS_NOTSUPP || blk_status_to_errno(status) == -EINVAL)
		return false;
	return !(status == BLK_STS_AGAIN && (bio->bi_opf & REQ_NOWAIT));
}

int dmr_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct dmr_disk *d = ti->private;
	struct dmr_bio *b = dmr_bio(bio);
	enum dmr_op op = dmr_op_of(bio);
	blk_status_t status = *error;

	if (b->decided)
		return count_and_end(d, bio, status);
	if (b->inside) {
		b->inside = false;
		dmr_gate_leave(d, b->gate);
	}
	if (b->side != DMR_NOWHERE)
		dmr_count_call(d, b->side, op, !status);
	if (likely(!status)) {
		if (unlikely(b->fua && !dmr_table_firm(d))) {
			*error = BLK_STS_IOERR;
			return count_and_end(d, bio, BLK_STS_IOERR);
		}
		if (unlikely(b->unflushed)) {
			dmr_flush_bio(d, bio);
			return DM_ENDIO_INCOMPLETE;
		}
		if (unlikely(b->fua && dmr_active(d, DMR_FLUSH_FAILED)))
			status = *error = BLK_STS_IOERR;
		return count_and_end(d, bio, status);
	}
	if (b->side == DMR_NOWHERE || !for_healer(bio, status))
		return count_and_end(d, bio, status);
	dmr_debug(2, "%s: sector %llu failed on %s, status %d", dmr_name(d),
		  (unsigned long long)b->iter.bi_sector, d->path[b->side],
		  blk_status_to_errno(status));
	/* The bio as it came: parts of it may have been chained below. */
	bio->bi_iter = b->iter;
	bio->bi_status = BLK_STS_OK;
	bio->bi_opf &= ~(REQ_POLLED | REQ_NOWAIT);
	dmr_heal_bio(d, bio);
	return DM_ENDIO_INCOMPLETE;
}
