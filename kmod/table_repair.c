// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages of the entry table that lack a good copy, and claims that lost.
 *
 * At opening each page with one good copy gets the other, from what the good one says;
 * one flush; only then is it believed.  A copy that takes no write for the medium's
 * sake leaves the page retired, any other error leaves it owed (see entry_table.c).
 * Between commits a page that is owed a copy gets it before anything else is written.
 *
 * A claim that lost is erased only while its winner stands in two copies: with the
 * winner's last copy gone the block's place would be known to nobody, and older claims
 * are what tells an opener so.
 */
#include "dm-remap.h"

static int worse_copy(const struct dmr_page *page)
{
	return page->health == DMR_PAGE_FIRST_GOOD ? 1 : 0;
}

/* 0: no page is owed a copy any more; else why it must wait, -EIO when the table is broken. */
int dmr_table_pay_back(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page;
	int error;

	for (page = 0; t->owed && page < t->page_count; page++) {
		struct dmr_page *p = &t->pages[page];

		if (!p->owed)
			continue;
		error = dmr_page_write(d, worse_copy(p), page, p->entries);
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM) {
			t->device_error = error;
			return error;
		}
		if (!error && dmr_table_flush(d))
			return -EIO;
		p->owed = false;
		t->owed--;
		p->health = DMR_PAGE_GOOD;
		if (error)
			dmr_page_retire(d, page);
		else
			dmr_page_count_free(d, page);
	}
	return 0;
}

/* Does the winner of this superseded claim stand in two copies?  Before, the claim is not erased. */
bool dmr_winner_is_firm(struct dmr_disk *d, u64 slot)
{
	struct dmr_remap *winner = dmr_map_find(d, dmr_le64(dmr_entry_at(d, slot)->main_block));

	return winner && winner->slot != DMR_FENCED && !dmr_slot_retired(d, winner->slot);
}

static int erase_superseded(struct dmr_disk *d)
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
	return d->table.broken ? -EIO : 0;
}

/* The opener's: pages that lack something get it; then claims that lost are erased. */
int dmr_table_repair(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page, rewritten = 0;
	int error;

	for (page = 0; page < t->page_count; page++) {
		struct dmr_page *p = &t->pages[page];

		if (p->health != DMR_PAGE_FIRST_GOOD && p->health != DMR_PAGE_SECOND_GOOD)
			continue;
		error = dmr_page_write(d, worse_copy(p), page, p->entries);
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM) {
			dmr_page_owe(d, page, p->health);
			t->counts.retired_pages--;
		}
		if (error)
			continue;
		/* Not yet believed: the flush comes. */
		rewritten++;
		p->health += DMR_PAGE_MIXED;
	}
	if (rewritten && dmr_table_flush(d))
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
	return erase_superseded(d);
}
