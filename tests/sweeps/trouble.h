// SPDX-License-Identifier: GPL-2.0-or-later
// What goes wrong while a workload runs, as far as it must be known to judge an answer.
#pragma once

#include <cstdint>

namespace dmremap::test {

class Trouble {
public:
    virtual ~Trouble() = default;
    // How often something was made to fail so far, and how often that was a flush.
    virtual std::uint64_t hits() const = 0;
    virtual std::uint64_t flush_hits() const = 0;
    // It fails from some point on; otherwise once.
    virtual bool goes_on() const = 0;
    // The errno it fails with.
    virtual int error() const = 0;
    // It looks like bad places of main, while others answer: what fails is rightly remapped.
    virtual bool places_are_bad() const { return false; }
    // From now on nothing fails any more.
    virtual void end() = 0;
};

}  // namespace dmremap::test
