// SPDX-License-Identifier: GPL-2.0-or-later
// Makes pairs for the guest to open, with what the core says of each: vm_pairs FOLDER CORPUS COUNT
// SEED
//
// Three kinds: the honest pairs that fuzzing begins with, COUNT pairs that the daemon's engine used
// at random over bad sectors and then closed or lost to a crash, and one hostile spare for each
// input of the fuzz corpus CORPUS. What is in FOLDER then: cases.h.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/damage.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/spare_truth.h"
#include "tests/fuzz/sparse_image.h"
#include "tests/vm/cases.h"

namespace dmremap::test {

using fuzz::base_pair;
using fuzz::BasePair;
using fuzz::Input;
using fuzz::kPasts;
using fuzz::kShapes;
using fuzz::SpareTruth;
using fuzz::SparseImage;

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kSector = 512, kUnit = 4096;
constexpr std::uint64_t kMostOfMain = std::uint64_t{1} << 36;

// Used by the engine over bad sectors, then closed, or as a crash leaves it.
BasePair random_pair(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    BasePair pair = base_pair(0, static_cast<unsigned>(seed)).copy();
    const std::uint64_t sectors = pair.main->info().size / kSector;
    const std::uint64_t bad = random() % (sectors - 800);
    const auto disk =
        Disk::open(SparseImage::device(pair.main), SparseImage::device(pair.spare), {});
    pair.main->set_unwritable(bad, bad + 1 + random() % 400);
    for (unsigned i = 0; i < 6; i++)
        pair.main->make_unreadable(random() % (sectors / 8) * 8, 1 + random() % 8);
    std::vector<std::byte> data(std::size_t{16} * kUnit);
    for (unsigned i = 0; i < 60; i++) {
        const bool near = random() % 2 != 0;
        const std::uint64_t first = near ? bad + random() % 400 : random() % (sectors - 128);
        const std::uint64_t count = 1 + random() % 64;
        for (std::byte& byte : data) byte = static_cast<std::byte>(random());
        switch (random() % 8) {
            case 0:
                disk->remap(first, count);
                break;
            case 1:
                disk->unmap(first, count);
                break;
            case 2:
            case 3:  // what cannot be read is lost
                disk->read(first * kSector, data.data(), count * kSector);
                break;
            default:
                disk->write(first * kSector, data.data(), count * kSector);
        }
    }
    disk->flush();
    if (random() % 2 != 0) disk->close();
    pair = pair.copy();
    pair.main->heal();
    pair.spare->heal();
    return pair;
}

// A file cannot be unreadable: nonsense there comes as near as it can.
void make_readable(SparseImage& image) {
    std::vector<std::uint8_t> nonsense(kSector, 0xa5);
    for (std::uint64_t at = 0; at < image.info().size; at += kSector)
        if (image.unreadable(at, kSector)) image.poke(at, nonsense.data(), kSector);
    image.heal();
}

void hostile(CaseWriter& writer, const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    Input input(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    // As fuzz_spare.cpp takes it.
    const std::uint8_t start = input.byte(), how = input.byte();
    const unsigned past = start % kPasts, shape = start / kPasts % kShapes;
    BasePair pair = base_pair(start, start / kPasts).copy();
    for (unsigned patches = input.byte() % 32; patches != 0; patches--)
        fuzz::damage_spare(input, *pair.spare, pair.geometry);
    make_readable(*pair.spare);
    const SpareTruth truth = fuzz::truth_of(*pair.spare);
    if (truth.superblock && (how & 1) != 0)
        pair.main->set_size(dmr_le64(truth.superblock->main_size) % kMostOfMain);
    const DeviceInfo& main = pair.main->info();
    if (main.size == 0 || main.size % main.logical_block != 0) return;
    writer.add("hostile-" + path.filename().string().substr(0, 8),
               "base-" + std::to_string(past) + "-" + std::to_string(shape) + ".main", pair);
}

int run(const fs::path& folder, const fs::path& corpus, unsigned count, std::uint64_t seed) {
    CaseWriter writer(folder);
    for (unsigned past = 0; past < kPasts; past++)
        for (unsigned shape = 0; shape < kShapes; shape++) {
            const std::string name = "base-" + std::to_string(past) + "-" + std::to_string(shape);
            const BasePair& pair = base_pair(past, shape);
            writer.main(name + ".main", *pair.main);
            writer.add(name, name + ".main", pair);
        }
    for (unsigned i = 0; i < count; i++) {
        const std::string name = "random-" + std::to_string(seed + i);
        const BasePair pair = random_pair(seed + i);
        writer.main(name + ".main", *pair.main);
        writer.add(name, name + ".main", pair);
    }
    std::vector<fs::path> inputs;
    for (const auto& entry : fs::directory_iterator(corpus)) inputs.push_back(entry.path());
    std::sort(inputs.begin(), inputs.end());
    for (const fs::path& path : inputs) hostile(writer, path);
    std::printf("%u pairs open, %u are refused\n", writer.opens(), writer.refusals());
    return 0;
}

}  // namespace

}  // namespace dmremap::test

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: vm_pairs FOLDER CORPUS COUNT SEED\n");
        return 2;
    }
    return dmremap::test::run(argv[1], argv[2], static_cast<unsigned>(std::stoul(argv[3])),
                              std::stoull(argv[4]));
}
