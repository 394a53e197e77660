// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes the memory of a demo a spare, as dmremapctl format makes a device one: the first
 * step of the entry table in both copies, the superblock in all.  This is the one place
 * of the kernel that formats; the memory was made by the module itself a moment ago,
 * and nobody can see it yet, so there is no data to lose and no order to keep.
 *
 * It is as long as its main.  It has no identities, so that no program takes it for the
 * spare of a real device.
 */
#include <linux/uuid.h>

#include "demo.h"

static struct dmr_superblock *new_superblock(u64 size)
{
	struct dmr_superblock *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return NULL;
	memcpy(sb->magic, DMR_MAGIC, sizeof(sb->magic));
	sb->version = dmr_to_le32(DMR_VERSION);
	generate_random_uuid(sb->uuid);
	strscpy(sb->label, "demo", sizeof(sb->label));
	sb->sequence = dmr_to_le64(1);
	sb->created = dmr_to_le64(ktime_get_real_seconds());
	sb->written = sb->created;
	sb->main_size = dmr_to_le64(size);
	sb->spare_size = dmr_to_le64(size);
	sb->main_logical_block = dmr_to_le32(DMR_SECTOR_SIZE);
	sb->spare_logical_block = dmr_to_le32(DMR_SECTOR_SIZE);
	sb->spare_physical_block = dmr_to_le32(DMR_SECTOR_SIZE);
	dmr_lay_out(sb);
	sb->table_ready = dmr_to_le64(min_t(u64, DMR_FIRST_STEP, dmr_le64(sb->slots)));
	sb->flags = dmr_to_le32(DMR_CLEAN);
	dmr_parameters_initial(sb);
	return sb;
}

static int write_entry(struct dmr_ram *spare, const struct dmr_superblock *sb, int copy, u64 slot)
{
	u64 per_page = dmr_entries_per_page(sb);
	struct dmr_entry entry;

	dmr_initial_entry(sb, &entry, slot);
	return dmr_ram_write(spare,
			     dmr_page_offset(sb, copy, slot / per_page) +
				     slot % per_page * DMR_ENTRY_SIZE,
			     &entry, sizeof(entry));
}

/* size: at least DMR_SPARE_MIN.  0 or -ENOMEM. */
int dmr_demo_format(struct dmr_ram *spare, u64 size)
{
	struct dmr_superblock *sb = new_superblock(size);
	int error = 0;
	unsigned int i;
	u64 slot;

	if (!sb)
		return -ENOMEM;
	for (slot = 0; slot < dmr_le64(sb->table_ready) && !error; slot++) {
		error = write_entry(spare, sb, 0, slot);
		if (!error)
			error = write_entry(spare, sb, 1, slot);
	}
	for (i = 0; i < dmr_copies(size) && !error; i++) {
		sb->crc = dmr_to_le32(dmr_superblock_crc(sb, dmr_copy_offsets[i]));
		error = dmr_ram_write(spare, dmr_copy_offsets[i], sb, sizeof(*sb));
	}
	kfree(sb);
	return error;
}
