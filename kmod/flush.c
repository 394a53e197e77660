// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flushes: the users', the healer's own, and those that FUA asks for.
 *
 * A device tells of a write that it lost once, to the flush that comes first; whoever asks
 * next hears that all is well.  So a failed flush makes the disk read-only for this table's
 * life, and every later one fails without being asked (P2).  That is not enough: of two
 * flushes that are under way at once one may be told, and the other, which was not, may end
 * before it, and be acknowledged while nobody knows.  Therefore each device has one flush
 * under way at a time, and what came of it is in the state before the next one begins.
 *
 * Users' flushes wait here for the device's work item.  It takes all that wait, flushes
 * once, and gives each that answer.  Who comes while the device flushes waits for the next
 * one, for the device may have begun before what he wants to be durable.  The healer's
 * flush takes its turn at the same mutex, and any of them fails if one of the other device
 * has failed meanwhile.
 *
 * FUA.  Where the device does not know it the block layer makes a flush behind the write,
 * out of our sight: it would be told, and its error would look like one of the write's own
 * place.  So FUA is taken off such a write, and when it has ended well it waits here like a
 * flush.  What a disk on top of others says of FUA is not believed.
 *
 * Nobody waits in a circle: the work item waits for its turn, which lasts one flush, and
 * for the device, and so does the healer.  What the block layer needs to make progress is
 * had: a queue with a rescuer, and bios from the target's own pool.
 */
#include <linux/sched/mm.h>

#include "dm-remap.h"

/* P2: a flush that failed stays failed, for this table's life. */
static void flush_failed(struct dmr_disk *d, enum dmr_side side)
{
	WRITE_ONCE(d->failed_before, true);
	if (!dmr_active(d, DMR_FLUSH_FAILED))
		DMERR("%s: a flush of %s failed: nothing can be written until the table is loaded anew",
		      dmr_name(d), d->path[side]);
	dmr_raise(d, DMR_FLUSH_FAILED);
}

int dmr_flush(struct dmr_disk *d, enum dmr_side side)
{
	int error = -EIO;

	mutex_lock(&d->flushers[side].turn);
	if (!dmr_active(d, DMR_FLUSH_FAILED)) {
		error = dmr_call(d, side, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
		if (error)
			flush_failed(d, side);
		else if (dmr_active(d, DMR_FLUSH_FAILED))
			error = -EIO;
	}
	mutex_unlock(&d->flushers[side].turn);
	return error;
}

static void serve(struct work_struct *work)
{
	struct dmr_flusher *f = container_of(work, struct dmr_flusher, work);
	struct dmr_disk *d = f->disk;
	unsigned int noio = memalloc_noio_save();
	struct bio_list bios;
	struct bio *bio;
	int error;

	spin_lock_irq(&f->lock);
	bios = f->waiting;
	bio_list_init(&f->waiting);
	spin_unlock_irq(&f->lock);
	if (!bio_list_empty(&bios)) {
		error = dmr_flush(d, f - d->flushers);
		while ((bio = bio_list_pop(&bios)))
			dmr_decide(bio, error ? BLK_STS_IOERR : BLK_STS_OK);
	}
	memalloc_noio_restore(noio);
}

void dmr_flush_bio(struct dmr_disk *d, struct bio *bio)
{
	struct dmr_flusher *f = &d->flushers[dmr_bio(bio)->side];
	unsigned long flags;

	spin_lock_irqsave(&f->lock, flags);
	bio_list_add(&f->waiting, bio);
	/* With the lock: once a worker that runs already has ended the bio, d may be freed. */
	queue_work(d->flush_wq, &f->work);
	spin_unlock_irqrestore(&f->lock, flags);
}

void dmr_flush_init(struct dmr_disk *d)
{
	unsigned int side;

	for (side = 0; side < 2; side++) {
		struct dmr_flusher *f = &d->flushers[side];

		f->disk = d;
		mutex_init(&f->turn);
		spin_lock_init(&f->lock);
		bio_list_init(&f->waiting);
		INIT_WORK(&f->work, serve);
	}
}
