// SPDX-License-Identifier: GPL-2.0-or-later
// The test plays the kernel: it finds the buffers by the command that enrolls them, puts requests
// there, and looks at what it would take for the answer.
#include "fuse/uring_entry.h"

#include <gtest/gtest.h>
#include <liburing.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace dmremap {
namespace {

constexpr int kDescriptor = 7;
constexpr std::uint16_t kQueue = 3;

// An entry of the ring with its second half.
struct Command {
    alignas(io_uring_sqe) std::array<std::byte, 128> bytes;
    Command() { bytes.fill(std::byte{0xa5}); }
    io_uring_sqe& sqe() { return *reinterpret_cast<io_uring_sqe*>(bytes.data()); }
    UringCommand words() const {
        UringCommand words;
        std::memcpy(&words, bytes.data() + 48, sizeof(words));
        return words;
    }
};

class UringEntryTest : public testing::Test {
protected:
    UringEntryTest() {
        entry_.enroll(enrolled_.sqe(), kDescriptor);
        const auto* const buffers = reinterpret_cast<const iovec*>(enrolled_.sqe().addr);
        headers_ = static_cast<UringHeaders*>(buffers[0].iov_base);
        payload_ = static_cast<char*>(buffers[1].iov_base);
        headers_length_ = buffers[0].iov_len;
        payload_length_ = buffers[1].iov_len;
    }

    void put(std::uint64_t unique, std::uint32_t opcode, const std::string& arguments,
             const std::string& payload) {
        fuse_in_header header{};
        header.len = static_cast<std::uint32_t>(sizeof(header) + arguments.size() + payload.size());
        header.opcode = opcode;
        header.unique = unique;
        std::memcpy(headers_->in_out, &header, sizeof(header));
        std::memcpy(headers_->arguments, arguments.data(), arguments.size());
        std::memcpy(payload_, payload.data(), payload.size());
        headers_->transfer = {};
        headers_->transfer.commit_id = unique + 1000;
        headers_->transfer.payload_bytes = static_cast<std::uint32_t>(payload.size());
    }

    fuse_out_header taken() const {
        fuse_out_header header;
        std::memcpy(&header, headers_->in_out, sizeof(header));
        return header;
    }
    std::string taken_payload() const { return {payload_, headers_->transfer.payload_bytes}; }

    UringEntry entry_{kQueue};
    Command enrolled_;
    UringHeaders* headers_ = nullptr;
    char* payload_ = nullptr;
    std::size_t headers_length_ = 0, payload_length_ = 0;
};

TEST_F(UringEntryTest, IsEnrolledWithBothBuffers) {
    EXPECT_EQ(enrolled_.sqe().opcode, IORING_OP_URING_CMD);
    EXPECT_EQ(enrolled_.sqe().fd, kDescriptor);
    EXPECT_EQ(enrolled_.sqe().cmd_op, kUringEnroll);
    EXPECT_EQ(enrolled_.sqe().len, 2u);
    EXPECT_EQ(enrolled_.sqe().flags, 0);
    EXPECT_EQ(enrolled_.words().queue, kQueue);
    EXPECT_EQ(enrolled_.words().flags, 0u);
    EXPECT_EQ(headers_length_, sizeof(UringHeaders));
    EXPECT_EQ(payload_length_, 1u << 20);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(payload_) % 4096, 0u) << "direct I/O";
    EXPECT_EQ(entry_.payload(), reinterpret_cast<std::byte*>(payload_));
}

TEST_F(UringEntryTest, BringsWhatTheKernelPutThere) {
    put(8, FUSE_WRITE, std::string(sizeof(fuse_write_in), 'a'), "data");
    ASSERT_TRUE(entry_.fetched(0));
    ASSERT_TRUE(entry_.sound());
    EXPECT_EQ(entry_.header().unique, 8u);
    EXPECT_EQ(entry_.header().opcode, FUSE_WRITE);
    EXPECT_EQ(entry_.arguments_length(), sizeof(fuse_write_in));
    EXPECT_EQ(entry_.payload_length(), 4u);
    EXPECT_EQ(std::memcmp(entry_.payload(), "data", 4), 0);
}

// P1: the buffers of a command that failed may hold the last request, a write that has been done.
TEST_F(UringEntryTest, AFailedCommandBringsNoRequest) {
    put(8, FUSE_WRITE, std::string(sizeof(fuse_write_in), 'a'), "data");
    ASSERT_TRUE(entry_.fetched(0));
    entry_.answer(0, 0);
    put(8, FUSE_WRITE, std::string(sizeof(fuse_write_in), 'a'), "data");
    for (const int result : {-ENOTCONN, -ENOMEM, -EAGAIN, -EINVAL, 1})
        EXPECT_FALSE(entry_.fetched(result)) << result;
}

// P1: what the request said in that place must not be left for the answer.
TEST_F(UringEntryTest, AnAnswerSaysAllOfItself) {
    put(8, FUSE_READ, std::string(sizeof(fuse_read_in), 'a'), "");
    ASSERT_TRUE(entry_.fetched(0));
    std::memcpy(entry_.payload(), "twelve bytes", 12);
    entry_.answer(0, 12);
    EXPECT_EQ(taken().unique, 8u);
    EXPECT_EQ(taken().error, 0);
    EXPECT_EQ(taken().len, sizeof(fuse_out_header) + 12);
    EXPECT_EQ(taken_payload(), "twelve bytes");
}

// P1: the kernel takes so many bytes of the buffer, whatever they are.
TEST_F(UringEntryTest, AnAnswerIsNotAsLongAsItsRequest) {
    put(8, FUSE_WRITE, std::string(sizeof(fuse_write_in), 'a'), std::string(4096, 'x'));
    ASSERT_TRUE(entry_.fetched(0));
    std::memcpy(entry_.payload(), "12345678", 8);
    entry_.answer(0, 8);
    EXPECT_EQ(taken_payload(), "12345678");
}

TEST_F(UringEntryTest, AnErrorCarriesNoBytes) {
    put(8, FUSE_WRITE, std::string(sizeof(fuse_write_in), 'a'), std::string(4096, 'x'));
    ASSERT_TRUE(entry_.fetched(0));
    entry_.answer(EIO, 4096);
    EXPECT_EQ(taken().error, -EIO);
    EXPECT_EQ(taken().unique, 8u);
    EXPECT_EQ(taken().len, sizeof(fuse_out_header));
    EXPECT_EQ(taken_payload(), "");
}

// The answer stands where the request did: what names it must have been taken out before.
TEST_F(UringEntryTest, IsCommittedByTheNameItCameWith) {
    put(8, FUSE_READ, std::string(sizeof(fuse_read_in), 'a'), "");
    ASSERT_TRUE(entry_.fetched(0));
    headers_->transfer.commit_id = 99;
    entry_.answer(0, 0);
    Command command;
    entry_.commit(command.sqe(), kDescriptor);
    EXPECT_EQ(command.sqe().opcode, IORING_OP_URING_CMD);
    EXPECT_EQ(command.sqe().fd, kDescriptor);
    EXPECT_EQ(command.sqe().cmd_op, kUringCommit);
    EXPECT_EQ(command.words().commit_id, 1008u);
    EXPECT_EQ(command.words().queue, kQueue);
    EXPECT_EQ(command.sqe().addr, 0u);
}

TEST_F(UringEntryTest, IsOneMessageForLibfuse) {
    put(8, FUSE_LOOKUP, "", std::string("name\0", 5));
    ASSERT_TRUE(entry_.fetched(0));
    ASSERT_EQ(entry_.message_length(), sizeof(fuse_in_header) + 5);
    EXPECT_STREQ(reinterpret_cast<char*>(entry_.message() + sizeof(fuse_in_header)), "name");

    const std::string arguments(sizeof(fuse_write_in), 'a');
    put(10, FUSE_WRITE, arguments, "data");
    ASSERT_TRUE(entry_.fetched(0));
    const std::string message(reinterpret_cast<char*>(entry_.message()), entry_.message_length());
    fuse_in_header header;
    std::memcpy(&header, message.data(), sizeof(header));
    EXPECT_EQ(header.unique, 10u);
    EXPECT_EQ(header.len, message.size());
    EXPECT_EQ(message.substr(sizeof(header)), arguments + "data");
}

TEST_F(UringEntryTest, TakesLibfusesPieces) {
    put(8, FUSE_LOOKUP, "", std::string(100, 'x'));
    ASSERT_TRUE(entry_.fetched(0));
    fuse_out_header header{};
    header.unique = 8;
    std::string one = "one", two = "two";
    std::array pieces{iovec{&header, sizeof(header)}, iovec{one.data(), one.size()},
                      iovec{two.data(), two.size()}};
    entry_.answer_in_pieces(pieces.data(), 3);
    EXPECT_EQ(taken().error, 0);
    EXPECT_EQ(taken_payload(), "onetwo");

    header.error = -ENOENT;
    entry_.answer_in_pieces(pieces.data(), 1);
    EXPECT_EQ(taken().error, -ENOENT);
    EXPECT_EQ(taken_payload(), "");
}

TEST_F(UringEntryTest, AnAnswerThatIsTooLongIsAnError) {
    put(8, FUSE_READ, std::string(sizeof(fuse_read_in), 'a'), "");
    ASSERT_TRUE(entry_.fetched(0));
    fuse_out_header header{};
    header.unique = 8;
    std::string half(UringEntry::kPayload / 2 + 1, 'x');
    std::array pieces{iovec{&header, sizeof(header)}, iovec{half.data(), half.size()},
                      iovec{half.data(), half.size()}};
    entry_.answer_in_pieces(pieces.data(), 3);
    EXPECT_EQ(taken().error, -EIO);
    EXPECT_EQ(taken_payload(), "");
}

// P8
TEST_F(UringEntryTest, LengthsThatCannotBeAreNoRequest) {
    put(8, FUSE_WRITE, "", "");
    headers_->transfer.payload_bytes = UringEntry::kPayload + 1;
    ASSERT_TRUE(entry_.fetched(0));
    EXPECT_FALSE(entry_.sound());
    entry_.answer(EIO, 0);
    EXPECT_EQ(taken().unique, 8u);

    for (const std::uint32_t length :
         {0u, unsigned{sizeof(fuse_in_header)} - 1, unsigned{sizeof(fuse_in_header)} + 129}) {
        put(8, FUSE_WRITE, "", "");
        std::memcpy(headers_->in_out, &length, sizeof(length));
        ASSERT_TRUE(entry_.fetched(0));
        EXPECT_FALSE(entry_.sound()) << length;
    }
}

}  // namespace
}  // namespace dmremap
