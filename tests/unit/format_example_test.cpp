// SPDX-License-Identifier: GPL-2.0-or-later
// The worked example of core/FORMAT.md is what the code makes, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/meta/format_spare.h"
#include "core/meta/page_io.h"
#include "core/meta/superblock_store.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

// The lines of 16 bytes that are not all zero, as "offset  bytes  |text|".
void dump(std::ostream& out, const void* data, std::size_t length) {
    const auto* const bytes = static_cast<const std::uint8_t*>(data);
    for (std::size_t at = 0; at < length; at += 16) {
        if (std::all_of(bytes + at, bytes + at + 16, [](std::uint8_t b) { return b == 0; })) {
            continue;
        }
        char digits[32];
        std::snprintf(digits, sizeof(digits), "%4zu  ", at);
        out << digits;
        for (std::size_t i = at; i < at + 16; i++) {
            std::snprintf(digits, sizeof(digits), "%02x ", bytes[i]);
            out << digits;
        }
        out << " |";
        for (std::size_t i = at; i < at + 16; i++) {
            out << (std::isprint(bytes[i]) != 0 ? static_cast<char>(bytes[i]) : '.');
        }
        out << "|\n";
    }
}

// A spare of 8 MiB for a main of 4 MiB, formatted and opened once, with one remap; only what the
// clock and this machine would say is set by hand.
std::string example() {
    TestPair pair;
    const auto main = pair.main->device(), spare = pair.spare->device();
    FormatOptions options;
    options.uuid = "00112233-4455-6677-8899-aabbccddeeff";
    options.label = "example";
    format_spare(*main, *spare, options);
    dmr_superblock sb = scan_superblocks(*spare).current.value();
    sb.sequence = dmr_to_le64(dmr_le64(sb.sequence) + kSequenceSkip);
    sb.created = dmr_to_le64(1700000000u);
    sb.written = dmr_to_le64(1700000060u);
    sb.flags = dmr_to_le32(DMR_IN_USE);
    sb.entry_epoch = dmr_to_le64(1u);
    std::memset(sb.holder_machine, 0xaa, sizeof(sb.holder_machine));
    std::memset(sb.holder_boot, 0xbb, sizeof(sb.holder_boot));
    sb.holder_pid = dmr_to_le64(4711u);
    sb.holder_start = dmr_to_le64(123456u);
    std::memcpy(sb.holder_name, "dmremapfs", 9);
    sb.holder_since = dmr_to_le64(1700000060u);
    sb.crc = dmr_to_le32(dmr_superblock_crc(&sb, dmr_copy_offsets[0]));
    EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[0]), DMR_OK);

    dmr_entry entries[2] = {{}, initial_entry(sb, 1)};
    entries[0].main_block = dmr_to_le64(100u);
    entries[0].sequence = dmr_to_le64(std::uint64_t{1} << 32);
    entries[0].time = dmr_to_le64(1700000120u);
    entries[0].state = DMR_REMAPPED;
    entries[0].lost = entries[0].retry = 0x04;
    entries[0].reason = DMR_REASON_READ;
    entries[0].crc = dmr_to_le32(dmr_entry_crc(&entries[0], sb.uuid, 0));
    EXPECT_TRUE(dmr_entry_valid(&sb, &entries[0], 0) && dmr_entry_valid(&sb, &entries[1], 1));

    std::ostringstream out;
    out << "superblock, copy 0, at byte " << dmr_copy_offsets[0] << " of the spare\n";
    dump(out, &sb, sizeof(sb));
    out << "entries 0 and 1, at byte " << dmr_page_offset(&sb, 0, 0) << " (first table) and "
        << dmr_page_offset(&sb, 1, 0) << " (second table)\n";
    dump(out, entries, sizeof(entries));
    out << "slot 0 at byte " << dmr_slot_offset(&sb, 0) << ", slot 1 at " << dmr_slot_offset(&sb, 1)
        << "\n";
    return out.str();
}

TEST(FormatExample, IsWhatTheCodeMakes) {
    std::ifstream file(DMREMAP_SOURCE_DIR "/core/FORMAT.md");
    ASSERT_TRUE(file) << "core/FORMAT.md is not there";
    std::string line, documented;
    bool inside = false;
    while (std::getline(file, line)) {
        if (line == "```hexdump") {
            inside = true;
        } else if (line == "```") {
            inside = false;
        } else if (inside) {
            documented += line + "\n";
        }
    }
    EXPECT_EQ(documented, example()) << "the block ```hexdump in core/FORMAT.md shall be:\n"
                                     << example();
}

}  // namespace
}  // namespace dmremap::test
