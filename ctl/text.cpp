// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <cwchar>
#include <cwctype>

namespace dmremap::ctl {

std::string short_size(std::uint64_t bytes) {
    static constexpr std::array<const char*, 7> units = {"bytes", "KiB", "MiB", "GiB",
                                                         "TiB",   "PiB", "EiB"};
    if (bytes < 1024) return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 1023.95 would be printed as 1024.0 of the smaller unit.
    while (value >= 1023.95 && unit + 1 < units.size()) {
        value /= 1024;
        unit++;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f %s", value, units[unit]);
    return text.data();
}

std::string human_size(std::uint64_t bytes) {
    if (bytes < 1024) return short_size(bytes);
    return short_size(bytes) + " (" + std::to_string(bytes) + " bytes)";
}

std::string human_time(std::uint64_t unix_seconds) {
    constexpr std::uint64_t year_9999 = 253402300799;
    if (unix_seconds == 0) return "never";
    if (unix_seconds > year_9999) return std::to_string(unix_seconds) + " s, which is no date";
    const std::time_t time = static_cast<std::time_t>(unix_seconds);
    std::tm parts{};
    std::array<char, 64> text{};
    if (!localtime_r(&time, &parts) ||
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S %z", &parts) == 0)
        return std::to_string(unix_seconds) + " s";
    return text.data();
}

std::string human_duration(std::uint64_t ns) {
    constexpr std::uint64_t kMinute = 60000000000;
    if (ns >= 2 * kMinute) {
        const std::uint64_t minutes = ns / kMinute;
        if (minutes < 60) return std::to_string(minutes) + " min";
        return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
    }
    double value = static_cast<double>(ns);
    std::array<char, 32> text{};
    const char* unit = "ns";
    for (const char* next : {"us", "ms", "s"}) {
        if (value < 999.5) break;
        value /= 1000;
        unit = next;
    }
    std::snprintf(text.data(), text.size(), value < 10 && ns >= 1000 ? "%.1f %s" : "%.0f %s", value,
                  unit);
    return text.data();
}

std::string plural(std::uint64_t count, const std::string& singular) {
    return std::to_string(count) + " " + singular + (count == 1 ? "" : "s");
}

std::string printable(const std::string& bytes) {
    std::string result;
    std::mbstate_t state{};
    for (std::size_t i = 0; i < bytes.size();) {
        wchar_t character = 0;
        const std::size_t length = std::mbrtowc(&character, &bytes[i], bytes.size() - i, &state);
        // 0 is a NUL; the two largest values say "broken" and "cut off".
        const bool whole = length != 0 && length <= bytes.size() - i;
        if (whole && std::iswprint(static_cast<std::wint_t>(character))) {
            result.append(bytes, i, length);
            i += length;
            continue;
        }
        if (!whole) state = {};
        for (const std::size_t end = i + (whole ? length : 1); i < end; i++) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\x%02x",
                          static_cast<unsigned char>(bytes[i]));
            result += escape.data();
        }
    }
    return result;
}

std::string shell_quote(const std::string& word) {
    const auto plain = [](unsigned char c) {
        return (c < 0x80 && std::isalnum(c)) || (c != 0 && std::strchr("/._-+=:,@%", c));
    };
    if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

std::string hex_text(const std::uint8_t* bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; i++) {
        std::array<char, 4> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", bytes[i]);
        text += digits.data();
    }
    return text;
}

void Fields::heading(const std::string& text) { lines_.push_back({"", text}); }

void Fields::add(const std::string& label, const std::string& value) {
    lines_.push_back({label, printable(value)});
}

std::string Fields::str() const {
    std::size_t width = 0;
    for (const Line& line : lines_) width = std::max(width, line.label.size());
    std::string text;
    for (const Line& line : lines_) {
        if (line.label.empty()) {
            if (!text.empty()) text += "\n";
            text += line.value + "\n";
            continue;
        }
        text += "  " + line.label + ":" + std::string(width - line.label.size() + 2, ' ') +
                line.value + "\n";
    }
    return text;
}

void Columns::add(std::vector<std::string> row) {
    for (std::string& cell : row) cell = printable(cell);
    rows_.push_back(std::move(row));
}

std::string Columns::str(const std::string& indent) const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < widths.size() && i < row.size(); i++)
            widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows_) {
        std::string line = indent;
        for (std::size_t i = 0; i < widths.size() && i < row.size(); i++)
            line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

}  // namespace dmremap::ctl
