// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The healer's own I/O, and all flushes: synchronous, at most DMR_IO_MAX bytes, from
 * memory that is mapped in the kernel, kmalloc()ed or vmalloc()ed.
 *
 * Bios come from a pool of the target's own, so that the healer always makes progress.
 * A resource error (memory, congestion) is tried again, with growing pauses, and then
 * returned; it says nothing about the place (P6).
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/vmalloc.h>

#include "dm-remap.h"

#define RESOURCE_TRIES 6 /* pauses of 1, 2, 4, 8, 16 ms */

enum dmr_error_class dmr_classify(int error)
{
	switch (error) {
	case 0:
		return DMR_CLASS_NONE;
	case -EIO:
	case -ENODATA:
	case -EILSEQ:
	case -EREMOTEIO:
	case -ETIMEDOUT:
		return DMR_CLASS_MEDIUM;
	case -ENODEV:
	case -ENXIO:
	case -ENOMEDIUM:
	case -ESHUTDOWN:
		return DMR_CLASS_GONE;
	case -ENOSPC:
	case -EDQUOT:
		return DMR_CLASS_NO_SPACE;
	default:
		return DMR_CLASS_RESOURCE;
	}
}

static void add_buffer(struct bio *bio, void *data, unsigned int length)
{
	while (length) {
		unsigned int offset = offset_in_page(data);
		unsigned int part = min_t(unsigned int, length, PAGE_SIZE - offset);
		struct page *page = is_vmalloc_addr(data) ? vmalloc_to_page(data) :
							    virt_to_page(data);

		__bio_add_page(bio, page, part, offset);
		data += part;
		length -= part;
	}
}

static int call_once(struct dmr_disk *d, enum dmr_side side, blk_opf_t opf, u64 offset,
		     void *data, unsigned int length)
{
	/* One page more than its size, for a buffer that does not begin with a page. */
	unsigned short pages = length ? DIV_ROUND_UP(length, PAGE_SIZE) + 1 : 0;
	struct bio *bio = bio_alloc_bioset(d->dev[side]->bdev, pages, opf, GFP_NOIO, &d->bios);
	int error;

	bio->bi_iter.bi_sector = offset / DMR_SECTOR_SIZE;
	if (length && is_vmalloc_addr(data) && op_is_write(opf))
		flush_kernel_vmap_range(data, length);
	add_buffer(bio, data, length);
	error = submit_bio_wait(bio);
	bio_put(bio);
	if (length && is_vmalloc_addr(data) && !op_is_write(opf))
		invalidate_kernel_vmap_range(data, length);
	return error;
}

/* A spare that is gone or has no room under it is no matter of slots. */
static void judge_spare(struct dmr_disk *d, blk_opf_t opf, int error)
{
	enum dmr_error_class class = dmr_classify(error);
	bool stored = !error && (opf & REQ_OP_MASK) == REQ_OP_WRITE;

	if (class == DMR_CLASS_GONE && !dmr_active(d, DMR_SPARE_GONE)) {
		DMERR("%s: spare %s does not answer (error %d)", dmr_name(d), d->path[DMR_SPARE],
		      error);
		dmr_raise(d, DMR_SPARE_GONE);
	} else if (!error) {
		dmr_clear(d, DMR_SPARE_GONE);
	}
	if (class == DMR_CLASS_NO_SPACE && !dmr_active(d, DMR_SPARE_FS_FULL)) {
		DMERR("%s: there is no room under spare %s; make some there", dmr_name(d),
		      d->path[DMR_SPARE]);
		dmr_raise(d, DMR_SPARE_FS_FULL);
	} else if (stored) {
		dmr_clear(d, DMR_SPARE_FS_FULL);
	}
}

int dmr_call(struct dmr_disk *d, enum dmr_side side, blk_opf_t opf, u64 offset, void *data,
	     unsigned int length)
{
	enum dmr_op op = !length ? DMR_OP_FLUSH : op_is_write(opf) ? DMR_OP_WRITE : DMR_OP_READ;
	unsigned int tried;
	int error;

	for (tried = 0;; tried++) {
		error = call_once(d, side, opf, offset, data, length);
		dmr_count_call(d, side, op, !error);
		if (dmr_classify(error) != DMR_CLASS_RESOURCE || op == DMR_OP_FLUSH ||
		    tried + 1 == RESOURCE_TRIES)
			break;
		msleep(1u << tried);
	}
	if (error)
		dmr_debug(2, "%s: %s of %u bytes at %llu of %s: error %d", dmr_name(d),
			  dmr_op_name(op), length, (unsigned long long)offset, d->path[side],
			  error);
	if (side == DMR_SPARE)
		judge_spare(d, opf, error);
	else if (dmr_classify(error) == DMR_CLASS_GONE && op != DMR_OP_FLUSH)
		dmr_breaker_gone(d, error); /* the healer's, and a flush may be a user's */
	return error;
}

int dmr_read(struct dmr_disk *d, enum dmr_side side, u64 offset, void *data, unsigned int length)
{
	return dmr_call(d, side, REQ_OP_READ, offset, data, length);
}

int dmr_write(struct dmr_disk *d, enum dmr_side side, u64 offset, const void *data,
	      unsigned int length)
{
	return dmr_call(d, side, REQ_OP_WRITE | REQ_SYNC, offset, (void *)data, length);
}

/*
 * What can be read of [offset, offset + length), by logical block where not at once;
 * *bad has a bit for each sector from offset on that can not, and zeros are in its
 * place.  An error is one that is not the medium's.
 */
int dmr_salvage(struct dmr_disk *d, enum dmr_side side, u64 offset, u8 *data, unsigned int length,
		u8 *bad)
{
	unsigned int at, tried, grain = d->logical_block;
	int error = dmr_read(d, side, offset, data, length);

	*bad = 0;
	if (dmr_classify(error) != DMR_CLASS_MEDIUM)
		return error;
	for (at = 0; at < length; at += grain) {
		for (tried = 0; tried <= READ_ONCE(d->parameters.read_retries); tried++) {
			error = dmr_read(d, side, offset + at, data + at, grain);
			if (dmr_classify(error) != DMR_CLASS_MEDIUM)
				break;
		}
		if (dmr_classify(error) == DMR_CLASS_MEDIUM) {
			memset(data + at, 0, grain);
			*bad |= dmr_sectors(at, at + grain);
		} else if (error) {
			return error;
		}
	}
	return 0;
}
