// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gates: what keeps a change of the mapping and the I/O it concerns apart.
 *
 * Every bio enters the gate of its region before it looks at filter and mapping,
 * and leaves it when its I/O is done.  The healer closes a gate, waits until those
 * inside have left, works, and opens it again.  What a bio learnt from filter and
 * mapping therefore stays true while it is inside, and the healer is alone with the
 * region.
 *
 * A bio lies within one region (map.c cuts it), so it enters one gate, by trying;
 * where the gate is closed it is parked, holding nothing.  A failed bio leaves its
 * gate before the healer hears of it.  So inside a gate nobody waits for anything
 * but its own device I/O, and the healer never waits for one gate while it could work
 * behind another: the last one to leave wakes it.
 *
 * A gate is one word, the number of those inside plus INT_MIN while it is closed.
 * Who tries to enter a closed one is counted for a moment; when it leaves, it may be
 * the last one, and wakes the healer.  The parking place has a lock, taken only while
 * the gate is closed.  Regions share a fixed array of gates by hash.
 */
#include <linux/vmalloc.h>

#include "dm-remap.h"

int dmr_gates_init(struct dmr_disk *d)
{
	unsigned int i;

	d->gates = vzalloc(array_size(DMR_GATES, sizeof(*d->gates)));
	if (!d->gates)
		return -ENOMEM;
	for (i = 0; i < DMR_GATES; i++) {
		struct dmr_gate *g = &d->gates[i];

		spin_lock_init(&g->lock);
		bio_list_init(&g->parked);
		bio_list_init(&g->jobs);
		INIT_LIST_HEAD(&g->active);
		INIT_LIST_HEAD(&g->orders);
	}
	return 0;
}

void dmr_gates_free(struct dmr_disk *d)
{
	vfree(d->gates);
}

/* False: it is closed, and nothing was entered; park then. */
bool dmr_gate_enter(struct dmr_disk *d, unsigned int gate)
{
	/* Fully ordered: filter and mapping are read after it. */
	if (likely(atomic_inc_return(&d->gates[gate].inside) > 0))
		return true;
	dmr_gate_leave(d, gate);
	return false;
}

void dmr_gate_leave(struct dmr_disk *d, unsigned int gate)
{
	if (unlikely(atomic_dec_return(&d->gates[gate].inside) == INT_MIN))
		dmr_wake_healer(d);
}

/* False: it is open by now, try again. */
bool dmr_gate_park(struct dmr_disk *d, unsigned int gate, struct bio *bio)
{
	struct dmr_gate *g = &d->gates[gate];
	unsigned long flags;
	bool closed;

	spin_lock_irqsave(&g->lock, flags);
	closed = g->closed;
	if (closed)
		bio_list_add(&g->parked, bio);
	spin_unlock_irqrestore(&g->lock, flags);
	return closed;
}

/* The healer's side. */
void dmr_gate_close(struct dmr_disk *d, unsigned int gate)
{
	struct dmr_gate *g = &d->gates[gate];

	spin_lock_irq(&g->lock);
	g->closed = true;
	atomic_add(INT_MIN, &g->inside);
	spin_unlock_irq(&g->lock);
}

bool dmr_gate_empty(struct dmr_disk *d, unsigned int gate)
{
	if (atomic_read(&d->gates[gate].inside) != INT_MIN)
		return false;
	smp_mb(); /* what those inside did comes before what the healer does */
	return true;
}

/* Opens, and adds those parked in the order of their arrival. */
void dmr_gate_open(struct dmr_disk *d, unsigned int gate, struct bio_list *parked)
{
	struct dmr_gate *g = &d->gates[gate];

	smp_mb(); /* the healer's changes come before anybody enters */
	spin_lock_irq(&g->lock);
	g->closed = false;
	atomic_sub(INT_MIN, &g->inside);
	bio_list_merge(parked, &g->parked);
	bio_list_init(&g->parked);
	spin_unlock_irq(&g->lock);
}
