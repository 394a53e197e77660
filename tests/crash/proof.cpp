// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/proof.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <sstream>
#include <unordered_set>

namespace dmremap::test {

namespace {

constexpr int kTapes = 400;  // recordings until one has the signature that is looked for
constexpr int kReplays =
    20;  // of one state, since the threads of a session may take turns otherwise

struct Sum {
    std::uint64_t lives = 0, entries = 0, points = 0, widest = 0;
    Happened happened;
    Counts counts;
};

void add(Sum& sum, const Recording& recording) {
    const Happened& one = recording.happened;
    Happened& all = sum.happened;
    ++sum.lives;
    sum.entries += recording.tape.place();
    all.operations += one.operations;
    all.opened += one.opened;
    all.remaps += one.remaps;
    all.unmaps += one.unmaps;
    all.moves += one.moves;
    all.lost += one.lost;
    all.salvaged += one.salvaged;
    all.rewritten += one.rewritten;
    all.bad_slots += one.bad_slots;
    all.retired += one.retired;
    all.grown += one.grown;
    all.recovered += one.recovered;
}

std::uint64_t seed_of_point(std::uint64_t seed, std::uint32_t point) {
    return seed * 0x9E3779B97F4A7C15ull + point;
}

std::string report(const Profile& profile, std::uint64_t seed, std::uint64_t signature,
                   const Failure& failure) {
    std::ostringstream text;
    text << failure.what << "\n"
         << failure.story << "  profile " << profile.name << ", seed " << seed
         << "; repeat it with\n"
         << "  DMREMAP_SEED=" << seed << " DMREMAP_CUT='" << failure.path
         << "' DMREMAP_TAPE=" << signature << " crash_tests --gtest_filter='*States/"
         << profile.name << "'";
    return text.str();
}

// The state that goal.path says, of a tape with the signature it was found on.
std::string replay(const Profile& profile, const Goal& goal, std::ostream& out) {
    const std::vector<Cut> cuts = parse_cuts(goal.path);
    for (int i = 0; i < kTapes; ++i) {
        Recording recording = record(profile, goal.first_seed);
        const std::uint64_t signature = recording.tape.signature();
        if (goal.signature != 0 && signature != goal.signature) continue;
        for (int j = 0; j < kReplays; ++j) {
            Judge judge(recording, profile, goal.first_seed);
            Cutter cutter(recording.start.state, recording.tape, recording.start.layout,
                          recording.values, true);
            while (cutter.next())
                if (cutter.point() == cuts.front().point) {
                    const auto failure =
                        judge.judge(cutter, cuts.front(), std::span(cuts).subspan(1));
                    if (failure) return report(profile, goal.first_seed, signature, *failure);
                    break;
                }
        }
        out << profile.name << ": " << goal.path << " was judged " << kReplays
            << " times, and all was right\n";
        return "";
    }
    return "no recording of this seed gave a tape with this signature";
}

std::string prove_life(const Profile& profile, std::uint64_t seed, const Goal& goal, Sum& sum) {
    Recording recording = record(profile, seed);
    if (!recording.problem.empty())
        return recording.problem + "\n  while recording; profile " + profile.name + ", seed " +
               std::to_string(seed);
    add(sum, recording);
    const auto cutter = [&] {
        return Cutter(recording.start.state, recording.tape, recording.start.layout,
                      recording.values, true);
    };
    std::uint64_t all = 0;
    for (Cutter counting = cutter(); counting.next(); ++sum.points) {
        sum.widest = std::max<std::uint64_t>(sum.widest, counting.open().size());
        counting.each(seed_of_point(seed, counting.point()),
                      [&](const Choices&) { return ++all, true; });
    }
    std::uint64_t wanted = goal.states_of_life == 0 ? all : goal.states_of_life;
    std::mt19937_64 rng(seed);
    Judge judge(recording, profile, seed);
    CrashState scratch = recording.start.state;
    std::string problem;
    for (Cutter cutting = cutter(); cutting.next() && problem.empty();) {
        std::unordered_set<std::uint64_t> known;
        cutting.each(seed_of_point(seed, cutting.point()), [&](const Choices& choices) {
            const auto variant = static_cast<std::uint32_t>(rng());
            if (rng() % all-- >= wanted) return true;
            --wanted;
            const std::uint32_t mark = recording.values.next();
            const bool fresh = known.insert(cutting.build(choices, scratch)).second;
            recording.values.forget_from(mark);
            if (!fresh) {
                judge.count_same();
                return true;
            }
            const auto failure = judge.judge(cutting, {cutting.point(), variant, choices});
            if (failure) problem = report(profile, seed, recording.tape.signature(), *failure);
            return problem.empty();
        });
    }
    sum.counts.add(judge.counts());
    return problem;
}

void summarise(const Profile& profile, const Goal& goal, const Sum& sum, std::ostream& out) {
    const Happened& h = sum.happened;
    const Counts& c = sum.counts;
    out << profile.name << ": " << c.all() << " states (" << c.states[0] << " after one power cut, "
        << c.states[1] << " after two, " << c.states[2] << " after three, " << c.states[3]
        << " after four), " << c.same << " more were equal to one of them\n  " << sum.lives
        << " workloads (seeds " << goal.first_seed << " to " << goal.first_seed + sum.lives - 1
        << "), " << h.operations << " operations, tapes of " << sum.entries << " entries, "
        << sum.points << " points, up to " << sum.widest << " writes open\n  in them: opened "
        << h.opened << " times (" << h.recovered << " with repairs), " << h.remaps << " remaps, "
        << h.unmaps << " unmaps, " << h.moves << " moves, " << h.lost << " sectors lost, "
        << h.salvaged << " salvaged, " << h.rewritten << " rewritten, " << h.bad_slots
        << " bad slots, " << h.retired << " pages retired, " << h.grown
        << " entries more\n  of the states: " << c.worked << " worked on, " << c.closed
        << " closed, " << c.read_only << " read-only first, " << c.repaired << " repaired first, "
        << c.outages << " with a copy out of reach\n";
}

}  // namespace

std::string prove(const Profile& profile, const Goal& goal, std::ostream& out) {
    if (!goal.path.empty()) return replay(profile, goal, out);
    const auto begun = std::chrono::steady_clock::now();
    Sum sum;
    std::string problem;
    for (std::uint64_t seed = goal.first_seed; problem.empty(); ++seed) {
        problem = prove_life(profile, seed, goal, sum);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        if (goal.states != 0 ? sum.counts.all() >= goal.states : took.count() >= goal.seconds)
            break;
    }
    summarise(profile, goal, sum, out);
    return problem;
}

}  // namespace dmremap::test
