/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module's parameters mean to the rest of it; see module_params.c.  Any thread,
 * at any time; a value holds for the moment it is asked for.
 */
#ifndef DM_REMAP_MODULE_PARAMS_H
#define DM_REMAP_MODULE_PARAMS_H

#include <linux/device-mapper.h>
#include <linux/jump_label.h>

struct dmr_disk;

/* Whether a table that is loaded now opens the devices it names; N: it is a demo. */
bool dmr_real_devices(void);

/* Whether a pass of the scan may begin by itself, and after how many hours. */
bool dmr_scans_begin(const struct dmr_disk *d);
unsigned int dmr_scan_hours(const struct dmr_disk *d);

extern unsigned int dm_remap_debug;
DECLARE_STATIC_KEY_FALSE(dmr_tells_bios);
/* Of every bio, at level 3; while it is lower, no instruction. */
#define dmr_tell_bio(fmt, ...)                                                 \
	do {                                                                   \
		if (static_branch_unlikely(&dmr_tells_bios))                   \
			DMINFO_LIMIT(fmt, ##__VA_ARGS__);                      \
	} while (0)
/* level: 1 decisions, 2 failed calls; all of them rate-limited. */
#define dmr_debug(level, fmt, ...)                                             \
	do {                                                                   \
		if (unlikely(READ_ONCE(dm_remap_debug) >= (level)))            \
			DMINFO_LIMIT(fmt, ##__VA_ARGS__);                      \
	} while (0)

#endif
