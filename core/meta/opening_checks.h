// SPDX-License-Identifier: GPL-2.0-or-later
// The right pair or nothing (P7): everything an opener asks the superblock before it believes it.
// Each function throws a Refusal that names what was found and what to do; none writes.
#pragma once

#include <string>

#include "core/device/device.h"
#include "core/format.h"
#include "core/meta/superblock_store.h"
#include "core/pair/identity.h"

namespace dmremap {

// The superblock that counts. `main` may be null; with it, a swapped pair is recognised.
dmr_superblock require_superblock(const SuperblockScan& scan, const Device& spare, Device* main);

// Geometry against the devices as they are now. `writable`: also what only matters for writing.
void require_geometry(const dmr_superblock& sb, const Device& main, const Device& spare,
                      bool writable);
void require_spare_geometry(const dmr_superblock& sb, const Device& spare, bool writable);

// Identities of main and spare, and the witness. Where the identity was learnt anew without
// contradiction, the facts that are new are added to the texts in `sb`.
void require_identity(dmr_superblock& sb, Device& main, const Device& spare,
                      bool accept_changed_main);
void require_spare_identity(dmr_superblock& sb, const Device& spare);

// The devices against what is recorded of them.
Comparison compare_main(const dmr_superblock& sb, const Device& main);
Comparison compare_spare(const dmr_superblock& sb, const Device& spare);

// Records a canonical text and its digest.
void set_main_identity(dmr_superblock& sb, const std::string& text);
void set_spare_identity(dmr_superblock& sb, const std::string& text);

// The in-use mark. Returns true when a dead holder left it (the caller recovers). `consent`: what
// the user has to say where it is another machine's, e.g. "mount it with -o take_over".
bool require_not_in_use(const dmr_superblock& sb, const Device& spare, bool take_over,
                        const std::string& consent);
void set_in_use(dmr_superblock& sb, const std::string& holder_name);
void clear_in_use(dmr_superblock& sb);

// Room for another session's sequences and epochs; a spare that has none is hostile, for no use of
// it gets there in a lifetime. Writing on would make every copy invalid.
void require_sequences(const dmr_superblock& sb, std::uint64_t highest_entry_sequence,
                       const Device& spare);

// A text field of the superblock: up to its NUL or its end.
std::string field_text(const std::uint8_t* field, std::size_t size);

}  // namespace dmremap
