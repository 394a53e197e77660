/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scan in the background; scan.c says how.  Sectors are of 512 bytes, blocks of
 * 4 KiB, errors negative errnos.
 */
#ifndef DM_REMAP_SCAN_H
#define DM_REMAP_SCAN_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "format.h"

struct dmr_disk;

#define DMR_SCAN_BYTES (1u << 20) /* of one read: a region */
#define DMR_SCAN_BLOCKS (DMR_SCAN_BYTES / DMR_BLOCK_SIZE)

/* The work item's, while it reads. */
struct dmr_scan_buffer {
	u8 data[DMR_SCAN_BYTES];
	u64 slots[DMR_SCAN_BLOCKS]; /* where the blocks of the region at hand live */
};

/* The record, under lock, and what the work item remembers. */
struct dmr_scan {
	struct mutex lock;
	u64 cursor, begin, end; /* main blocks */
	u64 pass_start, pass_end, passes, found, pass_found;
	u64 repairs;  /* of metadata, by all passes */
	u32 state;    /* enum dmr_scan_state */
	u64 orders;   /* rises with each: what was read before counts no more */
	bool changed; /* since the pair was opened */
	u64 page;     /* of the entry table, next to be checked, once main is read */
	unsigned int tries;
	bool skipped; /* something could not be looked at in this pass */
	struct delayed_work work;
	unsigned long saved, probed;   /* jiffies */
	u64 saved_cursor, saved_found; /* when it was saved */
	u64 bios;		       /* the users', when a region was last read */
	struct dmr_scan_buffer *buffer;
};

/* Once, when the table is made; then start at opening, and stop, which waits, at closing. */
void dmr_scan_init(struct dmr_disk *d);
void dmr_scan_start(struct dmr_disk *d);
void dmr_scan_stop(struct dmr_disk *d);

/* The record into a superblock to be; the second writes it, and is the healer's. */
void dmr_scan_store(struct dmr_disk *d, struct dmr_superblock *sb);
int dmr_scan_save(struct dmr_disk *d);

/* start, stop, pause or resume, with d->lock held; a count of 0: to the end. */
int dmr_scan_order(struct dmr_disk *d, const char *verb, u64 sector, u64 count);

/* idle, running, waiting or paused */
const char *dmr_scan_state(struct dmr_disk *d);

/* scan.c: gives the healer an order and waits; what stands in the way of any reading. */
struct dmr_order;
void dmr_scan_give(struct dmr_disk *d, struct dmr_order *order);
bool dmr_scan_hindered(struct dmr_disk *d);

/*
 * scan_read.c, the work item's.  Reads the blocks [first, stop) of one region where they
 * live and has the healer look at what fails; adds to *found.  0: all was looked at;
 * -EAGAIN: something stands in the way; any other error: not now, for no fault of the place.
 */
int dmr_scan_region(struct dmr_disk *d, u64 first, u64 stop, u64 *found);
void dmr_scan_probe(struct dmr_disk *d, u64 block);

/*
 * scan_metadata.c, an errand of the healer's.  Pages from `page` on for a while, or, behind
 * the last one, the superblock.
 */
struct dmr_metadata_check {
	u64 page;
	/* the answer: */
	u64 repaired; /* pages, and copies of the superblock */
	bool unknown; /* the spare says nothing about `page` now */
	bool ended;
};
void dmr_check_metadata(struct dmr_disk *d, struct dmr_metadata_check *check);

#endif
