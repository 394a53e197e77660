// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing a pair: what resume and suspend do.
 *
 * Opening (preresume), whether for the first time or again:
 *   1. look at everything and refuse what is wrong; nothing has been written so far
 *   2. the superblock: in use, not clean, a new entry epoch; its copies are repaired
 *   3. the table's repairs; then blocks in doubt are mapped anew (table_doubt.c)
 * A crash after any write leaves a spare that opens the same way again.  The epoch rises
 * above the superblock's and above that of every entry found.  A read-only table
 * leaves out 2 and 3.
 *
 * The superblock is read anew here, for since the constructor the old table of a reload
 * has gone on writing until its suspend.
 *
 * Closing (postsuspend): no bio is inside, device-mapper has seen to that.  The scan
 * stops where it is.  The healer
 * ends what it has, erasures are committed; both devices are flushed; then CLEAN and
 * the witness, as the daemon leaves them.  Not after a failed flush or commit: the next
 * opener then recovers as from a crash.  After it nothing is written until a resume.
 *
 * A failed flush or commit stays for the table's life, through any suspend and resume:
 * only loading a table anew opens the pair afresh (P2).
 */
#include <linux/sched/mm.h>
#include <linux/sort.h>

#include "dm-remap.h"

#define LAST_EPOCH ((DMR_SEQUENCE_LIMIT >> 32) - 2)

static int check_sequences(struct dmr_disk *d, u64 highest)
{
	if (dmr_le64(d->sb->sequence) < DMR_SEQUENCE_LIMIT - (1ull << 32) &&
	    dmr_le64(d->sb->entry_epoch) < LAST_EPOCH && highest >> 32 < LAST_EPOCH)
		return 0;
	DMERR("%s has used up its sequence numbers, as no honest use of it can; load a read-only table",
	      d->path[DMR_SPARE]);
	return -EINVAL;
}

/* 0, or what the witness says of main as it is now. */
static int check_witness(struct dmr_disk *d)
{
	const struct dmr_superblock *sb = d->sb;
	u32 both = DMR_CLEAN | DMR_WITNESS;
	unsigned int i, checked = 0, different = 0;

	if ((dmr_le32(sb->flags) & both) != both)
		return 0;
	for (i = 0; i < DMR_WITNESS_BLOCKS; i++) {
		u64 block = dmr_le64(sb->witness[i].block);
		unsigned int length;

		if (dmr_le32(sb->witness[i].valid) != 1 || block >= dmr_main_blocks(sb))
			continue;
		length = dmr_block_length(d, block);
		if (dmr_read(d, DMR_MAIN, block * DMR_BLOCK_SIZE, d->other, length))
			continue;
		checked++;
		different += dmr_crc32c(~0u, d->other, length) != dmr_le32(sb->witness[i].crc);
	}
	if (!different)
		return 0;
	DMERR("%s was written while detached: %u of %u witness blocks differ; remapped blocks may be older than the rest. To go on all the same: mount it once with mount.dmremapfs -o accept_changed_main",
	      d->path[DMR_MAIN], different, checked);
	return -EINVAL;
}

static int claim_pair(struct dmr_disk *d, u64 highest)
{
	struct dmr_superblock *next = kmalloc(sizeof(*next), GFP_KERNEL);
	u64 epoch = dmr_next_epoch(d->sb, highest);
	int error;

	if (!next)
		return -ENOMEM;
	*next = *d->sb;
	dmr_holder_set(d, next);
	next->entry_epoch = dmr_to_le64(epoch);
	d->table.next_sequence = epoch << 32;
	error = dmr_superblock_write(d, next, dmr_opening_skip(d));
	kfree(next);
	if (error) {
		DMERR("%s: the superblock can not be written (error %d); load a read-only table",
		      d->path[DMR_SPARE], error);
		return error;
	}
	error = dmr_table_repair(d);
	if (error)
		DMERR("%s: the entry table can not be written (error %d); load a read-only table",
		      d->path[DMR_SPARE], error);
	return error;
}

static int check_same_spare(struct dmr_disk *d)
{
	if (!memcmp(d->sb->uuid, d->pair_uuid, sizeof(d->pair_uuid)) &&
	    dmr_le32(d->sb->page_size) == d->page_size && dmr_le64(d->sb->main_size) == d->size)
		return 0;
	DMERR("%s was formatted, or its main %s changed its size, since the table was loaded; load it anew",
	      d->path[DMR_SPARE], d->path[DMR_MAIN]);
	return -EINVAL;
}

static int open_pair(struct dmr_disk *d)
{
	u64 highest;
	int error = dmr_superblock_load(d);

	if (!error)
		error = dmr_check_geometry(d);
	if (!error)
		error = check_same_spare(d);
	if (!error)
		error = dmr_holder_enlist(d);
	if (error)
		return error;
	error = dmr_holder_check(d);
	if (!error)
		error = check_witness(d);
	if (!error)
		error = dmr_table_load(d, &highest);
	if (!error) {
		dmr_parameters_load(d);
		if (!d->read_only)
			dmr_breaker_learn(d);
	}
	if (!error && !d->read_only && !d->failed_before) {
		error = check_sequences(d, highest);
		if (!error)
			error = claim_pair(d, highest);
		if (!error)
			error = dmr_settle_doubts(d);
	}
	if (error)
		dmr_holder_delist(d);
	return error;
}

static void forget(struct dmr_disk *d)
{
	dmr_table_free(d);
	dmr_map_clear(d);
}

int dmr_open(struct dmr_disk *d)
{
	unsigned int noio = memalloc_noio_save();
	int error = 0;

	mutex_lock(&d->lock);
	d->suspending = false;
	/* Another target of the table refused to resume, and nothing has passed since. */
	if (d->open)
		goto out;
	d->closing = false;
	d->causes &= BIT(DMR_FLUSH_FAILED) | BIT(DMR_COMMIT_FAILED);
	if (d->read_only)
		dmr_raise(d, DMR_OPENED_READ_ONLY);
	d->staged_count = 0;
	d->erasure_count = 0;
	d->low_mark = 100;
	d->ran_out = false;
	d->retired_seen = 0;
	d->one_copy_only = false;
	d->doubt_left = false;
	memset(&d->breaker, 0, sizeof(d->breaker));
	error = open_pair(d);
	if (error) {
		forget(d);
	} else {
		d->last_retry = jiffies;
		d->retry_cursor = d->table.ready;
		d->move_cursor = 0;
		dmr_update_causes(d);
		d->open = true;
		dmr_wake_healer(d);
		dmr_scan_start(d);
		DMINFO("%s: %s with spare %s, UUID %pUb, %llu blocks remapped, %s", dmr_name(d),
		       d->path[DMR_MAIN], d->path[DMR_SPARE], d->sb->uuid,
		       (unsigned long long)d->table.counts.used, dmr_state_name(dmr_state(d)));
	}
out:
	mutex_unlock(&d->lock);
	memalloc_noio_restore(noio);
	return error;
}

static int compare_blocks(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* The daemon's choice: see FORMAT.md, witness. */
static unsigned int witness_blocks(struct dmr_disk *d, u64 *chosen)
{
	static const u64 usual[] = { 0, 1, 2, 16, 256, 257, 272 };
	u64 blocks = dmr_main_blocks(d->sb), stretches, into, i;
	unsigned int count = 0, kept = 0;
	__le64 seed;

	for (i = 0; i < ARRAY_SIZE(usual); i++)
		if (usual[i] < blocks)
			chosen[count++] = usual[i];
	chosen[count++] = blocks - 1;
	chosen[count++] = blocks - min(blocks, 9ull);
	sort(chosen, count, sizeof(*chosen), compare_blocks, NULL);
	for (i = 0; i < count; i++)
		if (!kept || chosen[kept - 1] != chosen[i])
			chosen[kept++] = chosen[i];
	count = kept;
	stretches = DMR_WITNESS_BLOCKS - count;
	memcpy(&seed, d->sb->uuid, sizeof(seed));
	into = dmr_le64(seed) % max(1ull, blocks / stretches);
	for (i = 0; i < stretches; i++)
		chosen[count++] = blocks * i / stretches + into;
	sort(chosen, count, sizeof(*chosen), compare_blocks, NULL);
	return count;
}

static int take_witness(struct dmr_disk *d, struct dmr_superblock *sb)
{
	u64 *chosen = kmalloc_array(DMR_WITNESS_BLOCKS, sizeof(*chosen), GFP_KERNEL);
	unsigned int i, count, taken = 0;

	if (!chosen)
		return -ENOMEM;
	memset(sb->witness, 0, sizeof(sb->witness));
	count = witness_blocks(d, chosen);
	for (i = 0; i < count; i++) {
		unsigned int length;

		if ((i && chosen[i] == chosen[i - 1]) || chosen[i] >= dmr_main_blocks(sb) ||
		    dmr_map_find(d, chosen[i]))
			continue;
		length = dmr_block_length(d, chosen[i]);
		if (dmr_read(d, DMR_MAIN, chosen[i] * DMR_BLOCK_SIZE, d->other, length))
			continue;
		sb->witness[taken].block = dmr_to_le64(chosen[i]);
		sb->witness[taken].crc = dmr_to_le32(dmr_crc32c(~0u, d->other, length));
		sb->witness[taken++].valid = dmr_to_le32(1u);
	}
	kfree(chosen);
	if (taken)
		sb->flags = dmr_to_le32(dmr_le32(sb->flags) | DMR_WITNESS);
	return 0;
}

static int mark_clean(struct dmr_disk *d)
{
	struct dmr_superblock *next;
	int error = dmr_flush(d, DMR_MAIN);

	/* A page that is owed a copy may hold a claim that was taken back. */
	if (!error && !d->table.broken)
		error = dmr_table_pay_back(d);
	if (!error)
		error = dmr_flush(d, DMR_SPARE);
	if (error || d->table.broken || !dmr_writable(d))
		return error ? error : -EIO;
	next = kmalloc(sizeof(*next), GFP_KERNEL);
	if (!next)
		return -ENOMEM;
	*next = *d->sb;
	next->flags = dmr_to_le32(dmr_le32(next->flags) & ~DMR_WITNESS);
	error = take_witness(d, next);
	if (!error) {
		dmr_holder_clear(next);
		dmr_scan_store(d, next);
		next->live_remaps = dmr_to_le64(d->table.counts.used);
		next->flags = dmr_to_le32(dmr_le32(next->flags) | DMR_CLEAN);
		error = dmr_superblock_write(d, next, 1);
	}
	kfree(next);
	return error;
}

/* Nothing is written after it.  Does nothing when the pair is not open. */
void dmr_close(struct dmr_disk *d)
{
	unsigned int noio = memalloc_noio_save();
	int error = 0;

	WRITE_ONCE(d->closing, true); /* ends the waiting of messages */
	wake_up_all(&d->retry_wait);
	mutex_lock(&d->lock);
	if (d->open) {
		dmr_scan_stop(d);
		cancel_delayed_work_sync(&d->wake);
		dmr_wake_healer(d);
		flush_workqueue(d->wq);
		cancel_delayed_work_sync(&d->wake);
		if (!d->read_only && dmr_writable(d)) {
			if (d->erasure_count)
				dmr_commit(d);
			error = mark_clean(d);
		}
		flush_workqueue(d->wq);
		if (error || d->failed_before)
			DMWARN("%s: not closed clean (error %d): the next opener recovers as from a crash",
			       dmr_name(d), error);
		d->mappings_then = d->table.counts.used;
		d->open = false;
		dmr_holder_delist(d);
		forget(d);
	}
	mutex_unlock(&d->lock);
	memalloc_noio_restore(noio);
}
