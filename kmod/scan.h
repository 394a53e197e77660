/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scan of main in the background; scan.c says how.  Sectors are of 512 bytes, blocks
 * of 4 KiB, errors negative errnos.
 */
#ifndef DM_REMAP_SCAN_H
#define DM_REMAP_SCAN_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "format.h"

struct dmr_disk;

/* The record, under lock, and what the work item remembers. */
struct dmr_scan {
	struct mutex lock;
	u64 cursor, begin, end; /* main blocks */
	u64 pass_start, pass_end, passes, found, pass_found;
	u32 state;   /* enum dmr_scan_state */
	u64 orders;  /* rises with each: what was read before counts no more */
	bool changed; /* since the pair was opened */
	unsigned int tries;
	struct delayed_work work;
	unsigned long saved, probed; /* jiffies */
	u64 bios;		     /* the users', when a region was last read */
	void *buffer;
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

#endif
