// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The faults of a demo's device, and what they make of each call to it.  The rules are
 * those of core/device/FAULTS.md, which says in which order they are asked; of its lines
 * slow, and of its options torn and garble, are not here.
 *
 * A sector's fault is a word of an array over the whole device, one for reads and one
 * for writes, so that a call costs a look at each of its sectors and no allocation.
 * The arrays come with the first bad sector and go with the device.
 *
 * dmr_faults_prepare() allocates what apply() needs, so that a line for both devices is
 * taken by both or by none.  Messages of one demo come one at a time (demo_inject.c);
 * calls come from any thread, and the lock orders them.
 */
#include <linux/mm.h>

#include "demo.h"

/* A word of a bad sector; 0: good. */
#define WORD_BAD 1u
#define WORD_HEALS 2u
#define WORD_ERROR_SHIFT 2
#define WORD_ERROR_MASK 0xfu
#define WORD_TIMES_SHIFT 8 /* calls until it is good; 0: for ever */

const struct dmr_fault_error dmr_fault_errors[DMR_FAULT_ERRORS] = {
	{ "EIO", -EIO },	   { "ENODATA", -ENODATA },	{ "EILSEQ", -EILSEQ },
	{ "EREMOTEIO", -EREMOTEIO }, { "ETIMEDOUT", -ETIMEDOUT }, { "ENOSPC", -ENOSPC },
	{ "ENOMEM", -ENOMEM },	   { "EBUSY", -EBUSY },		{ "ENODEV", -ENODEV },
	{ "ENOLINK", -ENOLINK },
};

static unsigned int word_error(u32 word)
{
	return word >> WORD_ERROR_SHIFT & WORD_ERROR_MASK;
}

void dmr_faults_init(struct dmr_faults *f, u64 sectors)
{
	spin_lock_init(&f->lock);
	f->sectors = sectors;
}

void dmr_faults_free(struct dmr_faults *f)
{
	kvfree(f->bad[0]);
	kvfree(f->bad[1]);
}

/* 0, -ENOMEM, or -ENOSPC: there are DMR_FAULT_LINES lines of calls that fail. */
int dmr_faults_prepare(struct dmr_faults *f, const struct dmr_fault *fault)
{
	unsigned int writing;

	if (fault->verb == DMR_FAULT_FAIL && f->line_count == DMR_FAULT_LINES)
		return -ENOSPC;
	if (fault->verb != DMR_FAULT_BAD)
		return 0;
	for (writing = 0; writing < 2; writing++) {
		u32 *words;

		if (f->bad[writing] || !(fault->kinds & (writing ? DMR_FAULT_WRITE : DMR_FAULT_READ)))
			continue;
		words = kvcalloc(f->sectors, sizeof(*words), GFP_KERNEL);
		if (!words)
			return -ENOMEM;
		spin_lock(&f->lock);
		f->bad[writing] = words;
		spin_unlock(&f->lock);
	}
	return 0;
}

static void set_words(u32 *words, u64 first, u64 end, u32 word)
{
	if (words)
		memset32(words + first, word, end - first);
}

/* What was prepared. */
void dmr_faults_apply(struct dmr_faults *f, const struct dmr_fault *fault)
{
	u32 word = WORD_BAD | (fault->heals ? WORD_HEALS : 0) | fault->error << WORD_ERROR_SHIFT |
		   fault->times << WORD_TIMES_SHIFT;

	spin_lock(&f->lock);
	switch (fault->verb) {
	case DMR_FAULT_BAD:
		if (fault->kinds & DMR_FAULT_READ)
			set_words(f->bad[0], fault->first, fault->end, word);
		if (fault->kinds & DMR_FAULT_WRITE)
			set_words(f->bad[1], fault->first, fault->end, word);
		WRITE_ONCE(f->any, true);
		break;
	case DMR_FAULT_HEAL:
		set_words(f->bad[0], fault->first, fault->end, 0);
		set_words(f->bad[1], fault->first, fault->end, 0);
		break;
	case DMR_FAULT_FAIL:
		f->lines[f->line_count].kinds = fault->kinds;
		f->lines[f->line_count].error = fault->error;
		f->lines[f->line_count].passing = fault->passing;
		f->lines[f->line_count++].failing = fault->failing;
		WRITE_ONCE(f->any, true);
		break;
	case DMR_FAULT_VANISH:
		f->vanishing = true;
		f->vanishing_after = fault->passing;
		WRITE_ONCE(f->any, true);
		break;
	case DMR_FAULT_RETURN:
		f->vanishing = false;
		break;
	case DMR_FAULT_CLEAR:
		set_words(f->bad[0], 0, f->sectors, 0);
		set_words(f->bad[1], 0, f->sectors, 0);
		f->line_count = 0;
		f->vanishing = false;
		WRITE_ONCE(f->any, false);
		break;
	}
	spin_unlock(&f->lock);
}

/* Every line counts every call of its kinds, also when another one fails it. */
static int failing_call(struct dmr_faults *f, unsigned int kind)
{
	unsigned int i, kept = 0;
	int error = 0;

	for (i = 0; i < f->line_count; i++) {
		bool over = false;

		if (f->lines[i].kinds & kind) {
			if (f->lines[i].passing) {
				f->lines[i].passing--;
			} else {
				if (!error)
					error = dmr_fault_errors[f->lines[i].error].error;
				over = f->lines[i].failing && !--f->lines[i].failing;
			}
		}
		if (!over)
			f->lines[kept++] = f->lines[i];
	}
	f->line_count = kept;
	return error;
}

/* The error of the first bad one, which is *bad; the call counts for all of them. */
static int bad_sectors(u32 *words, u64 first, u64 end, u64 *bad)
{
	int error = 0;
	u64 s;

	for (s = first; words && s < end; s++) {
		u32 times = words[s] >> WORD_TIMES_SHIFT;

		if (!words[s])
			continue;
		if (!error) {
			error = dmr_fault_errors[word_error(words[s])].error;
			*bad = s;
		}
		if (times == 1)
			words[s] = 0;
		else if (times)
			words[s] -= 1u << WORD_TIMES_SHIFT;
	}
	return error;
}

static void heal_written(u32 *words, u64 first, u64 end)
{
	u64 s;

	for (s = first; words && s < end; s++)
		if (words[s] & WORD_HEALS)
			words[s] = 0;
}

static int judge(struct dmr_faults *f, unsigned int kind, u64 first, u64 end, u64 *written)
{
	u64 bad = first; /* one that fails by its number has written nothing */
	int error;

	if (f->vanishing && !f->vanishing_after)
		return -ENODEV;
	if (!kind) /* a discard, which is neither counted nor failed */
		return 0;
	if (f->vanishing)
		f->vanishing_after--;
	error = failing_call(f, kind);
	if (!error && kind != DMR_FAULT_FLUSH)
		error = bad_sectors(f->bad[kind == DMR_FAULT_WRITE], first, end, &bad);
	if (kind == DMR_FAULT_WRITE) {
		*written = (error ? bad : end) - first;
		heal_written(f->bad[0], first, first + *written);
	}
	return error;
}

/*
 * What becomes of a call, which is one of the kinds, or a discard (0): 0 or the errno
 * with which it fails; of a write that does, the first *written sectors are written.
 */
int dmr_faults_judge(struct dmr_faults *f, unsigned int kind, u64 first, u64 end, u64 *written)
{
	int error;

	*written = 0;
	if (!READ_ONCE(f->any))
		return 0;
	spin_lock(&f->lock);
	error = judge(f, kind, first, end, written);
	spin_unlock(&f->lock);
	return error;
}

#define EMIT(...) (at += scnprintf(text + at, room - at, __VA_ARGS__))

static const char *kinds_name(unsigned int kinds)
{
	switch (kinds) {
	case DMR_FAULT_READ:
		return "read";
	case DMR_FAULT_WRITE:
		return "write";
	case DMR_FAULT_FLUSH:
		return "flush";
	default:
		return "any";
	}
}

static unsigned int error_text(unsigned int error, char *text, unsigned int room)
{
	return error ? scnprintf(text, room, " error=%s", dmr_fault_errors[error].name) : 0;
}

static unsigned int bad_text(struct dmr_faults *f, bool writing, const char *device, char *text,
			     unsigned int room)
{
	const u32 *words = f->bad[writing];
	unsigned int at = 0;
	u64 s, first;

	for (s = 0; words && s < f->sectors && at + 1 < room; s++) {
		u32 word = words[s];

		if (!word)
			continue;
		for (first = s; s + 1 < f->sectors && words[s + 1] == word; s++)
			;
		EMIT("%s bad %s %llu+%llu", device, writing ? "write" : "read", first, s + 1 - first);
		at += error_text(word_error(word), text + at, room - at);
		if (word >> WORD_TIMES_SHIFT)
			EMIT(" times=%u", word >> WORD_TIMES_SHIFT);
		EMIT("%s\n", word & WORD_HEALS ? " heals" : "");
	}
	return at;
}

/* The lines that would make these faults from none, as far as there is room for them. */
unsigned int dmr_faults_text(struct dmr_faults *f, const char *device, char *text,
			     unsigned int room)
{
	unsigned int i, at;

	spin_lock(&f->lock);
	at = bad_text(f, false, device, text, room);
	at += bad_text(f, true, device, text + at, room - at);
	for (i = 0; i < f->line_count; i++) {
		EMIT("%s fail %s %llu+", device, kinds_name(f->lines[i].kinds),
		     f->lines[i].passing + 1);
		if (f->lines[i].failing)
			EMIT("%llu", f->lines[i].failing);
		at += error_text(f->lines[i].error, text + at, room - at);
		EMIT("\n");
	}
	if (f->vanishing)
		EMIT("%s vanish after %llu\n", device, f->vanishing_after);
	spin_unlock(&f->lock);
	return at;
}
