// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a spare: writes the first superblock copies and the first step of the entry table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/meta/spares_inside.h"

namespace dmremap {

struct FormatOptions {
    std::string label;                // UTF-8, at most 63 bytes
    bool force = false;               // go on over foreign content or non-zero bytes on the spare
    bool scan = false;                // a scan of all of main begins at the first mount
    std::string destroy_uuid;         // go on over the live spare with this UUID
    bool take_over = false;           // destroy it although another machine's mark is on it
    std::string foreign;              // foreign_content() of the spare, "" where there is none
    std::vector<SpareInside> inside;  // spares_inside() it: destroyed as a live spare is, by name
    std::string uuid;                 // for tests; "" makes a random one
};

struct FormatResult {
    std::string uuid;
    std::uint64_t main_size = 0;
    std::uint64_t spare_size = 0;
    std::uint64_t slots = 0;
    unsigned superblock_copies = 0;
};

// Throws Refusal(usage): longer than 63 bytes.
void require_label(const std::string& label);

// Main is only read (its first bytes, to see that it is not a spare). Throws Refusal, and then has
// changed nothing, unless a device failed while writing. An existing spare is destroyed first
// (all its superblock copies zeroed and flushed), so that a crash in the middle leaves either the
// old spare whole, or none, or the new one.
FormatResult format_spare(Device& main, Device& spare, const FormatOptions& options);

}  // namespace dmremap
