// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/uuid.h"

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <stdexcept>

namespace dmremap {

Uuid random_uuid() {
    const boost::uuids::uuid made = boost::uuids::random_generator()();
    Uuid bytes;
    std::copy(made.begin(), made.end(), bytes.begin());
    return bytes;
}

std::string uuid_text(const std::uint8_t bytes[16]) {
    boost::uuids::uuid value{};
    std::copy(bytes, bytes + 16, value.begin());
    return boost::uuids::to_string(value);
}

std::optional<Uuid> parse_uuid(const std::string& text) {
    try {
        const boost::uuids::uuid value = boost::uuids::string_generator()(text);
        Uuid bytes;
        std::copy(value.begin(), value.end(), bytes.begin());
        return bytes;
    } catch (const std::runtime_error&) {
        return std::nullopt;
    }
}

}  // namespace dmremap
