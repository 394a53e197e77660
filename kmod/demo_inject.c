// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The message inject: a line of core/device/FAULTS.md.
 *
 *   inject                                     the faults in force
 *   inject DEVICE bad read|write|all RANGE [error=NAME] [times=N] [heals]
 *   inject DEVICE fail read|write|flush|any CALLS [error=NAME]
 *   inject DEVICE vanish [after N]
 *   inject DEVICE return
 *   inject DEVICE heal RANGE
 *   inject [DEVICE] clear
 *
 * DEVICE is main, spare or *, and may come behind the verb; RANGE is SECTOR,
 * SECTOR+COUNT or *; CALLS is K, K+COUNT or K+.  A line is taken as a whole or not at
 * all; what is wrong with it is logged.  The answer is always the faults then in force,
 * in the same language, with what is left of their counts.
 */
#include <linux/ctype.h>
#include <linux/overflow.h>

#include "demo.h"

static const char *const devices[] = { "main", "spare", "*" };
static const char *const verbs[] = { "bad", "fail", "vanish", "return", "heal", "clear" };

struct words {
	struct dmr_disk *d;
	unsigned int count;
	char **word;
};

static const char *take(struct words *w)
{
	w->count--;
	return *w->word++;
}

static int expected(struct words *w, const char *found, const char *what)
{
	DMERR("%s: inject: found \"%s\" where %s was expected", dmr_name(w->d), found, what);
	return -EINVAL;
}

/* The next word, or an empty one where there is none. */
static const char *next(struct words *w)
{
	return w->count ? *w->word : "";
}

static int choose(struct words *w, const char *const *names, unsigned int count, const char *what)
{
	int found = match_string(names, count, next(w));

	if (found < 0)
		return expected(w, next(w), what);
	take(w);
	return found;
}

/* Digits, and nothing else, up to where *text then is. */
static bool number(const char **text, u64 *value)
{
	const char *begin = *text;

	for (*value = 0; isdigit(**text); ++*text)
		if (check_mul_overflow(*value, 10ull, value) ||
		    check_add_overflow(*value, (u64)(**text - '0'), value))
			return false;
	return *text != begin;
}

static int parse_range(struct words *w, struct dmr_fault *fault)
{
	u64 sectors = w->d->demo->sectors, count = 1;
	const char *text = next(w);

	if (!strcmp(text, "*")) {
		fault->end = sectors;
		take(w);
		return 0;
	}
	if (!number(&text, &fault->first) ||
	    (*text == '+' && (++text, !number(&text, &count) || !count)) || *text)
		return expected(w, next(w), "SECTOR, SECTOR+COUNT or *");
	if (fault->first >= sectors || count > sectors - fault->first)
		return expected(w, next(w), "a range within the device");
	fault->end = fault->first + count;
	take(w);
	return 0;
}

static int parse_calls(struct words *w, struct dmr_fault *fault)
{
	const char *text = next(w);

	fault->failing = 1;
	if (!number(&text, &fault->passing) || !fault->passing)
		goto wrong;
	if (*text == '+' && !*++text)
		fault->failing = 0;
	else if (text[-1] == '+' && (!number(&text, &fault->failing) || !fault->failing))
		goto wrong;
	if (*text)
		goto wrong;
	fault->passing--;
	take(w);
	return 0;
wrong:
	return expected(w, next(w), "K, K+COUNT or K+, numbers of calls from 1 on");
}

static int parse_error(struct words *w, const char *name, struct dmr_fault *fault)
{
	for (fault->error = 0; fault->error < DMR_FAULT_ERRORS; fault->error++)
		if (!strcmp(name, dmr_fault_errors[fault->error].name))
			return 0;
	return expected(w, name,
			"one of EIO ENODATA EILSEQ EREMOTEIO ETIMEDOUT ENOSPC ENOMEM EBUSY ENODEV ENOLINK");
}

static int parse_options(struct words *w, struct dmr_fault *fault)
{
	bool bad = fault->verb == DMR_FAULT_BAD;

	while (w->count) {
		const char *word = take(w), *text = word + strlen("times=");
		u64 times;

		if (!strncmp(word, "error=", 6)) {
			if (parse_error(w, word + 6, fault))
				return -EINVAL;
		} else if (bad && !strncmp(word, "times=", 6)) {
			if (!number(&text, &times) || *text || !times || times > DMR_FAULT_TIMES_MAX)
				return expected(w, word, "times=1 to times=16777215");
			fault->times = times;
		} else if (bad && !strcmp(word, "heals") && fault->kinds & DMR_FAULT_READ) {
			fault->heals = true;
		} else {
			return expected(w, word, bad ? "error=NAME, times=N or, of reads, heals" :
						       "error=NAME");
		}
	}
	return 0;
}

static int parse_bad(struct words *w, struct dmr_fault *fault)
{
	static const char *const access[] = { "read", "write", "all" };
	int kind = choose(w, access, ARRAY_SIZE(access), "read, write or all");

	if (kind < 0 || parse_range(w, fault))
		return -EINVAL;
	fault->kinds = kind == 2 ? DMR_FAULT_READ | DMR_FAULT_WRITE : 1u << kind;
	return parse_options(w, fault);
}

static int parse_fail(struct words *w, struct dmr_fault *fault)
{
	static const char *const kinds[] = { "read", "write", "flush", "any" };
	int kind = choose(w, kinds, ARRAY_SIZE(kinds), "read, write, flush or any");

	if (kind < 0 || parse_calls(w, fault))
		return -EINVAL;
	fault->kinds = kind == 3 ? DMR_FAULT_READ | DMR_FAULT_WRITE | DMR_FAULT_FLUSH : 1u << kind;
	return parse_options(w, fault);
}

static int parse_vanish(struct words *w, struct dmr_fault *fault)
{
	const char *text;

	if (!w->count)
		return 0;
	if (strcmp(take(w), "after"))
		return expected(w, w->word[-1], "after N");
	text = next(w);
	if (!number(&text, &fault->passing) || *text)
		return expected(w, next(w), "a number of calls");
	take(w);
	return 0;
}

/* The device, or -EINVAL. */
static int parse(struct words *w, struct dmr_fault *fault)
{
	int device = match_string(devices, ARRAY_SIZE(devices), next(w)), verb, error = 0;

	if (device >= 0)
		take(w);
	verb = choose(w, verbs, ARRAY_SIZE(verbs), "bad, fail, vanish, return, heal or clear");
	if (verb < 0)
		return verb;
	fault->verb = verb;
	if (device < 0 && verb == DMR_FAULT_CLEAR && !w->count)
		device = ARRAY_SIZE(devices) - 1;
	if (device < 0)
		device = choose(w, devices, ARRAY_SIZE(devices), "main, spare or *");
	if (device < 0)
		return device;
	if (verb == DMR_FAULT_BAD)
		error = parse_bad(w, fault);
	else if (verb == DMR_FAULT_FAIL)
		error = parse_fail(w, fault);
	else if (verb == DMR_FAULT_VANISH)
		error = parse_vanish(w, fault);
	else if (verb == DMR_FAULT_HEAL)
		error = parse_range(w, fault);
	if (!error && w->count)
		error = expected(w, next(w), "the end of the line");
	return error ? error : device;
}

/* With the demo's lock. */
static int apply(struct dmr_disk *d, int device, const struct dmr_fault *fault)
{
	int side, error = 0;

	for (side = 0; side < 2 && !error; side++)
		if (device != !side)
			error = dmr_faults_prepare(&d->demo->device[side].faults, fault);
	if (error) {
		DMERR("%s: inject: %s", dmr_name(d),
		      error == -ENOSPC ? "there are 16 lines of failing calls already; clear them" :
					 "not enough memory");
		return error;
	}
	for (side = 0; side < 2; side++)
		if (device != !side)
			dmr_faults_apply(&d->demo->device[side].faults, fault);
	return 0;
}

/* argv: what comes behind the word inject. */
int dmr_inject(struct dmr_disk *d, unsigned int argc, char **argv, char *result,
	       unsigned int maxlen)
{
	struct words w = { .d = d, .count = argc, .word = argv };
	struct dmr_fault fault = {};
	unsigned int at = 0;
	int side, device, error = 0;

	if (!d->demo) {
		DMERR("%s: faults are injected in a demo only, and this table has real devices; a table is a demo when it is loaded while the module's real_device_mode is N",
		      dmr_name(d));
		return -EPERM;
	}
	if (argc) {
		device = parse(&w, &fault);
		if (device < 0)
			return device;
	}
	mutex_lock(&d->demo->lock);
	if (argc)
		error = apply(d, device, &fault);
	for (side = 0; side < 2 && !error; side++)
		at += dmr_faults_text(&d->demo->device[side].faults, devices[side], result + at,
				      maxlen - at);
	mutex_unlock(&d->demo->lock);
	if (error)
		return error;
	if (!at)
		scnprintf(result, maxlen, "# no faults\n");
	return 1;
}
