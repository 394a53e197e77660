// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading the entry table: both copies of every page against each other.
 *
 * format.h decides about each entry.  An entry without any valid copy may have held any
 * main block, so the pair does not open; neither does it with two truths of one
 * sequence, or with used entries above the table's end (a stale superblock).
 *
 * Only the medium's errors make a copy count as damaged.  Any other says nothing about
 * it: then the pair does not open now, and may later.
 *
 * Both copies are read in pieces of 64 KiB that do not straddle a hole; where a piece
 * fails, page by page.
 */
#include <linux/vmalloc.h>

#include "dm-remap.h"

#define PIECE 65536u

void dmr_table_free(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 page;

	for (page = 0; page < t->page_count; page++) {
		kvfree(t->pages[page].entries);
		kfree(t->pages[page].bits);
	}
	kvfree(t->pages);
	memset(t, 0, sizeof(*t));
}

/* Room for pages up to page_count, their entries as initialised. */
int dmr_table_add_pages(struct dmr_disk *d, u64 page_count)
{
	struct dmr_table *t = &d->table;
	u32 i;

	if (page_count > t->page_room) {
		u64 room = max(page_count, t->page_room + t->page_room / 2);
		struct dmr_page *pages = kvcalloc(room, sizeof(*pages), GFP_KERNEL);
		struct dmr_page *before = t->pages;

		if (!pages)
			return -ENOMEM;
		if (t->page_count)
			memcpy(pages, before, t->page_count * sizeof(*pages));
		mutex_lock(&d->pages_lock);
		t->pages = pages;
		mutex_unlock(&d->pages_lock);
		kvfree(before);
		t->page_room = room;
	}
	for (; t->page_count < page_count; t->page_count++) {
		struct dmr_page *p = &t->pages[t->page_count];

		memset(p, 0, sizeof(*p));
		p->entries = kvmalloc(dmr_le32(d->sb->page_size), GFP_KERNEL);
		p->bits = kcalloc(2 * BITS_TO_LONGS(t->per_page), sizeof(long), GFP_KERNEL);
		if (!p->entries || !p->bits) {
			kvfree(p->entries);
			kfree(p->bits);
			return -ENOMEM;
		}
		for (i = 0; i < t->per_page; i++)
			dmr_initial_entry(d->sb, &p->entries[i], t->page_count * t->per_page + i);
		cond_resched();
	}
	return 0;
}

/* How many pages from this one on, at most `most`, lie in one piece. */
static u64 pages_in_piece(struct dmr_disk *d, u64 page, u64 most)
{
	u64 size = dmr_le32(d->sb->page_size);
	u64 first = dmr_le64(d->sb->first_table) + page * size;
	u64 second = dmr_le64(d->sb->second_table) + page * size;
	u64 room = min(PIECE - first % PIECE, PIECE - second % PIECE);

	return min(most, max(room / size, 1ull));
}

/* By logical block: one that is bad must not take what stands beside it. */
static int read_page_in_parts(struct dmr_disk *d, u64 offset, u8 *to, unsigned int size)
{
	unsigned int at, part = bdev_logical_block_size(d->dev[DMR_SPARE]->bdev);

	part = min(part, size);
	for (at = 0; at < size; at += part) {
		int error = dmr_read(d, DMR_SPARE, offset + at, to + at, part);

		if (dmr_classify(error) == DMR_CLASS_MEDIUM)
			memset(to + at, 0, part);
		else if (error)
			return error;
	}
	return 0;
}

/* What can not be read becomes zeros, which no entry is.  An error is not the medium's. */
int dmr_pages_read(struct dmr_disk *d, int copy, u64 page, u64 count, void *to)
{
	unsigned int size = dmr_le32(d->sb->page_size);
	u64 i;
	int error = dmr_read(d, DMR_SPARE, dmr_page_offset(d->sb, copy, page), to, count * size);

	for (i = 0; dmr_classify(error) == DMR_CLASS_MEDIUM && i < count; i++) {
		int failed = read_page_in_parts(d, dmr_page_offset(d->sb, copy, page + i),
						to + i * size, size);

		if (failed)
			return failed;
	}
	return dmr_classify(error) == DMR_CLASS_MEDIUM ? 0 : error;
}

struct judge {
	u64 no_copy, conflicts;
	bool first_lacks, second_lacks;
};

static void judge_entry(struct dmr_disk *d, u64 slot, const struct dmr_entry *first,
			const struct dmr_entry *second, struct dmr_entry *truth, struct judge *j)
{
	bool first_ok = dmr_entry_valid(d->sb, first, slot);
	bool second_ok = memcmp(first, second, sizeof(*first)) ?
				 dmr_entry_valid(d->sb, second, slot) : first_ok;

	switch (dmr_entry_pick(first, first_ok, second, second_ok)) {
	case DMR_PICK_SAME:
		*truth = *first;
		return;
	case DMR_PICK_FIRST:
		*truth = *first;
		j->second_lacks = true;
		return;
	case DMR_PICK_SECOND:
		*truth = *second;
		j->first_lacks = true;
		return;
	case DMR_PICK_NONE:
		j->no_copy++;
		return;
	case DMR_PICK_CONFLICT:
		j->conflicts++;
		return;
	}
}

static void judge_page(struct dmr_disk *d, u64 page, const u8 *first, const u8 *second,
		       struct judge *j, u64 *highest)
{
	struct dmr_table *t = &d->table;
	struct dmr_page *p = &t->pages[page];
	u64 slot, begin = page * t->per_page, end = min(begin + t->per_page, t->ready);

	j->first_lacks = j->second_lacks = false;
	for (slot = begin; slot < end; slot++) {
		struct dmr_entry *truth = &p->entries[slot - begin];

		judge_entry(d, slot, (const struct dmr_entry *)first + (slot - begin),
			    (const struct dmr_entry *)second + (slot - begin), truth, j);
		*highest = max(*highest, dmr_le64(truth->sequence));
		dmr_table_account(d, truth, true);
	}
	if (j->first_lacks)
		p->health = j->second_lacks ? DMR_PAGE_MIXED : DMR_PAGE_SECOND_GOOD;
	else
		p->health = j->second_lacks ? DMR_PAGE_FIRST_GOOD : DMR_PAGE_GOOD;
	t->counts.retired_pages += p->health != DMR_PAGE_GOOD;
}

static int load_pages(struct dmr_disk *d, u8 *first, u8 *second, struct judge *j, u64 *highest)
{
	u64 page, i, count, size = dmr_le32(d->sb->page_size);
	int error;

	for (page = 0; page < d->table.page_count; page += count) {
		count = pages_in_piece(d, page, d->table.page_count - page);
		error = dmr_pages_read(d, 0, page, count, first);
		if (!error)
			error = dmr_pages_read(d, 1, page, count, second);
		if (error)
			return error;
		for (i = 0; i < count; i++)
			judge_page(d, page + i, first + i * size, second + i * size, j, highest);
		cond_resched();
	}
	return 0;
}

/* 1: there is one; 0: none; or an error. */
int dmr_used_entry_in_pages(struct dmr_disk *d, u64 first, u64 count)
{
	u8 *buffer = vmalloc(PIECE);
	u64 page, i, n;
	int copy, error = 0;

	if (!buffer)
		return -ENOMEM;
	for (copy = 0; copy < 2 && !error; copy++) {
		for (page = first; page < first + count && !error; page += n) {
			const struct dmr_entry *entries = (const struct dmr_entry *)buffer;

			n = pages_in_piece(d, page, first + count - page);
			error = dmr_pages_read(d, copy, page, n, buffer);
			for (i = 0; !error && i < n * d->table.per_page; i++)
				if (entries[i].sequence &&
				    dmr_entry_valid(d->sb, &entries[i],
						    page * d->table.per_page + i))
					error = 1;
		}
	}
	vfree(buffer);
	return error;
}

static int check_end(struct dmr_disk *d)
{
	u64 pages = d->table.page_count;
	u64 beyond = min(dmr_next_step(d, d->table.ready), dmr_pages_for(d, d->table.slots));
	int error = beyond > pages ? dmr_used_entry_in_pages(d, pages, beyond - pages) : 0;

	if (error <= 0)
		return error;
	DMERR("%s: used entries lie above the end of the table: the superblock is stale; see dmremapctl check %s",
	      d->path[DMR_SPARE], d->path[DMR_SPARE]);
	return -EINVAL;
}

static int check_damage(struct dmr_disk *d, const struct judge *j, u64 claim_conflicts)
{
	if (j->no_copy) {
		DMERR("%s: %llu entries have no good copy: any block of main may have lived there; mount.dmremapfs -o ro,rescue reads what is left",
		      d->path[DMR_SPARE], (unsigned long long)j->no_copy);
		return -EINVAL;
	}
	if (j->conflicts || claim_conflicts) {
		DMERR("%s: %llu entries contradict another of the same sequence; see dmremapctl check %s",
		      d->path[DMR_SPARE], (unsigned long long)(j->conflicts + claim_conflicts),
		      d->path[DMR_SPARE]);
		return -EINVAL;
	}
	if ((dmr_le32(d->sb->flags) & DMR_CLEAN) &&
	    dmr_le64(d->sb->live_remaps) != d->table.counts.used) {
		DMERR("%s was closed clean with %llu remaps, but its table holds %llu; see dmremapctl check %s",
		      d->path[DMR_SPARE], (unsigned long long)dmr_le64(d->sb->live_remaps),
		      (unsigned long long)d->table.counts.used, d->path[DMR_SPARE]);
		return -EINVAL;
	}
	return 0;
}

/* Reads table and mapping.  Writes nothing; on error the caller frees both. */
int dmr_table_load(struct dmr_disk *d, u64 *highest)
{
	struct dmr_table *t = &d->table;
	u8 *first = vmalloc(PIECE), *second = vmalloc(PIECE);
	struct judge j = {};
	u64 conflicts = 0, page;
	int error = -ENOMEM;

	*highest = 0;
	t->per_page = dmr_entries_per_page(d->sb);
	t->slots = dmr_le64(d->sb->slots);
	t->ready = dmr_le64(d->sb->table_ready);
	if (first && second)
		error = dmr_table_add_pages(d, dmr_pages_for(d, t->ready));
	if (error)
		DMERR("%s: not enough memory for the %llu entries of its table",
		      d->path[DMR_SPARE], (unsigned long long)t->ready);
	else
		error = load_pages(d, first, second, &j, highest);
	vfree(first);
	vfree(second);
	if (!error)
		error = dmr_map_fill(d, &conflicts);
	if (!error)
		error = check_damage(d, &j, conflicts);
	if (!error)
		error = check_end(d);
	for (page = 0; !error && page < t->page_count; page++)
		dmr_page_count_free(d, page);
	return error;
}
