// SPDX-License-Identifier: GPL-2.0-or-later
// The format's header as the kernel target's language sees it: it compiles without a warning, and
// lays things out and decides as it does for the core (format_test.cpp compares).
#include "tests/unit/format_as_c.h"

#include "core/format.h"

size_t c_size_of_superblock(void) { return sizeof(struct dmr_superblock); }

unsigned int c_copies(uint64_t spare_size) { return dmr_copies(spare_size); }

uint64_t c_spare_offset(uint64_t linear) { return dmr_spare_offset(linear); }

uint64_t c_linear_size(uint64_t spare_size) { return dmr_linear_size(spare_size); }

int c_superblock_verdict(const void *superblock, uint64_t offset)
{
	return (int)dmr_superblock_verdict(superblock, offset);
}

int c_entry_valid(const void *superblock, const void *entry, uint64_t slot)
{
	return dmr_entry_valid(superblock, entry, slot);
}

int c_entry_pick(const void *first, int first_ok, const void *second, int second_ok)
{
	return (int)dmr_entry_pick(first, first_ok != 0, second, second_ok != 0);
}

int c_claim_wins(const void *a, const void *b) { return dmr_claim_wins(a, b); }

int c_scan_pass_valid(const void *superblock) { return dmr_scan_pass_valid(superblock); }

uint64_t c_scan_cursor(const void *superblock) { return dmr_scan_cursor(superblock); }

unsigned int c_history_days(const void *superblock) { return dmr_history_days(superblock); }

uint64_t c_page_offset(const void *superblock, int copy, uint64_t page)
{
	return dmr_page_offset(superblock, copy, page);
}

uint64_t c_slot_offset(const void *superblock, uint64_t slot)
{
	return dmr_slot_offset(superblock, slot);
}
