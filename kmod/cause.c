// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Causes and the state: the worst of the active causes.  Any context.  Each change of
 * the state is a device-mapper event, told by a work item since that may sleep.
 */
#include "dm-remap.h"

static const struct {
	const char *name;
	enum dmr_state state;
} causes[DMR_CAUSES] = {
	[DMR_LOST_SECTORS] = { "lost_sectors", DMR_DEGRADED },
	[DMR_RETIRED_PAGES] = { "retired_pages", DMR_DEGRADED },
	[DMR_LOST_PAGES] = { "lost_pages", DMR_DEGRADED },
	[DMR_METADATA_IN_DOUBT] = { "metadata_in_doubt", DMR_DEGRADED },
	[DMR_SPARE_LOW] = { "spare_low", DMR_DEGRADED },
	[DMR_SPARE_FULL] = { "spare_full", DMR_DEGRADED },
	[DMR_SPARE_FS_FULL] = { "spare_fs_full", DMR_DEGRADED },
	[DMR_SPARE_UNWRITABLE] = { "spare_unwritable", DMR_DEGRADED },
	[DMR_OPENED_READ_ONLY] = { "opened_read_only", DMR_READ_ONLY },
	[DMR_FLUSH_FAILED] = { "flush_failed", DMR_READ_ONLY },
	[DMR_COMMIT_FAILED] = { "commit_failed", DMR_READ_ONLY },
	[DMR_DEVICE_GONE] = { "device_gone", DMR_FAILED },
	[DMR_SPARE_GONE] = { "spare_gone", DMR_FAILED },
	[DMR_BREAKER] = { "breaker", DMR_FAILED },
};

static const char *const states[] = { "healthy", "degraded", "read_only", "failed" };

const char *dmr_state_name(enum dmr_state state)
{
	return states[state];
}

const char *dmr_cause_name(enum dmr_cause cause)
{
	return causes[cause].name;
}

bool dmr_active(struct dmr_disk *d, enum dmr_cause cause)
{
	return test_bit(cause, &d->causes);
}

enum dmr_state dmr_state(struct dmr_disk *d)
{
	unsigned long active = READ_ONCE(d->causes);
	enum dmr_state worst = DMR_HEALTHY;
	unsigned int i;

	for (i = 0; i < DMR_CAUSES; i++)
		if (active & BIT(i))
			worst = max(worst, causes[i].state);
	return worst;
}

void dmr_raise(struct dmr_disk *d, enum dmr_cause cause)
{
	if (!test_and_set_bit(cause, &d->causes))
		queue_work(d->wq, &d->event);
}

void dmr_clear(struct dmr_disk *d, enum dmr_cause cause)
{
	if (dmr_active(d, cause) && test_and_clear_bit(cause, &d->causes))
		queue_work(d->wq, &d->event);
}

void dmr_set_cause(struct dmr_disk *d, enum dmr_cause cause, bool active)
{
	if (active)
		dmr_raise(d, cause);
	else
		dmr_clear(d, cause);
}

void dmr_event_work(struct work_struct *work)
{
	struct dmr_disk *d = container_of(work, struct dmr_disk, event);
	enum dmr_state state = dmr_state(d);

	if ((int)state == d->last_state)
		return;
	DMINFO("%s: state %s -> %s", dmr_name(d), dmr_state_name(d->last_state),
	       dmr_state_name(state));
	d->last_state = state;
	dm_table_event(d->ti->table);
}
