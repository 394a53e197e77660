// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/data_slot.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dmremap::test {
namespace {

TEST(DataSlots, AnswersThatDoNotArriveAreCounted) {
    DataSlots slots;
    DataSlot* const slot = slots.take();
    ASSERT_NE(slot, nullptr);
    slot->make_reply(0, 4096);
    const auto length = static_cast<std::int64_t>(slot->reply_length);
    EXPECT_GT(length, 4096) << "with its header";
    slots.answered(*slot, length);
    slots.answered(*slot, -ENOENT);
    EXPECT_EQ(slots.undelivered(), 0u) << "an interrupted request wants no answer";
    slots.answered(*slot, -EINVAL);
    slots.answered(*slot, length - 1);
    slots.answered(*slot, 0);
    EXPECT_EQ(slots.undelivered(), 3u);
    slots.give_back(slot);
}

}  // namespace
}  // namespace dmremap::test
