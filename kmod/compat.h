/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the kernels from 6.1 on.  No other file asks for a
 * version.
 */
#ifndef DM_REMAP_COMPAT_H
#define DM_REMAP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "dm-remap-v4 needs Linux 6.1 or later"
#endif

/* core/format.h divides 64-bit numbers, which only 64-bit kernels do in line. */
#ifndef CONFIG_64BIT
#error "dm-remap-v4 needs a 64-bit kernel"
#endif

/* A table's mode: fmode_t before 6.5. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define DMR_MODE_WRITE FMODE_WRITE
#else
#define DMR_MODE_WRITE BLK_OPEN_WRITE
#endif

/* hex_to_bin() and hex2bin() have a header of their own from 6.5 on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/kernel.h>
#else
#include <linux/hex.h>
#endif

/* The queue for work that waits, on any processor, has another name from 6.17 on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define dmr_unbound_wq system_unbound_wq
#else
#define dmr_unbound_wq system_dfl_wq
#endif

/*
 * A disk that takes bios as they come, with a write cache.  Its limits are handed over from
 * 6.9 on, and the cache with them from 6.11 on.
 */
static inline struct gendisk *dmr_alloc_disk(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->queue->limits.discard_granularity = SECTOR_SIZE;
	blk_queue_max_discard_sectors(disk->queue, UINT_MAX >> SECTOR_SHIFT);
	blk_queue_max_write_zeroes_sectors(disk->queue, UINT_MAX >> SECTOR_SHIFT);
	blk_queue_write_cache(disk->queue, true, true);
	return disk;
#else
	struct queue_limits limits = {
		.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT,
		.max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT,
		.discard_granularity = SECTOR_SIZE,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
#endif
	};
	struct gendisk *disk = blk_alloc_disk(&limits, NUMA_NO_NODE);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	if (!IS_ERR(disk))
		blk_queue_write_cache(disk->queue, true, true);
#endif
	return disk;
#endif
}

#endif
