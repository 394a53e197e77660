// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The entry table in memory, and its commits to the spare.
 *
 * Fault model: a power cut may keep, drop, tear or garble each write since the last
 * flush, within the page it went to; a page write may fail, and then its old content
 * may or may not be left.
 *
 * A commit is a group of changes of entries, whose slots' data is already flushed:
 *   1. the pages concerned, as they shall be, go to the first copy; flush
 *   2. the same pages go to the second copy; flush
 * During 1 the second copy is whole, during 2 the first: at every instant each page has
 * a whole copy, and which of two versions of an entry is newer its sequence tells.
 * After 1's flush a change is durable, after 2's it is so twice.
 *
 * What fails, and what then holds (a change once under the pen only rolls forward):
 *   page write of 1: the first copy is worth nothing, the second is the last good one
 *     and is not touched; the page is retired, DMR_PAGE_FAILED, and the caller makes
 *     the same change on another page, with a newer sequence
 *   flush of 1: nothing is known, DMR_UNKNOWN; the table is never written again
 *   page write of 2: durable once, which does not count: an older version, valid as well,
 *     may be left in the second copy, and would be believed if the first one were lost.
 *     The page is retired, DMR_ONCE, and the caller makes the same change on another page,
 *     with a newer sequence; the claim here is superseded by that, and stays for the session
 *   flush of 2: durable once, published; the table is never written again
 *
 * An erasure that is durable once is left as it is: what the older version claims has a
 * newer claim elsewhere, which wins whichever copy is lost, and nothing is unmapped while
 * a page is retired.
 *
 * All that is for the medium's errors.  A page write that fails for want of resources
 * (memory, room under the spare, the device itself) says nothing of the page.  It is
 * tried again, the same snapshot; then the copy is read:
 *   in 1, when it holds what it held, the change was never made: DMR_REFUSED
 *   otherwise the page is owed that copy (table_debt.c), and nothing at all is committed
 *     until it has it.  In 1 that takes the change back: DMR_PAGE_FAILED, it goes
 *     elsewhere, behind the payment.  In 2 it makes the change durable twice; until then
 *     it is published but not acknowledged, DMR_OWED
 * So one copy of each page is whole all the time, and never do two pages wait for one
 * that are not of the same commit.
 *
 * A retired page takes no remaps and is not written until the next opener tries it.
 * Sequences: entry_epoch << 32 + n, the epoch durable before a session's first commit.
 *
 * One owner, the opener and then the healer.  A page's snapshot is made in image[],
 * memory follows when its fate is known.
 */
#include "dm-remap.h"

static struct dmr_page *page_of(struct dmr_disk *d, u64 slot)
{
	return &d->table.pages[slot / d->table.per_page];
}

static unsigned long *superseded_bits(struct dmr_disk *d, struct dmr_page *page)
{
	return page->bits + BITS_TO_LONGS(d->table.per_page);
}

void dmr_initial_entry(const struct dmr_superblock *sb, struct dmr_entry *entry, u64 slot)
{
	memset(entry, 0, sizeof(*entry));
	entry->main_block = dmr_to_le64(DMR_NO_BLOCK);
	entry->state = DMR_FREE;
	entry->crc = dmr_to_le32(dmr_entry_crc(entry, sb->uuid, slot));
}

struct dmr_entry *dmr_entry_at(struct dmr_disk *d, u64 slot)
{
	return &page_of(d, slot)->entries[slot % d->table.per_page];
}

bool dmr_slot_retired(struct dmr_disk *d, u64 slot)
{
	return page_of(d, slot)->health != DMR_PAGE_GOOD;
}

bool dmr_slot_superseded(struct dmr_disk *d, u64 slot)
{
	return test_bit(slot % d->table.per_page, superseded_bits(d, page_of(d, slot)));
}

bool dmr_slot_live(struct dmr_disk *d, u64 slot)
{
	return dmr_entry_at(d, slot)->state == DMR_REMAPPED && !dmr_slot_superseded(d, slot);
}

void dmr_table_account(struct dmr_disk *d, const struct dmr_entry *entry, bool add)
{
	struct dmr_counts *c = &d->table.counts;
	u64 one = add ? 1 : -1ull;

	if (entry->state == DMR_REMAPPED) {
		c->used += one;
		c->lost_sectors += one * hweight8(entry->lost);
		c->retry_sectors += one * hweight8(entry->retry);
	} else if (entry->state == DMR_BAD_SLOT) {
		c->bad += one;
	}
}

/* Another slot's newer claim is durable, or was found: this one counts no more. */
void dmr_slot_supersede(struct dmr_disk *d, u64 slot)
{
	struct dmr_page *page = page_of(d, slot);

	if (test_and_set_bit(slot % d->table.per_page, superseded_bits(d, page)))
		return;
	d->table.counts.superseded++;
	dmr_table_account(d, dmr_entry_at(d, slot), false);
}

static bool usable(struct dmr_disk *d, u64 slot)
{
	struct dmr_page *page = page_of(d, slot);
	u32 i = slot % d->table.per_page;

	return page->health == DMR_PAGE_GOOD && page->entries[i].state == DMR_FREE &&
	       !test_bit(i, page->bits) && !test_bit(i, superseded_bits(d, page));
}

static u64 page_end(struct dmr_disk *d, u64 page)
{
	return min((page + 1) * d->table.per_page, d->table.ready);
}

void dmr_page_count_free(struct dmr_disk *d, u64 page)
{
	struct dmr_page *p = &d->table.pages[page];
	u64 slot, free = 0;

	for (slot = page * d->table.per_page; slot < page_end(d, page); slot++)
		free += usable(d, slot);
	d->table.free += free - p->free;
	p->free = free;
}

void dmr_page_retire(struct dmr_disk *d, u64 page)
{
	struct dmr_page *p = &d->table.pages[page];

	if (p->health == DMR_PAGE_GOOD) {
		d->table.counts.retired_pages++;
		DMWARN("%s: page %llu of the entry table on %s takes no write and is retired",
		       dmr_name(d), (unsigned long long)page, d->path[DMR_SPARE]);
	}
	p->health = DMR_PAGE_MIXED;
	dmr_page_count_free(d, page);
}

/* 0; -ENOSPC: none is left; -EROFS: the table is not written any more; or why it can not grow now. */
int dmr_slot_allocate(struct dmr_disk *d, u64 *slot)
{
	struct dmr_table *t = &d->table;
	u64 tried;

	if (t->broken)
		return -EROFS;
	if (!t->free && !dmr_table_grow(d))
		return t->broken ? -EROFS : t->device_error ? : -ENOSPC;
	for (tried = 0; tried <= t->page_count; tried++) {
		u64 page, at;

		if (t->hint >= t->ready)
			t->hint = 0;
		page = t->hint / t->per_page;
		for (at = t->hint; t->pages[page].free && at < page_end(d, page); at++) {
			if (!usable(d, at))
				continue;
			set_bit(at % t->per_page, t->pages[page].bits);
			t->pages[page].free--;
			t->free--;
			t->hint = at + 1;
			*slot = at;
			return 0;
		}
		t->hint = (page + 1) * t->per_page;
	}
	return -ENOSPC;
}

void dmr_slot_give_back(struct dmr_disk *d, u64 slot)
{
	clear_bit(slot % d->table.per_page, page_of(d, slot)->bits);
	dmr_page_count_free(d, slot / d->table.per_page);
}

void dmr_slot_look_further(struct dmr_disk *d, u64 pages)
{
	struct dmr_table *t = &d->table;

	t->hint = (t->hint / t->per_page + pages) % max(t->page_count, 1ull) * t->per_page;
}

int dmr_table_flush(struct dmr_disk *d)
{
	int error = dmr_flush(d, DMR_SPARE);

	if (error)
		d->table.broken = true;
	return error;
}

/* The medium gets a second chance at once; dmr_write() has tried again for all else. */
int dmr_page_write(struct dmr_disk *d, int copy, u64 page, const struct dmr_entry *image)
{
	u64 offset = dmr_page_offset(d->sb, copy, page);
	unsigned int size = dmr_le32(d->sb->page_size);
	int error = dmr_write(d, DMR_SPARE, offset, image, size);

	if (dmr_classify(error) == DMR_CLASS_MEDIUM)
		error = dmr_write(d, DMR_SPARE, offset, image, size);
	return error;
}

/* How a copy took a page: it holds the new, may hold anything, or holds the old. */
enum put { PUT_DONE, PUT_FAILED, PUT_UNSURE, PUT_UNTOUCHED };

static enum put put_copy(struct dmr_disk *d, int copy, u64 page, const struct dmr_entry *image)
{
	const u8 *before = (const u8 *)d->table.pages[page].entries;
	u64 offset = dmr_page_offset(d->sb, copy, page);
	unsigned int at, size = dmr_le32(d->sb->page_size);
	int error = dmr_page_write(d, copy, page, image);

	if (!error)
		return PUT_DONE;
	if (dmr_classify(error) == DMR_CLASS_MEDIUM)
		return PUT_FAILED;
	d->table.device_error = error;
	for (at = 0; at < size; at += DMR_BLOCK_SIZE) {
		if (dmr_read(d, DMR_SPARE, offset + at, d->other, DMR_BLOCK_SIZE) ||
		    memcmp(d->other, before + at, DMR_BLOCK_SIZE))
			return PUT_UNSURE;
	}
	return PUT_UNTOUCHED;
}

/*
 * The entry as it is, newer than the change that the first copy may have got.  Not a claim
 * that lost: it must stay older than the one that won, and what it was to become, free,
 * may come back.
 */
static void renew(struct dmr_disk *d, u64 slot)
{
	struct dmr_entry *entry = dmr_entry_at(d, slot);

	if (dmr_slot_superseded(d, slot))
		return;
	entry->sequence = dmr_to_le64(d->table.next_sequence++);
	entry->crc = dmr_to_le32(dmr_entry_crc(entry, d->sb->uuid, slot));
}

static void publish(struct dmr_disk *d, const struct dmr_change *change,
		    const struct dmr_entry *entry)
{
	struct dmr_page *page = page_of(d, change->slot);
	u32 i = change->slot % d->table.per_page;

	if (test_and_clear_bit(i, superseded_bits(d, page)))
		d->table.counts.superseded--;
	else
		dmr_table_account(d, &page->entries[i], false);
	page->entries[i] = *entry;
	dmr_table_account(d, entry, true);
	clear_bit(i, page->bits);
	dmr_page_count_free(d, change->slot / d->table.per_page);
	if (change->replaces != DMR_NO_BLOCK)
		dmr_slot_supersede(d, change->replaces);
}

struct page_write {
	u64 page;
	enum put first;
};

/* The image of this page, made now if it is new.  -1: no room in this commit. */
static int image_of(struct dmr_disk *d, struct page_write *writes, unsigned int *count, u64 page)
{
	unsigned int i;

	for (i = 0; i < *count; i++)
		if (writes[i].page == page)
			return i;
	if (*count == DMR_COMMIT_PAGES)
		return -1;
	writes[*count].page = page;
	writes[*count].first = PUT_UNTOUCHED;
	memcpy(d->image[*count], d->table.pages[page].entries, dmr_le32(d->sb->page_size));
	return (*count)++;
}

static void write_entry(struct dmr_disk *d, const struct dmr_change *c, struct dmr_entry *entry)
{
	entry->main_block = dmr_to_le64(c->block);
	entry->sequence = dmr_to_le64(d->table.next_sequence++);
	entry->time = dmr_to_le64(ktime_get_real_seconds());
	entry->state = c->state;
	entry->lost = c->lost;
	entry->retry = c->retry;
	entry->reason = c->reason;
	entry->crc = dmr_to_le32(dmr_entry_crc(entry, d->sb->uuid, c->slot));
}

/* What a page is after its second copy's turn, or after its first copy failed. */
static void settle_page(struct dmr_disk *d, const struct page_write *write,
			const struct dmr_entry *image)
{
	enum put second;

	switch (write->first) {
	case PUT_DONE:
		second = put_copy(d, 1, write->page, image);
		if (second == PUT_FAILED) {
			dmr_page_retire(d, write->page);
		} else if (second != PUT_DONE) {
			d->table.pages[write->page].once = true;
			WRITE_ONCE(d->table.unfirm, true);
			dmr_page_owe(d, write->page, DMR_PAGE_FIRST_GOOD);
		}
		break;
	case PUT_FAILED:
		dmr_page_retire(d, write->page);
		break;
	case PUT_UNSURE:
		d->table.pages[write->page].taken_back = true;
		dmr_page_owe(d, write->page, DMR_PAGE_SECOND_GOOD);
		break;
	case PUT_UNTOUCHED:
		break;
	}
}

/* Steps 1 and 2 of a commit.  True: 1's flush went well, or there was nothing to flush. */
static bool write_copies(struct dmr_disk *d, struct page_write *writes, unsigned int pages)
{
	bool issued = false;
	unsigned int i;

	for (i = 0; i < pages; i++) {
		writes[i].first = put_copy(d, 0, writes[i].page, d->image[i]);
		issued |= writes[i].first != PUT_UNTOUCHED;
	}
	if (!issued)
		return true;
	if (dmr_table_flush(d))
		return false;
	for (i = 0; i < pages; i++)
		settle_page(d, &writes[i], d->image[i]);
	dmr_table_flush(d);
	return true;
}

/* Of a change whose page's first copy is durable, when that page has been paid or was not. */
static enum dmr_outcome outcome_of(struct dmr_disk *d, const struct dmr_change *c)
{
	const struct dmr_page *page = page_of(d, c->slot);

	if (page->owed)
		return DMR_OWED;
	return page->health == DMR_PAGE_GOOD ? DMR_DURABLE : DMR_ONCE;
}

/* One commit of as many changes as its pages hold; returns how many. */
static unsigned int commit_some(struct dmr_disk *d, struct dmr_change *changes, unsigned int count)
{
	struct page_write writes[DMR_COMMIT_PAGES];
	unsigned int pages = 0, taken, i;
	bool first_durable;

	for (taken = 0; taken < count; taken++) {
		struct dmr_change *c = &changes[taken];
		int at;

		c->outcome = DMR_PAGE_FAILED;
		if (dmr_slot_retired(d, c->slot))
			continue;
		at = image_of(d, writes, &pages, c->slot / d->table.per_page);
		if (at < 0)
			break;
		write_entry(d, c, &d->image[at][c->slot % d->table.per_page]);
		c->outcome = DMR_UNKNOWN; /* under the pen */
	}
	first_durable = write_copies(d, writes, pages);
	d->totals.commits++;
	/* Memory first: the payment of what a page is owed is written from it. */
	for (i = 0; i < taken; i++) {
		struct dmr_change *c = &changes[i];
		unsigned int at = 0;

		if (c->outcome == DMR_PAGE_FAILED)
			continue;
		while (writes[at].page != c->slot / d->table.per_page)
			at++;
		if (writes[at].first == PUT_UNTOUCHED) {
			c->outcome = DMR_REFUSED;
		} else if (first_durable && writes[at].first != PUT_DONE) {
			c->outcome = DMR_PAGE_FAILED;
			if (writes[at].first == PUT_UNSURE)
				renew(d, c->slot);
		} else if (first_durable) {
			c->outcome = DMR_DURABLE;
			publish(d, c, &d->image[at][c->slot % d->table.per_page]);
		}
	}
	if (d->table.owed && !d->table.broken)
		dmr_table_pay_back(d);
	for (i = 0; i < taken; i++) {
		if (changes[i].outcome != DMR_DURABLE)
			continue;
		changes[i].outcome = outcome_of(d, &changes[i]);
		if (changes[i].outcome == DMR_ONCE)
			page_of(d, changes[i].slot)->once = false; /* the caller makes it elsewhere */
	}
	if (!dmr_table_firm(d))
		dmr_table_look_firm(d); /* blocks may have moved away */
	return taken;
}

/* Sets each change's outcome.  Asks for no memory. */
void dmr_table_commit(struct dmr_disk *d, struct dmr_change *changes, unsigned int count)
{
	unsigned int at = 0;
	int error = 0;

	d->table.device_error = 0;
	while (at < count) {
		if (!error && !d->table.broken)
			error = dmr_table_pay_back(d);
		if (d->table.broken)
			changes[at++].outcome = DMR_UNKNOWN;
		else if (error)
			changes[at++].outcome = DMR_REFUSED;
		else
			at += commit_some(d, changes + at, count - at);
	}
}

/* Slots that could be free but lie on retired pages, or beyond a table that can not grow. */
u64 dmr_table_unusable(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page, slot, count = t->full_grown ? t->slots - t->ready : 0;

	for (page = 0; (t->counts.retired_pages || t->owed) && page < t->page_count; page++) {
		if (t->pages[page].health == DMR_PAGE_GOOD)
			continue;
		for (slot = page * t->per_page; slot < page_end(d, page); slot++)
			count += t->pages[page].entries[slot % t->per_page].state == DMR_FREE ||
				 dmr_slot_superseded(d, slot);
	}
	return count;
}
