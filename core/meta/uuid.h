// SPDX-License-Identifier: GPL-2.0-or-later
// UUIDs as text and as the 16 bytes of the format (RFC 4122 order).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace dmremap {

using Uuid = std::array<std::uint8_t, 16>;

Uuid random_uuid();
std::string uuid_text(const std::uint8_t bytes[16]);
std::optional<Uuid> parse_uuid(const std::string& text);  // nothing: not a UUID

}  // namespace dmremap
