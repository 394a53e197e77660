/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scan in the background; scan.c says how.  Sectors are of 512 bytes, blocks of
 * 4 KiB, errors negative errnos.
 */
#ifndef DM_REMAP_SCAN_H
#define DM_REMAP_SCAN_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "format.h"

struct dmr_disk;

#define DMR_SCAN_BYTES (1u << 20) /* of one read: a region */
#define DMR_SCAN_BLOCKS (DMR_SCAN_BYTES / DMR_BLOCK_SIZE)

#define DMR_SUSPECTS 64
#define DMR_SCAN_LATENCIES 256

/* A region that took longer than others; scan_slow.c. */
struct dmr_suspect {
	u64 region;
	u64 after; /* bytes read by this run when the next look is due */
	unsigned int looks, tries;
	DECLARE_BITMAP(slow, DMR_SCAN_BLOCKS); /* each time so far */
};

/* The work item's, while it reads: of one run, from an order to the next. */
struct dmr_scan_buffer {
	u8 data[DMR_SCAN_BYTES];
	u64 slots[DMR_SCAN_BLOCKS]; /* where the blocks of the region at hand live */
	/* What was read of main last: how long that took, how many blocks, and how it failed. */
	u64 main_ns;
	unsigned int main_blocks;
	int main_error;
	bool quiet;		   /* and no bio of a user's ended meanwhile */
	unsigned long pause;	   /* jiffies that it wants before the next read */
	u64 orders, read_bytes;	   /* of this run */
	struct dmr_suspect suspects[DMR_SUSPECTS];
	unsigned int suspected;
};

/* How long main takes for reads of whole regions, since the pair was opened. */
struct dmr_scan_latency {
	u32 buckets[DMR_SCAN_LATENCIES];
	u32 count;
	u64 threshold; /* ns; longer is slow; 0: not known yet */
};

/* The record, under lock, and what the work item remembers. */
struct dmr_scan {
	struct mutex lock;
	u64 cursor, begin, end; /* main blocks */
	u64 pass_start, pass_end, passes, found, pass_found;
	u64 repairs;  /* of metadata, by all passes */
	u32 state;    /* enum dmr_scan_state */
	u64 orders;   /* rises with each: what was read before counts no more */
	u64 page;     /* of the entry table, next to be checked, once main is read */
	unsigned int tries;
	bool skipped; /* something could not be looked at in this pass */
	struct delayed_work work;
	unsigned long saved, probed;   /* jiffies */
	u64 saved_cursor, saved_found; /* when it was saved */
	u64 bios;		       /* the users', when something was last read */
	struct dmr_scan_buffer *buffer;
	wait_queue_head_t wait; /* the work item's in a pause, which an order or closing ends */
	struct dmr_scan_latency latency;
	struct xarray weak; /* blocks of main that were found weak and stayed there */
	unsigned int weak_blocks;
	/* With lock; scan_days.c: */
	struct dmr_day days[DMR_HISTORY_DAYS];
	u64 errors_noted;    /* of main */
	unsigned long noted; /* jiffies */
};

/*
 * Once, when the table is made; start at opening, and stop, which waits, at closing; exit
 * once, with the table's end.  settle waits until a scan that is hindered is at nothing.
 */
void dmr_scan_init(struct dmr_disk *d);
void dmr_scan_start(struct dmr_disk *d);
void dmr_scan_settle(struct dmr_disk *d);
void dmr_scan_stop(struct dmr_disk *d);
void dmr_scan_exit(struct dmr_disk *d);

/* The record into a superblock to be; the second writes it, and is the healer's. */
void dmr_scan_store(struct dmr_disk *d, struct dmr_superblock *sb);
int dmr_scan_save(struct dmr_disk *d);

/* start, stop, pause or resume, with d->lock held; a count of 0: to the end. */
int dmr_scan_order(struct dmr_disk *d, const char *verb, u64 sector, u64 count);

/* idle, running, waiting or paused */
const char *dmr_scan_state(struct dmr_disk *d);

/*
 * scan.c: gives the healer an order and waits; what stands in the way of any reading; how
 * many jiffies such a read wants before the next one; waits so long, false: the orders have
 * changed, or something stands in the way.
 */
struct dmr_order;
void dmr_scan_give(struct dmr_disk *d, struct dmr_order *order);
bool dmr_scan_hindered(struct dmr_disk *d);
unsigned long dmr_scan_pace(struct dmr_disk *d, unsigned int bytes, u64 took_ns);
bool dmr_scan_wait(struct dmr_disk *d, u64 orders, unsigned long delay);

/*
 * scan_read.c, the work item's.  Reads the blocks [first, stop) of one region where they
 * live and has the healer look at what fails; adds to *found.  0: all was looked at;
 * -EAGAIN: something stands in the way; any other error: not now, for no fault of the place.
 */
int dmr_scan_region(struct dmr_disk *d, u64 first, u64 stop, u64 *found);
void dmr_scan_probe(struct dmr_disk *d, u64 block);
/* Only reads those that live on main; what came of it is in the buffer. */
void dmr_scan_time(struct dmr_disk *d, u64 first, unsigned int count);
/*
 * The healer's word on one block, on one that was slow or failed alone if `suspected`.
 * -EAGAIN: something stands in the way now, or the orders have changed; it may be said.
 */
int dmr_scan_check(struct dmr_disk *d, u64 block, bool suspected, u64 *found);

/*
 * scan_slow.c, the work item's.  Judges the blocks of a region that were just read; the
 * suspect whose look is due, or any if `all`, or NULL; looks at it, adds to *found, and
 * returns when to go on, in jiffies; *skipped: it is given up for want of memory.
 */
void dmr_scan_judge(struct dmr_disk *d, u64 first, unsigned int count);
struct dmr_suspect *dmr_scan_suspect(struct dmr_disk *d, bool all);
unsigned long dmr_scan_look(struct dmr_disk *d, struct dmr_suspect *suspect, u64 *found,
			    bool *skipped);
/* The healer found the block weak; moved: and it lives in a slot now. */
void dmr_scan_weak(struct dmr_disk *d, u64 block, bool moved);
void dmr_scan_forget_all(struct dmr_disk *d);

/*
 * scan_days.c, with scan.lock: the history of a superblock into the record; today into it,
 * and all into a superblock to be; whether today is not in it, looked at once an hour.
 */
void dmr_days_load(struct dmr_disk *d);
void dmr_days_store(struct dmr_disk *d, struct dmr_superblock *sb);
bool dmr_day_is_missing(struct dmr_disk *d);

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
