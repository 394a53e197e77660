// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/witness.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

namespace dmremap {

namespace {

// In 4 KiB blocks: MBR, GPT and ext4, xfs at 0; GPT entries at 1; LVM and others at 2; btrfs at 16;
// a first partition at 1 MiB (256) and a btrfs in it (272).
constexpr std::uint64_t kUsualPlaces[] = {0, 1, 2, 16, 256, 257, 272};

std::optional<std::uint32_t> block_crc(Device& main, const dmr_superblock& sb,
                                       std::uint64_t block) {
    std::byte data[DMR_BLOCK_SIZE];
    const std::uint64_t offset = block * DMR_BLOCK_SIZE;
    const std::uint64_t length =
        std::min<std::uint64_t>(DMR_BLOCK_SIZE, dmr_le64(sb.main_size) - offset);
    if (main.read(offset, data, length) != 0) {
        return std::nullopt;
    }
    return dmr_crc32c(~std::uint32_t{0}, data, length);
}

}  // namespace

std::vector<std::uint64_t> witness_blocks(const dmr_superblock& sb) {
    const std::uint64_t blocks = dmr_main_blocks(&sb);
    std::set<std::uint64_t> chosen;
    for (const std::uint64_t block : kUsualPlaces) {
        if (block < blocks) {
            chosen.insert(block);
        }
    }
    chosen.insert(blocks - 1);
    chosen.insert(blocks - std::min<std::uint64_t>(blocks, 9));  // the second GPT's entries
    std::uint64_t seed;
    std::memcpy(&seed, sb.uuid, sizeof(seed));
    // One in each of as many equal stretches of main as there is room for.
    const std::uint64_t stretches = DMR_WITNESS_BLOCKS - chosen.size();
    const std::uint64_t into = dmr_le64(seed) % std::max<std::uint64_t>(1, blocks / stretches);
    for (std::uint64_t i = 0; i < stretches; i++) {
        chosen.insert(blocks * i / stretches + into);
    }
    return {chosen.begin(), chosen.end()};
}

void take_witness(Device& main, const std::function<bool(std::uint64_t)>& remapped,
                  dmr_superblock& sb) {
    std::memset(sb.witness, 0, sizeof(sb.witness));
    unsigned taken = 0;
    for (const std::uint64_t block : witness_blocks(sb)) {
        if (remapped(block)) {
            continue;
        }
        if (const auto crc = block_crc(main, sb, block)) {
            sb.witness[taken].block = dmr_to_le64(block);
            sb.witness[taken].crc = dmr_to_le32(*crc);
            sb.witness[taken].valid = dmr_to_le32(1u);
            taken++;
        }
    }
    const std::uint32_t flags = dmr_le32(sb.flags) & ~DMR_WITNESS;
    sb.flags = dmr_to_le32(taken != 0 ? flags | DMR_WITNESS : flags);
}

WitnessResult check_witness(Device& main, const dmr_superblock& sb) {
    WitnessResult result;
    const std::uint32_t flags = dmr_le32(sb.flags);
    if ((flags & DMR_CLEAN) == 0 || (flags & DMR_WITNESS) == 0) {
        return result;
    }
    for (const dmr_witness& witness : sb.witness) {
        if (dmr_le32(witness.valid) != 1 || dmr_le64(witness.block) >= dmr_main_blocks(&sb)) {
            continue;
        }
        if (const auto crc = block_crc(main, sb, dmr_le64(witness.block))) {
            result.checked++;
            result.different += *crc == dmr_le32(witness.crc) ? 0 : 1;
        }
    }
    return result;
}

}  // namespace dmremap
