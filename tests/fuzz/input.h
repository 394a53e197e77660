// SPDX-License-Identifier: GPL-2.0-or-later
// The bytes of one fuzz input, taken from the front as what a target needs. Every input means
// something: what is missing at the end reads as zeros, and numbers are brought into their range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dmremap::fuzz {

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

    bool empty() const { return left_ == 0; }

    // `bytes` bytes, little-endian.
    std::uint64_t number(std::size_t bytes) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; i++) value |= std::uint64_t{byte()} << (8 * i);
        return value;
    }
    std::uint8_t byte() {
        if (left_ == 0) return 0;
        left_--;
        return *at_++;
    }
    bool flag() { return (byte() & 1) != 0; }
    std::uint64_t below(std::uint64_t limit) {
        const std::uint64_t value = number(limit <= 256 ? 1 : limit <= 65536 ? 2 : 8);
        return limit == 0 ? 0 : value % limit;
    }

    // A number as hostile metadata would have it: small, any, or next to where things break.
    std::uint64_t value() {
        switch (byte() % 6) {
            case 0:
                return byte();
            case 1:
                return number(2);
            case 2:
                return std::uint64_t{byte()} << (byte() % 64);
            case 3:
                return (std::uint64_t{1} << (byte() % 64)) - 1;
            case 4:
                return ~std::uint64_t{0} - byte();
            default:
                return number(8);
        }
    }

    std::string text(std::size_t most) {
        const std::size_t length = std::min(most, left_);
        std::string bytes(reinterpret_cast<const char*>(at_), length);
        at_ += length;
        left_ -= length;
        return bytes;
    }
    std::string rest() { return text(left_); }

private:
    const std::uint8_t* at_;
    std::size_t left_;
};

}  // namespace dmremap::fuzz
