// SPDX-License-Identifier: GPL-2.0-or-later
// Pairs as files for a guest to open, with what the core says of each. In a folder:
//
//   list         a line a case: NAME MAIN SIZE BLOCK VERDICT REMAPS REASON...; MAIN a file, SIZE
//                main's bytes, BLOCK its logical block, VERDICT opens or refused
//   NAME.spare   the spare, sparse
//   NAME.want    what is not as on main: records of sector and kind (8 bytes each, little-endian)
//                and 512 bytes. Kind 0: these bytes; 1: EIO; 2: EIO or these bytes
//   *.main       mains, shared by cases
//
// The verdict is that of Disk::open() where everything that only the daemon looks at is right: the
// devices say of themselves what the spare remembers of them, and a foreign mark is taken over.
// What must be read is said by the bytes and FORMAT.md alone (tests/fuzz/spare_truth.h).
//
// One thread. What cannot be written ends the program.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "core/device/device.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/spare_truth.h"
#include "tests/fuzz/sparse_image.h"

namespace dmremap::test {

// The device, but it says that it is another one.
std::unique_ptr<Device> renamed(std::unique_ptr<Device> device, std::string identity);

class CaseWriter {
public:
    explicit CaseWriter(std::filesystem::path folder)
        : folder_(std::move(folder)), list_(folder_ / "list") {}

    void main(const std::string& name, const fuzz::SparseImage& image);
    // `main`: a name that main() got. Left out where the daemon refuses for a damaged identity.
    void add(const std::string& name, const std::string& main, const fuzz::BasePair& pair);

    unsigned opens() const { return opens_; }
    unsigned refusals() const { return refusals_; }

private:
    void spare(const std::string& name, const fuzz::SparseImage& image,
               const fuzz::SpareTruth& truth);
    void want(const std::string& name, const fuzz::BasePair& pair, const fuzz::SpareTruth& truth);

    const std::filesystem::path folder_;
    std::ofstream list_;
    unsigned opens_ = 0, refusals_ = 0;
};

}  // namespace dmremap::test
