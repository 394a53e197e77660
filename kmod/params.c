// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The parameters of a disk, which persist in its superblock and have the daemon's names
 * and bounds.  Those of the module, for all disks, are in module_params.c.
 */
#include <linux/kstrtox.h>

#include "dm-remap.h"

struct rule {
	const char *name;
	size_t in_disk, in_superblock;
	u32 least, most, initial;
	bool flag;
};

#define RULE(name, field, least, most, initial, flag)                                           \
	{                                                                                       \
		name, offsetof(struct dmr_parameters, field), offsetof(struct dmr_superblock, field), \
			least, most, initial, flag                                              \
	}

static const struct rule rules[] = {
	RULE("read_retries", read_retries, 0, 20, 2, false),
	RULE("remap_on_read_error", remap_on_read_error, 0, 1, 1, true),
	RULE("lost_retry_minutes", lost_retry_minutes, 0, DMR_YEAR_HOURS * 60, 60, false),
	RULE("breaker_regions", breaker_regions, 0, 1000000, 32, false),
	RULE("enable_background_scanning", background_scanning, 0, 1, 1, true),
	RULE("scan_interval_hours", scan_interval_hours, 1, DMR_YEAR_HOURS, 24, false),
	RULE("scan_speed_max", scan_speed_max, 0, 1u << 30, 0, false),
	RULE("relocate_weak", relocate_weak, 0, 1, 0, true),
};

static u32 *in_disk(struct dmr_disk *d, const struct rule *rule)
{
	return (u32 *)((u8 *)&d->parameters + rule->in_disk);
}

static __le32 *in_superblock(struct dmr_superblock *sb, const struct rule *rule)
{
	return (__le32 *)((u8 *)sb + rule->in_superblock);
}

/* What format writes; the others are 0. */
void dmr_parameters_initial(struct dmr_superblock *sb)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		*in_superblock(sb, &rules[i]) = dmr_to_le32(rules[i].initial);
}

void dmr_parameters_load(struct dmr_disk *d)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		u32 value = dmr_le32(*in_superblock(d->sb, &rules[i]));

		WRITE_ONCE(*in_disk(d, &rules[i]), clamp(value, rules[i].least, rules[i].most));
	}
}

static int parse(const struct rule *rule, const char *text, u32 *value)
{
	bool yes;

	if (!rule->flag)
		return kstrtou32(text, 10, value);
	if (kstrtobool(text, &yes))
		return -EINVAL;
	*value = yes;
	return 0;
}

/* The healer's, for it is the one that writes the superblock.  *why: a sentence when it is refused. */
int dmr_parameter_set(struct dmr_disk *d, const char *name, const char *value, const char **why)
{
	struct dmr_superblock *next;
	unsigned int i;
	u32 number;
	int error;

	for (i = 0; i < ARRAY_SIZE(rules) && strcmp(rules[i].name, name); i++)
		;
	if (i == ARRAY_SIZE(rules)) {
		*why = "there is no such parameter of the kernel target; expected one of read_retries remap_on_read_error lost_retry_minutes breaker_regions enable_background_scanning scan_interval_hours scan_speed_max relocate_weak";
		return -ENOENT;
	}
	if (parse(&rules[i], value, &number) || number < rules[i].least ||
	    number > rules[i].most) {
		*why = rules[i].flag ? "it takes Y or N" : "it takes a number, and not that one";
		return -EINVAL;
	}
	if (!dmr_writable(d)) {
		*why = "the disk is read-only";
		return -EROFS;
	}
	next = kmalloc(sizeof(*next), GFP_NOIO);
	if (!next) {
		*why = "not enough memory";
		return -ENOMEM;
	}
	*next = *d->sb;
	*in_superblock(next, &rules[i]) = dmr_to_le32(number);
	error = dmr_superblock_write(d, next, 1);
	kfree(next);
	if (error) {
		*why = "it could not be recorded on the spare";
		return error;
	}
	WRITE_ONCE(*in_disk(d, &rules[i]), number);
	return 0;
}
