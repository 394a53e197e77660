// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scan of the spare's metadata, at the end of a pass: both copies of each page of
 * the entry table, then the copies of the superblock.
 *
 * What a page shall say memory knows: both copies were last given what is in
 * dmr_page.entries, for a commit publishes in memory what it made durable, and takes back
 * what it did not (entry_table.c).  So each copy is compared with it, byte by byte.  A page
 * that is not good already is left alone: of its copies one is the last, or is owed.
 *
 * Order of writes.  A copy that says something else, or can not be read, is written from
 * memory, flushed, and read back, one copy after the other.  A good copy is not touched,
 * so that a power cut in a rewrite garbles only what was bad before.  Where neither was
 * good memory alone knows what lived there; the second copy waits until the first one is
 * durable, or refuses.  But where no superblock copy is ours any more nothing is repaired
 * of what somebody else has overwritten.  A page whose copies do not both take it is
 * retired, and the healer moves what lives there.  If neither does, what has moved away
 * leaves a page that no opener can read, and people are told (lost_pages).
 * Only the medium's errors speak against a copy.  Of a spare that does not answer nothing
 * is known, and a page whose other copy is good is owed one that can not be written now.
 *
 * Against commits and growth.  All of this is an errand of the healer's, the only one that
 * writes to table and superblock while the pair is open, and it runs between two rounds.  So
 * nothing is staged, no page is under the pen, and what is compared and rewritten is what
 * the last commit published: a rewrite can undo none.  For the same reason no lock holds the
 * image; messages read entries, and nobody but the healer writes or moves them.  A page that
 * growth adds is behind those that were looked at, and is looked at in its turn.
 *
 * Against suspend.  Closing waits for the scan's work item, which waits for its errand,
 * before it commits, marks the pair clean and lets go of it.  So no rewrite comes after
 * the last word of this table, and the next opener's table is the only one that writes.
 *
 * An errand takes ERRAND_LASTS, and ends with the page at hand.
 */
#include "dm-remap.h"

#define ERRAND_LASTS (HZ / 10)

enum copy { COPY_GOOD, COPY_BAD, COPY_UNKNOWN };

enum verdict { PAGE_GOOD, PAGE_REPAIRED, PAGE_RETIRED, PAGE_UNKNOWN };

/* A read that fails is made once more. */
static enum copy look_at(struct dmr_disk *d, int copy, u64 page)
{
	u64 offset = dmr_page_offset(d->sb, copy, page);
	unsigned int size = dmr_le32(d->sb->page_size);
	struct dmr_entry *found = d->image[0];
	int error = dmr_read(d, DMR_SPARE, offset, found, size);

	if (error)
		error = dmr_read(d, DMR_SPARE, offset, found, size);
	if (error)
		return dmr_classify(error) == DMR_CLASS_MEDIUM ? COPY_BAD : COPY_UNKNOWN;
	return memcmp(found, d->table.pages[page].entries, size) ? COPY_BAD : COPY_GOOD;
}

/* 0: the copy holds what memory says, and durably. */
static int rewrite(struct dmr_disk *d, int copy, u64 page)
{
	int error;

	if (d->table.broken)
		return -EIO;
	error = dmr_page_write(d, copy, page, d->table.pages[page].entries);
	if (error)
		return error;
	if (dmr_table_flush(d))
		return -EIO;
	switch (look_at(d, copy, page)) {
	case COPY_GOOD:
		return 0;
	case COPY_BAD:
		return -EIO;
	default:
		return -EAGAIN;
	}
}

static enum verdict give_up_page(struct dmr_disk *d, u64 page, bool has_copy)
{
	dmr_page_retire(d, page);
	if (!has_copy) {
		DMERR("%s: page %llu of the entry table on %s has no good copy left and takes none: copy the disk while it is open, for it will not open again",
		      dmr_name(d), (unsigned long long)page, d->path[DMR_SPARE]);
		dmr_raise(d, DMR_LOST_PAGES);
	}
	return PAGE_RETIRED;
}

static enum verdict check_page(struct dmr_disk *d, u64 page)
{
	enum copy is[2];
	bool good[2], refused = false;
	int copy, error;

	if (d->table.pages[page].health != DMR_PAGE_GOOD)
		return PAGE_GOOD;
	for (copy = 0; copy < 2; copy++) {
		is[copy] = look_at(d, copy, page);
		if (is[copy] == COPY_UNKNOWN)
			return PAGE_UNKNOWN;
		good[copy] = is[copy] == COPY_GOOD;
	}
	if (good[0] && good[1])
		return PAGE_GOOD;
	if (!good[0] && !good[1] && !dmr_superblock_still_there(d))
		return PAGE_UNKNOWN;
	for (copy = 0; copy < 2; copy++) {
		if (good[copy])
			continue;
		error = rewrite(d, copy, page);
		good[copy] = !error;
		refused |= error && dmr_classify(error) != DMR_CLASS_MEDIUM;
	}
	if (good[0] && good[1])
		return PAGE_REPAIRED;
	if (refused) {
		if (good[0] || good[1])
			dmr_page_owe(d, page, good[0] ? DMR_PAGE_FIRST_GOOD : DMR_PAGE_SECOND_GOOD);
		return PAGE_UNKNOWN;
	}
	return give_up_page(d, page, good[0] || good[1]);
}

static void check_pages(struct dmr_disk *d, struct dmr_metadata_check *check)
{
	unsigned long end = jiffies + ERRAND_LASTS;

	do {
		enum verdict verdict = check_page(d, check->page);

		check->unknown = verdict == PAGE_UNKNOWN;
		if (check->unknown)
			return;
		check->repaired += verdict == PAGE_REPAIRED;
		check->page++;
	} while (check->page < d->table.page_count && time_before(jiffies, end));
}

static void check_superblocks(struct dmr_disk *d, struct dmr_metadata_check *check)
{
	unsigned int bad = dmr_superblock_check(d);

	if (bad && !dmr_scan_save(d))
		check->repaired += bad - min(bad, dmr_superblocks_bad(d));
	check->ended = true;
}

/* The healer's, between two rounds: from check->page on, for a while. */
void dmr_check_metadata(struct dmr_disk *d, struct dmr_metadata_check *check)
{
	check->unknown = !dmr_writable(d);
	if (check->unknown)
		return;
	if (check->page < d->table.page_count)
		check_pages(d, check);
	else
		check_superblocks(d, check);
}
