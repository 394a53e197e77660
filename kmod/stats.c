// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters: per CPU, added up by readers.  clear_stats does not touch them, for their
 * writers never look back; what they stood at is taken off when they are read.
 */
#include "dm-remap.h"

static const char *const op_names[DMR_OPS] = { "read", "write", "zero", "discard", "flush" };

const char *dmr_op_name(enum dmr_op op)
{
	return op_names[op];
}

enum dmr_op dmr_op_of(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return DMR_OP_READ;
	case REQ_OP_DISCARD:
		return DMR_OP_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return DMR_OP_ZERO;
	case REQ_OP_WRITE:
		return (bio->bi_opf & REQ_PREFLUSH) && !bio_sectors(bio) ? DMR_OP_FLUSH :
									   DMR_OP_WRITE;
	default:
		return DMR_OP_FLUSH;
	}
}

/* Time from submission to completion.  Any context. */
void dmr_count_bio(struct dmr_disk *d, enum dmr_op op, bool ok, unsigned int bytes, u64 ns)
{
	unsigned int bucket = min_t(unsigned int, fls64(ns), DMR_LATENCY_BUCKETS - 1);

	if (!ok) {
		this_cpu_inc(d->stats->op[op].failed);
		return;
	}
	this_cpu_inc(d->stats->op[op].completed);
	this_cpu_add(d->stats->op[op].bytes, bytes);
	this_cpu_add(d->stats->op[op].time_ns, ns);
	this_cpu_inc(d->stats->op[op].latency[bucket]);
}

void dmr_count_call(struct dmr_disk *d, enum dmr_side side, enum dmr_op op, bool ok)
{
	if (likely(ok))
		this_cpu_inc(d->stats->ok[side][op]);
	else
		this_cpu_inc(d->stats->errors[side][op]);
}

/* The users', well or not. */
u64 dmr_bios_ended(struct dmr_disk *d)
{
	unsigned int op;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct dmr_stats *stats = per_cpu_ptr(d->stats, cpu);

		for (op = 0; op < DMR_OPS; op++)
			sum += READ_ONCE(stats->op[op].completed) + READ_ONCE(stats->op[op].failed);
	}
	return sum;
}

u64 dmr_main_successes(struct dmr_disk *d, bool write)
{
	enum dmr_op op = write ? DMR_OP_WRITE : DMR_OP_READ;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(d->stats, cpu)->ok[DMR_MAIN][op]);
	return sum;
}

/* Calls that it failed, since the table was made. */
u64 dmr_main_errors(struct dmr_disk *d)
{
	unsigned int op;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		for (op = 0; op < DMR_OPS; op++)
			sum += READ_ONCE(per_cpu_ptr(d->stats, cpu)->errors[DMR_MAIN][op]);
	return sum;
}

/* All of struct dmr_stats is u64. */
static void add_up(struct dmr_disk *d, struct dmr_stats *sum)
{
	u64 *to = (u64 *)sum;
	size_t i;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const u64 *from = (const u64 *)per_cpu_ptr(d->stats, cpu);

		for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
			to[i] += READ_ONCE(from[i]);
	}
}

void dmr_stats_sum(struct dmr_disk *d, struct dmr_stats *sum)
{
	u64 *to = (u64 *)sum, *off = (u64 *)d->cleared;
	size_t i;

	spin_lock(&d->totals_lock);
	add_up(d, sum);
	for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
		to[i] -= off[i];
	spin_unlock(&d->totals_lock);
}

/* With d->lock held. */
void dmr_stats_clear(struct dmr_disk *d)
{
	spin_lock(&d->totals_lock);
	add_up(d, d->cleared);
	d->totals_cleared = d->totals;
	spin_unlock(&d->totals_lock);
}

u64 dmr_errors(const struct dmr_stats *sum, enum dmr_side side)
{
	u64 errors = 0;
	unsigned int op;

	for (op = 0; op < DMR_OPS; op++)
		errors += sum->errors[side][op];
	return errors;
}

/* The upper end of the bucket in which that share of the completed lies. */
static u64 percentile(const u64 *latency, u64 completed, unsigned int per_mille)
{
	u64 want = DIV_ROUND_UP_ULL(completed * per_mille, 1000), seen = 0;
	unsigned int i;

	for (i = 0; i < DMR_LATENCY_BUCKETS; i++) {
		seen += latency[i];
		if (completed && seen >= want)
			return 1ull << i;
	}
	return 0;
}

#define EMIT(...) (at += scnprintf(text + at, room - at, __VA_ARGS__))

/* "name value" lines, the daemon's names.  Returns their length. */
int dmr_stats_text(struct dmr_disk *d, char *text, unsigned int room)
{
	static const struct {
		const char *name;
		unsigned int per_mille;
	} percentiles[] = { { "p50", 500 }, { "p90", 900 }, { "p99", 990 }, { "p999", 999 } };
	struct dmr_stats *sum = kmalloc(sizeof(*sum), GFP_NOIO);
	const struct dmr_counts *c = &d->table.counts;
	const struct dmr_totals *t = &d->totals, *off = &d->totals_cleared;
	unsigned int op, i, at = 0;

	if (!sum)
		return -ENOMEM;
	dmr_stats_sum(d, sum);
	EMIT("size_bytes %llu\n", d->size);
	for (op = 0; op < DMR_OPS; op++) {
		EMIT("%s_completed %llu\n%s_time_ns %llu\n", op_names[op], sum->op[op].completed,
		     op_names[op], sum->op[op].time_ns);
		for (i = 0; i < ARRAY_SIZE(percentiles); i++)
			EMIT("%s_%s_ns %llu\n", op_names[op], percentiles[i].name,
			     percentile(sum->op[op].latency, sum->op[op].completed,
					percentiles[i].per_mille));
		EMIT("%s_failed %llu\n%s_bytes %llu\n", op_names[op], sum->op[op].failed,
		     op_names[op], sum->op[op].bytes);
	}
	EMIT("main_errors %llu\n", dmr_errors(sum, DMR_MAIN));
	for (op = 0; op < DMR_OPS; op++)
		EMIT("main_%s_errors %llu\n", op_names[op], sum->errors[DMR_MAIN][op]);
	EMIT("spare_errors %llu\n", dmr_errors(sum, DMR_SPARE));
	for (op = 0; op < DMR_OPS; op++)
		EMIT("spare_%s_errors %llu\n", op_names[op], sum->errors[DMR_SPARE][op]);
	EMIT("remaps %llu\n", t->remaps - off->remaps);
	for (i = DMR_REASON_WRITE; i <= DMR_REASON_LAST; i++)
		EMIT("remaps_%s %llu\n", dmr_reason_word(i), t->by_reason[i] - off->by_reason[i]);
	EMIT("moves %llu\nunmaps %llu\n", t->moves - off->moves, t->unmaps - off->unmaps);
	EMIT("sectors_lost %llu\nsectors_salvaged %llu\n", t->sectors_lost - off->sectors_lost,
	     t->sectors_salvaged - off->sectors_salvaged);
	EMIT("commits %llu\n", t->commits - off->commits);
	EMIT("active_mappings %llu\nlost_sectors %llu\nretry_sectors %llu\n", c->used,
	     c->lost_sectors, c->retry_sectors);
	EMIT("slots %llu\nslots_used %llu\nslots_bad %llu\nslots_free %llu\nretired_pages %llu\n",
	     d->table.slots, c->used, c->bad, dmr_free_slots(d), c->retired_pages);
	EMIT("scan_state %s\nscan_cursor_sector %llu\nscan_passes %llu\nscan_found %llu\n",
	     dmr_scan_state(d), dmr_first_sector(READ_ONCE(d->scan.cursor)), d->scan.passes,
	     d->scan.found);
	EMIT("weak_blocks %u\nmetadata_repairs %llu\n", READ_ONCE(d->scan.weak_blocks),
	     READ_ONCE(d->scan.repairs));
	kfree(sum);
	return at;
}
