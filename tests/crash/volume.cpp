// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/volume.h"

#include <cstring>

namespace dmremap::test {

Volume::Volume(std::uint64_t bytes) : ground_(std::make_shared<Ground>()), index_(bytes / kSector) {
    ground_->bytes.resize(bytes);
    ground_->unreadable.resize(bytes / kSector);
}

Volume& Volume::operator=(const Volume& other) {
    if (this == &other) return *this;
    for (const Changed& changed : cells_) index_[changed.sector] = 0;
    index_.resize(other.index_.size());
    ground_ = other.ground_;
    cells_ = other.cells_;
    for (std::uint32_t i = 0; i < cells_.size(); ++i) index_[cells_[i].sector] = i + 1;
    return *this;
}

Cell& Volume::cell(std::uint64_t sector) {
    if (index_[sector] == 0) {
        Changed changed{sector, {}};
        std::memcpy(changed.cell.bytes.data(), bytes(sector), kSector);
        changed.cell.unreadable = ground_->unreadable[sector];
        cells_.push_back(changed);
        index_[sector] = static_cast<std::uint32_t>(cells_.size());
    }
    return cells_[index_[sector] - 1].cell;
}

void Volume::put(std::uint64_t sector, const Cell& content) { cell(sector) = content; }

void Volume::put(std::uint64_t sector, const std::byte* bytes) {
    Cell& changed = cell(sector);
    std::memcpy(changed.bytes.data(), bytes, kSector);
    changed.unreadable = false;
}

void Volume::set_unreadable(std::uint64_t sector, bool unreadable) {
    cell(sector).unreadable = unreadable;
}

Volume Volume::own() const {
    Volume twin(sectors() * kSector);
    *twin.ground_ = *ground_;
    for (const Changed& changed : cells_) twin.put(changed.sector, changed.cell);
    twin.fold();
    return twin;
}

void Volume::fold() {
    for (const Changed& changed : cells_) {
        std::memcpy(ground_->bytes.data() + changed.sector * kSector, changed.cell.bytes.data(),
                    kSector);
        ground_->unreadable[changed.sector] = changed.cell.unreadable;
        index_[changed.sector] = 0;
    }
    cells_.clear();
}

}  // namespace dmremap::test
