// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/spare_model.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>

#include "tests/fuzz/check.h"

namespace dmremap::fuzz {

namespace {

constexpr std::uint64_t kSector = 512, kBlock = 4096;
constexpr std::size_t kMostBlocks = 200;

}  // namespace

SpareModel::SpareModel(const BasePair& pair, const SpareTruth& truth, bool retries)
    : main_(std::make_shared<SparseImage>(*pair.main)),
      spare_(std::make_shared<SparseImage>(*pair.spare)),
      truth_(truth),
      retries_(retries) {}

SpareModel::Sector& SpareModel::sector(std::uint64_t number) {
    const auto [at, fresh] = sectors_.try_emplace(number);
    Sector& sector = at->second;
    if (!fresh) return sector;
    const auto peek = [&](const SparseImage& image, std::uint64_t offset) {
        if (image.unreadable(offset, kSector)) {
            sector.may_fail = true;
        }
        sector.values.emplace_back();
        image.peek(offset, sector.values.back().data(), kSector);
    };
    const auto claim = truth_.live.find(number / 8);
    if (claim == truth_.live.end()) {
        peek(*main_, number * kSector);
        return sector;
    }
    const std::uint8_t bit = static_cast<std::uint8_t>(1u << (number % 8));
    if ((claim->second.lost & bit) == 0) {
        peek(*spare_,
             dmr_slot_offset(&*truth_.superblock, claim->second.slot) + number % 8 * kSector);
        return sector;
    }
    sector.may_fail = true;
    if (retries_ && (claim->second.retry & bit) != 0) peek(*main_, number * kSector);
    return sector;
}

// Main loses and reads by its logical blocks.
bool SpareModel::may_fail(std::uint64_t first, std::uint64_t end) {
    const std::uint64_t unit = main_->info().logical_block / kSector;
    bool may = fenced_;
    for (std::uint64_t s = first / unit * unit; s < (end + unit - 1) / unit * unit; s++)
        may = sector(s).may_fail || may;
    return may;
}

void SpareModel::read(Disk& disk, std::uint64_t offset, std::uint64_t length) {
    if (length == 0) return;
    const std::uint64_t first = offset / kSector, end = (offset + length - 1) / kSector + 1;
    std::vector<std::byte> data(length);
    const int error = disk.read(offset, data.data(), length);
    if (error != 0) {
        check(error == EIO && may_fail(first, end),
              "read of " + std::to_string(offset) + "+" + std::to_string(length) +
                  " failed with error " + std::to_string(error));
        return;
    }
    for (std::uint64_t s = first; s < end; s++) {
        const Sector& expected = sector(s);
        const std::uint64_t begin = std::max(offset, s * kSector);
        const std::uint64_t stop = std::min(offset + length, (s + 1) * kSector);
        const bool right =
            std::any_of(expected.values.begin(), expected.values.end(), [&](const Bytes& bytes) {
                return std::memcmp(bytes.data() + begin % kSector, data.data() + (begin - offset),
                                   stop - begin) == 0;
            });
        check(right, "sector " + std::to_string(s) + " reads as what it never held");
    }
}

void SpareModel::written(Disk& disk, int error, std::uint64_t offset,
                         const std::vector<std::byte>& data) {
    const std::uint64_t end = offset + data.size();
    const std::uint64_t unit = main_->info().logical_block;
    // A part of a logical block cannot be written where the rest cannot be read; and where a page
    // of the table is no good any more, its blocks may find no better place.
    check(error == 0 || !truth_.mixed.empty() ||
              (error == EIO && (offset % unit != 0 || end % unit != 0) &&
               may_fail(offset / kSector, (end - 1) / kSector + 1)),
          "a write failed with error " + std::to_string(error));
    fenced_ = fenced_ || disk.status().state >= State::read_only;
    for (std::uint64_t at = offset; at < end;) {
        const std::uint64_t stop = std::min(end, (at / kSector + 1) * kSector);
        Sector& target = sector(at / kSector);
        const bool whole = stop - at == kSector;
        const std::vector<Bytes> old = target.values;
        if (error == 0) {
            check(whole || !old.empty(), "half of a lost sector was written");
            target.values.clear();
            target.may_fail = false;
        }
        for (Bytes bytes : whole&& error == 0 ? std::vector<Bytes>(1) : old) {
            std::memcpy(bytes.data() + at % kSector, data.data() + (at - offset), stop - at);
            target.values.push_back(bytes);
        }
        if (error != 0 && old.empty() && whole) {
            target.values.emplace_back();
            std::memcpy(target.values.back().data(), data.data() + (at - offset), kSector);
        }
        at = stop;
    }
}

void SpareModel::write(Disk& disk, std::uint64_t offset, std::uint64_t length, std::uint8_t fill) {
    std::vector<std::byte> data(length);
    for (std::uint64_t i = 0; i < length; i++)
        data[i] = static_cast<std::byte>(fill + i / kSector * 7);
    written(disk, disk.write(offset, data.data(), length), offset, data);
}

void SpareModel::zero(Disk& disk, std::uint64_t offset, std::uint64_t length) {
    written(disk, disk.zero(offset, length), offset, std::vector<std::byte>(length));
}

void SpareModel::read_all(Disk& disk) {
    std::set<std::uint64_t> blocks = {0, (disk.size() - 1) / kBlock};
    for (const auto& [block, claim] : truth_.live) {
        if (blocks.size() >= kMostBlocks) break;
        blocks.insert({block, block == 0 ? 0 : block - 1});
    }
    for (const auto& [number, sector] : sectors_) {
        if (blocks.size() >= 2 * kMostBlocks) break;
        blocks.insert(number / 8);
    }
    for (const std::uint64_t block : blocks) {
        const std::uint64_t offset = block * kBlock;
        const std::uint64_t length = std::min(kBlock, disk.size() - offset);
        read(disk, offset, length);
        // A block that fails whole gives the rest in parts.
        for (std::uint64_t at = 0;
             may_fail(offset / kSector, (offset + length) / kSector) && at < length;
             at += disk.logical_block())
            read(disk, offset + at, disk.logical_block());
    }
}

void SpareModel::check_remaps(const Disk& disk) const {
    std::size_t count = 0;
    disk.list_remaps([&](const RemapInfo& remap) {
        count++;
        const auto claim = truth_.live.find(remap.sector / 8);
        check(claim != truth_.live.end(), "a remap is listed that nobody claims");
        // The healer may be moving blocks from pages that it cannot rewrite.
        check(!truth_.mixed.empty() || claim->second.slot == remap.slot, "another slot is listed");
        check((remap.lost & ~claim->second.lost) == 0, "a sector is lost that was not");
    });
    check(count == truth_.live.size(), "another number of remaps is listed");
}

}  // namespace dmremap::fuzz
