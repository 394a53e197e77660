// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/battery.h"

#include <filesystem>
#include <fstream>

namespace dmremap {

namespace {

constexpr int kLowPercent = 20;

std::string word(const std::filesystem::path& file) {
    std::string text;
    std::ifstream(file) >> text;
    return text;
}

}  // namespace

bool battery_low(const std::string& supplies) noexcept {
    try {
        std::error_code none;
        for (const auto& supply : std::filesystem::directory_iterator(supplies, none)) {
            const auto& path = supply.path();
            int capacity = 0;
            if (std::ifstream(path / "capacity") >> capacity && word(path / "type") == "Battery" &&
                word(path / "scope") != "Device" && word(path / "status") == "Discharging" &&
                capacity < kLowPercent) {
                return true;
            }
        }
    } catch (...) {  // no memory, or a supply that went meanwhile
    }
    return false;
}

}  // namespace dmremap
