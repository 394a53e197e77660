// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages of the entry table that lack a good copy, and claims that lost.
 *
 * At opening each page with one good copy gets the other, from what the good one says;
 * one flush; only then is it believed.  A copy that takes no write for the medium's
 * sake leaves the page retired, any other error leaves it owed (table_debt.c).
 *
 * A mixed page, where each copy lacks something, is mended in pieces of the spare's
 * physical block as the device says it now: where one copy's piece says all of the truth
 * and the other's does not, the other's alone is written; the same flush; then, if every
 * piece stands in two copies, the page is good.  So mends what a power cut tore.  A piece
 * is written only while the other copy, which is not touched there, has it whole, and a
 * power cut garbles no more than the physical block that is written to, which is that
 * piece: whatever a cut leaves, each piece that had a whole copy still has that one, and
 * the next opener finds the same truth and mends it again.  Where both copies of a piece
 * lack something each may hold the last copy of some entry: none is written, and the page
 * stays mixed, as it does when a piece takes no write.
 *
 * A claim that lost is erased only while its winner stands in two copies: with the
 * winner's last copy gone the block's place would be known to nobody, and older claims
 * are what tells an opener so.
 */
#include "dm-remap.h"

/* Does the winner of this superseded claim stand in two copies?  Before, the claim is not erased. */
bool dmr_winner_is_firm(struct dmr_disk *d, u64 slot)
{
	struct dmr_remap *winner = dmr_map_find(d, dmr_le64(dmr_entry_at(d, slot)->main_block));

	return winner && winner->slot != DMR_FENCED && !dmr_slot_retired(d, winner->slot);
}

static void erase_superseded(struct dmr_disk *d)
{
	struct dmr_change changes[DMR_COMMIT_PAGES];
	unsigned int count = 0;
	u64 slot;

	for (slot = 0; d->table.counts.superseded && slot < d->table.ready; slot++) {
		if (!dmr_slot_superseded(d, slot) || dmr_slot_retired(d, slot) ||
		    !dmr_winner_is_firm(d, slot))
			continue;
		changes[count++] = (struct dmr_change){
			.slot = slot,
			.block = DMR_NO_BLOCK,
			.replaces = DMR_NO_BLOCK,
			.state = DMR_FREE,
		};
		if (count == ARRAY_SIZE(changes)) {
			dmr_table_commit(d, changes, count);
			count = 0;
		}
	}
	if (count)
		dmr_table_commit(d, changes, count);
}

/* The least that a power cut spares or garbles as a whole. */
static u32 piece_size(struct dmr_disk *d)
{
	struct block_device *spare = d->dev[DMR_SPARE]->bdev;
	u32 block = max(bdev_logical_block_size(spare), bdev_physical_block_size(spare));

	return clamp(block, DMR_SECTOR_SIZE, dmr_le32(d->sb->page_size));
}

/* 0: each piece of the page has been written or was whole; else it stays mixed. */
static int mend(struct dmr_disk *d, u64 page, bool *written)
{
	const u8 *truth = (const u8 *)d->table.pages[page].entries;
	u64 begin = page * d->table.per_page;
	u32 size = min_t(u64, d->table.per_page, d->table.ready - begin) * DMR_ENTRY_SIZE;
	u32 piece = piece_size(d), at;
	bool mended = true;
	int copy, error;

	for (copy = 0; copy < 2; copy++) {
		error = dmr_pages_read(d, copy, page, 1, d->image[copy]);
		if (error)
			return error;
	}
	for (at = 0; at < size; at += piece) {
		/* Entries past the table's end do not exist. */
		u32 length = min(piece, size - at);
		bool first = !memcmp((u8 *)d->image[0] + at, truth + at, length);
		bool second = !memcmp((u8 *)d->image[1] + at, truth + at, length);

		if (first && second)
			continue;
		if (!first && !second) {
			mended = false;
			continue;
		}
		*written = true;
		if (dmr_write(d, DMR_SPARE, dmr_page_offset(d->sb, first, page) + at, truth + at,
			      piece))
			mended = false;
	}
	return mended ? 0 : -EIO;
}

/* The opener's: pages that lack something get it; then claims that lost are erased. */
int dmr_table_repair(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page, rewritten = 0;
	bool written = false;
	int error;

	for (page = 0; page < t->page_count; page++) {
		struct dmr_page *p = &t->pages[page];

		if (p->health == DMR_PAGE_GOOD)
			continue;
		if (p->health == DMR_PAGE_MIXED) {
			if (!mend(d, page, &written)) {
				rewritten++;
				p->health += DMR_PAGE_MIXED;
			}
			continue;
		}
		error = dmr_page_write(d, dmr_worse_copy(p), page, p->entries);
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM) {
			dmr_page_owe(d, page, p->health);
			t->counts.retired_pages--;
		}
		if (error)
			continue;
		/* Not yet believed: the flush comes. */
		written = true;
		rewritten++;
		p->health += DMR_PAGE_MIXED;
	}
	if (written && dmr_table_flush(d))
		return -EIO;
	for (page = 0; rewritten && page < t->page_count; page++) {
		if (t->pages[page].health <= DMR_PAGE_MIXED)
			continue;
		t->pages[page].health = DMR_PAGE_GOOD;
		t->counts.retired_pages--;
		dmr_page_count_free(d, page);
	}
	if (rewritten)
		DMINFO("%s: %llu pages of the entry table have two good copies again", dmr_name(d),
		       (unsigned long long)rewritten);
	erase_superseded(d);
	erase_superseded(d); /* what was refused for want of resources, for nobody else does */
	return d->table.broken ? -EIO : 0;
}
