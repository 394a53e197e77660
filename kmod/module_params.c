// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's parameters: what holds for all disks of this kernel until it is written
 * anew; nothing of it is kept on a spare.  Each is one word that is read where it is
 * needed, so a write takes effect at once and needs no lock.
 *
 * enable_background_scanning, scan_interval_hours: a pass begins by itself only where
 * both the module and the disk say Y.  The interval is the disk's own where somebody has
 * set one; where it stands at what format writes, it is the module's.
 *
 * real_device_mode is read by the constructor alone: a table that is loaded stays what it
 * is.
 *
 * dm_remap_debug at 3 tells of every bio.  So that this costs nothing at all otherwise,
 * the place is patched into the code when it is wanted.
 */
#include <linux/module.h>

#include "dm-remap.h"

#define DEBUG_MOST 3
#define DEFAULT_HOURS 24u /* as format writes it */

unsigned int dm_remap_debug;
DEFINE_STATIC_KEY_FALSE(dmr_tells_bios);

static int set_debug(const char *text, const struct kernel_param *param)
{
	int error = param_set_uint_minmax(text, param, 0, DEBUG_MOST);

	if (error)
		return error;
	if (dm_remap_debug == DEBUG_MOST)
		static_branch_enable(&dmr_tells_bios);
	else
		static_branch_disable(&dmr_tells_bios);
	return 0;
}

static const struct kernel_param_ops debug_ops = {
	.set = set_debug,
	.get = param_get_uint,
};
module_param_cb(dm_remap_debug, &debug_ops, &dm_remap_debug, 0644);
MODULE_PARM_DESC(dm_remap_debug,
		 "what is logged: 0 errors, 1 decisions, 2 failed calls, 3 every bio (0)");

static bool real_device_mode = true;
module_param(real_device_mode, bool, 0644);
MODULE_PARM_DESC(real_device_mode,
		 "whether tables open the devices they name; N: demo, main and spare are memory (Y)");

bool dmr_real_devices(void)
{
	return READ_ONCE(real_device_mode);
}

static bool enable_background_scanning = true;
module_param(enable_background_scanning, bool, 0644);
MODULE_PARM_DESC(enable_background_scanning, "whether scans begin by themselves, on any disk (Y)");

static unsigned int scan_interval_hours = DEFAULT_HOURS;

static int set_hours(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 1, DMR_YEAR_HOURS);
}

static const struct kernel_param_ops hours_ops = {
	.set = set_hours,
	.get = param_get_uint,
};
module_param_cb(scan_interval_hours, &hours_ops, &scan_interval_hours, 0644);
MODULE_PARM_DESC(scan_interval_hours,
		 "hours between scans of a disk for which nothing else was set (24)");

bool dmr_scans_begin(const struct dmr_disk *d)
{
	return READ_ONCE(enable_background_scanning) &&
	       READ_ONCE(d->parameters.background_scanning);
}

unsigned int dmr_scan_hours(const struct dmr_disk *d)
{
	unsigned int own = READ_ONCE(d->parameters.scan_interval_hours);

	return own == DEFAULT_HOURS ? READ_ONCE(scan_interval_hours) : own;
}
