// SPDX-License-Identifier: GPL-2.0-or-later
// Opens what a power cut left, and says whether every promise was kept.
//
// Whatever is done with a state, opening it must not be refused (P3, P4); every sector of the area
// must read as one of the versions that the model allows, or as EIO where it allows that (P1, P2);
// no two blocks may share a slot; and examine must not find anything fatal.
//
// What else is done depends on the state's variant. Half of them are only opened and read. The
// others also are
//   * worked on: writes to bad, lost and good blocks, flushes, and all read again; so a slot that
//     was handed out although it lives shows in the block that lived there
//   * closed in order; then there must be nothing left to repair
//   * opened read-only before, which must not write anything
//   * repaired before, as `dmremapctl check --repair` does it
//   * opened while one copy of a page or of the superblock is out of reach, which comes back
//     afterwards with what it held: no sequence may ever have been used twice
// and one more power cut at the end shows whether what was flushed then is durable. For a few
// states all this is itself cut at every one of its points, opening first of all, and what that
// leaves is judged in the same way.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/crash/cutter.h"
#include "tests/crash/user.h"
#include "tests/crash/workload.h"

namespace dmremap::test {

struct Failure {
    std::string path;  // cuts as text
    std::string what;
    std::string story;  // point, open writes and choices, for people
};

struct Counts {
    static constexpr unsigned kDepths = 4;
    std::uint64_t states[kDepths] = {};  // opened and judged, by depth: 0 after one power cut
    std::uint64_t same = 0;              // left out: the same as one at the same point
    std::uint64_t worked = 0, closed = 0, read_only = 0, repaired = 0, outages = 0;
    void add(const Counts& other);
    std::uint64_t all() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t n : states) sum += n;
        return sum;
    }
};

class Judge {
public:
    // The recording's values grow and shrink as states are judged.
    Judge(Recording& recording, const Profile& profile, std::uint64_t seed)
        : recording_(recording), profile_(profile), seed_(seed) {}

    // One cut at the point where the cutter is. Nothing: all was right. `then`: of the tapes of the
    // sessions behind it, just these cuts; empty: what the variant says. A failing cut is made as
    // simple as it can be before it is returned.
    std::optional<Failure> judge(Cutter& cutter, const Cut& cut, std::span<const Cut> then = {});

    const Counts& counts() const { return counts_; }
    void count_same() { ++counts_.same; }

private:
    enum class Kind : std::uint8_t { look, work, close, read_only, repair, outage };
    struct Level {
        std::unique_ptr<Machine> machine;
        std::unique_ptr<CrashState> state;
    };
    static Kind kind_of(std::uint32_t variant);

    std::optional<Failure> judge_at(unsigned depth, const std::string& parents, Cutter& cutter,
                                    const Cut& cut, std::span<const Cut> then);
    std::optional<Failure> try_cut(unsigned depth, const std::string& parents, Cutter& cutter,
                                   const Cut& cut, std::span<const Cut> then);
    std::string session(Machine& machine, Kind kind, const Cutter& cutter, const CrashState& state,
                        std::mt19937_64& rng);
    std::optional<Failure> cuts_of_session(unsigned depth, const std::string& path, Kind kind,
                                           std::uint32_t variant, std::span<const Cut> then,
                                           std::mt19937_64& rng);
    Cut simplify(unsigned depth, const std::string& parents, Cutter& cutter, Cut cut,
                 Failure& failure);
    std::string story(const Cutter& cutter, const Tape& tape, const Cut& cut) const;
    Level& level(unsigned depth);

    Recording& recording_;
    const Profile& profile_;
    const std::uint64_t seed_;
    std::vector<Level> levels_;
    Counts counts_;
};

}  // namespace dmremap::test
