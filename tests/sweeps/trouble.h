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

    // This thread enters the disk's code, or leaves it for that of the test; returns where it was.
    // A thread that the disk started is in it from the beginning.
    virtual bool set_in_disk(bool in) { return in; }
};

// In the disk's code as long as this lives, or out of it.
class InDisk {
public:
    explicit InDisk(Trouble& trouble, bool in = true)
        : trouble_(trouble), before_(trouble.set_in_disk(in)) {}
    InDisk(const InDisk&) = delete;
    InDisk& operator=(const InDisk&) = delete;
    ~InDisk() { trouble_.set_in_disk(before_); }

private:
    Trouble& trouble_;
    const bool before_;
};

struct OutOfDisk : InDisk {
    explicit OutOfDisk(Trouble& trouble) : InDisk(trouble, false) {}
};

}  // namespace dmremap::test
