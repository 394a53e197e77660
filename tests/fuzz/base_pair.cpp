// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/base_pair.h"

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.h"
#include "core/meta/format_spare.h"
#include "core/meta/superblock_store.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/damage.h"

namespace dmremap::fuzz {

namespace {

struct Shape {
    std::uint64_t main_size;
    std::uint32_t main_logical, spare_logical, spare_physical;
};
constexpr std::array<Shape, kShapes> kAllShapes = {{
    {4ull << 20, 512, 512, 512},
    {(3ull << 20) + 5 * 4096, 4096, 512, 4096},
    {(4ull << 20) + 3 * 512, 512, 512, 16384},  // a short last block
}};
constexpr std::uint64_t kSpareSize = 8ull << 20;

void formatted(BasePair& pair) {
    FormatOptions options;
    options.uuid = "00112233-4455-6677-8899-aabbccddeeff";
    options.force = true;  // a sparse image is nowhere empty
    const auto main = SparseImage::device(pair.main), spare = SparseImage::device(pair.spare);
    format_spare(*main, *spare, options);
    // One page of entries is enough, and soon loaded.
    dmr_superblock sb = *scan_superblocks(*spare).current;
    sb.table_ready = dmr_to_le64(dmr_entries_per_page(&sb));
    for (unsigned copy = 0; copy < dmr_copies(kSpareSize); copy++)
        put_superblock(*pair.spare, copy, sb);
    pair.geometry = sb;
}

// Blocks 10 to 12 take no writes, 20 cannot be read at its beginning, and the slot of 10 wears out.
void use(Disk& disk, const BasePair& pair) {
    const std::vector<std::byte> data(4096, std::byte{0x5a});
    std::vector<std::byte> read(4096);
    pair.main->set_unwritable(80, 104);
    for (const std::uint64_t block : {10u, 11u, 12u})
        check(disk.write(block * 4096, data.data(), data.size()) == 0, "a base's write");
    pair.main->make_unreadable(160, 2);
    check(disk.read(20ull * 4096, read.data(), read.size()) != 0, "a base's bad sector");
    check(disk.flush() == 0, "a base's flush");
    const std::uint64_t slot = dmr_slot_offset(&pair.geometry, 0) / DMR_SECTOR_SIZE;
    pair.spare->set_unwritable(slot, slot + 8);
    check(disk.write(10ull * 4096, data.data(), data.size()) == 0, "a base's worn slot");
    check(disk.flush() == 0, "a base's flush");
    pair.main->heal();
    pair.spare->heal();
}

BasePair make(Past past, const Shape& shape) {
    BasePair pair{std::make_shared<SparseImage>("MAIN", shape.main_size, shape.main_logical, 4096),
                  std::make_shared<SparseImage>("SPARE", kSpareSize, shape.spare_logical,
                                                shape.spare_physical),
                  {}};
    formatted(pair);
    if (past == Past::formatted) return pair;
    const auto disk =
        Disk::open(SparseImage::device(pair.main), SparseImage::device(pair.spare), {});
    use(*disk, pair);
    if (past == Past::closed) check(disk->close() == 0, "a base's close");
    return pair.copy();
}

}  // namespace

BasePair BasePair::copy() const {
    return {std::make_shared<SparseImage>(*main), std::make_shared<SparseImage>(*spare), geometry};
}

const BasePair& base_pair(unsigned past, unsigned shape) {
    static std::map<std::pair<unsigned, unsigned>, BasePair> made;
    const std::pair key{past % kPasts, shape % kShapes};
    auto at = made.find(key);
    if (at == made.end())
        at = made.emplace(key, make(static_cast<Past>(key.first), kAllShapes[key.second])).first;
    return at->second;
}

}  // namespace dmremap::fuzz
