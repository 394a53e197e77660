// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/cut.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace dmremap::test {

namespace {

std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 31) * 0x7fb5d329728ea185;
    x = (x ^ x >> 27) * 0x81dadef4bc2dd44d;
    return x ^ x >> 33;
}

Bytes nonsense(std::uint64_t seed) {
    Bytes bytes;
    for (std::size_t i = 0; i < kSector / 8; ++i) {
        const std::uint64_t word = mix(seed * 64 + i + 1);
        std::memcpy(bytes.data() + i * 8, &word, 8);
    }
    return bytes;
}

// Physical blocks that a write touches, counted from its first one.
std::uint32_t blocks(const Mark& write, const Layout& layout) {
    const std::uint64_t unit = layout.garbled_at_once(write.side, write.first);
    return static_cast<std::uint32_t>((write.first + write.count - 1) / unit - write.first / unit +
                                      1);
}

constexpr std::uint32_t kTears = 7;  // of each kind; a longer write is torn at that many places

}  // namespace

void Layout::learn(const dmr_superblock& formatted) {
    sb = formatted;
    slot_sectors.assign(shape.spare_size / kSector, false);
    for (std::uint64_t slot = 0; slot < dmr_le64(sb.slots); ++slot)
        for (std::uint64_t i = 0; i < DMR_SECTORS_PER_BLOCK; ++i)
            slot_sectors[dmr_slot_offset(&sb, slot) / kSector + i] = true;
}

std::uint64_t Layout::garbled_at_once(Side side, std::uint64_t sector) const {
    if (side == Side::main) return shape.main_logical / kSector;
    return (is_slot(sector) ? shape.spare_logical : shape.spare_physical) / kSector;
}

std::string Layout::place(Side side, std::uint64_t sector) const {
    if (side == Side::main) return "main sector " + std::to_string(sector);
    const std::uint64_t offset = sector * kSector;
    for (unsigned i = 0; i < dmr_copies(shape.spare_size); ++i)
        if (offset >= dmr_copy_offsets[i] && offset < dmr_copy_offsets[i] + DMR_HOLE)
            return "superblock copy " + std::to_string(i);
    const std::uint64_t page_size = dmr_le32(sb.page_size);
    if (page_size == 0) return "spare sector " + std::to_string(sector);
    for (std::uint64_t slot = 0; is_slot(sector) && slot < dmr_le64(sb.slots); ++slot)
        if (offset / DMR_BLOCK_SIZE == dmr_slot_offset(&sb, slot) / DMR_BLOCK_SIZE)
            return "slot " + std::to_string(slot) + " sector " +
                   std::to_string(sector % DMR_SECTORS_PER_BLOCK);
    for (std::uint64_t page = 0; page * dmr_entries_per_page(&sb) < dmr_le64(sb.slots); ++page)
        for (const int copy : {0, 1})
            if (offset / page_size == dmr_page_offset(&sb, copy, page) / page_size)
                return std::string(copy == 0 ? "first" : "second") + " table, page " +
                       std::to_string(page);
    return "spare sector " + std::to_string(sector);
}

std::string Cut::text() const {
    std::string text = "@" + std::to_string(point) + "." + std::to_string(variant) + ":";
    for (const Choice& choice : choices) {
        text += static_cast<char>(choice.how);
        if (choice.damaged()) text += std::to_string(choice.n);
    }
    return text;
}

std::vector<Cut> parse_cuts(const std::string& text) {
    std::vector<Cut> cuts;
    const auto number = [&](std::size_t& at) {
        std::size_t used = 0;
        const auto n = std::stoul(text.substr(at), &used);
        at += used;
        return static_cast<std::uint32_t>(n);
    };
    const auto expect = [&](std::size_t& at, char c) {
        if (at >= text.size() || text[at++] != c) throw std::invalid_argument("no cut: " + text);
    };
    for (std::size_t at = 0; at < text.size();) {
        Cut cut;
        if (!cuts.empty()) expect(at, '/');
        expect(at, '@');
        cut.point = number(at);
        expect(at, '.');
        cut.variant = number(at);
        expect(at, ':');
        while (at < text.size() && text[at] != '/') {
            if (std::strchr("kdhtgzus", text[at]) == nullptr)
                throw std::invalid_argument("no cut: " + text);
            Choice choice{static_cast<Choice::How>(text[at++]), 0};
            if (choice.damaged()) choice.n = number(at);
            cut.choices.push_back(choice);
        }
        cuts.push_back(std::move(cut));
    }
    return cuts;
}

std::uint32_t damages(const Mark& write, const Layout& layout) {
    const auto tears = std::min(kTears, static_cast<std::uint32_t>(write.cells.size()) - 1);
    return 2 * tears + 3 * std::min(blocks(write, layout), 8u) + 2;
}

Choice damage(const Mark& write, const Layout& layout, std::uint32_t n) {
    const auto size = static_cast<std::uint32_t>(write.cells.size());
    const std::uint32_t tears = std::min(kTears, size - 1);
    if (n < 2 * tears) {
        const std::uint32_t at = size <= kTears + 1 ? 1 + n / 2 : (1 + n / 2) * size / (tears + 1);
        return {n % 2 == 0 ? Choice::How::head : Choice::How::tail, at};
    }
    n -= 2 * tears;
    const std::uint32_t all = blocks(write, layout), places = std::min(all, 8u);
    if (n < 3 * places) {
        constexpr Choice::How kHow[] = {Choice::How::garbled, Choice::How::zeroed,
                                        Choice::How::unreadable};
        return {kHow[n % 3], n / 3 * all / places};
    }
    return {Choice::How::shred, n};
}

Outcome outcome(const Mark& write, const Layout& layout, const Choice& choice, std::size_t sector) {
    using What = Outcome::What;
    const std::uint64_t unit = layout.garbled_at_once(write.side, write.first);
    const std::uint64_t block = (write.first + sector) / unit - write.first / unit;
    const std::uint64_t seed = mix(choice.n * 0x10001ull + write.first) + write.cells.size();
    switch (choice.how) {
        case Choice::How::kept:
            return {What::written, {}};
        case Choice::How::dropped:
            return {What::old, {}};
        case Choice::How::head:
            return {sector < choice.n ? What::written : What::old, {}};
        case Choice::How::tail:
            return {sector < choice.n ? What::old : What::written, {}};
        case Choice::How::garbled:
            if (block != choice.n) return {What::written, {}};
            return {What::garbage, nonsense(mix(seed) + sector)};
        case Choice::How::zeroed:
            return {block == choice.n ? What::garbage : What::written, {}};
        case Choice::How::unreadable:
            return {block == choice.n ? What::unreadable : What::written, {}};
        case Choice::How::shred:
            if (block == mix(seed) % blocks(write, layout))
                return {What::garbage, nonsense(mix(seed) + sector)};
            return {mix(seed + block + 7) % 2 == 0 ? What::old : What::written, {}};
    }
    return {What::old, {}};
}

}  // namespace dmremap::test
