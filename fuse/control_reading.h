// SPDX-License-Identifier: GPL-2.0-or-later
// What a control file reads as: one picture from the first byte to the last, however it is cut into
// reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace dmremap {

class ControlReading {
public:
    virtual ~ControlReading() = default;

    // At most `size` bytes from `offset` on; "" at the end. Any thread. Throws bad_alloc.
    virtual std::string read(std::uint64_t offset, std::size_t size) = 0;

    // Which of the file's versions this shows; see ControlFile.
    virtual std::uint64_t version() const { return 0; }
};

// A text made beforehand.
class TextReading final : public ControlReading {
public:
    explicit TextReading(std::string text, std::uint64_t version = 0)
        : text_(std::move(text)), version_(version) {}
    std::string read(std::uint64_t offset, std::size_t size) override {
        return offset < text_.size() ? text_.substr(offset, size) : std::string();
    }
    std::uint64_t version() const override { return version_; }

private:
    const std::string text_;
    const std::uint64_t version_;
};

}  // namespace dmremap
