// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that are owed a copy: one that could not be written for want of resources (memory,
 * room under the spare, the device itself), and that may hold anything now.
 *
 * Such a page is as good as retired, and nothing at all is committed, until the copy is
 * written from what memory says, and flushed: at once at the end of the commit, before the
 * next one, and when the healer looks.  A copy that the medium refuses then retires the page.
 *
 *   the first copy, of a commit: what it may have got is taken back.  What is in its place
 *     has got a newer sequence, and so the second copy is owed after the first: what was
 *     taken back does not win where it is found again
 *   the second copy, of a commit: the change is in memory, and true, but not acknowledged;
 *     an older version, valid as well, may be left in that copy.  No flush succeeds
 *     (dmr_table.unfirm) until the page has its copy or, when the medium refuses it, until
 *     no block lives on the page any more
 *   either, when the pair is opened or scanned: what is there was acknowledged before.  What
 *     is in doubt then, table_doubt.c says
 *
 * So one copy of each page is whole all the time.
 */
#include "dm-remap.h"

/* The page's worse copy could not be written, for no fault of its medium's. */
void dmr_page_owe(struct dmr_disk *d, u64 page, enum dmr_page_health health)
{
	struct dmr_page *p = &d->table.pages[page];

	p->health = health;
	p->owed = true;
	d->table.owed++;
	dmr_page_count_free(d, page);
}

static bool page_has_live(struct dmr_disk *d, u64 page)
{
	u64 slot, end = min((page + 1) * d->table.per_page, d->table.ready);

	for (slot = page * d->table.per_page; slot < end; slot++)
		if (dmr_slot_live(d, slot))
			return true;
	return false;
}

/* Does a block live on a page that is not good? */
bool dmr_table_live_retired(struct dmr_disk *d)
{
	u64 page;

	for (page = 0; page < d->table.page_count; page++)
		if (d->table.pages[page].health != DMR_PAGE_GOOD && page_has_live(d, page))
			return true;
	return false;
}

/* Whether flushes may succeed again: after a payment, or when blocks have moved. */
void dmr_table_look_firm(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	bool unfirm = false;
	u64 page;

	for (page = 0; t->unfirm && page < t->page_count; page++) {
		struct dmr_page *p = &t->pages[page];

		if (p->once && !p->owed)
			p->once = page_has_live(d, page);
		unfirm |= p->once;
	}
	WRITE_ONCE(t->unfirm, unfirm);
}

/* 0: no page is owed a copy any more; else why it must wait, -EIO when the table is broken. */
int dmr_table_pay_back(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page;
	int error;

	for (page = 0; t->owed && page < t->page_count;) {
		struct dmr_page *p = &t->pages[page];

		if (!p->owed) {
			page++;
			continue;
		}
		error = dmr_page_write(d, dmr_worse_copy(p), page, p->entries);
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM) {
			t->device_error = error;
			return error;
		}
		if (!error && dmr_table_flush(d))
			return -EIO;
		if (!error && p->taken_back) {
			p->taken_back = false;
			p->health = DMR_PAGE_FIRST_GOOD; /* now the other copy */
			continue;
		}
		p->taken_back = false;
		p->once &= error != 0;
		p->owed = false;
		t->owed--;
		p->health = DMR_PAGE_GOOD;
		if (error)
			dmr_page_retire(d, page);
		else
			dmr_page_count_free(d, page);
	}
	dmr_table_look_firm(d);
	return 0;
}
