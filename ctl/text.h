// SPDX-License-Identifier: GPL-2.0-or-later
// Words for people: sizes, times, aligned columns, and bytes from a disk made harmless.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dmremap::ctl {

std::string short_size(std::uint64_t bytes);  // "1.0 TiB"; "512 bytes" below a KiB
std::string human_size(std::uint64_t bytes);  // "1.0 TiB (1099511627776 bytes)"

// Local time with its zone; "never" for 0, the bare number where no calendar has it.
std::string human_time(std::uint64_t unix_seconds);

// "1.5 ms"; two or three digits that matter.
std::string human_duration(std::uint64_t ns);

std::string plural(std::uint64_t count, const std::string& singular);  // "1 slot", "2 slots"

// What the terminal cannot show (control characters, a bad encoding; a hostile label may hold
// escape sequences) becomes \xNN.
std::string printable(const std::string& bytes);

// As one word for a shell, quoted only where that is necessary.
std::string shell_quote(const std::string& word);

std::string hex_text(const std::uint8_t* bytes, std::size_t size);

// "label:  value" lines, the values of all of them aligned, under headings.
class Fields {
public:
    void heading(const std::string& text);
    void add(const std::string& label, const std::string& value);
    std::string str() const;

private:
    struct Line {
        std::string label;  // "" for a heading
        std::string value;
    };
    std::vector<Line> lines_;
};

// Rows of cells in aligned columns, the first row being the heads.
class Columns {
public:
    explicit Columns(std::vector<std::string> heads) { rows_.push_back(std::move(heads)); }
    void add(std::vector<std::string> row);
    std::string str(const std::string& indent = "") const;

private:
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace dmremap::ctl
