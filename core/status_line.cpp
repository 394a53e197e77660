// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status_line.h"

#include "core/format.h"

namespace dmremap {

namespace {

// One word whatever a path holds: blanks and the backslash itself as octal, as in /proc/mounts.
std::string as_word(const std::string& path) {
    std::string word;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > ' ' && c != '\\' && byte != 0x7f) {
            word += c;
            continue;
        }
        word += '\\';
        for (int shift = 6; shift >= 0; shift -= 3)
            word += static_cast<char>('0' + ((byte >> shift) & 7));
    }
    return word;
}

}  // namespace

std::string status_line(const DiskStatus& status, bool demo) {
    const OpTotals& read = status.totals.of(Op::read);
    const OpTotals& write = status.totals.of(Op::write);
    const OpTotals& zero = status.totals.of(Op::zero);
    const std::uint64_t writes = write.completed + zero.completed;
    const Totals& totals = status.totals;

    std::string line = "0 " + std::to_string(status.size / DMR_SECTOR_SIZE);
    line += " dm-remap-v4 v4.0-real " + as_word(status.main) + " " + as_word(status.spare);
    for (const std::uint64_t number :
         {read.completed, writes, totals.remaps, totals.main_errors + totals.spare_errors,
          status.active_mappings, read.completed + writes,
          read.time_ns + write.time_ns + zero.time_ns})
        line += " " + std::to_string(number);
    return line + (demo ? " demo" : " real");
}

}  // namespace dmremap
