// SPDX-License-Identifier: GPL-2.0-or-later
// P7: the right pair or nothing. P8: bad input is harmless. P9: errors are known at once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/device/fault_device.h"
#include "core/device/file_device.h"
#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/pair/pair.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

std::string identity(const std::string& serial, const Medium& medium) {
    return "serial=" + serial + "\nsize=" + std::to_string(medium.size()) + "\n";
}

// Opening is refused with a sentence that holds all these words, and changes nothing.
void expect_refused(TestPair& pair, const std::vector<std::string>& words,
                    const OpenOptions& options = {}) {
    const auto main_before = pair.main->snapshot();
    const auto spare_before = pair.spare->snapshot();
    try {
        pair.open(options);
        ADD_FAILURE() << "it opened";
        pair.disk.reset();
    } catch (const Refusal& refusal) {
        for (const std::string& word : words)
            EXPECT_NE(std::string(refusal.what()).find(word), std::string::npos)
                << "\"" << word << "\" is missing in: " << refusal.what();
    }
    EXPECT_EQ(pair.main->snapshot(), main_before) << "a refused opening wrote to main";
    EXPECT_EQ(pair.spare->snapshot(), spare_before) << "a refused opening wrote to the spare";
}

// Formatted, with one remap, closed.
struct Closed : TestPair {
    Closed() {
        fill_main(1);
        format();
        open();
        plan->apply("main bad write 1000+8\n");
        EXPECT_EQ(write_sectors(*disk, 1000, 8, 2), 0);
        close();
    }
    void expect_opens(const OpenOptions& options = {}) {
        ASSERT_NO_THROW(open(options));
        EXPECT_EQ(read_sectors(*disk, 1000, 8), pattern(1000, 8, 2));
        close();
    }
};

// Found by who knows the device's path; nobody can say which slots were overwritten.
TEST(Promises, P7_ASpareThatSomethingWasMadeOverIsLeftToARescue) {
    Closed pair;
    OpenOptions options;
    options.overwritten = "spare holds an ext4 file system";
    expect_refused(pair, {options.overwritten}, options);
    options.read_only = true;
    expect_refused(pair, {options.overwritten}, options);
    options.rescue = true;
    const auto before = pair.spare->snapshot();
    pair.open(options);
    EXPECT_TRUE(pair.has_cause("spare_overwritten"));
    pair.close();
    EXPECT_EQ(pair.spare->snapshot(), before);
}

TEST(Promises, P7_AnotherMainIsRefused) {
    Closed pair;
    pair.main->set_identity(identity("OTHER-7", *pair.main));
    expect_refused(pair, {"MAIN-1", "OTHER-7"});
    pair.main->set_identity(identity("MAIN-1", *pair.main));
    pair.expect_opens();
}

TEST(Promises, P7_AMainOfAnotherSizeIsRefused) {
    Closed pair;
    const std::uint64_t size = pair.main->size();
    pair.main->set_size(size - kBlock);
    expect_refused(pair, {std::to_string(size), std::to_string(size - kBlock)});
    pair.main->set_size(size);
    pair.expect_opens();
}

TEST(Promises, P7_ACloneOfTheSpareIsRefused) {
    Closed pair;
    pair.spare->set_identity(identity("CLONE-9", *pair.spare));
    expect_refused(pair, {"SPARE-1", "CLONE-9"});
    pair.spare->set_identity(identity("SPARE-1", *pair.spare));
    pair.expect_opens();
}

TEST(Promises, P7_ASpareSmallerThanItsGeometryIsRefused) {
    Closed pair;
    pair.spare->set_size(pair.spare->size() - kBlock);
    expect_refused(pair, {"SPARE-1"});
}

TEST(Promises, P7_AMainWrittenWhileDetachedIsRefused) {
    Closed pair;
    pair.fill_main(3);
    expect_refused(pair, {"witness"});
    OpenOptions options;
    options.accept_changed_main = true;
    pair.expect_opens(options);
    pair.expect_opens();  // accepted once is accepted
}

TEST(Promises, P7_SwappedDevicesAreSaid) {
    Closed pair;
    try {
        Disk::open(pair.spare->device(), pair.main->device(), {});
        ADD_FAILURE() << "it opened";
    } catch (const Refusal& refusal) {
        EXPECT_NE(std::string(refusal.what()).find("swap"), std::string::npos) << refusal.what();
    }
    pair.expect_opens();
}

TEST(Promises, P7_ABlankSpareIsRefused) {
    TestPair pair;
    expect_refused(pair, {"SPARE-1"});
}

TEST(Promises, P7_TheMarkOfAnotherMachineIsRefused) {
    Closed pair;
    pair.open();
    pair.crash();
    pair.edit_superblocks([](dmr_superblock& sb) {
        ASSERT_TRUE(dmr_le32(sb.flags) & DMR_IN_USE);
        std::memset(sb.holder_machine, 0x42, sizeof(sb.holder_machine));
        std::memset(sb.holder_boot, 0x43, sizeof(sb.holder_boot));
    });
    OpenOptions options;
    options.lock_wait_seconds = 0;
    expect_refused(pair, {"machine"}, options);
    options.take_over = true;
    pair.expect_opens(options);
}

TEST(Promises, P7_ReadOnlyWritesNothing) {
    Closed pair;
    const auto main_before = pair.main->snapshot();
    const auto spare_before = pair.spare->snapshot();
    OpenOptions options;
    options.read_only = true;
    pair.plan->apply("main bad read 2000+8\n");
    pair.open(options);
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 2));
    read_sectors(*pair.disk, 2000, 8, EIO);
    EXPECT_EQ(write_sectors(*pair.disk, 1000, 8, 3), EROFS);
    EXPECT_EQ(pair.disk->zero(0, kBlock), EROFS);
    EXPECT_NE(pair.disk->discard(0, kBlock), 0);
    EXPECT_EQ(pair.disk->flush(), 0);
    EXPECT_EQ(pair.disk->salvage(), 0u);
    pair.disk->close();
    pair.disk.reset();
    EXPECT_EQ(pair.main->snapshot(), main_before);
    EXPECT_EQ(pair.spare->snapshot(), spare_before);
}

TEST(Promises, P7_FormatDestroysNoLiveSpare) {
    Closed pair;
    const auto main_device = pair.main->device();
    const auto spare_device = pair.spare->device();
    const auto before = pair.spare->snapshot();
    FormatOptions options;
    EXPECT_THROW(format_spare(*main_device, *spare_device, options), Refusal);
    options.force = true;
    EXPECT_THROW(format_spare(*main_device, *spare_device, options), Refusal);
    // Swapped: the live spare as main.
    EXPECT_THROW(format_spare(*spare_device, *main_device, options), Refusal);
    EXPECT_EQ(pair.spare->snapshot(), before);
}

// Whatever stands on the spare: opening, examining and repairing refuse or go on, and what then
// reads at all reads within bounds. The sanitizers watch.
TEST(Promises, P8_HostileMetadataIsHarmless) {
    std::mt19937_64 rng(4711);
    Closed pair;
    const auto main_before = pair.main->snapshot();
    const auto spare_before = pair.spare->snapshot();
    const dmr_superblock good = pair.superblock();
    unsigned refused = 0, opened = 0;
    for (int round = 0; round < 400; ++round) {
        SCOPED_TRACE(round);
        pair.main->restore(main_before);
        pair.spare->restore(spare_before);
        const auto extreme = [&]() -> std::uint64_t {
            constexpr std::uint64_t kValues[] = {
                0,          1,    7, 4095, 4096, 65536, 1ull << 31, 1ull << 32, (1ull << 63) - 1,
                1ull << 63, ~0ull};
            return rng() % 2 == 0 ? rng() : kValues[rng() % std::size(kValues)];
        };
        switch (round % 4) {
            case 0:  // any words of the geometry and of what changes, with right checksums
                pair.edit_superblocks([&, seed = rng()](dmr_superblock& sb) {
                    std::mt19937_64 same(seed);
                    auto* const bytes = reinterpret_cast<std::uint8_t*>(&sb);
                    const std::uint64_t value = same() % 2 == 0 ? same() : same() % (32ull << 20);
                    std::memcpy(bytes + 128 + same() % 12 * 8, &value, 8);
                });
                break;
            case 1: {  // any byte of the superblocks
                const std::uint64_t at = rng() % DMR_SUPERBLOCK_SIZE;
                pair.edit_superblocks(
                    [&, value = static_cast<std::uint8_t>(rng())](dmr_superblock& sb) {
                        if (at < offsetof(dmr_superblock, crc))
                            reinterpret_cast<std::uint8_t*>(&sb)[at] = value;
                    });
                break;
            }
            case 2: {  // entries that say the impossible, with right checksums
                const std::uint64_t a = extreme(), b = extreme();
                const auto state = static_cast<std::uint8_t>(rng() % 4);
                const auto lost = static_cast<std::uint8_t>(rng());
                const bool block = rng() % 2 == 0;
                pair.edit_entries([&](dmr_entry& entry) {
                    if (block) entry.main_block = dmr_to_le64(a);
                    if (rng() % 2 == 0) entry.sequence = dmr_to_le64(b);
                    entry.state = state;
                    entry.lost = lost;
                });
                break;
            }
            default:  // noise over the table
                for (int i = 0; i < 8; ++i) {
                    const std::uint64_t at =
                        dmr_page_offset(&good, static_cast<int>(rng() % 2), 0) + rng() % 4096;
                    const std::uint64_t value = rng();
                    pair.spare->poke(at, &value, 1);
                }
        }
        try {
            const auto device = pair.spare->device();
            examine_spare(*device, true);
        } catch (const Refusal&) {
        }
        try {
            OpenOptions options;
            options.lock_wait_seconds = 0;
            pair.open(options);
            ++opened;
            std::vector<std::byte> block(64 * kSector);
            for (std::uint64_t s = 0; s + 64 <= pair.sectors(); s += 64)
                pair.disk->read(s * kSector, block.data(), block.size());
            pair.disk->close();
        } catch (const Refusal& refusal) {
            ++refused;
            EXPECT_STRNE(refusal.what(), "");
        }
        pair.disk.reset();
    }
    EXPECT_GT(refused, 50u);
    EXPECT_GT(opened, 50u);
}

TEST(Promises, P8_RequestsOutsideTheDiskAreRefused) {
    Closed pair;
    pair.open();
    std::vector<std::byte> block(kBlock);
    const std::uint64_t size = pair.disk->size();
    constexpr std::uint64_t kLast = ~std::uint64_t{0};
    for (const std::uint64_t offset : {size, size - 1, size + kBlock, kLast, kLast - kBlock + 2}) {
        SCOPED_TRACE(offset);
        EXPECT_EQ(pair.disk->read(offset, block.data(), kBlock), EINVAL);
        EXPECT_EQ(pair.disk->write(offset, block.data(), kBlock), EINVAL);
        EXPECT_EQ(pair.disk->zero(offset, kBlock), EINVAL);
        EXPECT_EQ(pair.disk->discard(offset, kBlock), EINVAL);
    }
    EXPECT_EQ(pair.disk->zero(1, ~0ull), EINVAL);
    EXPECT_EQ(pair.disk->read(size, block.data(), 0), 0);
}

// The descriptors of this process that may write to the file.
std::vector<int> writing_flags(const std::string& path) {
    std::vector<int> found;
    for (const auto& link : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(link.path(), gone).string();
        if (gone || target != path) continue;
        const int flags = fcntl(std::atoi(link.path().filename().c_str()), F_GETFL);
        if ((flags & O_ACCMODE) != O_RDONLY) found.push_back(flags);
    }
    return found;
}

// Images are opened so that the system reports a failing write at once and at its place.
TEST(Promises, P9_WritesAreNotCachedBehindOurBack) {
    std::string directory = (std::filesystem::temp_directory_path() / "dmremap-XXXXXX").string();
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    const std::string main_path = directory + "/main", spare_path = directory + "/spare";
    for (const std::string& path : {main_path, spare_path}) {
        std::ofstream(path).close();
        std::filesystem::resize_file(path, 16 << 20);
    }
    {
        const DevicePair devices = open_pair(main_path, spare_path, {});
        for (const std::string& path : {main_path, spare_path}) {
            const auto all = writing_flags(path);
            EXPECT_FALSE(all.empty());
            for (const int flags : all)
                EXPECT_TRUE((flags & O_DIRECT) != 0 || (flags & O_DSYNC) == O_DSYNC)
                    << path << " is open with flags " << std::oct << flags;
        }
    }
    {
        FileOptions cached;
        cached.direct = false;
        const auto device = open_file_device(main_path, cached);
        const auto all = writing_flags(main_path);
        EXPECT_FALSE(all.empty());
        for (const int flags : all)
            EXPECT_EQ(flags & O_DSYNC, O_DSYNC) << "flags " << std::oct << flags;
    }
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace dmremap::test
