/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The on-disk format of dm-remap: every structure, every offset and every
 * decision about bytes.  FORMAT.md beside this file says the same in prose.
 *
 * Plain C for two readers, the C++ core and the kernel target.  What decides
 * (is this copy valid, which of two wins, where does a slot lie) is a small
 * pure inline function here, so that the two can not disagree.  Nothing in
 * this file allocates, locks or does I/O.
 *
 * All integers are little-endian on disk.  Offsets and sizes are in bytes,
 * main blocks and slots are numbers of 4 KiB units, unless a name says sector.
 */
/* The kernel's style: */
/* clang-format off */
#ifndef DMREMAP_FORMAT_H
#define DMREMAP_FORMAT_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#define dmr_le32(x) le32_to_cpu(x)
#define dmr_le64(x) le64_to_cpu(x)
#define dmr_to_le32(x) cpu_to_le32(x)
#define dmr_to_le64(x) cpu_to_le64(x)
#define dmr_crc32c(seed, data, length) crc32c(seed, data, length)
#else
#include <assert.h>
#include <endian.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#define dmr_le32(x) le32toh(x)
#define dmr_le64(x) le64toh(x)
#define dmr_to_le32(x) htole32(x)
#define dmr_to_le64(x) htole64(x)
#ifdef __cplusplus
#define dmr_assert_layout(expr) static_assert(expr, #expr)
extern "C"
#else
#define dmr_assert_layout(expr) _Static_assert(expr, #expr)
#endif
/* The kernel's crc32c(): reflected, no inversion at either end; crc32c.cpp. */
__u32 dmr_crc32c(__u32 seed, const void *data, size_t length);
#endif

#ifdef __KERNEL__
#define dmr_assert_layout(expr) static_assert(expr)
#endif

#define DMR_SECTOR_SIZE 512u
#define DMR_BLOCK_SIZE 4096u
#define DMR_SECTORS_PER_BLOCK 8u

/* ------------------------------------------------------------ superblock */

#define DMR_MAGIC "DMREMAP4" /* 8 bytes, no terminator */
#define DMR_VERSION 1u
#define DMR_SUPERBLOCK_SIZE 4096u

/* Features this code knows.  Unknown compat: ignore; ro_compat: read only; incompat: refuse. */
#define DMR_COMPAT_SCAN 1u /* what comes after scan_found, and history[], is kept */
#define DMR_COMPAT_KNOWN DMR_COMPAT_SCAN
#define DMR_RO_COMPAT_KNOWN 0u
#define DMR_INCOMPAT_KNOWN 0u

/* dmr_superblock.flags */
#define DMR_CLEAN 1u   /* closed in order: live_remaps and, if set, the witness are true */
#define DMR_IN_USE 2u  /* holder_* name the one who has the pair open */
#define DMR_WITNESS 4u /* witness[] was taken at the last clean close */

#define DMR_WITNESS_BLOCKS 64
#define DMR_HISTORY_DAYS 32
#define DMR_IDENTITY_TEXT 640

struct dmr_witness {
	__le64 block; /* main block */
	__le32 crc;   /* CRC32C, seed ~0, of its bytes (the last block of main may be short) */
	__le32 valid; /* 1: taken; 0: could not be read or was remapped */
};

/* One day in the life of a disk; the totals as they were when it was last noted. */
struct dmr_day {
	__le32 day;    /* since 1970-01-01 UTC; 0: none */
	__le32 remaps; /* blocks remapped that day or before */
	__le32 lost;   /* sectors lost that day or before */
	__le32 errors; /* calls that main failed on that day */
};

enum dmr_scan_state {
	DMR_SCAN_NONE = 0,
	DMR_SCAN_RUNNING = 1,
	DMR_SCAN_PAUSED = 2,
};

struct dmr_superblock {
	/* 0 */
	__u8 magic[8];
	__le32 version;
	__le32 compat;
	__le32 ro_compat;
	__le32 incompat;
	__u8 uuid[16];
	__le64 sequence; /* of superblock updates; < 2^63; the newest valid copy wins */
	__le64 created;	 /* Unix seconds; for people, never compared */
	__le64 written;	 /* likewise, of this update */
	__u8 label[64];	 /* UTF-8, padded with NUL */
	/* 128: geometry, fixed by format */
	__le64 main_size;
	__le64 spare_size;
	__le64 slots;
	__le64 first_table;  /* linear offset, see dmr_spare_offset() */
	__le64 slot_area;    /* linear offset of slot 0 */
	__le64 second_table; /* linear offset */
	__le32 page_size;    /* unit of table I/O: max(4096, spare's physical block) */
	__le32 main_logical_block;
	__le32 spare_logical_block;
	__le32 spare_physical_block;
	/* 192: what changes */
	__le64 table_ready; /* entries from 0 on that exist */
	__le64 live_remaps; /* compared at open only when DMR_CLEAN */
	__le32 flags;
	__le32 reserved0;
	__le64 entry_epoch; /* entry sequences of this session start at epoch << 32 */
	/* 224: the holder, valid with DMR_IN_USE */
	__u8 holder_machine[16];
	__u8 holder_boot[16];
	__le64 holder_pid;
	__le64 holder_start; /* start time of the process in clock ticks since boot */
	__u8 holder_name[32];
	__le64 holder_since; /* Unix seconds */
	__le64 reserved1;
	/* 320: parameters that belong to the disk */
	__le32 read_retries;
	__le32 remap_on_read_error;
	__le32 lost_retry_minutes;
	__le32 breaker_regions;
	__le32 background_scanning;
	__le32 scan_interval_hours;
	__le32 scan_speed_max; /* KiB/s, 0: no limit */
	__le32 relocate_weak;
	__u8 reserved2[32];
	/* 384: scan */
	__le64 scan_cursor;	/* main block, next to be read */
	__le64 scan_pass_start; /* Unix seconds */
	__le64 scan_pass_end;
	__le64 scan_passes;
	__le64 scan_found;
	/* 424: with DMR_COMPAT_SCAN, else zero */
	__le64 scan_begin; /* main block where this pass began */
	__le64 scan_end;   /* main block where it ends, itself not read */
	__le64 scan_pass_found;
	__le32 scan_state; /* enum dmr_scan_state */
	__le32 reserved5;
	__le64 metadata_repairs; /* damaged copies that scans rewrote */
	__u8 reserved3[496];
	/* 960: identity */
	__u8 main_digest[32]; /* SHA-256 of main_text up to its NUL */
	__u8 spare_digest[32];
	__u8 main_text[DMR_IDENTITY_TEXT]; /* "key=value\n"..., NUL-padded */
	__u8 spare_text[DMR_IDENTITY_TEXT];
	/* 2304 */
	struct dmr_witness witness[DMR_WITNESS_BLOCKS];
	/* 3328: with DMR_COMPAT_SCAN, else zero; the oldest first, then unused ones */
	struct dmr_day history[DMR_HISTORY_DAYS];
	/* 3840 */
	__u8 reserved4[252];
	__le32 crc; /* 4092: over all before, see dmr_superblock_crc() */
};

dmr_assert_layout(sizeof(struct dmr_witness) == 16);
dmr_assert_layout(sizeof(struct dmr_day) == 16);
dmr_assert_layout(sizeof(struct dmr_superblock) == DMR_SUPERBLOCK_SIZE);
dmr_assert_layout(offsetof(struct dmr_superblock, uuid) == 24);
dmr_assert_layout(offsetof(struct dmr_superblock, label) == 64);
dmr_assert_layout(offsetof(struct dmr_superblock, main_size) == 128);
dmr_assert_layout(offsetof(struct dmr_superblock, page_size) == 176);
dmr_assert_layout(offsetof(struct dmr_superblock, table_ready) == 192);
dmr_assert_layout(offsetof(struct dmr_superblock, entry_epoch) == 216);
dmr_assert_layout(offsetof(struct dmr_superblock, holder_machine) == 224);
dmr_assert_layout(offsetof(struct dmr_superblock, read_retries) == 320);
dmr_assert_layout(offsetof(struct dmr_superblock, scan_cursor) == 384);
dmr_assert_layout(offsetof(struct dmr_superblock, scan_begin) == 424);
dmr_assert_layout(offsetof(struct dmr_superblock, metadata_repairs) == 456);
dmr_assert_layout(offsetof(struct dmr_superblock, main_digest) == 960);
dmr_assert_layout(offsetof(struct dmr_superblock, main_text) == 1024);
dmr_assert_layout(offsetof(struct dmr_superblock, witness) == 2304);
dmr_assert_layout(offsetof(struct dmr_superblock, history) == 3328);
dmr_assert_layout(offsetof(struct dmr_superblock, reserved4) == 3840);
dmr_assert_layout(offsetof(struct dmr_superblock, crc) == 4092);

/* ---------------------------------------------- where things are on the spare */

/*
 * Superblock copies lie at these byte offsets, as far as they fit; each owns a
 * hole of DMR_HOLE bytes.  The rest of the spare from 1 MiB on is one linear
 * space, in which the holes do not exist: first table, slots, second table.
 * The first and the last MiB hold nothing but the first copy (at 64 KiB), so
 * that a copy of somebody's partition table or RAID label is never ours.
 */
#define DMR_HOLE 65536ull
#define DMR_EDGE 1048576ull
#define DMR_COPIES_MAX 8
#define DMR_COPIES_MIN 3
#define DMR_PAGE_MAX 65536u /* and largest physical block of a spare */
#define DMR_SPARE_MIN (8ull << 20)

static const __u64 dmr_copy_offsets[DMR_COPIES_MAX] = {
	64ull << 10, 2ull << 20, 6ull << 20,   64ull << 20,
	1ull << 30,  16ull << 30, 256ull << 30, 4ull << 40,
};

/* How many superblock copies a spare of this size has; 0 if it is too small. */
static inline unsigned int dmr_copies(__u64 spare_size)
{
	unsigned int n = 0;

	if (spare_size < DMR_SPARE_MIN)
		return 0;
	while (n < DMR_COPIES_MAX &&
	       dmr_copy_offsets[n] + DMR_HOLE <= spare_size - DMR_EDGE)
		n++;
	return n;
}

/*
 * Linear offset -> byte offset on the spare.  A piece that is aligned to its
 * own power-of-two size of at most DMR_HOLE never straddles a hole, since the
 * holes are aligned to DMR_HOLE; pieces next to each other may be apart.
 */
static inline __u64 dmr_spare_offset(__u64 linear)
{
	__u64 offset = linear + DMR_EDGE;
	unsigned int i;

	for (i = 1; i < DMR_COPIES_MAX; i++)
		if (offset >= dmr_copy_offsets[i])
			offset += DMR_HOLE;
	return offset;
}

/* Bytes of linear space on a spare of this size; a hole cut off by the last MiB ends it early. */
static inline __u64 dmr_linear_size(__u64 spare_size)
{
	unsigned int copies = dmr_copies(spare_size);
	__u64 end = spare_size - DMR_EDGE;

	if (copies < DMR_COPIES_MIN)
		return 0;
	if (copies < DMR_COPIES_MAX && dmr_copy_offsets[copies] < end)
		end = dmr_copy_offsets[copies];
	return end - DMR_EDGE - (copies - 1) * DMR_HOLE;
}

static inline __u64 dmr_slot_offset(const struct dmr_superblock *sb, __u64 slot)
{
	return dmr_spare_offset(dmr_le64(sb->slot_area) + slot * DMR_BLOCK_SIZE);
}

/* Byte offset of a page of entries; copy is 0 or 1. */
static inline __u64 dmr_page_offset(const struct dmr_superblock *sb, int copy, __u64 page)
{
	__u64 table = dmr_le64(copy ? sb->second_table : sb->first_table);

	return dmr_spare_offset(table + page * dmr_le32(sb->page_size));
}

/* ----------------------------------------------------------------- entries */

#define DMR_ENTRY_SIZE 32u
#define DMR_NO_BLOCK (~0ull)	      /* main_block of an entry that is not a remap */
#define DMR_SEQUENCE_LIMIT (1ull << 63) /* sequences are below it */

enum dmr_entry_state {
	DMR_FREE = 0,
	DMR_REMAPPED = 1,
	DMR_BAD_SLOT = 2,
};

enum dmr_reason {
	DMR_REASON_NONE = 0, /* not a remap */
	DMR_REASON_WRITE = 1,
	DMR_REASON_READ = 2,
	DMR_REASON_SCAN = 3,
	DMR_REASON_MANUAL = 4,
	DMR_REASON_IMPORT = 5,
	DMR_REASON_SLOW = 6,
	DMR_REASON_LAST = DMR_REASON_SLOW,
};

struct dmr_entry {
	__le64 main_block;
	__le64 sequence; /* 0: never used since the table was initialised */
	__le64 time;	 /* Unix seconds of the change; for people, never compared */
	__u8 state;
	__u8 lost;  /* bit i: sector i of the block is lost */
	__u8 retry; /* subset of lost: the data may still be on main */
	__u8 reason;
	__le32 crc;
};

dmr_assert_layout(sizeof(struct dmr_entry) == DMR_ENTRY_SIZE);
dmr_assert_layout(offsetof(struct dmr_entry, state) == 24);
dmr_assert_layout(offsetof(struct dmr_entry, crc) == 28);

static inline __u64 dmr_entries_per_page(const struct dmr_superblock *sb)
{
	return dmr_le32(sb->page_size) / DMR_ENTRY_SIZE;
}

/*
 * Where format puts tables and slots, from spare_size and spare_physical_block:
 * as many slots as fit with their two tables, the second one at the far end.
 */
static inline void dmr_lay_out(struct dmr_superblock *sb)
{
	__u64 linear = dmr_linear_size(dmr_le64(sb->spare_size));
	__u64 slots = linear / (DMR_BLOCK_SIZE + 2 * DMR_ENTRY_SIZE), table, data;
	__u32 page = dmr_le32(sb->spare_physical_block);

	if (page < DMR_BLOCK_SIZE)
		page = DMR_BLOCK_SIZE;
	for (;; slots--) {
		table = (slots * DMR_ENTRY_SIZE + page - 1) / page * page;
		data = (slots * DMR_BLOCK_SIZE + page - 1) / page * page;
		if (!slots || 2 * table + data <= linear)
			break;
	}
	sb->page_size = dmr_to_le32(page);
	sb->slots = dmr_to_le64(slots);
	sb->first_table = 0;
	sb->slot_area = dmr_to_le64(table);
	sb->second_table = dmr_to_le64((linear - table) / page * page);
}

/* --------------------------------------------------------------- checksums */

/* Every CRC starts from the UUID and the place, so that a copy elsewhere is invalid. */
static inline __u32 dmr_crc_seed(const __u8 uuid[16], __u64 place)
{
	__le64 le = dmr_to_le64(place);

	return dmr_crc32c(dmr_crc32c(~(__u32)0, uuid, 16), &le, sizeof(le));
}

/* offset: where on the spare, in bytes, this copy lies. */
static inline __u32 dmr_superblock_crc(const struct dmr_superblock *sb, __u64 offset)
{
	return dmr_crc32c(dmr_crc_seed(sb->uuid, offset), sb, offsetof(struct dmr_superblock, crc));
}

/* The same in both copies of the table: the place of an entry is its slot. */
static inline __u32 dmr_entry_crc(const struct dmr_entry *e, const __u8 uuid[16], __u64 slot)
{
	return dmr_crc32c(dmr_crc_seed(uuid, slot), e, offsetof(struct dmr_entry, crc));
}

/* --------------------------------------------------------------- decisions */

enum dmr_verdict {
	DMR_OK = 0,
	DMR_NOT_OURS,	   /* no magic: blank, foreign or destroyed */
	DMR_BAD_CRC,	   /* ours by its magic, but torn, garbled or misplaced */
	DMR_BAD_VERSION,   /* whole, of a version this code does not know */
	DMR_BAD_FEATURES,  /* whole, with incompat features this code does not know */
	DMR_BAD_GEOMETRY,  /* whole, but says what can not be */
};

static inline bool dmr_power_of_two(__u64 x)
{
	return x && !(x & (x - 1));
}

static inline bool dmr_geometry_sane(const struct dmr_superblock *sb)
{
	__u64 main_size = dmr_le64(sb->main_size), spare_size = dmr_le64(sb->spare_size);
	__u64 slots = dmr_le64(sb->slots), ready = dmr_le64(sb->table_ready);
	__u64 first = dmr_le64(sb->first_table), area = dmr_le64(sb->slot_area);
	__u64 second = dmr_le64(sb->second_table), linear = dmr_linear_size(spare_size);
	__u64 main_lb = dmr_le32(sb->main_logical_block);
	__u64 spare_lb = dmr_le32(sb->spare_logical_block);
	__u64 page = dmr_le32(sb->page_size), table;

	if (page < 4096 || page > DMR_PAGE_MAX || !dmr_power_of_two(page))
		return false;
	if (main_lb < 512 || main_lb > DMR_BLOCK_SIZE || !dmr_power_of_two(main_lb))
		return false;
	if (spare_lb < 512 || spare_lb > main_lb || !dmr_power_of_two(spare_lb))
		return false;
	if (!main_size || main_size % main_lb || main_size >= DMR_SEQUENCE_LIMIT)
		return false;
	if (spare_size >= DMR_SEQUENCE_LIMIT || !linear)
		return false;
	if (!slots || slots > linear / DMR_BLOCK_SIZE || ready > slots)
		return false;
	if (ready != slots && ready % (page / DMR_ENTRY_SIZE))
		return false;
	if (first % page || area % page || second % page)
		return false;
	if (first > linear || area > linear || second > linear)
		return false;
	table = (slots * DMR_ENTRY_SIZE + page - 1) / page * page;
	/* Each sum is below 2^64: every term is at most linear, below 2^63. */
	return first + table <= area && area + slots * DMR_BLOCK_SIZE <= second &&
	       second + table <= linear;
}

/* Judges one copy by itself.  offset: where on the spare it was read. */
static inline enum dmr_verdict dmr_superblock_verdict(const struct dmr_superblock *sb, __u64 offset)
{
	if (memcmp(sb->magic, DMR_MAGIC, sizeof(sb->magic)))
		return DMR_NOT_OURS;
	if (dmr_le32(sb->crc) != dmr_superblock_crc(sb, offset))
		return DMR_BAD_CRC;
	if (dmr_le32(sb->version) != DMR_VERSION)
		return DMR_BAD_VERSION;
	if (dmr_le32(sb->incompat) & ~DMR_INCOMPAT_KNOWN)
		return DMR_BAD_FEATURES;
	if (dmr_le64(sb->sequence) >= DMR_SEQUENCE_LIMIT ||
	    dmr_le64(sb->entry_epoch) >= (DMR_SEQUENCE_LIMIT >> 32) || !dmr_geometry_sane(sb))
		return DMR_BAD_GEOMETRY;
	return DMR_OK;
}

static inline bool dmr_superblock_newer(const struct dmr_superblock *a,
					const struct dmr_superblock *b)
{
	return dmr_le64(a->sequence) > dmr_le64(b->sequence);
}

/* Number of 4 KiB blocks of main, the last one possibly short. */
static inline __u64 dmr_main_blocks(const struct dmr_superblock *sb)
{
	return (dmr_le64(sb->main_size) + DMR_BLOCK_SIZE - 1) / DMR_BLOCK_SIZE;
}

/* Bits of the sectors of a main block that exist; all but for the last, short one. */
static inline __u8 dmr_block_sectors(const struct dmr_superblock *sb, __u64 block)
{
	__u64 rest = dmr_le64(sb->main_size) - block * DMR_BLOCK_SIZE;

	if (rest >= DMR_BLOCK_SIZE)
		return 0xff;
	return (__u8)((1u << (rest / DMR_SECTOR_SIZE)) - 1u);
}

/* Is this a whole entry of this slot that says something possible? */
static inline bool dmr_entry_valid(const struct dmr_superblock *sb, const struct dmr_entry *e,
				   __u64 slot)
{
	__u64 block = dmr_le64(e->main_block);

	if (dmr_le32(e->crc) != dmr_entry_crc(e, sb->uuid, slot))
		return false;
	if (dmr_le64(e->sequence) >= DMR_SEQUENCE_LIMIT)
		return false;
	if (e->state == DMR_FREE || e->state == DMR_BAD_SLOT)
		return block == DMR_NO_BLOCK && !e->lost && !e->retry &&
		       e->reason == DMR_REASON_NONE;
	if (e->state != DMR_REMAPPED || block >= dmr_main_blocks(sb))
		return false;
	return e->reason != DMR_REASON_NONE && e->reason <= DMR_REASON_LAST &&
	       !(e->lost & ~dmr_block_sectors(sb, block)) && !(e->retry & ~e->lost);
}

enum dmr_pick {
	DMR_PICK_FIRST,
	DMR_PICK_SECOND,
	DMR_PICK_SAME,	   /* both valid and equal */
	DMR_PICK_NONE,	   /* no valid copy: any main block may have lived here */
	DMR_PICK_CONFLICT, /* two truths of one sequence: no writer makes that */
};

/* Which copy of one entry counts.  ok: dmr_entry_valid() and readable. */
static inline enum dmr_pick dmr_entry_pick(const struct dmr_entry *first, bool first_ok,
					   const struct dmr_entry *second, bool second_ok)
{
	if (!first_ok && !second_ok)
		return DMR_PICK_NONE;
	if (!second_ok)
		return DMR_PICK_FIRST;
	if (!first_ok)
		return DMR_PICK_SECOND;
	if (!memcmp(first, second, sizeof(*first)))
		return DMR_PICK_SAME;
	if (first->sequence == second->sequence)
		return DMR_PICK_CONFLICT;
	return dmr_le64(first->sequence) > dmr_le64(second->sequence) ? DMR_PICK_FIRST :
									DMR_PICK_SECOND;
}

/*
 * The epoch of an opener: above that of the superblock and above all that entries have seen, or
 * this session's numbers would not be told from those of the one that made them.
 */
static inline __u64 dmr_next_epoch(const struct dmr_superblock *sb, __u64 highest_entry_sequence)
{
	__u64 of_superblock = dmr_le64(sb->entry_epoch), of_entries = highest_entry_sequence >> 32;

	return (of_superblock > of_entries ? of_superblock : of_entries) + 1;
}

/* Of two slots that claim one main block: does a's claim win?  Equal sequences: corrupt. */
static inline bool dmr_claim_wins(const struct dmr_entry *a, const struct dmr_entry *b)
{
	return dmr_le64(a->sequence) > dmr_le64(b->sequence);
}

/*
 * The record of scans.  Nothing that concerns data rests on it, so what can
 * not be is not refused: it is no pass, nothing scanned, no day.
 */

/*
 * Is this a pass under way: a known state, a range of main that is not empty,
 * the cursor in it?  At its end (cursor == scan_end) only the closing is owed.
 */
static inline bool dmr_scan_pass_valid(const struct dmr_superblock *sb)
{
	__u32 state = dmr_le32(sb->scan_state);
	__u64 begin = dmr_le64(sb->scan_begin), end = dmr_le64(sb->scan_end);
	__u64 cursor = dmr_le64(sb->scan_cursor);

	return (dmr_le32(sb->compat) & DMR_COMPAT_SCAN) &&
	       (state == DMR_SCAN_RUNNING || state == DMR_SCAN_PAUSED) && begin < end &&
	       end <= dmr_main_blocks(sb) && begin <= cursor && cursor <= end;
}

/* The main block up to which the pass, or else the last one that began at 0, has read; or 0. */
static inline __u64 dmr_scan_cursor(const struct dmr_superblock *sb)
{
	bool none = !(dmr_le32(sb->compat) & DMR_COMPAT_SCAN) ||
		    dmr_le32(sb->scan_state) == DMR_SCAN_NONE;
	__u64 cursor = dmr_le64(sb->scan_cursor);

	return dmr_scan_pass_valid(sb) || (none && cursor <= dmr_main_blocks(sb)) ? cursor : 0;
}

/* How many of history[], from the first on, are days: each later than the one before. */
static inline unsigned int dmr_history_days(const struct dmr_superblock *sb)
{
	__u32 last = 0;
	unsigned int n = 0;

	if (!(dmr_le32(sb->compat) & DMR_COMPAT_SCAN))
		return 0;
	while (n < DMR_HISTORY_DAYS && dmr_le32(sb->history[n].day) > last)
		last = dmr_le32(sb->history[n++].day);
	return n;
}

#endif
