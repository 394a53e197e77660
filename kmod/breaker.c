// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The breaker: a dying cable must not eat the spare (P6).
 *
 * Before a relocation it is asked.  It trips when main is gone, when calls fail in
 * breaker_regions different regions with no success of their kind in between, or when
 * no block that could be read before can be read now.  Tripped, nothing is moved and
 * errors are passed on; it resets when main answers again and a good block is read.
 * Want of memory and the like says nothing: it neither trips nor resets, nor is a block
 * forgotten for it.
 *
 * The healer's alone.
 */
#include "dm-remap.h"

#define PLACES 16

enum answer { GOOD, BAD, GONE, NONE };

static enum answer ask(struct dmr_disk *d, u64 block)
{
	switch (dmr_classify(dmr_read(d, DMR_MAIN, block * DMR_BLOCK_SIZE, d->other,
				      DMR_BLOCK_SIZE))) {
	case DMR_CLASS_NONE:
		return GOOD;
	case DMR_CLASS_MEDIUM:
		return BAD;
	case DMR_CLASS_GONE:
		return GONE;
	default:
		return NONE;
	}
}

/* Learns until some are known, or main gives no answer. */
static enum answer learn(struct dmr_disk *d)
{
	struct dmr_breaker *b = &d->breaker;
	u64 blocks = d->size / DMR_BLOCK_SIZE;
	enum answer answer;
	unsigned int i, j;

	for (i = 0; i < PLACES && b->known < DMR_KNOWN_GOOD; i++) {
		/* 7 and 16 have no common divisor: each place once, neighbours far apart. */
		u64 block = mult_frac(blocks, i * 7 % PLACES, PLACES);

		for (j = 0; j < b->known && b->known_good[j] != block; j++)
			;
		if (j < b->known || block >= blocks || dmr_map_find(d, block))
			continue;
		answer = ask(d, block);
		if (answer == NONE || answer == GONE)
			return b->known ? GOOD : answer;
		if (answer == BAD)
			continue;
		b->known_good[b->known++] = block;
		b->knew_some = true;
	}
	return b->known ? GOOD : BAD;
}

void dmr_breaker_learn(struct dmr_disk *d)
{
	learn(d);
}

static enum answer probe(struct dmr_disk *d)
{
	struct dmr_breaker *b = &d->breaker;
	enum answer answer;
	bool knew_some;

	while (b->known) {
		answer = ask(d, b->known_good[b->known - 1]);
		if (answer != BAD)
			return answer;
		b->known--; /* perhaps only this one has gone bad */
	}
	knew_some = b->knew_some;
	answer = learn(d);
	/* Where no good block was ever seen the other rules must do. */
	return answer == BAD && !knew_some ? GOOD : answer;
}

static u64 successes(struct dmr_disk *d)
{
	return dmr_main_successes(d, false) + dmr_main_successes(d, true);
}

static void trip(struct dmr_disk *d, const char *why)
{
	if (!d->breaker.tripped) {
		d->breaker.tripped = true;
		d->breaker.successes_then = successes(d);
		DMERR("%s: main %s: %s; nothing is moved until it answers again", dmr_name(d),
		      d->path[DMR_MAIN], why);
	}
	dmr_raise(d, DMR_BREAKER);
}

void dmr_breaker_gone(struct dmr_disk *d, int error)
{
	if (!dmr_active(d, DMR_DEVICE_GONE))
		DMERR("%s: main %s does not answer (error %d)", dmr_name(d), d->path[DMR_MAIN],
		      error);
	dmr_raise(d, DMR_DEVICE_GONE);
	trip(d, "it is gone");
}

/* A call for this block has failed by the medium: may it be relocated? */
bool dmr_breaker_allows(struct dmr_disk *d, bool write, u64 block)
{
	struct dmr_breaker *b = &d->breaker;
	typeof(b->way[0]) *way = &b->way[write];
	u64 region = block >> 8, now;
	u32 limit = READ_ONCE(d->parameters.breaker_regions);
	enum answer answer;
	unsigned int i;

	dmr_breaker_try_reset(d);
	now = dmr_main_successes(d, write);
	if (now != way->successes) {
		way->count = 0;
		way->successes = now;
	}
	for (i = 0; i < way->count && way->regions[i] != region; i++)
		;
	if (i == way->count && way->count < ARRAY_SIZE(way->regions))
		way->regions[way->count++] = region;
	if (!b->tripped && limit && way->count >= min_t(u32, limit, ARRAY_SIZE(way->regions))) {
		way->tripped = true;
		trip(d, write ? "writes failed in many regions and nowhere succeeded" :
				"reads failed in many regions and nowhere succeeded");
	}
	answer = b->tripped ? NONE : probe(d);
	if (answer == BAD || answer == GONE)
		trip(d, "blocks known to be good can not be read");
	return !b->tripped;
}

void dmr_breaker_try_reset(struct dmr_disk *d)
{
	struct dmr_breaker *b = &d->breaker;
	unsigned int i;

	if (!b->tripped || successes(d) == b->successes_then)
		return;
	for (i = 0; i < 2; i++)
		if (b->way[i].tripped && dmr_main_successes(d, i) == b->way[i].successes)
			return;
	if (probe(d) != GOOD) {
		b->successes_then = successes(d);
		return;
	}
	for (i = 0; i < 2; i++) {
		b->way[i].tripped = false;
		b->way[i].count = 0;
	}
	b->tripped = false;
	dmr_clear(d, DMR_DEVICE_GONE);
	dmr_clear(d, DMR_BREAKER);
	DMINFO("%s: main %s answers again", dmr_name(d), d->path[DMR_MAIN]);
}
