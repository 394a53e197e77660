// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/device/memory_device.h"
#include "core/meta/format_spare.h"
#include "core/meta/page_io.h"
#include "core/meta/superblock_store.h"
#include "tests/unit/format_as_c.h"

namespace dmremap {
namespace {

constexpr std::uint64_t kMainSize = 4 << 20;

// What format writes on a spare of this size.
dmr_superblock formatted(std::uint64_t spare_size, std::uint32_t physical_block = 512,
                         std::uint64_t main_size = kMainSize) {
    const auto main = make_memory_device("M", main_size);
    const auto spare = make_memory_device("S", spare_size, 512, physical_block);
    format_spare(*main, *spare, {});
    return scan_superblocks(*spare).current.value();
}

void seal(dmr_superblock& sb, std::uint64_t offset) {
    sb.crc = dmr_to_le32(dmr_superblock_crc(&sb, offset));
}

void seal(dmr_entry& entry, const dmr_superblock& sb, std::uint64_t slot) {
    entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
}

dmr_entry remapped(const dmr_superblock& sb, std::uint64_t slot, std::uint64_t block,
                   std::uint64_t sequence) {
    dmr_entry entry{};
    entry.main_block = dmr_to_le64(block);
    entry.sequence = dmr_to_le64(sequence);
    entry.state = DMR_REMAPPED;
    entry.reason = DMR_REASON_WRITE;
    seal(entry, sb, slot);
    return entry;
}

// Sizes at which something changes: the least, those that just hold a copy, just miss it, or cut
// its hole, and some that are no multiple of anything.
std::vector<std::uint64_t> interesting_sizes(std::uint64_t limit) {
    std::set<std::uint64_t> sizes{DMR_SPARE_MIN, DMR_SPARE_MIN + 512, (9 << 20) - 512, 12345 * 4096,
                                  100000 * 512};
    for (const std::uint64_t copy : dmr_copy_offsets) {
        for (const std::uint64_t add :
             {std::uint64_t{0}, std::uint64_t{512}, std::uint64_t{4096},
              std::uint64_t{DMR_HOLE / 2}, std::uint64_t{DMR_HOLE - 512}, std::uint64_t{DMR_HOLE},
              std::uint64_t{DMR_HOLE + 512}, std::uint64_t{DMR_HOLE + (1 << 20)}}) {
            sizes.insert(copy + DMR_EDGE + add);
        }
        sizes.insert(copy + DMR_EDGE - 512);
    }
    std::vector<std::uint64_t> chosen;
    for (const std::uint64_t size : sizes) {
        if (size >= DMR_SPARE_MIN && size <= limit) {
            chosen.push_back(size);
        }
    }
    return chosen;
}

TEST(Format, Crc32cHasTheKnownAnswers) {
    const auto standard = [](const void* data, std::size_t length) {
        return ~dmr_crc32c(~std::uint32_t{0}, data, length);
    };
    EXPECT_EQ(standard("123456789", 9), 0xE3069283u);
    std::uint8_t bytes[32] = {};  // the examples of RFC 3720, B.4
    EXPECT_EQ(standard(bytes, 32), 0x8A9136AAu);
    std::memset(bytes, 0xff, 32);
    EXPECT_EQ(standard(bytes, 32), 0x62A8AB43u);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = static_cast<std::uint8_t>(i);
    }
    EXPECT_EQ(standard(bytes, 32), 0x46DD794Eu);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = static_cast<std::uint8_t>(31 - i);
    }
    EXPECT_EQ(standard(bytes, 32), 0x113FDB5Cu);
    EXPECT_EQ(dmr_crc32c(0x12345678, bytes, 0), 0x12345678u);
    EXPECT_EQ(dmr_crc32c(dmr_crc32c(7, bytes, 13), bytes + 13, 19), dmr_crc32c(7, bytes, 32));
}

TEST(Format, ASpareHasAsManyCopiesAsFit) {
    EXPECT_EQ(dmr_copies(0), 0u);
    EXPECT_EQ(dmr_copies(DMR_SPARE_MIN - 1), 0u);
    EXPECT_EQ(dmr_copies(DMR_SPARE_MIN), 3u);
    for (unsigned n = DMR_COPIES_MIN; n < DMR_COPIES_MAX; n++) {
        const std::uint64_t enough = dmr_copy_offsets[n] + DMR_HOLE + DMR_EDGE;
        EXPECT_EQ(dmr_copies(enough - 1), n);
        EXPECT_EQ(dmr_copies(enough), n + 1);
    }
    EXPECT_EQ(dmr_copies(DMR_SEQUENCE_LIMIT - 1), static_cast<unsigned>(DMR_COPIES_MAX));
}

// Around every hole, in both directions, and at the ends.
TEST(Format, LinearSpaceIsMonotonicAndAvoidsEveryHole) {
    for (const std::uint64_t size : interesting_sizes(5ull << 40)) {
        const std::uint64_t linear = dmr_linear_size(size);
        std::set<std::uint64_t> points{0, 4096, linear / 4096 * 4096};
        for (const std::uint64_t copy : dmr_copy_offsets) {
            for (std::uint64_t i = 0; i < 40; i++) {
                const std::uint64_t around = copy + i * 32768;  // some holes back is enough
                points.insert(around < 2 * DMR_EDGE ? i * 4096 : around - DMR_EDGE - 20 * 32768);
            }
        }
        std::uint64_t before = 0, last = 0;
        for (const std::uint64_t at : points) {
            if (at + 4096 > linear) {
                break;
            }
            const std::uint64_t offset = dmr_spare_offset(at);
            EXPECT_GE(offset, DMR_EDGE);
            EXPECT_LE(offset + 4096, size - DMR_EDGE) << "size " << size << " linear " << at;
            EXPECT_TRUE(at == 0 || offset - before >= at - last) << "two places overlap";
            for (const std::uint64_t copy : dmr_copy_offsets) {
                EXPECT_TRUE(offset + 4096 <= copy || offset >= copy + DMR_HOLE)
                    << "linear " << at << " lies in the hole at " << copy;
            }
            before = offset;
            last = at;
        }
    }
}

// Every 4 KiB of the spare belongs to one thing only, and no page or slot is torn by a hole.
TEST(Format, NothingOverlapsOnAnySmallSpare) {
    for (const std::uint64_t size : interesting_sizes(70 << 20)) {
        for (const std::uint32_t physical : {512u, 16384u, 65536u}) {
            SCOPED_TRACE(std::to_string(size) + " bytes, physical block " +
                         std::to_string(physical));
            const dmr_superblock sb = formatted(size, physical);
            ASSERT_TRUE(dmr_geometry_sane(&sb));
            std::vector<bool> taken(size / 4096 + 1);
            bool overlap = false, outside = false;
            const auto take = [&](std::uint64_t offset, std::uint64_t length, bool copy) {
                outside = outside || offset + length > size - DMR_EDGE ||
                          (!copy && offset < DMR_EDGE) || offset % 4096 != 0;
                for (std::uint64_t at = offset; at < offset + length; at += 4096) {
                    overlap = overlap || taken[at / 4096];
                    taken[at / 4096] = true;
                }
            };
            for (unsigned i = 0; i < dmr_copies(size); i++) {
                take(dmr_copy_offsets[i], DMR_HOLE, true);
            }
            const std::uint64_t slots = dmr_le64(sb.slots);
            for (std::uint64_t page = 0; page < pages_for(sb, slots); page++) {
                take(dmr_page_offset(&sb, 0, page), dmr_le32(sb.page_size), false);
                take(dmr_page_offset(&sb, 1, page), dmr_le32(sb.page_size), false);
                EXPECT_EQ(dmr_page_offset(&sb, 0, page) % dmr_le32(sb.page_size), 0u);
            }
            for (std::uint64_t slot = 0; slot < slots; slot++) {
                take(dmr_slot_offset(&sb, slot), DMR_BLOCK_SIZE, false);
            }
            EXPECT_FALSE(overlap);
            EXPECT_FALSE(outside);
            // And little is left over: less than one more slot with its entries, rounded to pages.
            const std::uint64_t used =
                slots * DMR_BLOCK_SIZE + 2 * pages_for(sb, slots) * dmr_le32(sb.page_size);
            EXPECT_LT(dmr_linear_size(size) - used, 4ull * dmr_le32(sb.page_size) + 4096);
        }
    }
}

TEST(Format, LargeSparesAreWhole) {
    for (const std::uint64_t size : interesting_sizes(20ull << 30)) {
        if (size < 1ull << 30) {
            continue;
        }
        SCOPED_TRACE(size);
        const dmr_superblock sb = formatted(size);
        const std::uint64_t last = dmr_le64(sb.slots) - 1;
        const std::uint64_t last_page = pages_for(sb, last + 1) - 1;
        EXPECT_LT(dmr_page_offset(&sb, 0, last_page), dmr_slot_offset(&sb, 0));
        EXPECT_LT(dmr_slot_offset(&sb, last), dmr_page_offset(&sb, 1, 0));
        EXPECT_LE(dmr_page_offset(&sb, 1, last_page) + dmr_le32(sb.page_size), size - DMR_EDGE);
        EXPECT_GT(last, (size - (size >> 5)) / DMR_BLOCK_SIZE) << "more than 3 % are not slots";
    }
}

TEST(Format, EverySingleBitOfASuperblockCounts) {
    const dmr_superblock sb = formatted(DMR_SPARE_MIN);
    const std::uint64_t at = dmr_copy_offsets[0];
    dmr_superblock flipped = sb;
    seal(flipped, at);
    ASSERT_EQ(dmr_superblock_verdict(&flipped, at), DMR_OK);
    auto* const bytes = reinterpret_cast<std::uint8_t*>(&flipped);
    unsigned believed = 0;
    for (std::size_t bit = 0; bit < sizeof(sb) * 8; bit++) {
        const auto mask = static_cast<std::uint8_t>(1u << (bit % 8));
        bytes[bit / 8] ^= mask;
        believed += dmr_superblock_verdict(&flipped, at) == DMR_OK ? 1 : 0;
        bytes[bit / 8] ^= mask;
    }
    EXPECT_EQ(believed, 0u);
}

TEST(Format, EverySingleBitOfAnEntryCounts) {
    const dmr_superblock sb = formatted(DMR_SPARE_MIN);
    for (dmr_entry entry : {remapped(sb, 5, 17, 3), initial_entry(sb, 5)}) {
        ASSERT_TRUE(dmr_entry_valid(&sb, &entry, 5));
        auto* const bytes = reinterpret_cast<std::uint8_t*>(&entry);
        for (std::size_t bit = 0; bit < sizeof(entry) * 8; bit++) {
            const auto mask = static_cast<std::uint8_t>(1u << (bit % 8));
            bytes[bit / 8] ^= mask;
            EXPECT_FALSE(dmr_entry_valid(&sb, &entry, 5)) << "bit " << bit;
            bytes[bit / 8] ^= mask;
        }
    }
}

TEST(Format, ACopyElsewhereOrOfAnotherSpareIsInvalid) {
    dmr_superblock sb = formatted(DMR_SPARE_MIN);
    seal(sb, dmr_copy_offsets[0]);
    EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[0]), DMR_OK);
    EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[1]), DMR_BAD_CRC);
    const dmr_entry entry = remapped(sb, 5, 17, 3);
    EXPECT_TRUE(dmr_entry_valid(&sb, &entry, 5));
    EXPECT_FALSE(dmr_entry_valid(&sb, &entry, 6));
    dmr_superblock other = sb;
    other.uuid[15] ^= 1;
    EXPECT_FALSE(dmr_entry_valid(&other, &entry, 5));
    const dmr_entry zeros{};
    EXPECT_FALSE(dmr_entry_valid(&sb, &zeros, 0)) << "zeros are damage, not free";
}

TEST(Format, Verdicts) {
    const dmr_superblock good = formatted(DMR_SPARE_MIN, 512, kMainSize);
    const std::uint64_t linear = dmr_linear_size(DMR_SPARE_MIN);
    const std::uint64_t slots = dmr_le64(good.slots);
    constexpr std::uint64_t kTop = ~std::uint64_t{0};
    struct Case {
        const char* what;
        std::function<void(dmr_superblock&)> edit;
        dmr_verdict verdict;
    };
    using Sb = dmr_superblock;
    const Case cases[] = {
        {"as it is", [](Sb&) {}, DMR_OK},
        {"no magic", [](Sb& sb) { sb.magic[0] = 'd'; }, DMR_NOT_OURS},
        {"version 0", [](Sb& sb) { sb.version = 0; }, DMR_BAD_VERSION},
        {"version 2", [](Sb& sb) { sb.version = dmr_to_le32(2u); }, DMR_BAD_VERSION},
        {"incompat", [](Sb& sb) { sb.incompat = dmr_to_le32(1u << 31); }, DMR_BAD_FEATURES},
        {"compat", [](Sb& sb) { sb.compat = dmr_to_le32(1u << 31); }, DMR_OK},
        {"ro_compat", [](Sb& sb) { sb.ro_compat = dmr_to_le32(1u << 31); }, DMR_OK},
        {"last sequence", [](Sb& sb) { sb.sequence = dmr_to_le64(DMR_SEQUENCE_LIMIT - 1); },
         DMR_OK},
        {"sequence", [](Sb& sb) { sb.sequence = dmr_to_le64(DMR_SEQUENCE_LIMIT); },
         DMR_BAD_GEOMETRY},
        {"epoch", [](Sb& sb) { sb.entry_epoch = dmr_to_le64(DMR_SEQUENCE_LIMIT >> 32); },
         DMR_BAD_GEOMETRY},
        {"page 2048", [](Sb& sb) { sb.page_size = dmr_to_le32(2048u); }, DMR_BAD_GEOMETRY},
        {"page 12288", [](Sb& sb) { sb.page_size = dmr_to_le32(12288u); }, DMR_BAD_GEOMETRY},
        {"page 128 KiB", [](Sb& sb) { sb.page_size = dmr_to_le32(131072u); }, DMR_BAD_GEOMETRY},
        {"main's block 256", [](Sb& sb) { sb.main_logical_block = dmr_to_le32(256u); },
         DMR_BAD_GEOMETRY},
        {"main's block 8192", [](Sb& sb) { sb.main_logical_block = dmr_to_le32(8192u); },
         DMR_BAD_GEOMETRY},
        {"main's block 1536", [](Sb& sb) { sb.main_logical_block = dmr_to_le32(1536u); },
         DMR_BAD_GEOMETRY},
        {"spare's above main's", [](Sb& sb) { sb.spare_logical_block = dmr_to_le32(1024u); },
         DMR_BAD_GEOMETRY},
        {"spare's 0", [](Sb& sb) { sb.spare_logical_block = 0; }, DMR_BAD_GEOMETRY},
        {"main empty", [](Sb& sb) { sb.main_size = 0; }, DMR_BAD_GEOMETRY},
        {"main odd", [](Sb& sb) { sb.main_size = dmr_to_le64(kMainSize + 1); }, DMR_BAD_GEOMETRY},
        {"main huge", [](Sb& sb) { sb.main_size = dmr_to_le64(DMR_SEQUENCE_LIMIT); },
         DMR_BAD_GEOMETRY},
        {"spare small", [](Sb& sb) { sb.spare_size = dmr_to_le64(DMR_SPARE_MIN - 512); },
         DMR_BAD_GEOMETRY},
        {"spare huge", [](Sb& sb) { sb.spare_size = dmr_to_le64(kTop - 511); }, DMR_BAD_GEOMETRY},
        {"no slots", [](Sb& sb) { sb.slots = 0; }, DMR_BAD_GEOMETRY},
        {"slots beyond", [&](Sb& sb) { sb.slots = dmr_to_le64(linear / 4096 + 1); },
         DMR_BAD_GEOMETRY},
        {"slots huge", [](Sb& sb) { sb.slots = dmr_to_le64(kTop); }, DMR_BAD_GEOMETRY},
        {"ready beyond", [&](Sb& sb) { sb.table_ready = dmr_to_le64(slots + 1); },
         DMR_BAD_GEOMETRY},
        {"first odd", [](Sb& sb) { sb.first_table = dmr_to_le64(512u); }, DMR_BAD_GEOMETRY},
        {"first over the slots", [&](Sb& sb) { sb.first_table = sb.slot_area; }, DMR_BAD_GEOMETRY},
        {"slots over the first", [](Sb& sb) { sb.slot_area = 0; }, DMR_BAD_GEOMETRY},
        {"second over the slots", [](Sb& sb) { sb.second_table = sb.slot_area; }, DMR_BAD_GEOMETRY},
        {"second at the end", [&](Sb& sb) { sb.second_table = dmr_to_le64(linear / 4096 * 4096); },
         DMR_BAD_GEOMETRY},
        {"second beyond", [](Sb& sb) { sb.second_table = dmr_to_le64(kTop - 4095); },
         DMR_BAD_GEOMETRY},
        // Sums that wrap around 2^64 would put pages and slots before the spare's start, or over
        // the superblock copies.
        {"first wraps", [](Sb& sb) { sb.first_table = dmr_to_le64(kTop - 4095); },
         DMR_BAD_GEOMETRY},
        {"slots wrap", [](Sb& sb) { sb.slot_area = dmr_to_le64(kTop - DMR_EDGE + 1); },
         DMR_BAD_GEOMETRY},
    };
    for (const Case& c : cases) {
        dmr_superblock sb = good;
        c.edit(sb);
        seal(sb, dmr_copy_offsets[1]);
        EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[1]), c.verdict) << c.what;
        sb.crc = dmr_to_le32(~dmr_le32(sb.crc));
        EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[1]),
                  c.verdict == DMR_NOT_OURS ? DMR_NOT_OURS : DMR_BAD_CRC)
            << c.what;
    }
}

TEST(Format, EntriesThatSayTheImpossibleAreInvalid) {
    const dmr_superblock sb = formatted(DMR_SPARE_MIN, 512, kMainSize + 1536);  // three sectors
    const std::uint64_t last = kMainSize / 4096;
    ASSERT_EQ(dmr_main_blocks(&sb), last + 1);
    EXPECT_EQ(dmr_block_sectors(&sb, last - 1), 0xff);
    EXPECT_EQ(dmr_block_sectors(&sb, last), 0x07);
    const auto valid = [&](const std::function<void(dmr_entry&)>& edit) {
        dmr_entry entry = remapped(sb, 9, last, 3);
        edit(entry);
        seal(entry, sb, 9);
        return dmr_entry_valid(&sb, &entry, 9);
    };
    const auto no_remap = [](dmr_entry& e, std::uint8_t state) {
        e.state = state;
        e.main_block = dmr_to_le64(DMR_NO_BLOCK);
        e.reason = DMR_REASON_NONE;
    };
    EXPECT_TRUE(valid([](dmr_entry&) {}));
    EXPECT_TRUE(valid([](dmr_entry& e) { e.lost = e.retry = 0x07; }));
    EXPECT_TRUE(valid([](dmr_entry& e) { e.reason = DMR_REASON_LAST; }));
    EXPECT_TRUE(valid([&](dmr_entry& e) { no_remap(e, DMR_FREE); }));
    EXPECT_TRUE(valid([&](dmr_entry& e) { no_remap(e, DMR_BAD_SLOT); }));
    EXPECT_FALSE(valid([&](dmr_entry& e) { e.main_block = dmr_to_le64(last + 1); }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.main_block = dmr_to_le64(DMR_NO_BLOCK); }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.lost = 0x08; })) << "a sector past main's end";
    EXPECT_FALSE(valid([](dmr_entry& e) { e.retry = 0x01; })) << "retry, but not lost";
    EXPECT_FALSE(valid([](dmr_entry& e) { e.reason = DMR_REASON_NONE; }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.reason = DMR_REASON_LAST + 1; }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.state = 3; }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.sequence = dmr_to_le64(DMR_SEQUENCE_LIMIT); }));
    EXPECT_TRUE(valid([](dmr_entry& e) { e.sequence = dmr_to_le64(DMR_SEQUENCE_LIMIT - 1); }));
    EXPECT_FALSE(valid([](dmr_entry& e) { e.state = DMR_FREE; })) << "free, with a block";
    for (const std::uint8_t state : {DMR_FREE, DMR_BAD_SLOT}) {
        EXPECT_FALSE(valid([&](dmr_entry& e) {
            no_remap(e, state);
            e.lost = 1;
        }));
        EXPECT_FALSE(valid([&](dmr_entry& e) {
            no_remap(e, state);
            e.reason = DMR_REASON_READ;
        }));
    }
}

TEST(Format, OfTwoCopiesOfAnEntryTheNewerValidOneCounts) {
    const dmr_superblock sb = formatted(DMR_SPARE_MIN);
    const dmr_entry old = remapped(sb, 1, 10, 5), young = remapped(sb, 1, 11, 6);
    const dmr_entry other = remapped(sb, 1, 12, 6);
    const auto pick = [](const dmr_entry& a, bool a_ok, const dmr_entry& b, bool b_ok) {
        const dmr_pick picked = dmr_entry_pick(&a, a_ok, &b, b_ok);
        EXPECT_EQ(c_entry_pick(&a, a_ok, &b, b_ok), picked);
        return picked;
    };
    EXPECT_EQ(pick(old, true, old, true), DMR_PICK_SAME);
    EXPECT_EQ(pick(old, true, young, true), DMR_PICK_SECOND);
    EXPECT_EQ(pick(young, true, old, true), DMR_PICK_FIRST);
    EXPECT_EQ(pick(young, true, other, true), DMR_PICK_CONFLICT);
    EXPECT_EQ(pick(old, true, young, false), DMR_PICK_FIRST);
    EXPECT_EQ(pick(old, false, young, true), DMR_PICK_SECOND);
    EXPECT_EQ(pick(old, false, old, false), DMR_PICK_NONE);
    EXPECT_TRUE(dmr_claim_wins(&young, &old));
    EXPECT_FALSE(dmr_claim_wins(&old, &young));
    EXPECT_FALSE(dmr_claim_wins(&young, &other));
    EXPECT_TRUE(c_claim_wins(&young, &old));
}

dmr_superblock scanning(std::uint64_t begin, std::uint64_t cursor, std::uint64_t end,
                        std::uint32_t state, std::uint32_t compat = DMR_COMPAT_SCAN) {
    dmr_superblock sb{};
    sb.main_size = dmr_to_le64(100 * DMR_BLOCK_SIZE - DMR_SECTOR_SIZE);  // a short last block
    sb.compat = dmr_to_le32(compat);
    sb.scan_begin = dmr_to_le64(begin);
    sb.scan_cursor = dmr_to_le64(cursor);
    sb.scan_end = dmr_to_le64(end);
    sb.scan_state = dmr_to_le32(state);
    return sb;
}

TEST(Format, P8_APassThatCannotBeIsNoneAndHasReadNothing) {
    const auto valid = [](const dmr_superblock& sb) {
        const bool is = dmr_scan_pass_valid(&sb);
        EXPECT_EQ(c_scan_pass_valid(&sb) != 0, is);
        EXPECT_EQ(dmr_scan_cursor(&sb), is ? dmr_le64(sb.scan_cursor) : 0u);
        EXPECT_EQ(c_scan_cursor(&sb), dmr_scan_cursor(&sb));
        return is;
    };
    const std::uint64_t all = ~0ull;
    for (const std::uint32_t state : {DMR_SCAN_RUNNING, DMR_SCAN_PAUSED}) {
        EXPECT_TRUE(valid(scanning(0, 0, 100, state)));
        EXPECT_TRUE(valid(scanning(0, 100, 100, state)));  // only its end is owed
        EXPECT_TRUE(valid(scanning(99, 99, 100, state)));
        EXPECT_FALSE(valid(scanning(0, 0, 0, state)));
        EXPECT_FALSE(valid(scanning(5, 5, 5, state)));
        EXPECT_FALSE(valid(scanning(9, 9, 5, state)));
        EXPECT_FALSE(valid(scanning(5, 4, 9, state)));
        EXPECT_FALSE(valid(scanning(5, 10, 9, state)));
        EXPECT_FALSE(valid(scanning(0, 0, 101, state)));
        EXPECT_FALSE(valid(scanning(0, 101, 101, state)));
        EXPECT_FALSE(valid(scanning(0, all, all, state)));
        EXPECT_FALSE(valid(scanning(all, all, all, state)));
    }
    for (const std::uint32_t state : {3u, 0x80000001u, ~0u})
        EXPECT_FALSE(valid(scanning(0, 7, 100, state)));
}

TEST(Format, TheCursorOfNoPassIsThatOfTheLastOne) {
    for (const std::uint32_t compat : {0u, DMR_COMPAT_SCAN}) {
        const auto cursor = [compat](std::uint64_t at) {
            const dmr_superblock sb = scanning(0, at, 0, DMR_SCAN_NONE, compat);
            EXPECT_FALSE(dmr_scan_pass_valid(&sb));
            EXPECT_EQ(c_scan_cursor(&sb), dmr_scan_cursor(&sb));
            return dmr_scan_cursor(&sb);
        };
        EXPECT_EQ(cursor(42), 42u);
        EXPECT_EQ(cursor(100), 100u);
        EXPECT_EQ(cursor(101), 0u);
        EXPECT_EQ(cursor(~0ull), 0u);
    }
}

TEST(Format, WithoutTheFeatureThereIsNoPassAndNoDay) {
    dmr_superblock sb = scanning(0, 7, 100, DMR_SCAN_RUNNING, ~DMR_COMPAT_SCAN);
    sb.history[0].day = dmr_to_le32(5);
    EXPECT_FALSE(dmr_scan_pass_valid(&sb));
    EXPECT_EQ(dmr_scan_cursor(&sb), 7u);
    EXPECT_EQ(dmr_history_days(&sb), 0u);
}

TEST(Format, P8_DaysCountAsLongAsEachIsLater) {
    dmr_superblock sb = scanning(0, 0, 0, DMR_SCAN_NONE);
    const auto days = [&sb] {
        EXPECT_EQ(c_history_days(&sb), dmr_history_days(&sb));
        return dmr_history_days(&sb);
    };
    EXPECT_EQ(days(), 0u);
    for (std::uint32_t i = 0; i < DMR_HISTORY_DAYS; i++) sb.history[i].day = dmr_to_le32(10 + i);
    EXPECT_EQ(days(), unsigned{DMR_HISTORY_DAYS});
    sb.history[3].day = dmr_to_le32(12);  // twice
    EXPECT_EQ(days(), 3u);
    sb.history[2].day = dmr_to_le32(9);  // back
    EXPECT_EQ(days(), 2u);
    sb.history[0].day = dmr_to_le32(~0u);
    EXPECT_EQ(days(), 1u);
}

TEST(Format, TheKernelsLanguageSeesTheSame) {
    EXPECT_EQ(c_size_of_superblock(), sizeof(dmr_superblock));
    for (const std::uint64_t size : interesting_sizes(5ull << 40)) {
        EXPECT_EQ(c_copies(size), dmr_copies(size));
        EXPECT_EQ(c_linear_size(size), dmr_linear_size(size));
        EXPECT_EQ(c_spare_offset(size), dmr_spare_offset(size));
    }
    dmr_superblock sb = formatted(DMR_SPARE_MIN);
    seal(sb, dmr_copy_offsets[2]);
    EXPECT_EQ(c_superblock_verdict(&sb, dmr_copy_offsets[2]), DMR_OK);
    EXPECT_EQ(c_superblock_verdict(&sb, dmr_copy_offsets[1]), DMR_BAD_CRC);
    const dmr_entry entry = remapped(sb, 5, 17, 3);
    EXPECT_TRUE(c_entry_valid(&sb, &entry, 5));
    EXPECT_FALSE(c_entry_valid(&sb, &entry, 4));
    EXPECT_EQ(c_page_offset(&sb, 1, 3), dmr_page_offset(&sb, 1, 3));
    EXPECT_EQ(c_slot_offset(&sb, 700), dmr_slot_offset(&sb, 700));
}

}  // namespace
}  // namespace dmremap
