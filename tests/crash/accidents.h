// SPDX-License-Identifier: GPL-2.0-or-later
// What befalls main, spare and the process in a recorded life, and how it is opened again.
//
// Accidents of the metadata stay within what the promises cover: while one copy of a page or of the
// superblock is bad no other is, and what rots does so while the pair is closed and whole.
#pragma once

#include <functional>

#include "tests/crash/world.h"

namespace dmremap::test {

class Accidents {
public:
    Accidents(World& world, OpenOptions options) : world_(world), options_(std::move(options)) {}

    void open();

    // A good spot of main goes bad.
    void spoil_main();
    // A slot takes no writes any more; the write that finds out moves the block to another one.
    void break_slot();
    // A slot can not be read for a while, and keeps its block; writing heals it.
    void spoil_slot();
    // One copy of a page that holds live entries takes no writes: the commit that finds out retires
    // it. Not where a large page would take all free slots with it.
    void break_page();
    void break_superblock();

    // Closed, perhaps with an accident to the metadata, and opened again.
    void open_again();
    // The same without closing.
    void killed();
    void killed_in_flight();
    // At some call while opening, closing, or committing.
    void killed_midway();

    std::uint64_t opened() const { return opened_; }

private:
    void mend_metadata();
    void come_back();
    void examine();
    void rot();

    World& world_;
    const OpenOptions options_;
    bool table_broken_ = false, superblock_broken_ = false;
    std::uint64_t opened_ = 0;
};

}  // namespace dmremap::test
