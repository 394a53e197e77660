// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks that go back to main.
 *
 * Order, behind the closed gate:
 *   1. the block's data to main, but for lost sectors; flush main; read back, compare
 *   2. commit the entry as free, in both copies
 *   3. publish: the block is on main; acknowledge
 *
 * Until the gate opens main and slot hold the same, so "in the slot" and "on main" are
 * both right, whichever a later open finds.  Afterwards main changes and the slot may
 * be given away, so the entry's old version must never count again: both copies must
 * say "free".  Where only one is known to, or none, the block stays remapped, in
 * another slot with a newer sequence, also while a page is owed its second copy; it is
 * never rolled back in memory.  No older claim on the block may be anywhere, for it would
 * win now; so nothing is unmapped while a page is retired, and erasures that are due come
 * in a commit before: one that is refused for want of resources is tried again, and the
 * unmap waits for it.
 *
 * Lost sectors go back only by force, and only while main may have their last copy.
 */
#include "dm-remap.h"

static int write_back(struct dmr_disk *d, const struct dmr_remap *remap, const u8 *data)
{
	u64 start = remap->block * DMR_BLOCK_SIZE;
	unsigned int at, grain = d->logical_block, length = dmr_block_length(d, remap->block);
	int error = 0;

	if (!remap->lost)
		return dmr_write(d, DMR_MAIN, start, data, length);
	for (at = 0; at < length && !error; at += grain) {
		u8 here = dmr_sectors(at, at + grain);

		if ((remap->lost & here) == here)
			continue;
		if (remap->lost & here)
			return -ENODATA; /* half a logical block can not be written */
		error = dmr_write(d, DMR_MAIN, start + at, data + at, grain);
	}
	return error;
}

/* 0: staged, -EALREADY: nothing to do, or why it stays. */
int dmr_unmap_block(struct dmr_disk *d, struct dmr_order *order, u64 block)
{
	struct dmr_remap *found = dmr_map_find(d, block), remap;
	struct dmr_staged *s;
	u8 bad;
	int error;

	if (!found)
		return -EALREADY;
	remap = *found;
	if (remap.slot == DMR_FENCED)
		return -EIO;
	if (!dmr_writable(d))
		return -EROFS;
	/* What was lost later than the block left main is old on main. */
	if (remap.lost && (!order->force || remap.retry != remap.lost))
		return -ENODATA;
	/* Before main is written for nothing.  A page that is only owed a copy can have it now. */
	error = dmr_slot_retired(d, remap.slot) ? dmr_table_pay_back(d) : 0;
	if (error)
		return d->table.broken ? -EROFS : error;
	if (dmr_slot_retired(d, remap.slot))
		return -EAGAIN;
	memset(d->block, 0, DMR_BLOCK_SIZE);
	error = dmr_salvage(d, DMR_SPARE, dmr_slot_offset(d->sb, remap.slot), d->block,
			    dmr_block_length(d, block), &bad);
	if (!error && (bad & ~remap.lost))
		error = -EIO;
	if (!error)
		error = write_back(d, &remap, d->block);
	if (error)
		return error;
	s = dmr_stage(d, block);
	s->slot = remap.slot;
	s->lost = remap.lost;
	s->retry = remap.retry;
	s->reason = dmr_entry_at(d, remap.slot)->reason;
	s->unmap = true;
	s->has_data = true;
	s->order = order;
	memcpy(s->data, d->block, DMR_BLOCK_SIZE);
	return 0;
}

static bool may_have_older_claim(struct dmr_disk *d, u64 block)
{
	u64 slot;

	if (d->table.counts.retired_pages || d->table.owed)
		return true;
	for (slot = 0; d->table.counts.superseded && slot < d->table.ready; slot++)
		if (dmr_slot_superseded(d, slot) &&
		    dmr_le64(dmr_entry_at(d, slot)->main_block) == block)
			return true;
	return false;
}

static int compare_main(struct dmr_disk *d, const struct dmr_staged *s)
{
	unsigned int at, length = dmr_block_length(d, s->block);
	unsigned int grain = s->lost ? d->logical_block : length;
	int error;

	for (at = 0; at < length; at += grain) {
		if (s->lost & dmr_sectors(at, at + grain))
			continue;
		error = dmr_read(d, DMR_MAIN, s->block * DMR_BLOCK_SIZE + at, d->other + at, grain);
		if (error)
			return error;
		if (memcmp(d->other + at, s->data + at, grain))
			return -EIO;
	}
	return 0;
}

/* Whether an older claim on the block only waits for an erasure that was refused just now. */
static bool older_claim_goes(struct dmr_disk *d, u64 block)
{
	unsigned int i;

	if (d->table.broken || d->table.counts.retired_pages)
		return false;
	for (i = 0; i < d->erasure_count; i++)
		if (dmr_slot_superseded(d, d->erasures[i].slot) &&
		    dmr_le64(dmr_entry_at(d, d->erasures[i].slot)->main_block) == block)
			return true;
	return false;
}

/* Main's flush is done.  0: the slot may go. */
static int judge(struct dmr_disk *d, const struct dmr_staged *s)
{
	if (d->table.broken || !dmr_writable(d))
		return -EROFS;
	if (may_have_older_claim(d, s->block))
		return -EAGAIN;
	return compare_main(d, s);
}

/*
 * The page failed: the unmap becomes a move.  Where the entry is free already, durable
 * once, nothing is left to be replaced or erased: its slot may be another block's once
 * the page has two copies again.
 */
static void back_to_a_slot(struct dmr_disk *d, struct dmr_staged *s, bool freed)
{
	s->unmap = false;
	s->refused = -EIO;
	s->has_old = !freed;
	s->old_slot = s->slot;
	dmr_find_slot(d, s);
}

void dmr_commit_unmaps(struct dmr_disk *d)
{
	struct dmr_staged *order[DMR_STAGED_MAX];
	unsigned int i, count = 0;
	int flushed = 1;

	/* A page that is owed a copy could hold an older claim. */
	if (!d->table.broken && dmr_table_pay_back(d) && !d->table.broken)
		return; /* all are tried again */
	for (i = 0; i < d->staged_count; i++) {
		struct dmr_staged *s = &d->staged[i];

		if (s->settled || !s->unmap)
			continue;
		if (flushed > 0)
			flushed = dmr_flush(d, DMR_MAIN);
		if (!flushed && older_claim_goes(d, s->block))
			continue; /* it is tried again */
		s->result = flushed ? -EIO : judge(d, s);
		s->settled = s->result;
		if (s->settled)
			continue;
		d->changes[count] = (struct dmr_change){
			.slot = s->slot,
			.block = DMR_NO_BLOCK,
			.replaces = DMR_NO_BLOCK,
			.state = DMR_FREE,
		};
		order[count++] = s;
	}
	if (!count)
		return;
	dmr_table_commit(d, d->changes, count);
	for (i = 0; i < count; i++) {
		struct dmr_staged *s = order[i];

		if (d->changes[i].outcome == DMR_REFUSED)
			continue; /* it is tried again */
		s->issued = true;
		if (d->changes[i].outcome == DMR_UNKNOWN) {
			dmr_staged_fail(d, s, -EIO);
		} else if (d->changes[i].outcome == DMR_DURABLE) {
			s->settled = true;
			dmr_map_remove(d, s->block);
			d->totals.unmaps++;
		} else {
			back_to_a_slot(d, s, d->changes[i].outcome != DMR_PAGE_FAILED);
		}
	}
}
