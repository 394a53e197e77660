// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The in-use mark, as the kernel sets and judges it.
 *
 * Two mapped devices of this kernel may both claim a device (that is how a table is
 * reloaded), so open pairs are listed here, and a second one over the same devices or
 * the same UUID is refused.  Everybody else is kept away by device-mapper's exclusive
 * claim.  The mark is for those whom a claim does not reach: an image under a loop
 * device, another machine.
 *
 * The kernel is no process: its mark has process 0 and the name dm-remap-v4, and the
 * boot id, so that the daemon on the same kernel knows that no process holds the
 * pair (its own exclusive open keeps it off a live one).  It has no machine id but
 * the one that user space may give as machine=, else zeros.
 *
 *   same boot, process 0:   ours, or a target's that did not end clean: recover
 *   same boot, a process:   refused while it lives (in any pid name space), else recover
 *   other boot, machine= given and equal: recover
 *   other boot, the kernel's mark without a machine: recover; raw tables rely on it
 *   other:                  refused but for the feature take_over
 *
 * The boot id is read from /proc, as user space does; where it can not be, it is
 * zeros, which equal nobody's.
 */
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "dm-remap.h"

#define HOLDER_NAME "dm-remap-v4"

static DEFINE_MUTEX(opened_lock);
static LIST_HEAD(opened_disks);

/* In the constructor: a process of root's, which may open files. */
void dmr_holder_init(struct dmr_disk *d)
{
	struct file *file = filp_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	char text[40];
	loff_t at = 0;
	ssize_t got;
	int i, digits = 0;

	if (IS_ERR(file))
		return;
	got = kernel_read(file, text, sizeof(text), &at);
	filp_close(file, NULL);
	for (i = 0; i < got && digits < 32; i++) {
		int value = hex_to_bin(text[i]);

		if (value < 0)
			continue;
		d->boot[digits / 2] = d->boot[digits / 2] << 4 | value;
		digits++;
	}
	if (digits != 32)
		memset(d->boot, 0, sizeof(d->boot));
}

/* Does a process live that bears this number in any name space, and began then? */
static bool process_lives(u64 number, u64 start)
{
	struct task_struct *task;
	bool found = false;

	rcu_read_lock();
	for_each_process(task) {
		struct pid *pid = task_pid(task);
		unsigned int level;

		if (!pid || div_u64(task->start_boottime, NSEC_PER_SEC / USER_HZ) != start)
			continue;
		for (level = 0; level <= pid->level; level++)
			found |= pid->numbers[level].nr == (int)number;
	}
	rcu_read_unlock();
	return found;
}

static bool zeros(const u8 *bytes)
{
	return !memchr_inv(bytes, 0, 16);
}

static bool may_recover(struct dmr_disk *d)
{
	const struct dmr_superblock *sb = d->sb;
	u64 process = dmr_le64(sb->holder_pid);

	if (!zeros(d->boot) && !memcmp(sb->holder_boot, d->boot, 16))
		return process == 0 || process > INT_MAX ||
		       !process_lives(process, dmr_le64(sb->holder_start));
	if (d->has_machine && !memcmp(sb->holder_machine, d->machine, 16))
		return true;
	return process == 0 && zeros(sb->holder_machine);
}

int dmr_holder_check(struct dmr_disk *d)
{
	const struct dmr_superblock *sb = d->sb;

	if (!(dmr_le32(sb->flags) & DMR_IN_USE) || may_recover(d))
		return 0;
	if (!zeros(d->boot) && !memcmp(sb->holder_boot, d->boot, 16)) {
		DMERR("%s is in use by %.32s (process %llu) of this machine; unmount that first",
		      d->path[DMR_SPARE], sb->holder_name,
		      (unsigned long long)dmr_le64(sb->holder_pid));
		return -EBUSY;
	}
	if (d->take_over)
		return 0;
	DMERR("%s is marked as in use by %.32s (process %llu) of an earlier boot or of another machine; if that one has surely let go of it: the feature take_over",
	      d->path[DMR_SPARE], sb->holder_name, (unsigned long long)dmr_le64(sb->holder_pid));
	return -EBUSY;
}

void dmr_holder_set(struct dmr_disk *d, struct dmr_superblock *sb)
{
	memcpy(sb->holder_machine, d->machine, sizeof(sb->holder_machine));
	memcpy(sb->holder_boot, d->boot, sizeof(sb->holder_boot));
	sb->holder_pid = 0;
	sb->holder_start = 0;
	memset(sb->holder_name, 0, sizeof(sb->holder_name));
	memcpy(sb->holder_name, HOLDER_NAME, sizeof(HOLDER_NAME) - 1);
	sb->holder_since = dmr_to_le64(ktime_get_real_seconds());
	sb->flags = dmr_to_le32((dmr_le32(sb->flags) & ~(DMR_CLEAN | DMR_WITNESS)) | DMR_IN_USE);
}

void dmr_holder_clear(struct dmr_superblock *sb)
{
	memset(sb->holder_machine, 0, sizeof(sb->holder_machine));
	memset(sb->holder_boot, 0, sizeof(sb->holder_boot));
	memset(sb->holder_name, 0, sizeof(sb->holder_name));
	sb->holder_pid = 0;
	sb->holder_start = 0;
	sb->holder_since = 0;
	sb->flags = dmr_to_le32(dmr_le32(sb->flags) & ~DMR_IN_USE);
}

static bool collide(struct dmr_disk *a, struct dmr_disk *b)
{
	unsigned int i, j;

	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++)
			if (a->dev[i]->bdev->bd_dev == b->dev[j]->bdev->bd_dev)
				return true;
	return !memcmp(a->sb->uuid, b->sb->uuid, sizeof(a->sb->uuid));
}

int dmr_holder_enlist(struct dmr_disk *d)
{
	struct dmr_disk *other;
	int error = 0;

	mutex_lock(&opened_lock);
	list_for_each_entry(other, &opened_disks, opened) {
		if (!collide(d, other))
			continue;
		DMERR("%s and %s: one of them, or a copy of the spare, is in use by %s; remove that first",
		      d->path[DMR_MAIN], d->path[DMR_SPARE], dmr_name(other));
		error = -EBUSY;
		break;
	}
	if (!error)
		list_add(&d->opened, &opened_disks);
	mutex_unlock(&opened_lock);
	return error;
}

/* An open pair stays one until this has returned. */
void dmr_for_each_open(void (*visit)(struct dmr_disk *d))
{
	struct dmr_disk *d;

	mutex_lock(&opened_lock);
	list_for_each_entry(d, &opened_disks, opened)
		visit(d);
	mutex_unlock(&opened_lock);
}

void dmr_holder_delist(struct dmr_disk *d)
{
	mutex_lock(&opened_lock);
	list_del_init(&d->opened);
	mutex_unlock(&opened_lock);
}
