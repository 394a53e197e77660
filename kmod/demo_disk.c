// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A demo's device as the block layer sees it: a disk with a write cache, so that flushes
 * come down to it and can fail, and with no partitions.  Every bio is a call in the sense
 * of demo_faults.c, and is ended before its submission returns.
 *
 * A read that fails leaves 0xDB in its memory, so that whoever uses it in spite of the
 * error is caught.  A write that fails has written what came before the bad sector.
 *
 * Freeing ends the disk first: del_gendisk() waits for the bios inside and lets no other
 * in, so that afterwards the memory is nobody's, even while somebody has the disk open.
 */
#include <linux/highmem.h>

#include "demo.h"

#define POISON 0xdb

/* The first `bytes` bytes of the bio. */
static int transfer(struct dmr_demo_device *device, struct bio *bio, u64 bytes)
{
	u64 at = (u64)bio->bi_iter.bi_sector * DMR_SECTOR_SIZE;
	struct bvec_iter iter;
	struct bio_vec part;
	int error = 0;

	bio_for_each_segment(part, bio, iter) {
		unsigned int length = min_t(u64, part.bv_len, bytes);
		void *memory;

		if (!length || error)
			break;
		memory = bvec_kmap_local(&part);
		if (op_is_write(bio_op(bio)))
			error = dmr_ram_write(&device->ram, at, memory, length);
		else
			dmr_ram_read(&device->ram, at, memory, length);
		kunmap_local(memory);
		flush_dcache_page(part.bv_page);
		at += length;
		bytes -= length;
	}
	return error;
}

static void poison(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec part;

	bio_for_each_segment(part, bio, iter) {
		void *memory = bvec_kmap_local(&part);

		memset(memory, POISON, part.bv_len);
		kunmap_local(memory);
		flush_dcache_page(part.bv_page);
	}
}

static int judge(struct dmr_demo_device *device, struct bio *bio, unsigned int kind, u64 *bytes)
{
	u64 first = bio->bi_iter.bi_sector, written;
	int error = dmr_faults_judge(&device->faults, kind, first, first + bio_sectors(bio),
				     &written);

	*bytes = error ? written * DMR_SECTOR_SIZE : bio->bi_iter.bi_size;
	return error;
}

static int carry_out(struct dmr_demo_device *device, struct bio *bio)
{
	u64 bytes;
	int error, stored = 0;

	if (bio->bi_opf & REQ_PREFLUSH) {
		error = judge(device, bio, DMR_FAULT_FLUSH, &bytes);
		if (error || !bio->bi_iter.bi_size)
			return error;
	}
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		error = judge(device, bio, DMR_FAULT_READ, &bytes);
		if (error) {
			poison(bio);
			return error;
		}
		return transfer(device, bio, bytes);
	case REQ_OP_WRITE:
		error = judge(device, bio, DMR_FAULT_WRITE, &bytes);
		stored = transfer(device, bio, bytes);
		return error ? error : stored;
	case REQ_OP_WRITE_ZEROES:
		error = judge(device, bio, DMR_FAULT_WRITE, &bytes);
		dmr_ram_zero(&device->ram, (u64)bio->bi_iter.bi_sector * DMR_SECTOR_SIZE, bytes);
		return error;
	case REQ_OP_DISCARD: /* may leave what was there */
		return judge(device, bio, 0, &bytes);
	default:
		return -EOPNOTSUPP;
	}
}

static void submit(struct bio *bio)
{
	struct dmr_demo_device *device = bio->bi_bdev->bd_disk->private_data;

	bio->bi_status = errno_to_blk_status(carry_out(device, bio));
	bio_endio(bio);
}

static const struct block_device_operations operations = {
	.owner = THIS_MODULE,
	.submit_bio = submit,
};

/* Its memory can be used from here on, by who must free it. */
void dmr_demo_device_init(struct dmr_demo_device *device, u64 sectors)
{
	dmr_ram_init(&device->ram);
	dmr_faults_init(&device->faults, sectors);
}

/* Makes it a disk of the system. */
int dmr_demo_device_add(struct dmr_demo_device *device, const char *role, int number)
{
	struct gendisk *disk = dmr_alloc_disk();
	int error;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &operations;
	disk->private_data = device;
	disk->flags |= GENHD_FL_NO_PART;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "dmremap-%s%d", role, number);
	set_capacity(disk, device->faults.sectors);
	error = add_disk(disk);
	if (error) {
		put_disk(disk);
		return error;
	}
	device->disk = disk;
	snprintf(device->numbers, sizeof(device->numbers), "%u:%u", MAJOR(disk_devt(disk)),
		 MINOR(disk_devt(disk)));
	return 0;
}

void dmr_demo_device_free(struct dmr_demo_device *device)
{
	if (device->disk) {
		del_gendisk(device->disk);
		put_disk(device->disk);
	}
	dmr_ram_free(&device->ram);
	dmr_faults_free(&device->faults);
}
