// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The target: what device-mapper calls.
 *
 *   0 <sectors> dm-remap-v4 <main> <spare> [<#features> <feature>...]
 *   features: uuid=UUID  machine=32 HEX DIGITS  take_over
 *
 * The constructor reads and checks the superblock only, and ignores the in-use mark:
 * during a reload the old table still writes, and the mark is its own.  preresume opens,
 * postsuspend closes (open.c).  A table that was never resumed has never written.
 *
 * In demo mode main and spare are names, and the devices are memory (demo.c).
 */
#include <linux/module.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>

#include "demo.h"

#include <linux/blk-integrity.h>

static int parse_feature(struct dmr_disk *d, const char *word)
{
	uuid_t uuid;

	if (!strcmp(word, "take_over")) {
		d->take_over = true;
		return 0;
	}
	if (!strncmp(word, "uuid=", 5) && !uuid_parse(word + 5, &uuid)) {
		export_uuid(d->uuid, &uuid);
		d->has_uuid = true;
		return 0;
	}
	if (!strncmp(word, "machine=", 8) && strlen(word) == 40 &&
	    !hex2bin(d->machine, word + 8, 16)) {
		d->has_machine = true;
		return 0;
	}
	DMERR("%s is no feature; expected uuid=UUID, machine=32 hexadecimal digits, or take_over",
	      word);
	return -EINVAL;
}

static int parse_features(struct dmr_disk *d, unsigned int argc, char **argv)
{
	static const struct dm_arg features[] = { { 0, 3, "Invalid number of features" } };
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	unsigned int count;

	if (!argc)
		return 0;
	if (dm_read_arg_group(features, &as, &count, &d->ti->error))
		return -EINVAL;
	if (as.argc != count) {
		d->ti->error = "The number of features does not fit the features";
		return -EINVAL;
	}
	while (count--)
		if (parse_feature(d, dm_shift_arg(&as))) {
			d->ti->error = "Unknown feature";
			return -EINVAL;
		}
	return 0;
}

static int check_device(struct dmr_disk *d, enum dmr_side side)
{
	struct block_device *bdev = d->dev[side]->bdev;

	if (bdev_is_zoned(bdev)) {
		DMERR("%s is zoned, which dm-remap can not serve", d->path[side]);
		return -EINVAL;
	}
	if (blk_get_integrity(bdev->bd_disk)) {
		DMERR("%s has integrity data, which would not move with the blocks", d->path[side]);
		return -EINVAL;
	}
	return 0;
}

/* Do main and spare share bytes, one a partition of the other perhaps? */
static bool overlap(struct block_device *a, struct block_device *b)
{
	return a->bd_disk == b->bd_disk &&
	       a->bd_start_sect < b->bd_start_sect + bdev_nr_sectors(b) &&
	       b->bd_start_sect < a->bd_start_sect + bdev_nr_sectors(a);
}

static int get_devices(struct dmr_disk *d, char **argv)
{
	struct dm_target *ti = d->ti;
	unsigned int side;
	int error;

	for (side = 0; side < 2; side++) {
		d->path[side] = kstrdup(argv[side], GFP_KERNEL);
		if (!d->path[side])
			return -ENOMEM;
	}
	if (!dmr_real_devices()) {
		error = dmr_demo_get(d);
		if (error)
			return error;
	}
	for (side = 0; side < 2; side++) {
		error = dm_get_device(ti, d->demo ? dmr_demo_path(d, side) : argv[side],
				      dm_table_get_mode(ti->table), &d->dev[side]);
		if (error) {
			d->dev[side] = NULL;
			DMERR("%s can not be opened for this table alone (error %d); it is missing, mounted, or in use",
			      argv[side], error);
			ti->error = side ? "The spare can not be opened" : "Main can not be opened";
			return error;
		}
		error = check_device(d, side);
		if (error) {
			ti->error = "Zoned devices and devices with integrity data are not served";
			return error;
		}
	}
	if (overlap(d->dev[0]->bdev, d->dev[1]->bdev)) {
		DMERR("%s and %s share bytes: one is the other, or a part of it", argv[0], argv[1]);
		ti->error = "Main and spare overlap";
		return -EINVAL;
	}
	d->size = bdev_nr_bytes(d->dev[DMR_MAIN]->bdev);
	d->logical_block = bdev_logical_block_size(d->dev[DMR_MAIN]->bdev);
	if (!d->size || (u64)ti->len * DMR_SECTOR_SIZE != d->size) {
		DMERR("the table has %llu sectors, but %s has %llu", (unsigned long long)ti->len,
		      argv[0], (unsigned long long)d->size / DMR_SECTOR_SIZE);
		ti->error = "The table's length is not main's size";
		return -EINVAL;
	}
	return 0;
}

static int get_buffers(struct dmr_disk *d)
{
	unsigned int i;

	d->changes = kvcalloc(DMR_ERASURES_MAX + DMR_STAGED_MAX, sizeof(*d->changes), GFP_KERNEL);
	d->block = kmalloc(DMR_BLOCK_SIZE, GFP_KERNEL);
	d->block2 = kmalloc(DMR_BLOCK_SIZE, GFP_KERNEL);
	if (!d->changes || !d->block || !d->block2)
		return -ENOMEM;
	for (i = 0; i < DMR_STAGED_MAX; i++) {
		d->staged[i].data = kmalloc(DMR_BLOCK_SIZE, GFP_KERNEL);
		if (!d->staged[i].data)
			return -ENOMEM;
	}
	for (i = 0; i < DMR_COMMIT_PAGES; i++) {
		d->image[i] = kvmalloc(d->page_size, GFP_KERNEL);
		if (!d->image[i])
			return -ENOMEM;
	}
	return 0;
}

static void free_disk(struct dmr_disk *d)
{
	unsigned int i;

	if (d->flush_wq)
		destroy_workqueue(d->flush_wq);
	if (d->wq)
		destroy_workqueue(d->wq);
	dmr_map_free(d);
	dmr_gates_free(d);
	for (i = 0; i < DMR_STAGED_MAX; i++)
		kfree(d->staged[i].data);
	for (i = 0; i < DMR_COMMIT_PAGES; i++)
		kvfree(d->image[i]);
	kvfree(d->changes);
	kfree(d->block);
	kfree(d->block2);
	kfree(d->other);
	kfree(d->sb);
	kfree(d->sb_image);
	kfree(d->cleared);
	free_percpu(d->stats);
	bioset_exit(&d->bios);
	for (i = 0; i < 2; i++) {
		if (d->dev[i])
			dm_put_device(d->ti, d->dev[i]);
		kfree(d->path[i]);
	}
	dmr_demo_put(d);
	dmr_scan_exit(d);
	mutex_destroy(&d->pages_lock);
	mutex_destroy(&d->lock);
	kvfree(d);
}

static struct dmr_disk *new_disk(struct dm_target *ti)
{
	struct dmr_disk *d = kvzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return NULL;
	d->ti = ti;
	d->read_only = !(dm_table_get_mode(ti->table) & DMR_MODE_WRITE);
	mutex_init(&d->lock);
	mutex_init(&d->pages_lock);
	spin_lock_init(&d->queue_lock);
	spin_lock_init(&d->totals_lock);
	init_waitqueue_head(&d->retry_wait);
	dmr_flush_init(d);
	dmr_scan_init(d);
	INIT_LIST_HEAD(&d->opened);
	INIT_LIST_HEAD(&d->queued_orders);
	INIT_LIST_HEAD(&d->done_orders);
	INIT_LIST_HEAD(&d->errands);
	INIT_LIST_HEAD(&d->active);
	bio_list_init(&d->queued);
	bio_list_init(&d->done);
	INIT_WORK(&d->heal, dmr_heal_work);
	INIT_WORK(&d->event, dmr_event_work);
	INIT_DELAYED_WORK(&d->wake, dmr_wake_work);
	return d;
}

/* What the constructor's look at the superblock needs. */
static int get_basics(struct dmr_disk *d)
{
	d->wq = alloc_ordered_workqueue("dm-remap-v4", WQ_MEM_RECLAIM);
	d->flush_wq = alloc_workqueue("dm-remap-v4-flush", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	d->sb = kzalloc(sizeof(*d->sb), GFP_KERNEL);
	d->sb_image = kzalloc(sizeof(*d->sb_image), GFP_KERNEL);
	d->other = kmalloc(DMR_BLOCK_SIZE, GFP_KERNEL);
	d->cleared = kzalloc(sizeof(*d->cleared), GFP_KERNEL);
	d->stats = alloc_percpu(struct dmr_stats);
	if (!d->wq || !d->flush_wq || !d->sb || !d->sb_image || !d->other || !d->cleared || !d->stats)
		return -ENOMEM;
	return bioset_init(&d->bios, 16, 0, BIOSET_NEED_BVECS);
}

static int dmr_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dmr_disk *d;
	int error;

	if (argc < 2) {
		ti->error = "Expected: <main> <spare> [<#features> <feature>...]";
		return -EINVAL;
	}
	d = new_disk(ti);
	if (!d) {
		ti->error = "Not enough memory";
		return -ENOMEM;
	}
	error = get_basics(d);
	if (!error)
		error = parse_features(d, argc - 2, argv + 2);
	if (!error)
		error = get_devices(d, argv);
	if (!error) {
		error = dmr_superblock_load(d);
		if (!error)
			error = dmr_check_geometry(d);
		if (error && !ti->error)
			ti->error = "The spare does not fit; the log says why";
	}
	if (!error) {
		memcpy(d->pair_uuid, d->sb->uuid, sizeof(d->pair_uuid));
		d->page_size = dmr_le32(d->sb->page_size);
		error = dmr_gates_init(d);
	}
	if (!error)
		error = dmr_map_init(d);
	if (!error)
		error = get_buffers(d);
	if (error) {
		if (!ti->error)
			ti->error = "Not enough memory";
		free_disk(d);
		return error;
	}
	dmr_holder_init(d);
	ti->private = d;
	ti->per_io_data_size = sizeof(struct dmr_bio);
	ti->num_flush_bios = 2;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	return 0;
}

static void dmr_dtr(struct dm_target *ti)
{
	struct dmr_disk *d = ti->private;

	dmr_close(d); /* has happened, unless the table was never suspended */
	free_disk(d);
}

static int dmr_map(struct dm_target *ti, struct bio *bio)
{
	struct dmr_disk *d = ti->private;

	dmr_bio_init(d, bio);
	return dmr_route(d, bio, true);
}

static int dmr_preresume(struct dm_target *ti)
{
	return dmr_open(ti->private);
}

/*
 * A message that waits must end now: device-mapper lets no bio in any more and waits for
 * messages, too, before it calls postsuspend.
 */
static void dmr_presuspend(struct dm_target *ti)
{
	struct dmr_disk *d = ti->private;

	WRITE_ONCE(d->suspending, true);
	wake_up_all(&d->retry_wait);
}

static void dmr_presuspend_undo(struct dm_target *ti)
{
	struct dmr_disk *d = ti->private;

	WRITE_ONCE(d->suspending, false);
}

static void dmr_postsuspend(struct dm_target *ti)
{
	dmr_close(ti->private);
}

static int dmr_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct dmr_disk *d = ti->private;
	int answer = fn(ti, d->dev[DMR_MAIN], 0, ti->len, data);

	return answer ? answer : fn(ti, d->dev[DMR_SPARE], 0,
				    bdev_nr_sectors(d->dev[DMR_SPARE]->bdev), data);
}

static struct target_type dmr_target = {
	.name = "dm-remap-v4",
	.version = { 4, 0, 0 },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = dmr_ctr,
	.dtr = dmr_dtr,
	.map = dmr_map,
	.end_io = dmr_end_io,
	.preresume = dmr_preresume,
	.presuspend = dmr_presuspend,
	.presuspend_undo = dmr_presuspend_undo,
	.postsuspend = dmr_postsuspend,
	.status = dmr_status,
	.message = dmr_message,
	.iterate_devices = dmr_iterate_devices,
};

static int __init dmr_init(void)
{
	int error = dmr_hibernate_init();

	if (!error) {
		error = dm_register_target(&dmr_target);
		if (error)
			dmr_hibernate_exit();
	}
	return error;
}

static void __exit dmr_exit(void)
{
	dm_unregister_target(&dmr_target);
	dmr_hibernate_exit();
}

module_init(dmr_init);
module_exit(dmr_exit);

MODULE_DESCRIPTION("device-mapper target that moves bad blocks to a spare");
MODULE_AUTHOR("dm-remap");
MODULE_ALIAS("dm-dm-remap-v4"); /* by which device-mapper asks for a target that is not there */
MODULE_LICENSE("GPL");
