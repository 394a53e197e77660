// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The status line, the table line, and the health text.
 *
 *   v4.0-real <main> <spare> <reads> <writes> <remaps> <errors> <active_mappings>
 *   <io_ops> <total_time_ns> real|demo
 *
 * reads, writes: completed; remaps: made since the table was loaded; errors: of the
 * devices; total_time_ns: of reads and writes from submission to completion.
 * Blanks and backslashes in paths are octal, as in /proc/mounts; in the table line a
 * backslash comes before them, as device-mapper reads them.
 */
#include "dm-remap.h"

static const char *const reasons[] = { "none",	 "write_error", "read_error", "scan",
				       "manual", "import",	"slow" };

const char *dmr_reason_word(u8 reason)
{
	return reason < ARRAY_SIZE(reasons) ? reasons[reason] : "unknown";
}

/* Appends to result; DMEMIT's manner: nothing past maxlen. */
static unsigned int emit_path(char *result, unsigned int sz, unsigned int maxlen, const char *path,
			      bool octal)
{
	for (; *path; path++) {
		u8 c = *path;

		if (c > ' ' && c != '\\' && c != 0x7f)
			DMEMIT("%c", c);
		else if (octal)
			DMEMIT("\\%03o", c);
		else
			DMEMIT("\\%c", c);
	}
	return sz;
}

static unsigned int emit_numbers(struct dmr_disk *d, char *result, unsigned int sz,
				 unsigned int maxlen)
{
	struct dmr_stats *sum = kmalloc(sizeof(*sum), GFP_NOIO);
	u64 reads, writes;

	if (!sum) {
		DMEMIT("not enough memory");
		return sz;
	}
	dmr_stats_sum(d, sum);
	reads = sum->op[DMR_OP_READ].completed;
	writes = sum->op[DMR_OP_WRITE].completed + sum->op[DMR_OP_ZERO].completed;
	DMEMIT(" %llu %llu %llu %llu %llu %llu %llu %s", reads, writes,
	       d->totals.remaps - d->totals_cleared.remaps,
	       dmr_errors(sum, DMR_MAIN) + dmr_errors(sum, DMR_SPARE),
	       READ_ONCE(d->open) ? READ_ONCE(d->table.counts.used) : d->mappings_then,
	       reads + writes,
	       sum->op[DMR_OP_READ].time_ns + sum->op[DMR_OP_WRITE].time_ns +
		       sum->op[DMR_OP_ZERO].time_ns,
	       d->demo ? "demo" : "real");
	kfree(sum);
	return sz;
}

void dmr_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		unsigned int maxlen)
{
	struct dmr_disk *d = ti->private;
	unsigned int sz = 0, features = d->has_uuid + d->has_machine + d->take_over;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("v4.0-real ");
		sz = emit_path(result, sz, maxlen, d->path[DMR_MAIN], true);
		DMEMIT(" ");
		sz = emit_path(result, sz, maxlen, d->path[DMR_SPARE], true);
		emit_numbers(d, result, sz, maxlen);
		break;
	case STATUSTYPE_TABLE:
		sz = emit_path(result, sz, maxlen, d->path[DMR_MAIN], false);
		DMEMIT(" ");
		sz = emit_path(result, sz, maxlen, d->path[DMR_SPARE], false);
		if (features)
			DMEMIT(" %u", features);
		if (d->has_uuid)
			DMEMIT(" uuid=%pUb", d->uuid);
		if (d->has_machine)
			DMEMIT(" machine=%*phN", (int)sizeof(d->machine), d->machine);
		if (d->take_over)
			DMEMIT(" take_over");
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",uuid=%pUb;", d->sb->uuid);
		break;
	}
}

#define EMIT(...) (at += scnprintf(text + at, room - at, __VA_ARGS__))

int dmr_health_text(struct dmr_disk *d, char *text, unsigned int room)
{
	const struct dmr_counts *c = &d->table.counts;
	unsigned long active = READ_ONCE(d->causes);
	unsigned int i, at = 0;
	u64 free = dmr_free_slots(d);

	EMIT("state %s\ncauses", dmr_state_name(dmr_state(d)));
	for (i = 0; i < DMR_CAUSES; i++)
		if (active & BIT(i))
			EMIT(" %s", dmr_cause_name(i));
	EMIT("%s\n", active ? "" : " none");
	EMIT("remapped_blocks %llu\nlost_sectors %llu\nretry_sectors %llu\n", c->used,
	     c->lost_sectors, c->retry_sectors);
	EMIT("slots_free %llu\nslots_free_percent %llu\nretired_pages %llu\n", free,
	     free * 100 / max(d->table.slots, 1ull), c->retired_pages);
	EMIT("weak_blocks %u\n", READ_ONCE(d->scan.weak_blocks));
	if (active & (BIT(DMR_BREAKER) | BIT(DMR_DEVICE_GONE) | BIT(DMR_SPARE_GONE)))
		EMIT("advice look at cables and power; nothing is moved until the device answers again\n");
	else if (active & BIT(DMR_LOST_PAGES))
		EMIT("advice copy the disk now, while it is open: pages of the entry table have no good copy left, and the pair will not open again but for rescue\n");
	else if (active & (BIT(DMR_FLUSH_FAILED) | BIT(DMR_COMMIT_FAILED)))
		EMIT("advice load the table anew; what was written since the last flush may be lost\n");
	else if (active & (BIT(DMR_SPARE_FULL) | BIT(DMR_SPARE_FS_FULL) | BIT(DMR_SPARE_LOW)))
		EMIT("advice copy the disk while it can be, or unmap blocks that main holds well again\n");
	else if (active & (BIT(DMR_SPARE_UNWRITABLE) | BIT(DMR_RETIRED_PAGES) |
			   BIT(DMR_METADATA_IN_DOUBT)))
		EMIT("advice look at the spare: it fails, too; loading the table anew tries its pages again\n");
	else if (c->lost_sectors)
		EMIT("advice run salvage; restore the files concerned, for writing a lost sector heals it\n");
	else if (READ_ONCE(d->scan.weak_blocks))
		EMIT("advice set relocate_weak Y and scan, to move the weak blocks while they can be read\n");
	else
		EMIT("advice none\n");
	return at;
}
