/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The breaker: whether bad blocks of main may be moved at all; breaker.c says when not.
 * The healer's alone, or who opens the pair.  Blocks are of 4 KiB, errors negative
 * errnos.
 */
#ifndef DM_REMAP_BREAKER_H
#define DM_REMAP_BREAKER_H

#include <linux/types.h>

#define DMR_KNOWN_GOOD 8

struct dmr_disk;

struct dmr_breaker {
	bool tripped, knew_some;
	unsigned int known;
	u64 known_good[DMR_KNOWN_GOOD];
	u64 successes_then;
	struct {
		bool tripped;
		u64 successes;
		unsigned int count;
		u64 regions[64]; /* different ones, failed since the last success */
	} way[2];
};

/* Looks for blocks that can be read, to ask for them later.  When the pair was opened. */
void dmr_breaker_learn(struct dmr_disk *d);
/* A call for this block has failed by the medium: may it be moved?  May trip it. */
bool dmr_breaker_allows(struct dmr_disk *d, bool write, u64 block);
/* Main does not answer. */
void dmr_breaker_gone(struct dmr_disk *d, int error);
/* Tripped, and main has answered since: it asks for a good block. */
void dmr_breaker_try_reset(struct dmr_disk *d);

#endif
