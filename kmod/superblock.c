// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The superblock copies: which counts, and how it is brought up to date.
 *
 * format.h judges each copy by itself.  Two valid copies with two UUIDs, or of one
 * sequence with two contents, are refused, and so is any copy of an unknown version:
 * the newest truth may be one that this code can not read.  A read that fails for
 * another reason than the medium says nothing about the copy: then nothing is opened.
 *
 * Update: the copies that do not hold the newest are in the first half, and at least
 * one that does is in the second.  First half, flush, second half, flush: the half that
 * is not under the pen holds a whole superblock, and the newest is never under the pen
 * while it is the only one.  Before a session's first update the spare is flushed once,
 * for a writer that was killed may have left its last half in the drive's cache.
 *
 * An update that no copy is known to hold uses its sequence up all the same, for a copy
 * that could not be read back may hold it.  An opener jumps SEQUENCE_SKIP ahead, so
 * that its update is newer than any of those; therefore no more than FAILURES_MAX such
 * updates follow each other.
 *
 * The constructor, then resume, suspend and the healer, never two at once.
 */
#include "dm-remap.h"

#define SEQUENCE_SKIP 16
#define FAILURES_MAX (SEQUENCE_SKIP - 2)

static bool same_update(const struct dmr_superblock *a, const struct dmr_superblock *b)
{
	return !memcmp(a, b, offsetof(struct dmr_superblock, crc));
}

static int refuse(struct dmr_disk *d, const char *what)
{
	DMERR("%s: %s; nothing was changed, see dmremapctl examine", d->path[DMR_SPARE], what);
	return -EINVAL;
}

/* Of all valid copies, for who made an older one wrote more than this one truth, too. */
static int check_against(struct dmr_disk *d, const struct dmr_superblock *found,
			 const struct dmr_superblock *other)
{
	if (memcmp(found->uuid, other->uuid, sizeof(found->uuid)))
		return refuse(d, "superblock copies of two different spares");
	if (found->sequence == other->sequence && !same_update(found, other))
		return refuse(d, "two superblock copies of one sequence differ");
	return 0;
}

struct scan {
	struct dmr_superblock *copies; /* those that are valid */
	enum dmr_verdict verdict[DMR_COPIES_MAX];
	bool unreadable[DMR_COPIES_MAX];
	unsigned int count;
	int newest;
};

static int scan_copies(struct dmr_disk *d, struct scan *scan)
{
	unsigned int i, j;
	int error;

	scan->newest = -1;
	for (i = 0; i < scan->count; i++) {
		struct dmr_superblock *found = &scan->copies[i];

		error = dmr_read(d, DMR_SPARE, dmr_copy_offsets[i], found, sizeof(*found));
		if (error && dmr_classify(error) != DMR_CLASS_MEDIUM) {
			DMERR("%s: superblock copy %u can not be read (error %d); this is not the medium's fault, try again",
			      d->path[DMR_SPARE], i, error);
			return error;
		}
		scan->unreadable[i] = error;
		if (error)
			continue;
		scan->verdict[i] = dmr_superblock_verdict(found, dmr_copy_offsets[i]);
		if (scan->verdict[i] == DMR_BAD_VERSION)
			return refuse(d, "a superblock copy is of an unknown version");
		if (scan->verdict[i] == DMR_BAD_FEATURES)
			return refuse(d, "a superblock copy has unknown features");
		if (scan->verdict[i] != DMR_OK)
			continue;
		for (j = 0; j < i; j++) {
			if (scan->unreadable[j] || scan->verdict[j] != DMR_OK)
				continue;
			error = check_against(d, found, &scan->copies[j]);
			if (error)
				return error;
		}
		if (scan->newest < 0 || dmr_superblock_newer(found, &scan->copies[scan->newest]))
			scan->newest = i;
	}
	return 0;
}

static int refuse_without_copy(struct dmr_disk *d, const struct scan *scan)
{
	unsigned int i;

	for (i = 0; i < scan->count; i++)
		if (scan->unreadable[i] || scan->verdict[i] != DMR_NOT_OURS)
			return refuse(d, "no superblock copy is whole");
	DMERR("%s is not a dm-remap spare; make it one with: dmremapctl format --main %s --spare %s",
	      d->path[DMR_SPARE], d->path[DMR_MAIN], d->path[DMR_SPARE]);
	return -EINVAL;
}

/* Reads all copies and takes over the one that counts.  Writes nothing. */
int dmr_superblock_load(struct dmr_disk *d)
{
	struct scan scan = { .count = dmr_copies(bdev_nr_bytes(d->dev[DMR_SPARE]->bdev)) };
	unsigned int i;
	int error;

	if (scan.count < DMR_COPIES_MIN) {
		DMERR("%s has %llu bytes; a spare has at least %llu", d->path[DMR_SPARE],
		      (unsigned long long)bdev_nr_bytes(d->dev[DMR_SPARE]->bdev), DMR_SPARE_MIN);
		return -EINVAL;
	}
	scan.copies = kvcalloc(scan.count, sizeof(*scan.copies), GFP_KERNEL);
	if (!scan.copies)
		return -ENOMEM;
	error = scan_copies(d, &scan);
	if (!error && scan.newest < 0)
		error = refuse_without_copy(d, &scan);
	if (!error) {
		*d->sb = scan.copies[scan.newest];
		d->missed = false;
		d->flushed_once = false;
		d->sb_failures = 0;
		for (i = 0; i < scan.count; i++) {
			bool valid = !scan.unreadable[i] && scan.verdict[i] == DMR_OK;

			d->newest[i] = valid && same_update(&scan.copies[i], d->sb);
			d->missed |= !valid;
		}
	}
	kvfree(scan.copies);
	return error;
}

/* How far an opener's first update goes on: a copy it could not read may be ahead. */
u64 dmr_opening_skip(struct dmr_disk *d)
{
	return d->missed ? 2 * SEQUENCE_SKIP : SEQUENCE_SKIP;
}

static int write_copy(struct dmr_disk *d, unsigned int i)
{
	struct dmr_superblock *image = d->sb_image;
	int error;

	*image = *d->sb;
	image->crc = dmr_to_le32(dmr_superblock_crc(image, dmr_copy_offsets[i]));
	error = dmr_write(d, DMR_SPARE, dmr_copy_offsets[i], image, sizeof(*image));
	if (error)
		error = dmr_write(d, DMR_SPARE, dmr_copy_offsets[i], image, sizeof(*image));
	d->newest[i] = !error;
	return error;
}

/* 0: durable in at least one copy.  Otherwise the old superblock is there, or the new one. */
int dmr_superblock_write(struct dmr_disk *d, const struct dmr_superblock *next, u64 skip)
{
	unsigned int copies = dmr_copies(bdev_nr_bytes(d->dev[DMR_SPARE]->bdev));
	unsigned int first[DMR_COPIES_MAX], second[DMR_COPIES_MAX], good = 0, nth = 0;
	unsigned int firsts = 0, seconds = 0, written = 0, i, from = 0;
	u64 sequence = dmr_le64(d->sb->sequence) + skip;
	int error = 0, failed;

	if (d->sb_failures == FAILURES_MAX)
		return -EIO;
	if (!d->flushed_once) {
		error = dmr_flush(d, DMR_SPARE);
		if (error)
			return error;
		d->flushed_once = true;
	}
	for (i = 0; i < copies; i++)
		good += d->newest[i];
	for (i = 0; i < copies; i++) {
		if (!d->newest[i] || nth++ < good / 2)
			first[firsts++] = i;
		else
			second[seconds++] = i;
	}
	d->sb_failures++;
	if (next != d->sb)
		*d->sb = *next;
	d->sb->sequence = dmr_to_le64(sequence);
	d->sb->written = dmr_to_le64(ktime_get_real_seconds());
	for (i = 0; i < firsts; i++) {
		failed = write_copy(d, first[i]);
		if (failed)
			error = failed;
		else
			written++;
	}
	/* The last good one is not put at risk. */
	while (!written && from + 1 < seconds) {
		error = write_copy(d, second[from++]);
		written = !error;
	}
	if (!written)
		return error ? error : -EIO;
	error = dmr_flush(d, DMR_SPARE);
	if (error)
		return error;
	d->sb_failures = 0;
	for (i = from; i < seconds; i++)
		write_copy(d, second[i]);
	return dmr_flush(d, DMR_SPARE);
}

static bool holds_newest(struct dmr_disk *d, unsigned int i)
{
	struct dmr_superblock *found = d->sb_image;

	return !dmr_read(d, DMR_SPARE, dmr_copy_offsets[i], found, sizeof(*found)) &&
	       dmr_superblock_verdict(found, dmr_copy_offsets[i]) == DMR_OK &&
	       same_update(found, d->sb);
}

/* Whether a copy on the spare is what was last written. */
bool dmr_superblock_still_there(struct dmr_disk *d)
{
	unsigned int i, copies = dmr_copies(bdev_nr_bytes(d->dev[DMR_SPARE]->bdev));

	for (i = 0; i < copies; i++)
		if (holds_newest(d, i))
			return true;
	return false;
}

/* Copies that did not take the last update, or were found not to hold it. */
unsigned int dmr_superblocks_bad(struct dmr_disk *d)
{
	unsigned int i, bad = 0, copies = dmr_copies(bdev_nr_bytes(d->dev[DMR_SPARE]->bdev));

	for (i = 0; i < copies; i++)
		bad += !d->newest[i];
	return bad;
}

/*
 * Reads every copy again.  How many do not hold what was last written, so that the next
 * update goes to them first; 0 as well when none does, for then there is no order in which
 * to write them.  Writes nothing.
 */
unsigned int dmr_superblock_check(struct dmr_disk *d)
{
	unsigned int i, copies = dmr_copies(bdev_nr_bytes(d->dev[DMR_SPARE]->bdev));
	bool holds[DMR_COPIES_MAX], any = false;

	for (i = 0; i < copies; i++) {
		holds[i] = holds_newest(d, i);
		any |= holds[i];
	}
	if (!any)
		return 0;
	memcpy(d->newest, holds, copies * sizeof(*holds));
	return dmr_superblocks_bad(d);
}

/* The superblock against the devices as they are now. */
int dmr_check_geometry(struct dmr_disk *d)
{
	const struct dmr_superblock *sb = d->sb;
	struct block_device *main = d->dev[DMR_MAIN]->bdev, *spare = d->dev[DMR_SPARE]->bdev;
	u64 main_size = bdev_nr_bytes(main), spare_size = bdev_nr_bytes(spare);
	unsigned int main_lb = bdev_logical_block_size(main);
	unsigned int spare_lb = bdev_logical_block_size(spare);

	if (d->has_uuid && memcmp(d->uuid, sb->uuid, sizeof(d->uuid))) {
		DMERR("%s has the UUID %pUb, not the %pUb of the table: it is another spare",
		      d->path[DMR_SPARE], sb->uuid, d->uuid);
		return -EINVAL;
	}
	if (spare_size < dmr_le64(sb->spare_size)) {
		DMERR("%s has %llu bytes, but was formatted with %llu: it is cut short, or a partial copy",
		      d->path[DMR_SPARE], (unsigned long long)spare_size,
		      (unsigned long long)dmr_le64(sb->spare_size));
		return -EINVAL;
	}
	if (main_size != dmr_le64(sb->main_size)) {
		DMERR("%s has %llu bytes, but the main of spare %s has %llu: this is not its main device",
		      d->path[DMR_MAIN], (unsigned long long)main_size, d->path[DMR_SPARE],
		      (unsigned long long)dmr_le64(sb->main_size));
		return -EINVAL;
	}
	if (main_lb > DMR_BLOCK_SIZE || spare_lb > main_lb ||
	    spare_lb > dmr_le32(sb->main_logical_block)) {
		DMERR("%s has logical blocks of %u bytes, the spare %s of %u; main's must be at most 4096, and not below the spare's nor the spare's above the %u of the format",
		      d->path[DMR_MAIN], main_lb, d->path[DMR_SPARE], spare_lb,
		      dmr_le32(sb->main_logical_block));
		return -EINVAL;
	}
	if (d->read_only)
		return 0;
	if (bdev_physical_block_size(spare) > dmr_le32(sb->page_size)) {
		DMERR("%s has physical blocks of %u bytes, its metadata pages have %u: a power cut could destroy two at once; load a read-only table and copy it",
		      d->path[DMR_SPARE], bdev_physical_block_size(spare), dmr_le32(sb->page_size));
		return -EINVAL;
	}
	if (dmr_le32(sb->ro_compat) & ~DMR_RO_COMPAT_KNOWN) {
		DMERR("%s has features that this version can only read; load a read-only table",
		      d->path[DMR_SPARE]);
		return -EINVAL;
	}
	return 0;
}
