// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/uuid.h"

#include <gtest/gtest.h>

namespace dmremap {
namespace {

TEST(Uuid, TextAndBytesAreInTheSameOrder) {
    const auto bytes = parse_uuid("00112233-4455-6677-8899-aabbccddeeff");
    ASSERT_TRUE(bytes);
    for (unsigned i = 0; i < 16; i++) {
        EXPECT_EQ((*bytes)[i], i * 0x11);
    }
    EXPECT_EQ(uuid_text(bytes->data()), "00112233-4455-6677-8899-aabbccddeeff");
    EXPECT_EQ(parse_uuid("00112233-4455-6677-8899-AABBCCDDEEFF"), bytes);
}

TEST(Uuid, WhatIsNoneIsNothing) {
    for (const char* text :
         {"", "x", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeefg",
          "0011223-34455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff0",
          "00112233-4455-6677-8899-aabbccddeeff "}) {
        EXPECT_FALSE(parse_uuid(text)) << text;
    }
}

TEST(Uuid, ARandomOneIsOfVersionFourAndNew) {
    const Uuid a = random_uuid(), b = random_uuid();
    EXPECT_NE(a, b);
    EXPECT_EQ(a[6] >> 4, 4);
    EXPECT_EQ(a[8] >> 6, 2);
    EXPECT_EQ(parse_uuid(uuid_text(a.data())), a);
}

}  // namespace
}  // namespace dmremap
