// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the k-th allocation of the disk's code throw bad_alloc, alone or with some that follow.
// operator new of this program comes through here, under the sanitizers too (they watch malloc,
// from which the memory comes). Allocations of the tests, of the devices they put under a disk, and
// of what runs in event callbacks are left alone.
//
// The disk's threads allocate in no fixed order: the k-th of two runs need not be the same.
//
// One of these at a time; made on the test's thread. Any thread allocates.
#pragma once

#include <memory>

#include "core/device/device.h"
#include "tests/sweeps/trouble.h"

namespace dmremap::test {

class Allocations final : public Trouble {
public:
    Allocations();
    ~Allocations() override;

    static constexpr std::uint64_t kForEver = ~std::uint64_t{0};

    // `allocation` from 1, and so many in all fail; 0: none. Counts from now on.
    void begin(std::uint64_t allocation, std::uint64_t many);
    std::uint64_t count() const;  // of the disk's since begin()

    // The inner device's code is the test's.
    std::unique_ptr<Device> wrap(std::unique_ptr<Device> inner);

    std::uint64_t hits() const override;
    std::uint64_t flush_hits() const override { return 0; }
    bool goes_on() const override { return goes_on_; }
    int error() const override;
    void end() override;
    bool set_in_disk(bool in) override;

private:
    bool goes_on_ = false;
};

}  // namespace dmremap::test
