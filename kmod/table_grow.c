// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Growth of the entry table.
 *
 * New entries are initialised in both copies; flush; table_ready rises, by halves of
 * the superblock copies, with a flush each; only then are they used.  A page that takes
 * no write in either copy ends the table before it; one that takes it in one copy is
 * retired from the start.  An error that is not the medium's says nothing of the page:
 * the step is begun anew when the next slot is wanted.  Where the superblock takes no write the table ends where it
 * is: some copy may say otherwise all the same, and the entries are there, but this
 * session does not use them.
 */
#include "dm-remap.h"

#define LARGEST_STEP 65536ull /* entries */

/* Pages that the table has after the step that follows `ready`. */
u64 dmr_next_step(struct dmr_disk *d, u64 ready)
{
	return dmr_pages_for(d, ready + clamp_t(u64, ready, DMR_FIRST_STEP, LARGEST_STEP));
}

/* Initialises one page; returns in how many copies, or an error that is not the medium's. */
static int initialise(struct dmr_disk *d, u64 page)
{
	int copy, error, copies = 0;

	for (copy = 0; copy < 2; copy++) {
		error = dmr_write(d, DMR_SPARE, dmr_page_offset(d->sb, copy, page),
				  d->table.pages[page].entries, dmr_le32(d->sb->page_size));
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM)
			return error;
		copies += !error;
	}
	return copies;
}

/* The pages beyond `ready` are not part of the table until it rises. */
static void drop_pages(struct dmr_disk *d, u64 page_count)
{
	struct dmr_table *t = &d->table;

	mutex_lock(&d->pages_lock); /* a message may be at them */
	while (t->page_count > page_count) {
		t->page_count--;
		kvfree(t->pages[t->page_count].entries);
		kfree(t->pages[t->page_count].bits);
	}
	mutex_unlock(&d->pages_lock);
}

static bool end_here(struct dmr_disk *d, u64 pages)
{
	drop_pages(d, pages);
	d->table.full_grown = true;
	return false;
}

static bool record(struct dmr_disk *d, u64 ready)
{
	u64 before = dmr_le64(d->sb->table_ready);
	struct dmr_superblock *next = kmalloc(sizeof(*next), GFP_KERNEL);
	int error;

	if (!next) {
		d->table.device_error = -ENOMEM;
		return false;
	}
	*next = *d->sb;
	next->table_ready = dmr_to_le64(ready);
	error = dmr_superblock_write(d, next, 1);
	kfree(next);
	if (error)
		DMWARN("%s: the table on %s can not grow beyond %llu entries: its superblock takes no write (error %d)",
		       dmr_name(d), d->path[DMR_SPARE], (unsigned long long)before, error);
	d->table.broken |= dmr_active(d, DMR_FLUSH_FAILED);
	return !error;
}

static bool wait_with(struct dmr_disk *d, u64 pages, int error)
{
	drop_pages(d, pages);
	d->table.device_error = error;
	return false;
}

/* True: there are free slots now.  False, and device_error: it can be tried again. */
bool dmr_table_grow(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	u64 pages = t->page_count, page, end, ready;
	int used, copies;

	t->device_error = 0;
	if (t->full_grown || t->broken || t->ready >= t->slots)
		return false;
	end = min(dmr_next_step(d, t->ready), dmr_pages_for(d, t->slots));
	used = dmr_used_entry_in_pages(d, pages, end - pages);
	if (used > 0) /* the superblock was stale: nothing above may be touched */
		return end_here(d, pages);
	if (used < 0)
		return wait_with(d, pages, used);
	if (dmr_table_add_pages(d, end))
		return wait_with(d, pages, -ENOMEM);
	for (page = pages; page < end; page++) {
		copies = initialise(d, page);
		if (copies < 0)
			return wait_with(d, pages, copies);
		if (!copies)
			break;
		if (copies == 1)
			t->pages[page].health = DMR_PAGE_MIXED;
	}
	if (dmr_table_flush(d)) {
		drop_pages(d, pages);
		return false;
	}
	if (page < end)
		t->full_grown = true;
	end = page;
	drop_pages(d, end);
	if (end == pages)
		return false;
	ready = min(end * t->per_page, t->slots);
	if (!record(d, ready))
		return t->device_error ? wait_with(d, pages, t->device_error) : end_here(d, pages);
	t->hint = t->ready;
	t->ready = ready;
	for (page = pages; page < end; page++) {
		t->counts.retired_pages += t->pages[page].health != DMR_PAGE_GOOD;
		dmr_page_count_free(d, page);
	}
	return t->free != 0;
}
