// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/vm/cases.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "core/disk.h"
#include "core/meta/opening_checks.h"
#include "core/refusal.h"

namespace dmremap::test {

using fuzz::BasePair;
using fuzz::SpareTruth;
using fuzz::SparseImage;

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kSector = 512, kUnit = 4096;

class Renamed final : public Device {
public:
    Renamed(std::unique_ptr<Device> device, std::string identity)
        : device_(std::move(device)), info_(device_->info()) {
        info_.identity = std::move(identity);
    }
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override { device_->submit(io); }

private:
    const std::unique_ptr<Device> device_;
    DeviceInfo info_;
};

// "" or why the core refuses it.
std::string verdict(const BasePair& pair, const SpareTruth& truth) {
    const BasePair copy = pair.copy();
    std::unique_ptr<Device> main = SparseImage::device(copy.main),
                            spare = SparseImage::device(copy.spare);
    if (truth.superblock) {
        main = renamed(std::move(main), field_text(truth.superblock->main_text, DMR_IDENTITY_TEXT));
        spare =
            renamed(std::move(spare), field_text(truth.superblock->spare_text, DMR_IDENTITY_TEXT));
    }
    OpenOptions options;
    options.take_over = true;
    try {
        Disk::open(std::move(main), std::move(spare), options);
    } catch (const Refusal& refusal) {
        return refusal.what();
    }
    return "";
}

void require(const std::ofstream& file, const std::string& name) {
    if (file) return;
    std::fprintf(stderr, "%s cannot be written\n", name.c_str());
    std::exit(1);
}

}  // namespace

std::unique_ptr<Device> renamed(std::unique_ptr<Device> device, std::string identity) {
    return std::make_unique<Renamed>(std::move(device), std::move(identity));
}

void CaseWriter::main(const std::string& name, const SparseImage& image) {
    std::ofstream file(folder_ / name, std::ios::binary);
    std::vector<char> bytes(image.info().size);
    image.peek(0, bytes.data(), bytes.size());
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    require(file, name);
}

void CaseWriter::add(const std::string& name, const std::string& main, const BasePair& pair) {
    const SpareTruth truth = fuzz::truth_of(*pair.spare);
    const std::string refused = verdict(pair, truth);
    // An identity that no device can have; raw tables do not look at it.
    if (refused.find("is not the main device of") != std::string::npos ||
        refused.find("is not the device it was formatted on") != std::string::npos)
        return;
    const DeviceInfo& info = pair.main->info();
    list_ << name << ' ' << main << ' ' << info.size << ' ' << info.logical_block << ' '
          << (refused.empty() ? "opens" : "refused") << ' '
          << (refused.empty() ? truth.live.size() : 0) << ' ' << refused << '\n';
    spare(name, *pair.spare, truth);
    want(name, pair, refused.empty() ? truth : SpareTruth{});
    require(list_, "list");
    (refused.empty() ? opens_ : refusals_)++;
}

// Only what somebody wrote, and the slots that are read.
void CaseWriter::spare(const std::string& name, const SparseImage& image, const SpareTruth& truth) {
    const DeviceInfo& info = image.info();
    const SparseImage untouched(info.name, info.size, info.logical_block, info.physical_block);
    std::ofstream file(folder_ / (name + ".spare"), std::ios::binary);
    char unit[kUnit], other[kUnit];
    const auto put = [&](std::uint64_t at) {
        image.peek(at, unit, kUnit);
        file.seekp(static_cast<std::streamoff>(at));
        file.write(unit, kUnit);
    };
    for (std::uint64_t at = 0; at < info.size; at += kUnit) {
        image.peek(at, unit, kUnit);
        untouched.peek(at, other, kUnit);
        if (std::memcmp(unit, other, kUnit) != 0) put(at);
    }
    for (const auto& [block, claim] : truth.live)
        put(dmr_slot_offset(&*truth.superblock, claim.slot));
    file.close();
    require(file, name + ".spare");
    fs::resize_file(folder_ / (name + ".spare"), info.size);
}

void CaseWriter::want(const std::string& name, const BasePair& pair, const SpareTruth& truth) {
    std::ofstream file(folder_ / (name + ".want"), std::ios::binary);
    const std::uint64_t unit = pair.main->info().logical_block / kSector;
    const std::uint64_t sectors = pair.main->info().size / kSector;
    for (const auto& [block, claim] : truth.live) {
        for (unsigned i = 0; i < 8 && block * 8 + i < sectors; i++) {
            // Main's logical block is lost as a whole.
            const unsigned first = static_cast<unsigned>(i / unit * unit);
            bool lost = false, retry = true;
            for (unsigned n = first; n < first + unit; n++) {
                lost = lost || (claim.lost >> n & 1) != 0;
                retry = retry && ((claim.lost >> n & 1) == 0 || (claim.retry >> n & 1) != 0);
            }
            const std::uint64_t sector = block * 8 + i, kind = !lost ? 0 : retry ? 2 : 1;
            char bytes[kSector];
            if (kind == 2 && (claim.lost >> i & 1) != 0)
                pair.main->peek(sector * kSector, bytes, kSector);
            else
                pair.spare->peek(dmr_slot_offset(&*truth.superblock, claim.slot) + i * kSector,
                                 bytes, kSector);
            for (const std::uint64_t number : {sector, kind})
                for (unsigned b = 0; b < 8; b++) file.put(static_cast<char>(number >> (8 * b)));
            file.write(bytes, kSector);
        }
    }
    require(file, name + ".want");
}

}  // namespace dmremap::test
