/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flushes, one at a time for each device; flush.c says why.  Errors are negative errnos.
 */
#ifndef DM_REMAP_FLUSH_H
#define DM_REMAP_FLUSH_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct dmr_disk;

/* Of one device; in dmr_disk. */
struct dmr_flusher {
	struct dmr_disk *disk;
	struct mutex turn; /* held while the device flushes */
	spinlock_t lock;
	struct bio_list waiting; /* with lock */
	struct work_struct work;
};

/* Once, when the table is made. */
void dmr_flush_init(struct dmr_disk *d);

/*
 * Any context.  A flush, or a write that has ended well and was to be durable, which waits
 * for a flush of the device it was sent to, and is ended with its answer.  In no gate.
 */
void dmr_flush_bio(struct dmr_disk *d, struct bio *bio);

/* Who may sleep.  -EIO as well when another flush, of either device, has failed before. */
int dmr_flush(struct dmr_disk *d, enum dmr_side side);

/* Whether FUA to this device is a flush behind a write, or may become one below it. */
static inline bool dmr_flushes_for_fua(struct block_device *bdev)
{
	return bdev_write_cache(bdev) && !(queue_is_mq(bdev_get_queue(bdev)) && bdev_fua(bdev));
}

#endif
