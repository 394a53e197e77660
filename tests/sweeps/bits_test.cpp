// SPDX-License-Identifier: GPL-2.0-or-later
// Corruption sweep, the small end: single bits.
//
// PROVES that every flipped bit of a superblock copy, and of an entry of each kind in either copy,
// is noticed, costs nothing, and is repaired, on spares with the pasts of pasts.h.
// DOES NOT PROVE anything about several bits at once (places_test.cpp, mixed_test.cpp), nor about
// bits of slots: their data has no checksum, and a disk that changes it silently is beyond the
// promises.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "tests/sweeps/cases.h"
#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/pasts.h"

namespace dmremap::test {
namespace {

// In the bounded form every bit of "killed", whose openings are the cheapest, and a few of the
// rest.
std::uint64_t usual_every(const Past& past) { return past.name == std::string("killed") ? 1 : 40; }

class Bits : public testing::TestWithParam<Past> {
protected:
    // All ways in for some, the one that repairs for all.
    std::string recovers(DamagedSpare::Expect expect) {
        if (cases_.run() % 50 == 1) return spare_.recovers(expect);
        expect.kill = true;
        return spare_.opens(expect);
    }

    void sweep_byte(const std::string& what, std::uint64_t offset, unsigned first_bit,
                    unsigned bits, bool table) {
        for (unsigned bit = first_bit; bit < first_bit + bits; ++bit) {
            const std::string name =
                std::string(GetParam().name) + ": " + what + " bit " + std::to_string(bit);
            if (!cases_.wanted(name)) continue;
            spare_.restore();
            spare_.flip(offset, bit);
            ASSERT_EQ(recovers({.table = table}), "") << name << Cases::recipe(name);
        }
    }

    void TearDown() override { cases_.report(GetParam().name, spare_.opened()); }

    History history_{GetParam()};
    DamagedSpare spare_{history_};
    Cases cases_{usual_every(GetParam())};
};

// Where something stands, so that all of the bits there are looked at, not one of each byte.
bool used(std::uint64_t byte, const std::vector<std::byte>& superblock) {
    return byte < offsetof(dmr_superblock, reserved3) || superblock[byte] != std::byte{0};
}

TEST_P(Bits, OfASuperblock) {
    for (unsigned copy = 0; copy < history_.copies(); ++copy) {
        const std::uint64_t at = dmr_copy_offsets[copy];
        const auto from = history_.spare.begin() + static_cast<std::ptrdiff_t>(at);
        const std::vector<std::byte> superblock(from, from + DMR_SUPERBLOCK_SIZE);
        for (std::uint64_t byte = 0; byte < superblock.size(); ++byte) {
            const std::string what =
                "superblock " + std::to_string(copy) + " byte " + std::to_string(byte);
            const bool every_bit = (copy == 0 && used(byte, superblock)) || cases_.all();
            ASSERT_NO_FATAL_FAILURE(sweep_byte(what, at + byte,
                                               every_bit ? 0 : static_cast<unsigned>(byte % 8),
                                               every_bit ? 8 : 1, false));
        }
    }
}

TEST_P(Bits, OfAnEntry) {
    for (const auto& [kind, slot] : history_.slots)
        for (const int copy : {0, 1})
            for (std::uint64_t byte = 0; byte < DMR_ENTRY_SIZE; ++byte) {
                const std::string what =
                    kind + " entry, copy " + std::to_string(copy) + " byte " + std::to_string(byte);
                ASSERT_NO_FATAL_FAILURE(
                    sweep_byte(what, history_.entry_offset(copy, slot) + byte, 0, 8, true));
            }
}

INSTANTIATE_TEST_SUITE_P(Pasts, Bits, testing::ValuesIn(kPasts),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
