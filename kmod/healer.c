// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The healer: the one worker that changes mappings.
 *
 * It takes bios that failed or that need a closed gate, orders by hand, and chores of
 * its own (retry sectors, blocks on retired pages).  It works in rounds: close the gates
 * of what waits, work behind those that have drained, commit everything staged as one
 * batch, open the gates, complete the bios, let the parked go on.  It never waits
 * for one gate while it could work behind another; whoever leaves a closed gate last
 * wakes it.  All that waits for a gate is a list, so any number of errors in flight at
 * once is served, and none overwrites another.
 *
 * Errands are what needs superblock and table, but no gate: nothing is staged when they
 * run, between two rounds, and they end soon, for bios wait meanwhile.
 *
 * Chores are taken a few at a time, when no bio waits, and none while the pair is being
 * closed.
 *
 * It runs on a WQ_MEM_RECLAIM queue of its own, allocates without I/O, and does not wait
 * for anything but its own I/O to main and spare.
 */
#include <linux/sched/mm.h>

#include "dm-remap.h"

#define ROUND_LASTS (HZ / 10)
/* While the breaker is tripped, a page owed its second copy, or the machine hibernates. */
#define LOOKS (5 * HZ)

void dmr_wake_healer(struct dmr_disk *d)
{
	queue_work(d->wq, &d->heal);
}

/* Any context.  The bio is in no gate, with the iterator it came with. */
void dmr_heal_bio(struct dmr_disk *d, struct bio *bio)
{
	unsigned long flags;

	bio->bi_next = NULL;
	spin_lock_irqsave(&d->queue_lock, flags);
	bio_list_add(&d->queued, bio);
	/* With the lock: once a healer that runs already has ended the bio, d may be freed. */
	dmr_wake_healer(d);
	spin_unlock_irqrestore(&d->queue_lock, flags);
}

void dmr_heal_order(struct dmr_disk *d, struct dmr_order *order)
{
	spin_lock_irq(&d->queue_lock);
	list_add_tail(&order->node, &d->queued_orders);
	spin_unlock_irq(&d->queue_lock);
	dmr_wake_healer(d);
}

/* Closed if it is not yet. */
static struct dmr_gate *close_gate(struct dmr_disk *d, unsigned int gate)
{
	struct dmr_gate *g = &d->gates[gate];

	if (list_empty(&g->active)) {
		dmr_gate_close(d, gate);
		list_add_tail(&g->active, &d->active);
	}
	return g;
}

static void collect(struct dmr_disk *d)
{
	struct dmr_order *order, *next;
	struct bio_list bios;
	LIST_HEAD(orders);
	struct bio *bio;

	spin_lock_irq(&d->queue_lock);
	bios = d->queued;
	bio_list_init(&d->queued);
	list_splice_init(&d->queued_orders, &orders);
	spin_unlock_irq(&d->queue_lock);
	while ((bio = bio_list_pop(&bios)))
		bio_list_add(&close_gate(d, dmr_bio(bio)->gate)->jobs, bio);
	list_for_each_entry_safe(order, next, &orders, node) {
		list_del(&order->node);
		list_add_tail(&order->node,
			      order->kind >= DMR_ORDER_SET ?
				      &d->errands :
				      &close_gate(d, dmr_gate_of(order->first))->orders);
	}
}

/* Those that wait now.  False: there was none. */
static bool run_errands(struct dmr_disk *d)
{
	struct dmr_order *order, *next;
	LIST_HEAD(errands);

	list_splice_init(&d->errands, &errands);
	if (list_empty(&errands))
		return false;
	list_for_each_entry_safe(order, next, &errands, node) {
		switch (order->kind) {
		case DMR_ORDER_SET:
			order->error = dmr_parameter_set(d, order->name, order->value, &order->why);
			break;
		case DMR_ORDER_SCAN:
			order->error = dmr_scan_save(d);
			break;
		default:
			dmr_check_metadata(d, order->metadata);
			break;
		}
		dmr_update_causes(d);
		complete(order->done); /* from here on it may be gone */
	}
	return true;
}

static void do_order(struct dmr_disk *d, struct dmr_order *order)
{
	u64 block;
	int error;

	if (dmr_is_staged(d, order->first, order->last))
		dmr_commit(d);
	for (block = order->first; block <= order->last; block++) {
		switch (order->kind) {
		case DMR_ORDER_RETRY:
			dmr_retry_block(d, block);
			continue;
		case DMR_ORDER_MOVE:
			dmr_move_slot(d, order->slot);
			continue;
		case DMR_ORDER_REMAP:
			error = dmr_remap_block(d, order, block);
			break;
		case DMR_ORDER_CHECK:
			error = dmr_check_block(d, order, block);
			break;
		default:
			error = dmr_unmap_block(d, order, block);
			break;
		}
		if (error == -EALREADY) {
			order->unchanged++;
		} else if (error) {
			order->refused++;
			if (!order->error) {
				order->error = error;
				order->error_block = block;
			}
		}
	}
}

static void work_behind(struct dmr_disk *d, struct dmr_gate *g)
{
	struct dmr_order *order, *next;
	struct bio *bio;

	while ((bio = bio_list_pop(&g->jobs))) {
		dmr_exclusive_bio(d, bio);
		bio_list_add(&d->done, bio);
	}
	list_for_each_entry_safe(order, next, &g->orders, node) {
		do_order(d, order);
		list_move_tail(&order->node, &d->done_orders);
	}
}

static blk_status_t status_of(int error)
{
	/* What is lost is EIO to everybody, not ENODATA. */
	if (dmr_classify(error) == DMR_CLASS_MEDIUM || error == -EROFS)
		return BLK_STS_IOERR;
	return errno_to_blk_status(error);
}

static void complete_round(struct dmr_disk *d)
{
	struct dmr_order *order, *next;
	struct bio *bio;

	while ((bio = bio_list_pop(&d->done))) {
		int error = dmr_bio(bio)->error;

		if (!error && dmr_bio(bio)->fua &&
		    (dmr_active(d, DMR_FLUSH_FAILED) || !dmr_table_firm(d)))
			error = -EROFS;
		dmr_decide(bio, status_of(error));
	}
	list_for_each_entry_safe(order, next, &d->done_orders, node) {
		list_del(&order->node);
		if (order->done)
			complete(order->done);
		else
			d->chores_out--;
	}
}

/* What was parked goes its way again; it can not be cut any more. */
static void let_go(struct dmr_disk *d, struct bio_list *parked)
{
	struct bio *bio;

	while ((bio = bio_list_pop(parked)))
		if (dmr_route(d, bio, false) == DM_MAPIO_REMAPPED)
			submit_bio_noacct(bio);
}

/* False: there was nothing to work at. */
static bool do_round(struct dmr_disk *d)
{
	unsigned long end = jiffies + ROUND_LASTS;
	struct dmr_gate *g, *next;
	struct bio_list parked;
	LIST_HEAD(worked);

	bio_list_init(&parked);
	list_for_each_entry_safe(g, next, &d->active, active) {
		if (!dmr_gate_empty(d, g - d->gates))
			continue;
		work_behind(d, g);
		list_move_tail(&g->active, &worked);
		if (time_after(jiffies, end))
			break;
	}
	if (list_empty(&worked))
		return false;
	if (d->staged_count)
		dmr_commit(d);
	list_for_each_entry_safe(g, next, &worked, active) {
		list_del_init(&g->active);
		dmr_gate_open(d, g - d->gates, &parked);
	}
	dmr_update_causes(d);
	complete_round(d);
	let_go(d, &parked);
	return true;
}

static void give_chore(struct dmr_disk *d, enum dmr_order_kind kind, u64 slot)
{
	struct dmr_order *order = &d->chores[d->chores_out++];
	u64 block = dmr_le64(dmr_entry_at(d, slot)->main_block);

	memset(order, 0, sizeof(*order));
	order->kind = kind;
	order->slot = slot;
	order->first = block;
	order->last = block;
	dmr_heal_order(d, order);
}

static unsigned long retry_interval(struct dmr_disk *d)
{
	return (unsigned long)READ_ONCE(d->parameters.lost_retry_minutes) * 60 * HZ;
}

/* All chores are done: finds some more. */
static void find_chores(struct dmr_disk *d)
{
	struct dmr_table *t = &d->table;
	unsigned int asked = READ_ONCE(d->retry_asked);
	unsigned long interval = retry_interval(d);

	if (dmr_hibernating())
		return;
	if (READ_ONCE(d->closing) || !dmr_writable(d)) {
		d->retry_cursor = d->move_cursor = t->ready;
		d->retry_begun = asked; /* all that there will be, for whoever waits */
	} else if ((asked != d->retry_done && d->retry_cursor >= t->ready) ||
		 (interval && time_after(jiffies, d->last_retry + interval))) {
		d->last_retry = jiffies;
		d->retry_cursor = 0;
		d->move_cursor = 0;
		if (asked != d->retry_done)
			d->one_copy_only = false; /* by hand alone, for each try costs pages */
		d->retry_begun = asked;
	}
	for (; d->retry_cursor < t->ready && d->chores_out < DMR_CHORES; d->retry_cursor++) {
		if (!t->counts.retry_sectors) {
			d->retry_cursor = t->ready;
			break;
		}
		if (dmr_slot_live(d, d->retry_cursor) && dmr_entry_at(d, d->retry_cursor)->retry)
			give_chore(d, DMR_ORDER_RETRY, d->retry_cursor);
	}
	/* Nothing is committed while a page is owed its copy. */
	for (; !t->owed && d->move_cursor < t->ready && d->chores_out < DMR_CHORES;
	     d->move_cursor++) {
		if (!t->counts.retired_pages || d->one_copy_only) {
			d->move_cursor = t->ready;
			break;
		}
		if (dmr_slot_retired(d, d->move_cursor) && dmr_slot_live(d, d->move_cursor))
			give_chore(d, DMR_ORDER_MOVE, d->move_cursor);
	}
	if (!d->chores_out && !d->doubt_left && dmr_active(d, DMR_METADATA_IN_DOUBT) &&
	    !dmr_table_live_retired(d))
		dmr_clear(d, DMR_METADATA_IN_DOUBT);
	if (d->retry_cursor >= t->ready && !d->chores_out &&
	    (d->retry_done != d->retry_begun || READ_ONCE(d->closing))) {
		WRITE_ONCE(d->retry_done, READ_ONCE(d->closing) ? asked : d->retry_begun);
		wake_up_all(&d->retry_wait);
	}
}

void dmr_heal_work(struct work_struct *work)
{
	struct dmr_disk *d = container_of(work, struct dmr_disk, heal);
	unsigned int noio = memalloc_noio_save();
	unsigned long interval = retry_interval(d);
	bool worked;

	do {
		collect(d);
		if (!d->chores_out && list_empty(&d->active))
			find_chores(d);
		collect(d);
		worked = run_errands(d);
	} while (do_round(d) || worked);
	dmr_breaker_try_reset(d);
	if (d->table.owed && dmr_writable(d) && !dmr_hibernating()) {
		dmr_table_pay_back(d);
		dmr_update_causes(d);
		if (!d->table.owed && d->table.counts.retired_pages) {
			d->move_cursor = 0; /* which could not move meanwhile */
			dmr_wake_healer(d);
		}
	}
	if (d->breaker.tripped || d->table.owed || dmr_hibernating())
		interval = LOOKS;
	if (interval && !READ_ONCE(d->closing))
		mod_delayed_work(d->wq, &d->wake, interval);
	memalloc_noio_restore(noio);
}

void dmr_wake_work(struct work_struct *work)
{
	dmr_wake_healer(container_of(to_delayed_work(work), struct dmr_disk, wake));
}

u64 dmr_free_slots(struct dmr_disk *d)
{
	u64 gone = d->table.counts.used + d->table.counts.bad + dmr_table_unusable(d);

	return gone < d->table.slots ? d->table.slots - gone : 0;
}

/* After a change of the table. */
void dmr_update_causes(struct dmr_disk *d)
{
	static const unsigned int marks[] = { 20, 10, 5 };
	struct dmr_table *t = &d->table;
	u64 free = dmr_free_slots(d);
	unsigned int percent = free >= t->slots ? 100 : free * 100 / t->slots, i;

	dmr_set_cause(d, DMR_LOST_SECTORS, t->counts.lost_sectors);
	dmr_set_cause(d, DMR_RETIRED_PAGES, t->counts.retired_pages);
	if (t->counts.retired_pages > d->retired_seen)
		d->move_cursor = 0;
	d->retired_seen = t->counts.retired_pages;
	dmr_set_cause(d, DMR_SPARE_LOW, percent < marks[0]);
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		if (percent >= marks[i] || d->low_mark <= marks[i])
			continue;
		d->low_mark = marks[i];
		DMWARN("%s: less than %u percent of the slots on %s are free (%llu of %llu)",
		       dmr_name(d), marks[i], d->path[DMR_SPARE], (unsigned long long)free,
		       (unsigned long long)t->slots);
		dm_table_event(d->ti->table);
	}
	if (d->ran_out && !dmr_active(d, DMR_SPARE_FULL)) {
		DMERR("%s: no slot is left on %s; bad blocks can not be moved any more",
		      dmr_name(d), d->path[DMR_SPARE]);
		dmr_raise(d, DMR_SPARE_FULL);
	}
	d->ran_out = false;
	if (free)
		dmr_clear(d, DMR_SPARE_FULL);
}
