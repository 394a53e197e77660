/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Demo mode: a pair whose main and spare are memory, and whose faults come by message.
 *
 *   demo.c          a pair, found again by a reload of its table
 *   demo_format.c   its spare, made ready for use
 *   demo_disk.c     one of its devices, a disk of the block layer like any other
 *   demo_ram.c      its memory
 *   demo_faults.c   what fails on it
 *   demo_inject.c   the message that says so
 *
 * The rest of the target sees two block devices and knows no demo: it opens, claims,
 * flushes and commits as ever.
 *
 * Errors are negative errnos; offsets and lengths bytes, unless a name says sector.
 */
#ifndef DM_REMAP_DEMO_H
#define DM_REMAP_DEMO_H

#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "dm-remap.h"

/* demo_ram.c */
struct dmr_ram {
	struct xarray pages; /* of PAGE_SIZE, by number */
};
void dmr_ram_init(struct dmr_ram *ram);
void dmr_ram_free(struct dmr_ram *ram);
int dmr_ram_write(struct dmr_ram *ram, u64 at, const void *from, unsigned int length);
void dmr_ram_read(struct dmr_ram *ram, u64 at, void *to, unsigned int length);
void dmr_ram_zero(struct dmr_ram *ram, u64 at, u64 length);

/* demo_faults.c */
enum dmr_fault_verb {
	DMR_FAULT_BAD, DMR_FAULT_FAIL, DMR_FAULT_VANISH, DMR_FAULT_RETURN, DMR_FAULT_HEAL,
	DMR_FAULT_CLEAR,
};

/* Kinds of calls, bits of a mask. */
#define DMR_FAULT_READ 1u
#define DMR_FAULT_WRITE 2u
#define DMR_FAULT_FLUSH 4u

#define DMR_FAULT_TIMES_MAX 0xffffffu
#define DMR_FAULT_LINES 16u

/* A line that was understood; what its verb does not use is 0. */
struct dmr_fault {
	enum dmr_fault_verb verb;
	unsigned int kinds; /* bad, fail */
	u64 first, end;	    /* bad, heal: sectors */
	u64 passing;	    /* fail, vanish: calls that still work */
	u64 failing;	    /* fail: calls that fail after these; 0: all */
	unsigned int error; /* bad, fail: its place in dmr_fault_errors */
	u32 times;	    /* bad: 0: for ever */
	bool heals;	    /* bad */
};

struct dmr_fault_error {
	const char *name;
	int error;
};
#define DMR_FAULT_ERRORS 10u
extern const struct dmr_fault_error dmr_fault_errors[DMR_FAULT_ERRORS];

struct dmr_faults {
	spinlock_t lock;
	bool any;    /* whether a call must be judged at all */
	u64 sectors; /* of the device */
	u32 *bad[2]; /* of reads and of writes: a word a sector, or NULL until one is bad */
	struct {
		unsigned int kinds, error;
		u64 passing, failing;
	} lines[DMR_FAULT_LINES];
	unsigned int line_count;
	bool vanishing;
	u64 vanishing_after;
};
void dmr_faults_init(struct dmr_faults *f, u64 sectors);
void dmr_faults_free(struct dmr_faults *f);
int dmr_faults_prepare(struct dmr_faults *f, const struct dmr_fault *fault);
void dmr_faults_apply(struct dmr_faults *f, const struct dmr_fault *fault);
int dmr_faults_judge(struct dmr_faults *f, unsigned int kind, u64 first, u64 end, u64 *written);
unsigned int dmr_faults_text(struct dmr_faults *f, const char *device, char *text,
			     unsigned int room);

/* demo_disk.c */
struct dmr_demo_device {
	struct gendisk *disk;
	struct dmr_ram ram;
	struct dmr_faults faults;
	char numbers[24]; /* "MAJOR:MINOR", as device-mapper takes it for a path */
};
void dmr_demo_device_init(struct dmr_demo_device *device, u64 sectors);
int dmr_demo_device_add(struct dmr_demo_device *device, const char *role, int number);
void dmr_demo_device_free(struct dmr_demo_device *device);

/* demo_format.c */
int dmr_demo_format(struct dmr_ram *spare, u64 size);

/* demo.c */
struct dmr_demo {
	struct list_head node;	  /* in the list of pairs */
	struct mapped_device *md; /* whose tables share it; never followed */
	unsigned int users;	  /* tables */
	int number;
	u64 sectors;
	struct mutex lock; /* one message changes its faults at a time */
	struct dmr_demo_device device[2];
};
int dmr_demo_get(struct dmr_disk *d);
void dmr_demo_put(struct dmr_disk *d);
char *dmr_demo_path(struct dmr_disk *d, enum dmr_side side);

/* demo_inject.c */
int dmr_inject(struct dmr_disk *d, unsigned int argc, char **argv, char *result,
	       unsigned int maxlen);

#endif
