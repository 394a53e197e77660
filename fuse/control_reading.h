// SPDX-License-Identifier: GPL-2.0-or-later
// What one open of a control file reads: one picture from the first byte to the last, however it is
// cut into reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace dmremap {

class ControlReading {
public:
    virtual ~ControlReading() = default;

    // At most `size` bytes from `offset` on; "" at the end. Any thread.
    virtual std::string read(std::uint64_t offset, std::size_t size) = 0;
};

// A text made beforehand.
class TextReading final : public ControlReading {
public:
    explicit TextReading(std::string text) : text_(std::move(text)) {}
    std::string read(std::uint64_t offset, std::size_t size) override {
        return offset < text_.size() ? text_.substr(offset, size) : std::string();
    }

private:
    const std::string text_;
};

}  // namespace dmremap
