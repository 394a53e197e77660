// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pairs of demos.  A pair is made by the first table of a mapped device.  A further
 * table of the same device and length, which is a reload, finds it with all it holds; the
 * last one to go frees it.
 *
 * The list is under its lock.  A pair's disks are added with the lock held, for a reload
 * must find the pair whole; nobody who uses them takes it.  They are deleted outside.
 */
#include <linux/idr.h>

#include "demo.h"

#define DEMO_LEAST (DMR_SPARE_MIN / DMR_SECTOR_SIZE)
#define DEMO_MOST (1ull << 20) /* 512 MiB, and as much again for the spare */

static DEFINE_MUTEX(pairs_lock);
static LIST_HEAD(pairs);
static DEFINE_IDA(numbers);

static void free_pair(struct dmr_demo *demo)
{
	dmr_demo_device_free(&demo->device[DMR_MAIN]);
	dmr_demo_device_free(&demo->device[DMR_SPARE]);
	if (demo->number >= 0)
		ida_free(&numbers, demo->number);
	mutex_destroy(&demo->lock);
	kfree(demo);
}

static struct dmr_demo *new_pair(struct mapped_device *md, u64 sectors)
{
	struct dmr_demo *demo = kzalloc(sizeof(*demo), GFP_KERNEL);
	int error;

	if (!demo)
		return ERR_PTR(-ENOMEM);
	demo->md = md;
	demo->sectors = sectors;
	mutex_init(&demo->lock);
	dmr_demo_device_init(&demo->device[DMR_MAIN], sectors);
	dmr_demo_device_init(&demo->device[DMR_SPARE], sectors);
	demo->number = ida_alloc(&numbers, GFP_KERNEL);
	error = demo->number < 0 ? demo->number :
				    dmr_demo_format(&demo->device[DMR_SPARE].ram,
						    sectors * DMR_SECTOR_SIZE);
	if (!error)
		error = dmr_demo_device_add(&demo->device[DMR_MAIN], "main", demo->number);
	if (!error)
		error = dmr_demo_device_add(&demo->device[DMR_SPARE], "spare", demo->number);
	if (error) {
		free_pair(demo);
		return ERR_PTR(error);
	}
	return demo;
}

static struct dmr_demo *get_pair(struct mapped_device *md, u64 sectors)
{
	struct dmr_demo *demo;

	mutex_lock(&pairs_lock);
	list_for_each_entry(demo, &pairs, node)
		if (demo->md == md && demo->sectors == sectors)
			goto found;
	demo = new_pair(md, sectors);
	if (IS_ERR(demo))
		goto out;
	list_add(&demo->node, &pairs);
found:
	demo->users++;
out:
	mutex_unlock(&pairs_lock);
	return demo;
}

/* In the constructor, before the devices are opened: d->demo, until dmr_demo_put(). */
int dmr_demo_get(struct dmr_disk *d)
{
	struct dm_target *ti = d->ti;
	struct dmr_demo *demo;

	if (d->has_uuid) {
		DMERR("%s: uuid= means a spare that exists, but the module is in demo mode, in which no device is opened; write Y to its parameter real_device_mode",
		      dmr_name(d));
		ti->error = "A demo has no spare that uuid= could name";
		return -EINVAL;
	}
	if (ti->len < DEMO_LEAST || ti->len > DEMO_MOST) {
		DMERR("%s: the table has %llu sectors; a demo, whose main and spare are memory of the table's length, has from %llu to %llu",
		      dmr_name(d), (unsigned long long)ti->len, DEMO_LEAST, DEMO_MOST);
		ti->error = "A demo has from 16384 to 1048576 sectors";
		return -EINVAL;
	}
	demo = get_pair(dm_table_get_md(ti->table), ti->len);
	if (IS_ERR(demo)) {
		DMERR("%s: memory for a demo of %llu sectors can not be had (error %ld)",
		      dmr_name(d), (unsigned long long)ti->len, PTR_ERR(demo));
		ti->error = "The memory of the demo can not be had";
		return PTR_ERR(demo);
	}
	d->demo = demo;
	DMWARN("%s is a demo: %s and %s are not opened; what is written is in memory, on %s and %s, and gone with the table",
	       dmr_name(d), d->path[DMR_MAIN], d->path[DMR_SPARE],
	       demo->device[DMR_MAIN].disk->disk_name, demo->device[DMR_SPARE].disk->disk_name);
	return 0;
}

/* When the devices are closed; does nothing for a disk that is no demo. */
void dmr_demo_put(struct dmr_disk *d)
{
	struct dmr_demo *demo = d->demo;
	bool last;

	if (!demo)
		return;
	mutex_lock(&pairs_lock);
	last = !--demo->users;
	if (last)
		list_del(&demo->node);
	mutex_unlock(&pairs_lock);
	if (last)
		free_pair(demo);
}

/* What dm_get_device() takes for a path. */
char *dmr_demo_path(struct dmr_disk *d, enum dmr_side side)
{
	return d->demo->device[side].numbers;
}
