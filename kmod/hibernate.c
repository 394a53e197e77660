// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hibernation: the disk does nothing by itself while the machine's memory is on its way out.
 *
 * The image of memory holds what this module knows: where blocks are, which sequence is
 * next.  It is made long before the power goes, and until then devices and kernel threads
 * work.  What a scan or a retry commits then the image does not know: when it comes back,
 * memory says that a block is on main, and the spare that it is in a slot, with what main
 * held before.  The first crash after that would bring it back, over what was written and
 * flushed since; and two updates of one number would contradict each other.
 *
 * So from the preparation on, before processes are frozen, until all is over, only users'
 * bios make the healer work, and those are frozen with their users.  Who works without
 * being asked looks at dmr_hibernating(): the scan, and the healer for its chores and for
 * copies that pages are owed.  The notifier waits for what each is at.  A pair that opens
 * after that finds it so from its start.
 *
 * The kernel that brings an image back is held likewise, but it has changed the spare by
 * opening the pair: that is user space's to avoid (dm-remap-v4.rst).
 *
 * Waiting in a notifier is allowed, and a circle there is none: the scan waits for the
 * healer, the healer for bios, and neither for the list of open pairs.
 */
#include <linux/suspend.h>

#include "dm-remap.h"

static bool hibernating;

bool dmr_hibernating(void)
{
	return READ_ONCE(hibernating);
}

static void hold(struct dmr_disk *d)
{
	wake_up_all(&d->retry_wait);
	dmr_scan_settle(d);
	flush_work(&d->heal);
}

static int notified(struct notifier_block *block, unsigned long event, void *data)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(hibernating, true);
		dmr_for_each_open(hold);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		WRITE_ONCE(hibernating, false); /* they look by themselves */
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = notified };

int dmr_hibernate_init(void)
{
	return register_pm_notifier(&notifier);
}

void dmr_hibernate_exit(void)
{
	unregister_pm_notifier(&notifier);
}
