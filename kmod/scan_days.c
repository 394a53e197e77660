// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The history: how many blocks were remapped and sectors lost day by day, and how many
 * calls main failed (FORMAT.md, History).  For people only, and noted as the daemon does:
 * with every record of the scan and at closing; of a disk that stays open for days, once
 * each day.
 */
#include "dm-remap.h"

#define SECONDS_A_DAY 86400u
#define LOOKS_FOR_A_NEW_DAY (3600ul * HZ)

static __le32 clipped(u64 n)
{
	return dmr_to_le32(min_t(u64, n, U32_MAX));
}

void dmr_days_load(struct dmr_disk *d)
{
	struct dmr_scan *s = &d->scan;
	unsigned int days = dmr_history_days(d->sb);

	memset(s->days, 0, sizeof(s->days));
	memcpy(s->days, d->sb->history, days * sizeof(*s->days));
	s->noted = jiffies;
}

/* Days after today were noted by a clock that was ahead; before `created` this one is behind. */
static void note_day(struct dmr_day *days, u64 created, u64 now, struct dmr_day today)
{
	u32 number = dmr_le32(today.day), count = 0;

	if (now < created || !number)
		return;
	while (count < DMR_HISTORY_DAYS && days[count].day && dmr_le32(days[count].day) <= number)
		count++;
	memset(days + count, 0, (DMR_HISTORY_DAYS - count) * sizeof(*days));
	if (count && dmr_le32(days[count - 1].day) == number) {
		count--;
		today.errors = clipped((u64)dmr_le32(days[count].errors) + dmr_le32(today.errors));
	} else if (count == DMR_HISTORY_DAYS) {
		count--;
		memmove(days, days + 1, count * sizeof(*days));
	}
	days[count] = today;
}

void dmr_days_store(struct dmr_disk *d, struct dmr_superblock *sb)
{
	struct dmr_scan *s = &d->scan;
	u64 now = ktime_get_real_seconds(), errors = dmr_main_errors(d);
	struct dmr_day today = {
		.day = clipped(div_u64(now, SECONDS_A_DAY)),
		.remaps = clipped(d->table.counts.used),
		.lost = clipped(d->table.counts.lost_sectors),
		.errors = clipped(errors - s->errors_noted),
	};

	note_day(s->days, dmr_le64(sb->created), now, today);
	s->errors_noted = errors;
	memcpy(sb->history, s->days, sizeof(sb->history));
}

bool dmr_day_is_missing(struct dmr_disk *d)
{
	struct dmr_scan *s = &d->scan;
	u32 today = div_u64(ktime_get_real_seconds(), SECONDS_A_DAY);
	unsigned int i;

	if (time_before(jiffies, s->noted + LOOKS_FOR_A_NEW_DAY))
		return false;
	s->noted = jiffies;
	for (i = 0; i < DMR_HISTORY_DAYS; i++)
		if (dmr_le32(s->days[i].day) == today)
			return false;
	return true;
}
