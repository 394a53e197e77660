// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Blocks in doubt: what an opener for writing looks for when everything is repaired.
 *
 * Two copies of an entry may both be valid and differ.  The newer one counts; but once the
 * copy that holds it can not be read, the older one counts, and nobody knows.  Then old
 * data would be given out.  So nothing may be acknowledged that rests on the newer one
 * alone.  On a page that is good there is no older one.  On any other both copies are read
 * again, and a block is in doubt
 *   - whose live claim stands there beside another valid version of its entry;
 *   - which a valid version there claims that does not count, while the block's live claim
 *     is older than that, or there is none: it was unmapped, and is on main.
 * A block whose live claim is newer and stands elsewhere is not: that claim wins over
 * whatever turns up here.
 *
 * The mapping of such blocks is made anew before anybody is served: they go, from where
 * they are now, to a page that takes both copies.  Where that can not be the disk is up all
 * the same, for one bad copy costs nothing (P4), and says metadata_in_doubt.
 *
 * The opener's.  Pages that are retired on the way are not looked at: what was just put
 * there stands there for want of a better one.
 */
#include <linux/mm.h>

#include "dm-remap.h"

/* Is there another valid version of this slot's entry in this copy? */
static bool other_version(struct dmr_disk *d, u64 slot, const struct dmr_entry *found)
{
	return memcmp(found, dmr_entry_at(d, slot), sizeof(*found)) &&
	       dmr_entry_valid(d->sb, found, slot);
}

/* Does this version, which does not count, claim a block that nothing newer claims? */
static bool would_claim(struct dmr_disk *d, const struct dmr_entry *found)
{
	struct dmr_remap *live;

	if (found->state != DMR_REMAPPED)
		return false;
	live = dmr_map_find(d, dmr_le64(found->main_block));
	return !live || live->slot == DMR_FENCED ||
	       dmr_claim_wins(found, dmr_entry_at(d, live->slot));
}

/* With the next commit, where it can be.  What can not be is seen when the page is looked at again. */
static void map_anew(struct dmr_disk *d, u64 block)
{
	if (!dmr_is_staged(d, block, block))
		dmr_map_anew(d, block);
}

/* Counts the blocks of this page that are in doubt, one perhaps more than once; `settle`: moves them. */
static int look_at(struct dmr_disk *d, u64 page, bool settle, struct dmr_entry *found, u64 *doubts)
{
	u64 begin = page * d->table.per_page, end = min(begin + d->table.per_page, d->table.ready);
	u64 slot;
	int copy, error;

	*doubts = 0;
	for (copy = 0; copy < 2; copy++) {
		error = dmr_pages_read(d, copy, page, 1, found);
		if (error)
			return error;
		for (slot = begin; slot < end; slot++) {
			const struct dmr_entry *f = &found[slot - begin];

			if (!other_version(d, slot, f))
				continue;
			if (dmr_slot_live(d, slot)) {
				++*doubts;
				if (settle)
					map_anew(d, dmr_le64(dmr_entry_at(d, slot)->main_block));
			}
			if (would_claim(d, f)) {
				++*doubts;
				if (settle)
					map_anew(d, dmr_le64(f->main_block));
			}
		}
	}
	if (d->staged_count)
		dmr_commit(d);
	return 0;
}

/* Whatever kept a block where it is, the page says so afterwards. */
static int settle_page(struct dmr_disk *d, u64 page, struct dmr_entry *found)
{
	u64 before, after;
	int error = look_at(d, page, !d->table.owed && dmr_writable(d), found, &before);

	if (!error && before)
		error = look_at(d, page, false, found, &after);
	if (error) {
		DMERR("%s: its entry table can not be read (error %d); nobody knows what its damaged pages hold",
		      d->path[DMR_SPARE], error);
		return error;
	}
	if (!before)
		return 0;
	if (!after) {
		DMINFO("%s: blocks were moved off older versions of their mapping, in page %llu of the entry table",
		       dmr_name(d), (unsigned long long)page);
		return 0;
	}
	DMERR("%s: page %llu of the entry table on %s holds an older version of where blocks are, does not take the newer one, and they can not be moved away: were the other copy lost, the older one would count; replace the spare",
	      dmr_name(d), (unsigned long long)page, d->path[DMR_SPARE]);
	d->doubt_left = true;
	dmr_raise(d, DMR_METADATA_IN_DOUBT);
	return 0;
}

/* 0, or why the pair is not opened for writing, which was logged. */
int dmr_settle_doubts(struct dmr_disk *d)
{
	struct dmr_entry *found;
	u64 page, pages = d->table.page_count;
	int error = 0;

	/* What could not be written a moment ago perhaps can be now. */
	if (d->table.owed && dmr_table_pay_back(d) && d->table.broken)
		return -EIO;
	found = kvmalloc(dmr_le32(d->sb->page_size), GFP_KERNEL);
	if (!found)
		return -ENOMEM;
	for (page = 0; page < pages; page++)
		d->table.pages[page].suspect = d->table.pages[page].health != DMR_PAGE_GOOD;
	for (page = 0; !error && page < pages; page++)
		if (d->table.pages[page].suspect)
			error = settle_page(d, page, found);
	kvfree(found);
	return error;
}
