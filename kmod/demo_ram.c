// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a demo's device: pages that come with the first write to them and go with
 * the device.  What was never written reads as zeros and takes no memory.
 *
 * Any threads at once.  No page is freed while the device lives, so a reader needs no
 * lock; who reads what another one writes at the same time gets either, as from a disk.
 */
#include <linux/gfp.h>
#include <linux/sched.h>
#include <linux/xarray.h>

#include "demo.h"

/* A demo must not push what is real out of the machine: it rather fails. */
#define RAM_GFP (GFP_NOIO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

void dmr_ram_init(struct dmr_ram *ram)
{
	xa_init(&ram->pages);
}

void dmr_ram_free(struct dmr_ram *ram)
{
	unsigned long index;
	void *page;

	xa_for_each(&ram->pages, index, page) {
		free_page((unsigned long)page);
		cond_resched();
	}
	xa_destroy(&ram->pages);
}

static u8 *page_to_write(struct dmr_ram *ram, unsigned long index)
{
	u8 *page = xa_load(&ram->pages, index), *other;

	if (page)
		return page;
	page = (u8 *)get_zeroed_page(RAM_GFP);
	if (!page)
		return NULL;
	other = xa_cmpxchg(&ram->pages, index, NULL, page, RAM_GFP);
	if (!other)
		return page;
	free_page((unsigned long)page);
	return xa_is_err(other) ? NULL : other;
}

/* -ENOMEM: a part of it may be written. */
int dmr_ram_write(struct dmr_ram *ram, u64 at, const void *from, unsigned int length)
{
	while (length) {
		unsigned int offset = at % PAGE_SIZE;
		unsigned int part = min_t(unsigned int, length, PAGE_SIZE - offset);
		u8 *page = page_to_write(ram, at / PAGE_SIZE);

		if (!page)
			return -ENOMEM;
		memcpy(page + offset, from, part);
		from += part;
		at += part;
		length -= part;
	}
	return 0;
}

void dmr_ram_read(struct dmr_ram *ram, u64 at, void *to, unsigned int length)
{
	while (length) {
		unsigned int offset = at % PAGE_SIZE;
		unsigned int part = min_t(unsigned int, length, PAGE_SIZE - offset);
		const u8 *page = xa_load(&ram->pages, at / PAGE_SIZE);

		if (page)
			memcpy(to, page + offset, part);
		else
			memset(to, 0, part);
		to += part;
		at += part;
		length -= part;
	}
}

void dmr_ram_zero(struct dmr_ram *ram, u64 at, u64 length)
{
	while (length) {
		unsigned int offset = at % PAGE_SIZE;
		unsigned int part = min_t(u64, length, PAGE_SIZE - offset);
		u8 *page = xa_load(&ram->pages, at / PAGE_SIZE);

		if (page)
			memset(page + offset, 0, part);
		at += part;
		length -= part;
	}
}
