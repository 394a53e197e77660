// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of the mapping that share their flushes: relocations, moves from slot to
 * slot, clearings of lost marks, unmaps; staged behind closed gates, committed together.
 *
 * Order: staging writes the slot's data; the commit flushes the spare once, commits the
 * entries to both copies (entry_table.c), and only then publishes them in the mapping.
 * Whose bio depends on it is completed after that, before its gate opens.
 *
 * What fails before an entry write was issued leaves the block as it was.  Afterwards a
 * change only rolls forward: a page of which either copy takes no write sends it to another
 * slot.  One that stands in one copy is acknowledged only where no page is found that takes
 * both: one bad copy costs nothing (P4), and the disk says metadata_in_doubt.  Where it
 * stands nowhere, or a flush failed, the disk is read_only and the block is
 * fenced (EIO), for which claim the next opener finds nobody knows.  Only a block that
 * was moved as it was stays readable: both slots hold the same, and nobody writes.
 *
 * What was refused for want of resources is tried again, COMMIT_TRIES times in all, and
 * then as if it had failed.
 *
 * Erasures (old slots become free or bad) wait for the commit after the one that made
 * their replacement durable: in one page write a torn one could leave neither.  While
 * the winner of an old claim stands on a retired page, in one copy, the claim is not
 * erased either, and not in the commit that moves the winner away: that may fail.
 * One that finds no room is forgotten; the slot stays out of use and the next opener
 * erases it.
 *
 * Memory for all of it is had when the table is loaded, but for the mapping's growth,
 * which comes before an entry is written.  The healer's alone.
 */
#include "dm-remap.h"

#define COMMIT_TRIES 24
/* After as many, each much further away, all of the second copy is likely to take no write. */
#define PAGES_FOR_TWO_COPIES 4
#define SLOTS_IN_A_ROW 8 /* as many refuse a write: it is the spare, not its slots */

void dmr_erase_later(struct dmr_disk *d, u64 slot, u8 state)
{
	if (d->erasure_count == DMR_ERASURES_MAX)
		return;
	d->erasures[d->erasure_count].slot = slot;
	d->erasures[d->erasure_count++].state = state;
}

static int give_up(struct dmr_disk *d, const u64 *refused, unsigned int count, int error)
{
	while (count--)
		dmr_slot_give_back(d, refused[count]);
	return error;
}

/* Finds a slot that takes the data. */
int dmr_write_new_slot(struct dmr_disk *d, const u8 *data, u64 *slot)
{
	u64 refused[SLOTS_IN_A_ROW];
	unsigned int count = 0, i;

	while (count < SLOTS_IN_A_ROW) {
		u64 offset, found;
		int error = dmr_slot_allocate(d, &found);

		if (error)
			return give_up(d, refused, count, error);
		offset = dmr_slot_offset(d->sb, found);
		error = dmr_write(d, DMR_SPARE, offset, data, DMR_BLOCK_SIZE);
		if (dmr_classify(error) == DMR_CLASS_MEDIUM)
			error = dmr_write(d, DMR_SPARE, offset, data, DMR_BLOCK_SIZE);
		if (!error) {
			for (i = 0; i < count; i++)
				dmr_erase_later(d, refused[i], DMR_BAD_SLOT);
			dmr_clear(d, DMR_SPARE_UNWRITABLE);
			*slot = found;
			return 0;
		}
		refused[count++] = found;
		if (dmr_classify(error) != DMR_CLASS_MEDIUM)
			return give_up(d, refused, count,
				       dmr_classify(error) == DMR_CLASS_NO_SPACE ? -ENOSPC : error);
	}
	dmr_raise(d, DMR_SPARE_UNWRITABLE);
	return give_up(d, refused, count, -EIO);
}

/* An empty place, with room made by a commit if need be. */
struct dmr_staged *dmr_stage(struct dmr_disk *d, u64 block)
{
	struct dmr_staged *s;
	u8 *data;

	if (d->staged_count == DMR_STAGED_MAX)
		dmr_commit(d);
	s = &d->staged[d->staged_count++];
	data = s->data;
	memset(s, 0, sizeof(*s));
	s->data = data;
	s->block = block;
	return s;
}

bool dmr_is_staged(struct dmr_disk *d, u64 first, u64 last)
{
	unsigned int i;

	for (i = 0; i < d->staged_count; i++)
		if (d->staged[i].block >= first && d->staged[i].block <= last)
			return true;
	return false;
}

/* Writes the data to a new slot and stages the change, whose block, marks, reason, old slot,
 * bio and order `change` gives.  May commit what is staged to get a slot that an erasure frees.
 */
int dmr_relocate(struct dmr_disk *d, const struct dmr_staged *change, const u8 *data)
{
	struct dmr_staged *s;
	unsigned int again;
	u64 slot;
	u8 *own;
	int error = dmr_write_new_slot(d, data, &slot);

	for (again = 0; again < 2 && error == -ENOSPC && d->erasure_count && dmr_writable(d);
	     again++) {
		dmr_commit(d);
		error = dmr_write_new_slot(d, data, &slot);
	}
	if (error) {
		/* Told with the round's end, after the marks that the round may have passed. */
		d->ran_out |= error == -ENOSPC && !dmr_active(d, DMR_SPARE_FS_FULL);
		return error;
	}
	s = dmr_stage(d, change->block);
	own = s->data;
	*s = *change;
	s->data = own;
	s->slot = slot;
	s->has_data = true;
	memcpy(s->data, data, DMR_BLOCK_SIZE);
	return 0;
}

/* The slot holds the new data already; its marks become these. */
void dmr_change_marks(struct dmr_disk *d, const struct dmr_remap *remap, u8 lost, u8 retry,
		      bool salvaged, struct bio *bio)
{
	const struct dmr_remap was = *remap; /* a commit may move it */
	struct dmr_staged *s = dmr_stage(d, was.block);

	s->slot = was.slot;
	s->lost = lost;
	s->retry = retry;
	s->reason = dmr_entry_at(d, was.slot)->reason;
	s->cleared = was.lost & ~lost;
	s->salvaged = salvaged;
	s->bio = bio;
}

static void publish(struct dmr_disk *d, struct dmr_staged *s)
{
	struct dmr_remap remap = {
		.block = s->block,
		.slot = s->slot,
		.lost = s->lost,
		.retry = s->retry,
	};

	s->settled = true;
	s->result = s->refused;
	dmr_map_put(d, &remap);
	if (s->has_old) {
		dmr_erase_later(d, s->old_slot, s->old_bad ? DMR_BAD_SLOT : DMR_FREE);
		d->totals.moves++;
	} else if (s->refused) {
		d->totals.moves++; /* an unmap that had to become a move */
	} else if (s->has_data) {
		d->totals.remaps++;
		d->totals.by_reason[s->reason]++;
		d->totals.sectors_lost += hweight8(s->lost);
		dmr_debug(1, "%s: block at sector %llu remapped to slot %llu (%s), lost 0x%02x",
			  dmr_name(d), (unsigned long long)dmr_first_sector(s->block),
			  (unsigned long long)s->slot, dmr_reason_word(s->reason), s->lost);
		if (s->lost)
			DMERR_LIMIT("%s: %u sectors from %llu on could not be read by anybody",
				    dmr_name(d), hweight8(s->lost),
				    (unsigned long long)dmr_first_sector(s->block) +
					    __ffs(s->lost));
	}
	if (s->salvaged)
		d->totals.sectors_salvaged += hweight8(s->cleared);
}

/* What stands in one copy, and finds no page that takes both, counts after all. */
static void rest_on_one_copy(struct dmr_disk *d, struct dmr_staged *s)
{
	if (s->slot != s->once_slot && !s->slotless)
		dmr_slot_give_back(d, s->slot);
	s->slot = s->once_slot;
	if (s->has_old && s->old_slot == s->slot) {
		s->has_old = false; /* marks, in the slot where the block is */
		s->has_data = false;
	}
	publish(d, s);
	if (!dmr_active(d, DMR_METADATA_IN_DOUBT))
		DMERR("%s: %s takes one copy of its entry table's pages but not the other, which holds an older version; were the first lost now, the older one would count: replace the spare",
		      dmr_name(d), d->path[DMR_SPARE]);
	dmr_raise(d, DMR_METADATA_IN_DOUBT);
}

void dmr_staged_fail(struct dmr_disk *d, struct dmr_staged *s, int error)
{
	struct dmr_remap fence = { .block = s->block, .slot = DMR_FENCED };

	s->settled = true;
	s->result = error;
	if (!s->issued) {
		if (s->has_data && !s->unmap && !s->slotless)
			dmr_slot_give_back(d, s->slot);
		return;
	}
	if (s->has_once && !d->table.broken && !dmr_active(d, DMR_FLUSH_FAILED)) {
		rest_on_one_copy(d, s);
		return;
	}
	s->result = -EIO; /* for want of a slot, too: what came of the change is not known */
	if (!s->has_old || !s->old_same)
		dmr_map_put(d, &fence);
	if (!dmr_active(d, DMR_COMMIT_FAILED))
		DMERR("%s: an entry could not be committed to %s; remove the device, check the spare, and load it again",
		      dmr_name(d), d->path[DMR_SPARE]);
	WRITE_ONCE(d->failed_before, true);
	dmr_raise(d, DMR_COMMIT_FAILED);
}

/* A slot for one that was sent elsewhere; who is only in want of resources tries again. */
void dmr_find_slot(struct dmr_disk *d, struct dmr_staged *s)
{
	int error = dmr_write_new_slot(d, s->data, &s->slot);

	s->slotless = error;
	if (error && dmr_classify(error) != DMR_CLASS_RESOURCE)
		dmr_staged_fail(d, s, error);
}

/*
 * An entry write was issued to a page that failed: the same change on another page.  Once:
 * the claim stands in one copy there, and the new one supersedes it.  It stays, for the
 * page is written no more, until the next opener.
 */
static void send_elsewhere(struct dmr_disk *d, struct dmr_staged *s, bool once)
{
	u64 failed_slot = s->slot;
	u8 bad;
	int error;

	if (once) {
		s->has_once = true;
		s->once_slot = failed_slot;
		/* Each try costs a page, so until the next salvage others try one. */
		d->one_copy_only |= ++s->stood_once == PAGES_FOR_TWO_COPIES;
		if (d->one_copy_only) {
			rest_on_one_copy(d, s);
			return;
		}
	}
	if (!s->has_data) {
		/* The marks' block moves whole.  What is lost stays so, and is not read. */
		error = dmr_salvage(d, DMR_SPARE, dmr_slot_offset(d->sb, failed_slot), s->data,
				    dmr_block_length(d, s->block), &bad);
		if (dmr_classify(error) == DMR_CLASS_RESOURCE)
			return; /* it is tried again, as it is */
		if (error || (bad & ~s->lost)) {
			dmr_staged_fail(d, s, -EIO);
			return;
		}
		s->has_data = true;
		s->has_old = true;
		s->old_slot = failed_slot;
	} else if (!once) {
		dmr_slot_give_back(d, failed_slot);
	}
	dmr_find_slot(d, s);
}

/* So that publishing and fencing ask for no memory. */
static int make_room(struct dmr_disk *d)
{
	unsigned int i, j;

	for (i = 0; i < d->staged_count; i++) {
		unsigned int more = 0;

		if (d->staged[i].settled)
			continue;
		for (j = 0; j < d->staged_count; j++)
			more += dmr_gate_of(d->staged[j].block) == dmr_gate_of(d->staged[i].block);
		if (dmr_map_room(d, d->staged[i].block, more))
			return -ENOMEM;
	}
	return 0;
}

/* The erasures that are due; those that must wait stay in d->erasures. */
static unsigned int list_erasures(struct dmr_disk *d)
{
	unsigned int i, count = 0, waiting = 0;

	for (i = 0; i < d->erasure_count; i++) {
		const struct dmr_erasure e = d->erasures[i];

		/* On a retired page nothing is written: the claim stays superseded. */
		if (dmr_slot_retired(d, e.slot) && !d->table.owed)
			continue;
		if (dmr_slot_retired(d, e.slot) ||
		    (dmr_slot_superseded(d, e.slot) && !dmr_winner_is_firm(d, e.slot))) {
			d->erasures[waiting++] = e;
			continue;
		}
		d->changes[count++] = (struct dmr_change){
			.slot = e.slot,
			.block = DMR_NO_BLOCK,
			.replaces = DMR_NO_BLOCK,
			.state = e.state,
		};
	}
	d->erasure_count = waiting;
	return count;
}

static unsigned int list_changes(struct dmr_disk *d, struct dmr_staged **order,
				 unsigned int *erasures)
{
	struct dmr_change *changes = d->changes;
	unsigned int i, claims = 0, count = list_erasures(d);

	*erasures = count;
	for (i = 0; i < d->staged_count; i++) {
		struct dmr_staged *s = &d->staged[i];

		if (s->settled || s->unmap || s->slotless)
			continue;
		order[claims++] = s;
		changes[count++] = (struct dmr_change){
			.slot = s->slot,
			.block = s->block,
			.replaces = s->has_once ? s->once_slot :
				    s->has_old ? s->old_slot : DMR_NO_BLOCK,
			.state = DMR_REMAPPED,
			.lost = s->lost,
			.retry = s->retry,
			.reason = s->reason,
		};
	}
	return claims;
}

static void commit_claims(struct dmr_disk *d, unsigned int tried)
{
	struct dmr_staged *order[DMR_STAGED_MAX];
	unsigned int i, erasures, claims;
	bool was_broken = d->table.broken, failed = false, once = false;
	int device_error;

	for (i = 0; i < d->staged_count; i++)
		if (d->staged[i].slotless && !d->staged[i].settled)
			dmr_find_slot(d, &d->staged[i]);
	if (dmr_table_flush(d)) {
		for (i = 0; i < d->staged_count; i++)
			if (!d->staged[i].settled && !d->staged[i].unmap)
				dmr_staged_fail(d, &d->staged[i], -EIO);
		return;
	}
	claims = list_changes(d, order, &erasures);
	if (!claims && !erasures)
		return;
	dmr_table_commit(d, d->changes, erasures + claims);
	/* Now: who needs another slot may have the table grow, with errors of its own. */
	device_error = d->table.device_error;
	for (i = 0; i < erasures + claims; i++) {
		failed |= d->changes[i].outcome == DMR_PAGE_FAILED;
		once |= d->changes[i].outcome == DMR_ONCE;
	}
	for (i = 0; i < erasures; i++)
		if (d->changes[i].outcome == DMR_REFUSED)
			dmr_erase_later(d, d->changes[i].slot, d->changes[i].state);
	if (failed)
		dmr_slot_look_further(d, 1ull << min(tried, 40u));
	else if (once)
		dmr_slot_look_further(d, 1ull << min(4 * tried, 40u)); /* there are few tries */
	for (i = 0; i < claims; i++) {
		if (d->changes[erasures + i].outcome == DMR_REFUSED)
			continue; /* it is tried again */
		order[i]->issued |= !was_broken;
		switch (d->changes[erasures + i].outcome) {
		case DMR_DURABLE:
			publish(d, order[i]);
			break;
		case DMR_OWED:
			publish(d, order[i]); /* true, and not acknowledged */
			order[i]->result = device_error ? : -EIO;
			break;
		case DMR_PAGE_FAILED:
		case DMR_ONCE:
			send_elsewhere(d, order[i], d->changes[erasures + i].outcome == DMR_ONCE);
			break;
		default:
			dmr_staged_fail(d, order[i], -EIO);
			break;
		}
	}
}

static bool unsettled(struct dmr_disk *d)
{
	unsigned int i;

	for (i = 0; i < d->staged_count; i++)
		if (!d->staged[i].settled)
			return true;
	return false;
}

static void deliver(struct dmr_staged *s)
{
	if (s->bio && s->result && !dmr_bio(s->bio)->error)
		dmr_bio(s->bio)->error = s->result;
	if (!s->order)
		return;
	if (!s->result) {
		s->order->changed++;
		return;
	}
	s->order->refused++;
	if (!s->order->error) {
		s->order->error = s->result;
		s->order->error_block = s->block;
	}
}

/* Commits and publishes all that is staged, and the erasures that are due; tells bios and orders. */
void dmr_commit(struct dmr_disk *d)
{
	unsigned int tried, i;

	d->table.device_error = 0;
	for (tried = 0; tried < COMMIT_TRIES && (unsettled(d) || (!tried && d->erasure_count));
	     tried++) {
		if (make_room(d))
			continue; /* the next try may find some */
		commit_claims(d, tried);
		dmr_commit_unmaps(d);
	}
	for (i = 0; i < d->staged_count; i++) {
		struct dmr_staged *s = &d->staged[i];

		if (!s->settled)
			dmr_staged_fail(d, s, d->table.device_error ? : -ENOMEM);
		deliver(s);
	}
	d->staged_count = 0;
	dmr_update_causes(d);
}
