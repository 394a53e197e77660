/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/format.h's functions, compiled as C, for format_test.cpp. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
size_t c_size_of_superblock(void);
unsigned int c_copies(uint64_t spare_size);
uint64_t c_spare_offset(uint64_t linear);
uint64_t c_linear_size(uint64_t spare_size);
int c_superblock_verdict(const void* superblock, uint64_t offset);
int c_entry_valid(const void* superblock, const void* entry, uint64_t slot);
int c_entry_pick(const void* first, int first_ok, const void* second, int second_ok);
int c_claim_wins(const void* a, const void* b);
int c_scan_pass_valid(const void* superblock);
uint64_t c_scan_cursor(const void* superblock);
unsigned int c_history_days(const void* superblock);
uint64_t c_page_offset(const void* superblock, int copy, uint64_t page);
uint64_t c_slot_offset(const void* superblock, uint64_t slot);
#ifdef __cplusplus
}
#endif
