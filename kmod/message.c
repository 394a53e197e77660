// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages: the grammar of the daemon's control/message, with answers.
 *
 * A range is worked off a few blocks at a time, never beyond a region, so that a gate
 * is closed only for so long and suspend need not wait for the end.
 *
 * d->lock is held while the pair must stay open.  What the healer shall do is an order
 * on this stack, waited for; so is a parameter, for the superblock is the healer's.
 */
#include <linux/kstrtox.h>

#include "demo.h"

#define BLOCKS_AT_ONCE 8
#define EMIT(...) (at += scnprintf(result + at, maxlen - at, __VA_ARGS__))

/* Device-mapper gives an answer back with 1; an errno goes without one, so it is logged. */
static int refuse(struct dmr_disk *d, int error, const char *why)
{
	DMERR("%s: %s", dmr_name(d), why);
	return error;
}

static const char *reason(enum dmr_order_kind kind, int error)
{
	switch (error) {
	case -ENODATA:
		return "sectors of it are lost; write them, or try salvage, or, where main may still have all of them, bring it back by force";
	case -EAGAIN:
		return "pages of the entry table are retired; load the table anew first";
	case -ENOSPC:
		return "no slot is left on the spare, or there is no room under it";
	case -EROFS:
		return "the disk is read-only";
	case -EIO:
		return kind == DMR_ORDER_UNMAP ?
			       "main does not take the data, or the spare can not be read or written" :
			       "main can not be read at all, or the spare not be written";
	default:
		return "see the log";
	}
}

static int do_order(struct dmr_disk *d, struct dmr_order *order)
{
	DECLARE_COMPLETION_ONSTACK(done);
	bool open;

	mutex_lock(&d->lock);
	open = d->open;
	if (open) {
		order->done = &done;
		dmr_heal_order(d, order);
		wait_for_completion(&done);
	}
	mutex_unlock(&d->lock);
	return open ? 0 : -ENODEV;
}

static int move_range(struct dmr_disk *d, enum dmr_order_kind kind, u64 sector, u64 count,
		      bool force, char *result, unsigned int maxlen)
{
	u64 sectors = d->size / DMR_SECTOR_SIZE, changed = 0, unchanged = 0, refused = 0;
	u64 block = sector / DMR_SECTORS_PER_BLOCK, last, bad_block = 0;
	unsigned int at = 0;
	int error = 0;

	if (!count || sector >= sectors || count > sectors - sector)
		return refuse(d, -EINVAL, "the range is not within the disk");
	last = (sector + count - 1) / DMR_SECTORS_PER_BLOCK;
	while (block <= last) {
		struct dmr_order order = {
			.kind = kind,
			.force = force,
			.first = block,
			.last = min(last, (block | (BLOCKS_AT_ONCE - 1))),
		};

		if (do_order(d, &order))
			return refuse(d, -ENODEV, "the device is suspended");
		changed += order.changed;
		unchanged += order.unchanged;
		refused += order.refused;
		if (order.error && !error) {
			error = order.error;
			bad_block = order.error_block;
		}
		block = order.last + 1;
		/* Nothing of what follows could end otherwise. */
		if (order.error == -EROFS || order.error == -ENOSPC)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (READ_ONCE(d->suspending) && block <= last)
			return refuse(d, -EINTR, "the device is being suspended before the whole range is done; give the message again afterwards");
	}
	EMIT("changed_blocks %llu\nunchanged_blocks %llu\nrefused_blocks %llu\n", changed,
	     unchanged, refused);
	if (error)
		EMIT("first_refused_sector %llu\nthe block at sector %llu was left as it was: %s\n",
		     dmr_first_sector(bad_block), dmr_first_sector(bad_block),
		     reason(kind, error));
	return 1;
}

/* With d->lock and d->pages_lock held. */
static int query(struct dmr_disk *d, u64 sector, char *result, unsigned int maxlen)
{
	u64 block = sector / DMR_SECTORS_PER_BLOCK, slot;
	unsigned int bit = sector % DMR_SECTORS_PER_BLOCK, at = 0;

	if (sector >= d->size / DMR_SECTOR_SIZE)
		return refuse(d, -EINVAL, "the disk has not so many sectors");
	EMIT("sector %llu\n", sector);
	for (slot = 0; slot < d->table.ready; slot++) {
		const struct dmr_entry *e = dmr_entry_at(d, slot);

		if (dmr_le64(e->main_block) != block || !dmr_slot_live(d, slot))
			continue;
		EMIT("place spare\nspare_sector %llu\nslot %llu\nreason %s\ntime %llu\nlost %u\nretry %u\n",
		     dmr_slot_offset(d->sb, slot) / DMR_SECTOR_SIZE + bit, slot,
		     dmr_reason_word(e->reason), dmr_le64(e->time), e->lost >> bit & 1,
		     e->retry >> bit & 1);
		return 1;
	}
	EMIT("place main\n");
	return 1;
}

static int salvage(struct dmr_disk *d, char *result, unsigned int maxlen)
{
	u64 before = d->totals.sectors_salvaged;
	unsigned int at = 0, ticket = 0;
	bool open;

	if (!dmr_writable(d))
		return refuse(d, -EROFS, "the disk is read-only");
	mutex_lock(&d->lock);
	open = d->open;
	if (open) {
		ticket = d->retry_asked + 1;
		WRITE_ONCE(d->retry_asked, ticket);
		dmr_wake_healer(d);
	}
	mutex_unlock(&d->lock);
	if (!open)
		return refuse(d, -ENODEV, "the device is suspended");
	if (wait_event_killable(d->retry_wait, (int)(READ_ONCE(d->retry_done) - ticket) >= 0 ||
						       READ_ONCE(d->closing) ||
						       READ_ONCE(d->suspending) ||
						       dmr_hibernating()))
		return -EINTR;
	if ((int)(READ_ONCE(d->retry_done) - ticket) < 0)
		return refuse(d, -EINTR, "the device is being suspended, or the machine, before all is tried; give the message again afterwards");
	EMIT("salvaged_sectors %llu\nlost_sectors %llu\nretry_sectors %llu\n",
	     d->totals.sectors_salvaged - before, d->table.counts.lost_sectors,
	     d->table.counts.retry_sectors);
	return 1;
}

static int set(struct dmr_disk *d, char **argv, char *result, unsigned int maxlen)
{
	struct dmr_order order = { .kind = DMR_ORDER_SET, .name = argv[1], .value = argv[2] };
	unsigned int at = 0;

	if (do_order(d, &order))
		return refuse(d, -ENODEV, "the device is suspended");
	if (order.error)
		return refuse(d, order.error, order.why);
	EMIT("%s %s\n", argv[1], argv[2]);
	return 1;
}

static int scan_verb(struct dmr_disk *d, const char *verb, u64 sector, u64 count, char *result,
		     unsigned int maxlen)
{
	struct dmr_order order = { .kind = DMR_ORDER_SCAN };
	unsigned int at = 0;
	int error;

	mutex_lock(&d->lock);
	error = d->open ? dmr_scan_order(d, verb, sector, count) : -ENODEV;
	mutex_unlock(&d->lock);
	if (!error && do_order(d, &order))
		error = -ENODEV;
	switch (error) {
	case 0:
		if (order.error)
			return refuse(d, order.error, "that could not be recorded on the spare");
		fallthrough;
	case -EALREADY:
		EMIT("scan %s\n", dmr_scan_state(d));
		return 1;
	case -ENODEV:
		return refuse(d, error, "the device is suspended");
	case -EROFS:
		return refuse(d, error, "the disk is read-only");
	case -ERANGE:
		return refuse(d, -EINVAL, "the range is not within the disk");
	case -EBUSY:
		return refuse(d, error, "a scan is under way; scan stop ends it");
	default:
		return refuse(d, error, "no scan is under way; begin one with scan start");
	}
}

static int scan_words(struct dmr_disk *d, unsigned int argc, char **argv, char *result,
		      unsigned int maxlen)
{
	static const char *const verbs[] = { "start", "stop", "pause", "resume" };
	u64 sector = 0, count = 0;
	int verb = argc < 2 ? -1 : match_string(verbs, ARRAY_SIZE(verbs), argv[1]);

	if (verb < 0 || (argc != 2 && (verb || argc != 4)))
		return refuse(d, -EINVAL, "expected scan start [SECTOR COUNT], scan stop, scan pause or scan resume");
	if (argc == 4 && (kstrtou64(argv[2], 10, &sector) || kstrtou64(argv[3], 10, &count) || !count))
		return refuse(d, -EINVAL, "that is no range of sectors");
	return scan_verb(d, argv[1], sector, count, result, maxlen);
}

static int list_messages(char *result, unsigned int maxlen)
{
	unsigned int at = 0;

	EMIT("help                          this list\n"
	     "status                        the status line\n"
	     "stats                         all counters, \"name value\" lines\n"
	     "health                        how the disk is, and what to do\n"
	     "clear_stats                   begin counting at 0 again\n"
	     "remap SECTOR [COUNT]          move the blocks of these sectors to the spare\n"
	     "unmap SECTOR [COUNT] [force]  move them back to main; force: also where sectors are lost that main may still have\n"
	     "query SECTOR                  where a sector is, and why\n"
	     "salvage                       try all lost sectors again\n"
	     "scan start [SECTOR COUNT]     read the disk, all or a part, and the metadata, and heal what is bad\n"
	     "scan stop | pause | resume    the scan that is under way\n"
	     "set PARAM VALUE               change a parameter\n"
	     "inject [FAULT]                in a demo: make a device fail, or list what fails; see dm-remap-v4.rst\n");
	return 1;
}

/* Those that only look, with d->lock held. */
static int look(struct dmr_disk *d, const char *verb, u64 sector, char *result,
		unsigned int maxlen)
{
	int length;

	if (!d->open)
		return refuse(d, -ENODEV, "the device is suspended");
	if (!strcmp(verb, "clear_stats")) {
		dmr_stats_clear(d);
		scnprintf(result, maxlen, "stats cleared\n");
		return 1;
	}
	mutex_lock(&d->pages_lock);
	if (!strcmp(verb, "query"))
		length = query(d, sector, result, maxlen);
	else if (!strcmp(verb, "stats"))
		length = dmr_stats_text(d, result, maxlen);
	else
		length = dmr_health_text(d, result, maxlen);
	mutex_unlock(&d->pages_lock);
	return length < 0 ? length : 1;
}

static int status(struct dmr_disk *d, char *result, unsigned int maxlen)
{
	unsigned int at = 0;

	EMIT("%llu %llu %s ", (u64)d->ti->begin, (u64)d->ti->len, d->ti->type->name);
	dmr_status(d->ti, STATUSTYPE_INFO, 0, result + at, maxlen - at);
	return 1;
}

int dmr_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		unsigned int maxlen)
{
	struct dmr_disk *d = ti->private;
	const char *verb = argv[0];
	u64 sector = 0, count = 1;
	bool force = false;
	int answer;

	if (!strcmp(verb, "help") && argc == 1)
		return list_messages(result, maxlen);
	if (!strcmp(verb, "status") && argc == 1)
		return status(d, result, maxlen);
	if (!strcmp(verb, "salvage") && argc == 1)
		return salvage(d, result, maxlen);
	if (!strcmp(verb, "set") && argc == 3)
		return set(d, argv, result, maxlen);
	if (!strcmp(verb, "scan"))
		return scan_words(d, argc, argv, result, maxlen);
	if (!strcmp(verb, "inject"))
		return dmr_inject(d, argc - 1, argv + 1, result, maxlen);
	if (!strcmp(verb, "unmap") && argc > 2 && !strcmp(argv[argc - 1], "force")) {
		force = true;
		argc--;
	}
	if (argc > 1 && kstrtou64(argv[1], 10, &sector))
		return refuse(d, -EINVAL, "that is no sector");
	if (argc > 2 && kstrtou64(argv[2], 10, &count))
		return refuse(d, -EINVAL, "that is no number of sectors");
	if (!strcmp(verb, "remap") && (argc == 2 || argc == 3))
		return move_range(d, DMR_ORDER_REMAP, sector, count, false, result, maxlen);
	if (!strcmp(verb, "unmap") && (argc == 2 || argc == 3))
		return move_range(d, DMR_ORDER_UNMAP, sector, count, force, result, maxlen);
	if (!(argc == 1 && (!strcmp(verb, "stats") || !strcmp(verb, "health") ||
			    !strcmp(verb, "clear_stats"))) &&
	    !(argc == 2 && !strcmp(verb, "query")))
		return refuse(d, -EINVAL, "no such message; see: dmsetup message DEVICE 0 help");
	mutex_lock(&d->lock);
	answer = look(d, verb, sector, result, maxlen);
	mutex_unlock(&d->lock);
	return answer;
}
