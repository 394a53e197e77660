/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel target dm-remap-v4: what its files share.
 *
 * A bio's way: target.c takes it, map.c enters the gate of its region (gates.c),
 * looks at filter and mapping (remap_map.c) and sends it to main or to a slot.
 * What fails, or needs more than one I/O, leaves its gate and goes to the
 * healer (healer.c), one worker, which alone changes mappings: behind a closed
 * gate it looks at everything again (exclusive.c), stages changes (commit.c),
 * makes them durable (entry_table.c), publishes, completes the bio and opens the
 * gate.  Flushes take turns (flush.c).  Resume and suspend open and close a pair (open.c).
 *
 * Errors are negative errnos within, blk_status_t only in a bio.  Offsets are
 * bytes and blocks 4 KiB, as in format.h, unless a name says sector.
 */
#ifndef DM_REMAP_H
#define DM_REMAP_H

#define DM_MSG_PREFIX "remap-v4"

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

enum dmr_side { DMR_MAIN, DMR_SPARE, DMR_NOWHERE };

#include "breaker.h"
#include "compat.h"
#include "flush.h"
#include "format.h"
#include "hibernate.h"
#include "module_params.h"
#include "scan.h"

#define DMR_REGION_SECTORS 2048u /* 1 MiB: the grain of gates and filter */
#define DMR_GATE_BITS 10
#define DMR_GATES (1u << DMR_GATE_BITS)
#define DMR_STAGED_MAX 64  /* changes that share a commit */
#define DMR_ERASURES_MAX 64
#define DMR_COMMIT_PAGES 16 /* table pages that share one */
#define DMR_FIRST_STEP 1024u /* entries that format initialises */
#define DMR_CHORES 8
#define DMR_LATENCY_BUCKETS 40 /* bucket n: below 2^n ns */
#define DMR_IO_MAX 65536u	 /* bytes of one call of the healer */
#define DMR_YEAR_HOURS (366u * 24)
#define DMR_FENCED ((1ull << 48) - 1)

enum dmr_error_class {
	DMR_CLASS_NONE,
	DMR_CLASS_MEDIUM,   /* this place is bad: the only one that leads to relocation */
	DMR_CLASS_GONE,	    /* the device is */
	DMR_CLASS_NO_SPACE, /* under a thin spare */
	DMR_CLASS_RESOURCE, /* memory and all else: retried, then returned */
};

/* Why a disk is not healthy; the order of names in cause.c. */
enum dmr_cause {
	DMR_LOST_SECTORS,
	DMR_RETIRED_PAGES,
	DMR_LOST_PAGES,
	DMR_METADATA_IN_DOUBT,
	DMR_SPARE_LOW,
	DMR_SPARE_FULL,
	DMR_SPARE_FS_FULL,
	DMR_SPARE_UNWRITABLE,
	DMR_OPENED_READ_ONLY,
	DMR_FLUSH_FAILED,
	DMR_COMMIT_FAILED,
	DMR_DEVICE_GONE,
	DMR_SPARE_GONE,
	DMR_BREAKER,
	DMR_CAUSES,
};

enum dmr_state { DMR_HEALTHY, DMR_DEGRADED, DMR_READ_ONLY, DMR_FAILED };

/* Where a main block lives; 16 bytes, see remap_map.c. */
struct dmr_remap {
	u64 block;
	u64 slot : 48; /* DMR_FENCED: nobody knows until reopen, every I/O to it is EIO */
	u64 lost : 8;
	u64 retry : 8;
};

struct dmr_shard {
	struct dmr_remap *remaps; /* sorted by block */
	size_t count, room;
};

struct dmr_gate {
	atomic_t inside; /* those inside, plus INT_MIN while closed */
	bool closed;	 /* with lock */
	spinlock_t lock; /* the parking place, and nothing else */
	struct bio_list parked;
	/* The healer's: */
	struct list_head active;
	struct bio_list jobs;
	struct list_head orders;
} ____cacheline_aligned_in_smp;

/* Beside each bio, see map.c. */
struct dmr_bio {
	struct bvec_iter iter; /* as it came: by its end the bio's own has advanced */
	u64 start_ns;
	int error;	  /* the healer's verdict */
	u16 gate;
	u8 side;	  /* where it was sent */
	bool inside : 1;  /* its gate */
	bool decided : 1; /* bi_status is the answer */
	bool fua : 1;	  /* a write that is to be durable when it ends */
	bool unflushed : 1; /* where it was sent FUA was taken off it */
};

enum dmr_order_kind {
	/* Of blocks [first, last] of one region, behind its gate: */
	DMR_ORDER_REMAP, DMR_ORDER_UNMAP, DMR_ORDER_RETRY, DMR_ORDER_MOVE,
	DMR_ORDER_CHECK, /* remap if it is bad, or weak and such are wanted */
	/* Errands between two rounds; the second saves how far the scan is: */
	DMR_ORDER_SET, DMR_ORDER_SCAN, DMR_ORDER_METADATA,
};

/* What the healer shall do; the giver's memory. */
struct dmr_order {
	struct list_head node;
	enum dmr_order_kind kind;
	bool force, suspected; /* of DMR_ORDER_CHECK: it was slow, or failed alone */
	u64 first, last;
	u64 slot; /* DMR_ORDER_MOVE */
	const char *name, *value; /* DMR_ORDER_SET */
	struct dmr_metadata_check *metadata; /* DMR_ORDER_METADATA */
	/* the answer: */
	u64 changed, unchanged, refused, error_block;
	int error; /* the first */
	u64 bad; /* blocks that DMR_ORDER_CHECK found so */
	bool weak; /* DMR_ORDER_CHECK: it is suspected with reason, and could be read */
	const char *why; /* DMR_ORDER_SET */
	struct completion *done; /* NULL: a chore, of dmr_disk.chores */
};

/* A change of the mapping that waits for the commit, see commit.c. */
struct dmr_staged {
	u64 block, slot, old_slot, once_slot;
	u8 lost, retry, reason, cleared;
	u8 stood_once; /* on as many pages */
	bool has_data : 1; /* a relocation or an unmap; else only marks change */
	bool has_old : 1;  /* it leaves old_slot */
	bool old_bad : 1;  /* which failed a write */
	bool old_same : 1; /* which holds what the new one gets */
	bool has_once : 1; /* its claim in once_slot is durable, but in one copy */
	bool unmap : 1;
	bool salvaged : 1;
	bool issued : 1; /* an entry write was issued to some copy */
	bool settled : 1;
	bool slotless : 1; /* it was sent elsewhere, and no slot is found yet */
	int result, refused;
	struct bio *bio;	 /* whose success it decides, or NULL */
	struct dmr_order *order; /* likewise */
	u8 *data;
};

struct dmr_erasure {
	u64 slot;
	u8 state; /* DMR_FREE or DMR_BAD_SLOT */
};

enum dmr_page_health { DMR_PAGE_GOOD, DMR_PAGE_FIRST_GOOD, DMR_PAGE_SECOND_GOOD, DMR_PAGE_MIXED };

struct dmr_page {
	struct dmr_entry *entries; /* as both copies shall say */
	unsigned long *bits;	   /* reserved slots, then superseded ones */
	u32 free;
	u8 health;
	bool owed; /* its worse copy, before anything else is committed */
	bool once; /* owed by a commit that was published: its worse copy holds an older version */
	bool taken_back; /* owed the first copy and then, renewed, the second */
	bool suspect;	 /* when the opener begins to look for doubts */
};

struct dmr_counts {
	u64 used, bad, lost_sectors, retry_sectors, retired_pages, superseded;
};

/*
 * The entry table; the healer's (or the opener's) alone.  Counts are read by others, and
 * the pages by messages, which hold pages_lock.
 */
struct dmr_table {
	struct dmr_page *pages;
	u64 page_count, page_room, ready, slots, free, hint, next_sequence;
	u64 owed; /* pages */
	int device_error; /* for which a commit or a growth had to wait, or 0 */
	u32 per_page;
	bool full_grown, broken;
	bool unfirm; /* no flush succeeds, see table_debt.c; others read it */
	struct dmr_counts counts;
};

struct dmr_change {
	u64 slot, block, replaces; /* replaces: DMR_NO_BLOCK if none */
	u8 state, lost, retry, reason;
	u8 outcome;
};

/*
 * DMR_DURABLE: in both copies.  DMR_ONCE: in the first; the page is retired, and the claim
 * must be replaced by one on another page.  DMR_OWED: in the first, and the second gets it
 * later.  DMR_REFUSED: no entry write was issued, for no fault of the page's; it can be made
 * again.
 */
enum dmr_outcome { DMR_PAGE_FAILED, DMR_DURABLE, DMR_ONCE, DMR_OWED, DMR_UNKNOWN, DMR_REFUSED };

enum dmr_op { DMR_OP_READ, DMR_OP_WRITE, DMR_OP_ZERO, DMR_OP_DISCARD, DMR_OP_FLUSH, DMR_OPS };

struct dmr_stats {
	struct {
		u64 completed, failed, bytes, time_ns;
		u64 latency[DMR_LATENCY_BUCKETS];
	} op[DMR_OPS];
	u64 ok[2][DMR_OPS], errors[2][DMR_OPS]; /* calls to main and spare */
};

struct dmr_totals {
	u64 remaps, moves, unmaps, sectors_lost, sectors_salvaged, commits;
	u64 by_reason[DMR_REASON_LAST + 1];
};

struct dmr_parameters {
	u32 read_retries, remap_on_read_error, lost_retry_minutes, breaker_regions;
	u32 background_scanning, scan_interval_hours, scan_speed_max, relocate_weak;
};

struct dmr_disk {
	struct dm_target *ti;
	struct dmr_demo *demo; /* whose memory the two are, see demo.h; NULL: real devices */
	struct dm_dev *dev[2];
	char *path[2]; /* as the table names them */
	u64 size;
	u32 logical_block;
	bool read_only;
	bool take_over, has_uuid, has_machine;
	u8 uuid[16], machine[16], boot[16];
	/* As the constructor found the spare: what was made for it then is made for no other. */
	u8 pair_uuid[16];
	u32 page_size;

	/* Open: between preresume and postsuspend. */
	struct mutex lock; /* messages against suspend and resume */
	bool open;	   /* with lock; the healer works only then */
	bool closing;
	bool suspending;   /* since presuspend: messages end early */
	struct list_head opened; /* in holder.c's list */
	u64 mappings_then; /* at the last close, for a status while suspended */
	bool one_copy_only; /* no page was found that takes both copies; the healer's, see commit.c */
	bool doubt_left;    /* the opener's: a block could not be mapped anew */
	bool failed_before;	 /* a failed flush or commit is for this table's life */

	struct dmr_superblock *sb; /* what stands on the spare */
	bool newest[DMR_COPIES_MAX], missed, flushed_once;
	unsigned int sb_failures; /* updates in a row that no copy is known to hold */
	struct dmr_parameters parameters;

	unsigned long *filter;
	struct dmr_shard *shards;
	struct dmr_gate *gates;
	struct dmr_table table;
	struct mutex pages_lock; /* held while table.pages gets another place, see above */

	/* The healer's. */
	struct workqueue_struct *wq, *flush_wq;
	struct work_struct heal, event;
	struct delayed_work wake;
	spinlock_t queue_lock;
	struct bio_list queued;	      /* with queue_lock */
	struct list_head queued_orders; /* likewise */
	struct list_head active;      /* gates that are closed */
	struct bio_list done;
	struct list_head done_orders;
	struct list_head errands;
	struct dmr_staged staged[DMR_STAGED_MAX];
	struct dmr_erasure erasures[DMR_ERASURES_MAX];
	struct dmr_change *changes; /* of one commit */
	unsigned int staged_count, erasure_count;
	struct dmr_order chores[DMR_CHORES];
	unsigned int chores_out;
	u64 retry_cursor, move_cursor;
	unsigned long last_retry; /* jiffies */
	unsigned int retry_asked, retry_done;
	wait_queue_head_t retry_wait;
	unsigned int low_mark, retry_begun;
	bool ran_out; /* of slots, since dmr_update_causes() last told of it */
	u64 retired_seen;
	struct bio_set bios;
	u8 *block, *block2;			   /* 4 KiB each, exclusive.c's */
	u8 *other;				   /* 4 KiB, for a moment: entry_table.c's, unmap.c's, breaker.c's, open.c's */
	struct dmr_entry *image[DMR_COMMIT_PAGES]; /* a table page each; between commits scan_metadata.c's */
	struct dmr_superblock *sb_image;

	unsigned long causes; /* bits of enum dmr_cause */
	int last_state;
	struct dmr_breaker breaker;
	struct dmr_flusher flushers[2];
	struct dmr_scan scan;
	struct dmr_totals totals, totals_cleared;
	struct dmr_stats __percpu *stats;
	struct dmr_stats *cleared; /* what stats stood at when they were cleared */
	spinlock_t totals_lock;
};

/* gates.c */
static inline unsigned int dmr_gate_of(u64 block)
{
	/* Fibonacci hashing: neighbouring regions fall apart. */
	return ((block >> 8) * 0x9E3779B97F4A7C15ull) >> (64 - DMR_GATE_BITS);
}
int dmr_gates_init(struct dmr_disk *d);
void dmr_gates_free(struct dmr_disk *d);
bool dmr_gate_enter(struct dmr_disk *d, unsigned int gate);
void dmr_gate_leave(struct dmr_disk *d, unsigned int gate);
bool dmr_gate_park(struct dmr_disk *d, unsigned int gate, struct bio *bio);
void dmr_gate_close(struct dmr_disk *d, unsigned int gate);
bool dmr_gate_empty(struct dmr_disk *d, unsigned int gate);
void dmr_gate_open(struct dmr_disk *d, unsigned int gate, struct bio_list *parked);

/* remap_map.c */
int dmr_map_init(struct dmr_disk *d);
void dmr_map_clear(struct dmr_disk *d);
void dmr_map_free(struct dmr_disk *d);
bool dmr_map_may_hold(struct dmr_disk *d, u64 block);
struct dmr_remap *dmr_map_lower_bound(struct dmr_disk *d, u64 block);
struct dmr_remap *dmr_map_next(struct dmr_disk *d, struct dmr_remap *remap);
struct dmr_remap *dmr_map_find(struct dmr_disk *d, u64 block);
int dmr_map_room(struct dmr_disk *d, u64 block, size_t more);
void dmr_map_put(struct dmr_disk *d, const struct dmr_remap *remap);
void dmr_map_remove(struct dmr_disk *d, u64 block);
int dmr_map_fill(struct dmr_disk *d, u64 *conflicts);

/* map.c */
void dmr_bio_init(struct dmr_disk *d, struct bio *bio);
int dmr_route(struct dmr_disk *d, struct bio *bio, bool may_split);
void dmr_decide(struct bio *bio, blk_status_t status);
int dmr_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error);

/* block_io.c */
enum dmr_error_class dmr_classify(int error);
int dmr_call(struct dmr_disk *d, enum dmr_side side, blk_opf_t opf, u64 offset, void *data,
	     unsigned int length);
int dmr_read(struct dmr_disk *d, enum dmr_side side, u64 offset, void *data, unsigned int length);
int dmr_write(struct dmr_disk *d, enum dmr_side side, u64 offset, const void *data,
	      unsigned int length);
int dmr_salvage(struct dmr_disk *d, enum dmr_side side, u64 offset, u8 *data, unsigned int length,
		u8 *bad);

/* cause.c */
void dmr_raise(struct dmr_disk *d, enum dmr_cause cause);
void dmr_clear(struct dmr_disk *d, enum dmr_cause cause);
void dmr_set_cause(struct dmr_disk *d, enum dmr_cause cause, bool active);
bool dmr_active(struct dmr_disk *d, enum dmr_cause cause);
enum dmr_state dmr_state(struct dmr_disk *d);
const char *dmr_state_name(enum dmr_state state);
const char *dmr_cause_name(enum dmr_cause cause);
void dmr_event_work(struct work_struct *work);
static inline bool dmr_writable(struct dmr_disk *d)
{
	return !(READ_ONCE(d->causes) & (BIT(DMR_OPENED_READ_ONLY) | BIT(DMR_FLUSH_FAILED) |
					 BIT(DMR_COMMIT_FAILED)));
}

/* superblock.c */
int dmr_superblock_load(struct dmr_disk *d);
int dmr_superblock_write(struct dmr_disk *d, const struct dmr_superblock *next, u64 skip);
u64 dmr_opening_skip(struct dmr_disk *d);
bool dmr_superblock_still_there(struct dmr_disk *d);
unsigned int dmr_superblock_check(struct dmr_disk *d);
unsigned int dmr_superblocks_bad(struct dmr_disk *d);
int dmr_check_geometry(struct dmr_disk *d);

/* holder.c */
void dmr_holder_init(struct dmr_disk *d);
int dmr_holder_check(struct dmr_disk *d);
void dmr_holder_set(struct dmr_disk *d, struct dmr_superblock *sb);
void dmr_holder_clear(struct dmr_superblock *sb);
int dmr_holder_enlist(struct dmr_disk *d);
void dmr_holder_delist(struct dmr_disk *d);
void dmr_for_each_open(void (*visit)(struct dmr_disk *d));

/* open.c */
int dmr_open(struct dmr_disk *d);
void dmr_close(struct dmr_disk *d);

/* table_load.c, table_grow.c */
int dmr_table_load(struct dmr_disk *d, u64 *highest);
int dmr_table_add_pages(struct dmr_disk *d, u64 page_count);
void dmr_table_free(struct dmr_disk *d);
int dmr_pages_read(struct dmr_disk *d, int copy, u64 page, u64 count, void *to);
int dmr_used_entry_in_pages(struct dmr_disk *d, u64 first, u64 count);
u64 dmr_next_step(struct dmr_disk *d, u64 ready);
bool dmr_table_grow(struct dmr_disk *d);

/* entry_table.c */
void dmr_initial_entry(const struct dmr_superblock *sb, struct dmr_entry *entry, u64 slot);
struct dmr_entry *dmr_entry_at(struct dmr_disk *d, u64 slot);
bool dmr_slot_retired(struct dmr_disk *d, u64 slot);
bool dmr_slot_live(struct dmr_disk *d, u64 slot);
bool dmr_slot_superseded(struct dmr_disk *d, u64 slot);
void dmr_slot_supersede(struct dmr_disk *d, u64 slot);
void dmr_table_account(struct dmr_disk *d, const struct dmr_entry *entry, bool add);
void dmr_page_count_free(struct dmr_disk *d, u64 page);
int dmr_slot_allocate(struct dmr_disk *d, u64 *slot);
void dmr_slot_give_back(struct dmr_disk *d, u64 slot);
void dmr_slot_look_further(struct dmr_disk *d, u64 pages);
void dmr_page_retire(struct dmr_disk *d, u64 page);
int dmr_table_flush(struct dmr_disk *d);
int dmr_page_write(struct dmr_disk *d, int copy, u64 page, const struct dmr_entry *image);
void dmr_table_commit(struct dmr_disk *d, struct dmr_change *changes, unsigned int count);
u64 dmr_table_unusable(struct dmr_disk *d);
static inline u64 dmr_pages_for(struct dmr_disk *d, u64 entries)
{
	return (entries + d->table.per_page - 1) / d->table.per_page;
}

/* table_debt.c */
void dmr_page_owe(struct dmr_disk *d, u64 page, enum dmr_page_health health);
int dmr_table_pay_back(struct dmr_disk *d);
bool dmr_table_live_retired(struct dmr_disk *d);
void dmr_table_look_firm(struct dmr_disk *d);
/* Any context.  While it is not, a change is published that is not acknowledged. */
static inline bool dmr_table_firm(struct dmr_disk *d)
{
	return !READ_ONCE(d->table.unfirm);
}
/* Of a page with one good copy. */
static inline int dmr_worse_copy(const struct dmr_page *page)
{
	return page->health == DMR_PAGE_FIRST_GOOD ? 1 : 0;
}

/* table_repair.c */
bool dmr_winner_is_firm(struct dmr_disk *d, u64 slot);
int dmr_table_repair(struct dmr_disk *d);

/* table_doubt.c */
int dmr_settle_doubts(struct dmr_disk *d);

/* commit.c, unmap.c */
struct dmr_staged *dmr_stage(struct dmr_disk *d, u64 block);
int dmr_write_new_slot(struct dmr_disk *d, const u8 *data, u64 *slot);
int dmr_relocate(struct dmr_disk *d, const struct dmr_staged *change, const u8 *data);
void dmr_change_marks(struct dmr_disk *d, const struct dmr_remap *remap, u8 lost, u8 retry,
		      bool salvaged, struct bio *bio);
bool dmr_is_staged(struct dmr_disk *d, u64 first, u64 last);
void dmr_commit(struct dmr_disk *d);
void dmr_staged_fail(struct dmr_disk *d, struct dmr_staged *s, int error);
void dmr_find_slot(struct dmr_disk *d, struct dmr_staged *s);
void dmr_commit_unmaps(struct dmr_disk *d);
int dmr_unmap_block(struct dmr_disk *d, struct dmr_order *order, u64 block);
void dmr_erase_later(struct dmr_disk *d, u64 slot, u8 state);

/* exclusive.c */
void dmr_exclusive_bio(struct dmr_disk *d, struct bio *bio);
int dmr_remap_block(struct dmr_disk *d, struct dmr_order *order, u64 block);
int dmr_check_block(struct dmr_disk *d, struct dmr_order *order, u64 block);
void dmr_retry_block(struct dmr_disk *d, u64 block);
void dmr_move_slot(struct dmr_disk *d, u64 slot);
int dmr_map_anew(struct dmr_disk *d, u64 block);

/* healer.c */
void dmr_heal_bio(struct dmr_disk *d, struct bio *bio);
void dmr_heal_order(struct dmr_disk *d, struct dmr_order *order);
void dmr_heal_work(struct work_struct *work);
void dmr_wake_work(struct work_struct *work);
void dmr_update_causes(struct dmr_disk *d);
void dmr_wake_healer(struct dmr_disk *d);

/* stats.c */
void dmr_count_bio(struct dmr_disk *d, enum dmr_op op, bool ok, unsigned int bytes, u64 ns);
void dmr_count_call(struct dmr_disk *d, enum dmr_side side, enum dmr_op op, bool ok);
u64 dmr_main_successes(struct dmr_disk *d, bool write);
u64 dmr_bios_ended(struct dmr_disk *d);
u64 dmr_main_errors(struct dmr_disk *d);
void dmr_stats_sum(struct dmr_disk *d, struct dmr_stats *sum);
void dmr_stats_clear(struct dmr_disk *d);
u64 dmr_errors(const struct dmr_stats *sum, enum dmr_side side);
enum dmr_op dmr_op_of(const struct bio *bio);
const char *dmr_op_name(enum dmr_op op);
int dmr_stats_text(struct dmr_disk *d, char *text, unsigned int room);

/* status.c, message.c */
void dmr_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		unsigned int maxlen);
int dmr_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		unsigned int maxlen);
int dmr_health_text(struct dmr_disk *d, char *text, unsigned int room);
u64 dmr_free_slots(struct dmr_disk *d);
const char *dmr_reason_word(u8 reason);

/* params.c */
void dmr_parameters_initial(struct dmr_superblock *sb);
void dmr_parameters_load(struct dmr_disk *d);
int dmr_parameter_set(struct dmr_disk *d, const char *name, const char *value, const char **why);

static inline const char *dmr_name(struct dmr_disk *d)
{
	return dm_device_name(dm_table_get_md(d->ti->table));
}
static inline struct dmr_bio *dmr_bio(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct dmr_bio));
}
static inline u64 dmr_first_sector(u64 block)
{
	return block * DMR_SECTORS_PER_BLOCK;
}
static inline unsigned int dmr_block_length(struct dmr_disk *d, u64 block)
{
	return min_t(u64, DMR_BLOCK_SIZE, d->size - block * DMR_BLOCK_SIZE);
}
/* Bits of the sectors of a block that bytes [begin, end) of it touch. */
static inline u8 dmr_sectors(unsigned int begin, unsigned int end)
{
	unsigned int first = begin / DMR_SECTOR_SIZE;
	unsigned int past = DIV_ROUND_UP(end, DMR_SECTOR_SIZE);

	return begin >= end ? 0 : ((1u << past) - 1u) & ~((1u << first) - 1u);
}

#endif
