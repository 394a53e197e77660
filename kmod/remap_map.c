// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mapping in memory: filter and remaps.
 *
 * The filter has one bit a region: clear means that the region holds no remap, and
 * the bio goes straight to main.  Behind it each gate owns the remaps of its
 * regions, sorted by block, 16 bytes each.  The gate is the lock: who is inside may
 * read, the healer that has closed it and seen it empty may change.  So a lookup takes
 * no lock, asks for no memory, and costs the logarithm of one gate's share.
 */
#include <linux/sort.h>

#include "dm-remap.h"

static struct dmr_shard *shard_of(struct dmr_disk *d, u64 block)
{
	return &d->shards[dmr_gate_of(block)];
}

static u64 region_of(u64 block)
{
	return block >> 8;
}

static void set_filter(struct dmr_disk *d, int bytes)
{
	u64 regions = region_of((d->size - 1) / DMR_BLOCK_SIZE) + 1;

	memset(d->filter, bytes, BITS_TO_LONGS(regions) * sizeof(long));
}

int dmr_map_init(struct dmr_disk *d)
{
	u64 regions = region_of((d->size - 1) / DMR_BLOCK_SIZE) + 1;

	d->filter = kvcalloc(BITS_TO_LONGS(regions), sizeof(long), GFP_KERNEL);
	d->shards = kvcalloc(DMR_GATES, sizeof(*d->shards), GFP_KERNEL);
	if (!d->filter || !d->shards)
		return -ENOMEM;
	set_filter(d, 0xff);
	return 0;
}

/* Nobody is inside any gate.  Until it is filled again nobody gets past the filter unseen. */
void dmr_map_clear(struct dmr_disk *d)
{
	unsigned int i;

	if (d->filter)
		set_filter(d, 0xff);
	for (i = 0; d->shards && i < DMR_GATES; i++) {
		kvfree(d->shards[i].remaps);
		memset(&d->shards[i], 0, sizeof(d->shards[i]));
	}
}

void dmr_map_free(struct dmr_disk *d)
{
	dmr_map_clear(d);
	kvfree(d->filter);
	kvfree(d->shards);
}

bool dmr_map_may_hold(struct dmr_disk *d, u64 block)
{
	return test_bit(region_of(block), d->filter);
}

static size_t position(const struct dmr_shard *shard, u64 block)
{
	size_t low = 0, high = shard->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (shard->remaps[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first remap of a block >= block in its gate's shard, which holds other regions', too. */
struct dmr_remap *dmr_map_lower_bound(struct dmr_disk *d, u64 block)
{
	struct dmr_shard *shard = shard_of(d, block);
	size_t at = position(shard, block);

	return at < shard->count ? &shard->remaps[at] : NULL;
}

struct dmr_remap *dmr_map_next(struct dmr_disk *d, struct dmr_remap *remap)
{
	struct dmr_shard *shard = shard_of(d, remap->block);

	return ++remap < shard->remaps + shard->count ? remap : NULL;
}

struct dmr_remap *dmr_map_find(struct dmr_disk *d, u64 block)
{
	struct dmr_remap *remap = dmr_map_lower_bound(d, block);

	return remap && remap->block == block ? remap : NULL;
}

static int make_room(struct dmr_shard *shard, size_t want)
{
	size_t room = max_t(size_t, want, shard->room + shard->room / 2);
	struct dmr_remap *remaps;

	if (want <= shard->room)
		return 0;
	remaps = kvmalloc_array(room, sizeof(*remaps), GFP_KERNEL);
	if (!remaps)
		return -ENOMEM;
	if (shard->count)
		memcpy(remaps, shard->remaps, shard->count * sizeof(*remaps));
	kvfree(shard->remaps);
	shard->remaps = remaps;
	shard->room = room;
	return 0;
}

/* So that `more` new blocks of this one's gate can be put without asking for memory. */
int dmr_map_room(struct dmr_disk *d, u64 block, size_t more)
{
	struct dmr_shard *shard = shard_of(d, block);

	return make_room(shard, shard->count + more);
}

/* Where the block is new there is room for it. */
void dmr_map_put(struct dmr_disk *d, const struct dmr_remap *remap)
{
	struct dmr_shard *shard = shard_of(d, remap->block);
	size_t at = position(shard, remap->block);

	if (at == shard->count || shard->remaps[at].block != remap->block) {
		if (WARN_ON_ONCE(shard->count == shard->room))
			return;
		memmove(&shard->remaps[at + 1], &shard->remaps[at],
			(shard->count - at) * sizeof(*remap));
		shard->count++;
	}
	shard->remaps[at] = *remap;
	set_bit(region_of(remap->block), d->filter);
}

/* The filter's bit stays: it says "may", and other blocks of the region may be remapped. */
void dmr_map_remove(struct dmr_disk *d, u64 block)
{
	struct dmr_shard *shard = shard_of(d, block);
	size_t at = position(shard, block);

	if (at == shard->count || shard->remaps[at].block != block)
		return;
	shard->count--;
	memmove(&shard->remaps[at], &shard->remaps[at + 1],
		(shard->count - at) * sizeof(*shard->remaps));
}

/* By block; of two claims on one the newer first. */
static int compare_claims(const void *a, const void *b, const void *disk)
{
	struct dmr_disk *d = (struct dmr_disk *)disk;
	const struct dmr_remap *x = a, *y = b;
	const struct dmr_entry *ex, *ey;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	ex = dmr_entry_at(d, x->slot);
	ey = dmr_entry_at(d, y->slot);
	if (ex->sequence == ey->sequence)
		return 0;
	return dmr_claim_wins(ex, ey) ? -1 : 1;
}

/* Losers become superseded; equal sequences, of losers too, are a conflict. */
static u64 settle_claims(struct dmr_disk *d, struct dmr_shard *shard)
{
	u64 conflicts = 0, block = DMR_NO_BLOCK, slot = 0;
	size_t i, kept = 0;

	for (i = 0; i < shard->count; i++) {
		const struct dmr_remap claim = shard->remaps[i];

		if (claim.block == block) {
			if (dmr_entry_at(d, slot)->sequence ==
			    dmr_entry_at(d, claim.slot)->sequence)
				conflicts++;
			dmr_slot_supersede(d, claim.slot);
		} else {
			shard->remaps[kept++] = claim;
		}
		block = claim.block;
		slot = claim.slot;
	}
	shard->count = kept;
	return conflicts;
}

/* From the loaded table; the map is empty. */
int dmr_map_fill(struct dmr_disk *d, u64 *conflicts)
{
	struct dmr_table *t = &d->table;
	unsigned int i;
	u64 slot;

	set_filter(d, 0);
	for (slot = 0; slot < t->ready; slot++) {
		const struct dmr_entry *e = dmr_entry_at(d, slot);

		if (e->state == DMR_REMAPPED)
			shard_of(d, dmr_le64(e->main_block))->count++;
	}
	for (i = 0; i < DMR_GATES; i++) {
		size_t count = d->shards[i].count;

		d->shards[i].count = 0;
		if (make_room(&d->shards[i], count))
			return -ENOMEM;
	}
	for (slot = 0; slot < t->ready; slot++) {
		const struct dmr_entry *e = dmr_entry_at(d, slot);
		struct dmr_shard *shard;

		if (e->state != DMR_REMAPPED)
			continue;
		shard = shard_of(d, dmr_le64(e->main_block));
		shard->remaps[shard->count++] = (struct dmr_remap){
			.block = dmr_le64(e->main_block),
			.slot = slot,
			.lost = e->lost,
			.retry = e->retry,
		};
		set_bit(region_of(dmr_le64(e->main_block)), d->filter);
	}
	*conflicts = 0;
	for (i = 0; i < DMR_GATES; i++) {
		struct dmr_shard *shard = &d->shards[i];

		if (shard->count > 1)
			sort_r(shard->remaps, shard->count, sizeof(*shard->remaps), compare_claims,
			       NULL, d);
		*conflicts += settle_claims(d, shard);
		cond_resched();
	}
	return 0;
}
