// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/judge.h"

#include <algorithm>
#include <unordered_set>

#include "tests/crash/session.h"

namespace dmremap::test {

namespace {

constexpr unsigned kDeepest = Counts::kDepths - 1;
constexpr std::uint32_t kDeepOneIn = 512;  // states whose session is cut everywhere
constexpr std::size_t kChoicesAPoint = 6;  // of those that each point of such a session gets

std::uint64_t hash(std::uint64_t seed, const std::string& text) {
    std::uint64_t sum = seed ^ 0xcbf29ce484222325;
    for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return sum ^ sum >> 29;
}

}  // namespace

void Counts::add(const Counts& other) {
    for (unsigned depth = 0; depth < kDepths; ++depth) states[depth] += other.states[depth];
    same += other.same;
    worked += other.worked;
    closed += other.closed;
    read_only += other.read_only;
    repaired += other.repaired;
    outages += other.outages;
}

Judge::Kind Judge::kind_of(std::uint32_t variant) {
    switch (variant % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
            return Kind::work;
        case 4:
            return Kind::close;
        case 5:
            return Kind::read_only;
        case 6:
            return Kind::repair;
        case 7:
            return Kind::outage;
        default:
            return Kind::look;
    }
}

Judge::Level& Judge::level(unsigned depth) {
    while (levels_.size() <= depth)
        levels_.push_back({std::make_unique<Machine>(profile_.shape),
                           std::make_unique<CrashState>(recording_.start.state)});
    return levels_[depth];
}

std::optional<Failure> Judge::judge(Cutter& cutter, const Cut& cut, std::span<const Cut> then) {
    const std::uint32_t mark = recording_.values.next();
    level(kDeepest);
    auto failure = judge_at(0, "", cutter, cut, then);
    recording_.values.forget_from(mark);
    return failure;
}

std::optional<Failure> Judge::judge_at(unsigned depth, const std::string& parents, Cutter& cutter,
                                       const Cut& cut, std::span<const Cut> then) {
    auto failure = try_cut(depth, parents, cutter, cut, then);
    if (!failure || !then.empty()) return failure;
    const bool here = failure->path == parents + cut.text();
    const Cut simple = here ? simplify(depth, parents, cutter, cut, *failure) : cut;
    failure->story =
        story(cutter, depth == 0 ? recording_.tape : level(depth - 1).machine->tape(), simple) +
        failure->story;
    return failure;
}

std::optional<Failure> Judge::try_cut(unsigned depth, const std::string& parents, Cutter& cutter,
                                      const Cut& cut, std::span<const Cut> then) {
    Level& here = level(depth);
    const std::string path = parents + cut.text();
    // Not of the choices, so that making them simpler changes nothing else.
    std::mt19937_64 rng(
        hash(seed_, parents + std::to_string(cut.point) + "." + std::to_string(cut.variant)));
    cutter.build(cut.choices, *here.state);
    here.machine->load(*here.state);
    ++counts_.states[depth];
    const Kind kind = kind_of(cut.variant);
    const std::string problem = session(*here.machine, kind, cutter, *here.state, rng);
    if (!problem.empty()) return Failure{path, problem, ""};
    return cuts_of_session(depth, path + "/", kind, cut.variant, then, rng);
}

std::string Judge::session(Machine& machine, Kind kind, const Cutter& cutter,
                           const CrashState& state, std::mt19937_64& rng) {
    User user(machine, recording_.values);
    std::vector<std::uint64_t> reserves;
    for (const auto& [block, spot] : recording_.start.blocks)
        if (spot == Spot::reserve) reserves.push_back(block);
    std::optional<Reach> reach;
    std::set<std::uint64_t> hidden;
    bool whole = false;  // nothing will be left to repair
    switch (kind) {
        case Kind::look:
            open_and_read(user);
            break;
        case Kind::work:
            ++counts_.worked;
            if (open_and_read(user)) work(user, machine, reserves, {}, rng);
            break;
        case Kind::close:
            ++counts_.closed;
            if (open_and_read(user)) work(user, machine, reserves, {}, rng);
            whole = user.is_open() && user.disk().status().retired_pages == 0 &&
                    state.faults[index(Side::spare)].empty();
            user.close();
            if (user.problem().empty() && whole) user.fail(examine_closed(machine));
            break;
        case Kind::read_only:
            ++counts_.read_only;
            look_read_only(user, machine);
            if (user.problem().empty()) open_and_read(user);
            break;
        case Kind::repair:
            ++counts_.repaired;
            repair(user, machine);
            if (user.problem().empty()) open_and_read(user);
            break;
        case Kind::outage:
            reach = choose_outage(cutter, state, recording_.start.layout, rng);
            if (reach) set_out_of_reach(machine, *reach, true);
            counts_.outages += reach ? 1 : 0;
            if (reach) hidden = reach->hidden;
            if (open_and_read(user, hidden)) work(user, machine, reserves, hidden, rng);
            break;
    }
    user.vanish();
    if (reach) set_out_of_reach(machine, *reach, false);
    return user.problem();
}

// The session's own tape is cut: where the path says so, or once at its end, or everywhere.
std::optional<Failure> Judge::cuts_of_session(unsigned depth, const std::string& path, Kind kind,
                                              std::uint32_t variant, std::span<const Cut> then,
                                              std::mt19937_64& rng) {
    const bool everywhere = variant / 16 % kDeepOneIn == 0;
    const bool at_end = kind != Kind::look && kind != Kind::read_only;
    if (depth == kDeepest || (then.empty() && !everywhere && !at_end)) return std::nullopt;
    const Tape& tape = level(depth).machine->tape();
    Cutter cutter(*level(depth).state, tape, recording_.start.layout, recording_.values, false);
    while (cutter.next()) {
        if (!then.empty()) {
            if (cutter.point() == then.front().point)
                return judge_at(depth + 1, path, cutter, then.front(), then.subspan(1));
            continue;
        }
        const bool end = cutter.point() == tape.place();
        if (!everywhere && !end) continue;
        const std::uint64_t seed = rng();
        std::size_t all = 0, wanted = everywhere ? kChoicesAPoint : 1;
        cutter.each(seed, [&](const Choices&) { return ++all, true; });
        std::unordered_set<std::uint64_t> known;
        std::optional<Failure> failure;
        cutter.each(seed, [&](const Choices& choices) {
            if (rng() % all-- >= wanted) return true;
            --wanted;
            if (!known.insert(cutter.build(choices, *level(depth + 1).state)).second) {
                ++counts_.same;
                return true;
            }
            // Far down only now and then, or there would be no end of it.
            const auto next = static_cast<std::uint32_t>(rng() % (16 * kDeepOneIn * 8));
            failure = judge_at(depth + 1, path, cutter, {cutter.point(), next, choices}, {});
            return !failure;
        });
        if (failure) return failure;
    }
    return std::nullopt;
}

// Damaged writes become kept or dropped ones, dropped ones kept, as long as it still fails.
Cut Judge::simplify(unsigned depth, const std::string& parents, Cutter& cutter, Cut cut,
                    Failure& failure) {
    const auto fails = [&](const Cut& candidate) {
        for (int i = 0; i < 2; ++i)
            if (auto again = try_cut(depth, parents, cutter, candidate, {})) {
                if (again->path != parents + candidate.text()) continue;
                failure = std::move(*again);
                return true;
            }
        return false;
    };
    for (bool simpler = true; simpler;) {
        simpler = false;
        for (std::size_t i = 0; i < cut.choices.size(); ++i)
            for (const Choice::How how : {Choice::How::kept, Choice::How::dropped}) {
                const Choice now = cut.choices[i];
                if (now.how == how || (how == Choice::How::dropped && !now.damaged())) continue;
                Cut candidate = cut;
                candidate.choices[i] = {how, 0};
                if (!fails(candidate)) continue;
                cut = candidate;
                simpler = true;
                break;
            }
    }
    return cut;
}

std::string Judge::story(const Cutter& cutter, const Tape& tape, const Cut& cut) const {
    std::string during = "the beginning";
    for (const Tape::Note& note : tape.notes)
        if (note.at <= cut.point) during = note.text;
    return "  power cut at " + std::to_string(cut.point) + " of " + std::to_string(tape.place()) +
           ", after: " + during + "\n" + cutter.describe(cut.choices);
}

}  // namespace dmremap::test
