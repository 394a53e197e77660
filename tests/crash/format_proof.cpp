// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/format_proof.h"

#include <cstring>
#include <optional>
#include <random>
#include <unordered_set>

#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/meta/uuid.h"
#include "core/refusal.h"
#include "tests/crash/session.h"

namespace dmremap::test {

namespace {

constexpr const char* kUuids[] = {"00000000-0000-4000-8000-000000000001",
                                  "00000000-0000-4000-8000-000000000002"};
constexpr std::uint64_t kAgainOneIn = 64;  // states whose second format is cut, too
constexpr std::size_t kChoicesAgain = 6;   // at each point of it

class FormatProof {
public:
    FormatProof(const Profile& profile, const Recording& recording, Values& values,
                std::size_t choices_a_point)
        : choices_a_point_(choices_a_point),
          recording_(recording),
          values_(values),
          machines_{Machine(profile.shape), Machine(profile.shape)},
          after_format_(recording.start.state) {}

    // `live`: there is a spare already, and the model of `state` is of its disk.
    std::string prove(const CrashState& state, bool live, std::mt19937_64& rng) {
        live_ = live;
        const std::string problem = format(0, state);
        if (!problem.empty()) return "format: " + problem;
        return cuts(0, state, machines_[0].tape(), rng);
    }

    std::uint64_t states = 0, old = 0, none = 0, made = 0;

private:
    // "" when it was done.
    std::string format(unsigned depth, const CrashState& state) {
        Machine& machine = machines_[depth];
        machine.load(state);
        const auto main = machine.device(Side::main), spare = machine.device(Side::spare);
        FormatOptions options;
        options.force = true;
        options.uuid = kUuids[depth];
        const SpareReport report = examine_spare(*spare, false);
        if (report.has_superblock) options.destroy_uuid = uuid_text(report.superblock.uuid);
        try {
            machine.note("format");
            format_spare(*main, *spare, options);
        } catch (const std::exception& refusal) {
            return refusal.what();
        }
        return "";
    }

    std::string cuts(unsigned depth, const CrashState& start, const Tape& tape,
                     std::mt19937_64& rng) {
        Cutter cutter(start, tape, recording_.start.layout, values_, false);
        CrashState state = start;
        std::string problem;
        while (cutter.next() && problem.empty()) {
            const std::uint64_t seed = rng();
            std::size_t all = 0, wanted = depth == 0 ? choices_a_point_ : kChoicesAgain;
            cutter.each(seed, [&](const Choices&) { return ++all, true; });
            std::unordered_set<std::uint64_t> known;
            cutter.each(seed, [&](const Choices& choices) {
                if (rng() % all-- >= wanted) return true;
                --wanted;
                if (!known.insert(cutter.build(choices, state)).second) return true;
                const bool returned = cutter.point() == tape.place();
                problem = judge(depth, state, returned, rng);
                if (!problem.empty())
                    problem += "\n  power cut at " + Cut{cutter.point(), 0, choices}.text() +
                               " of format " + std::to_string(depth + 1) + "\n" +
                               cutter.describe(choices);
                return problem.empty();
            });
        }
        return problem;
    }

    std::string judge(unsigned depth, const CrashState& state, bool returned,
                      std::mt19937_64& rng) {
        ++states;
        Machine& machine = machines_[1];
        machine.load(state);
        const SpareReport report = examine_spare(*machine.device(Side::spare), false);
        const std::string uuid = report.has_superblock ? uuid_text(report.superblock.uuid) : "";
        const bool is_new = uuid == kUuids[0] || uuid == kUuids[1];
        if (returned && uuid != kUuids[depth]) return "format returned, and it is not the spare";
        if (!report.has_superblock) {
            ++none;
            if (const std::string problem = refused(machine); !problem.empty()) return problem;
        } else if (is_new) {
            ++made;
            if (const std::string problem = opens(blank(state)); !problem.empty()) return problem;
        } else {
            ++old;
            if (!live_) return "a spare where none was, with the UUID " + uuid;
            if (const std::string problem = opens(state); !problem.empty()) return problem;
        }
        if (depth == 1) return "";
        const CrashState again = state;
        if (const std::string problem = format(1, again); !problem.empty())
            return "format again: " + problem;
        if (rng() % kAgainOneIn == 0) {
            const Tape tape = machine.tape();
            return cuts(1, again, tape, rng);
        }
        CrashState made_again = again;
        made_again.volumes = {machine.volume(Side::main), machine.volume(Side::spare)};
        return opens(blank(made_again));
    }

    std::string refused(Machine& machine) {
        try {
            Disk::open(machine.device(Side::main), machine.device(Side::spare), {});
        } catch (const Refusal& refusal) {
            if (machine.writes() != 0) return "refused, and something was written";
            return "";
        }
        return "opened without a superblock";
    }

    // The disk of a spare that holds nothing is what main is.
    const CrashState& blank(const CrashState& state) {
        const Volume& main = state.volumes[index(Side::main)];
        const Area& area = state.model.area();
        std::vector<std::uint32_t> values;
        for (const std::uint64_t s : area.sectors) values.push_back(values_.add(main.bytes(s)));
        after_format_ = state;
        after_format_.model = Model(state.model.shared_area(), values, state.model.unit());
        for (const std::uint64_t s : area.sectors)
            if (main.unreadable(s)) after_format_.model.add(s, Values::kEio);
        return after_format_;
    }

    std::string opens(const CrashState& state) {
        Machine& machine = machines_[1];
        machine.load(state);
        User user(machine, values_);
        open_and_read(user);
        return user.problem();
    }

    const std::size_t choices_a_point_;
    const Recording& recording_;
    Values& values_;
    Machine machines_[2];
    CrashState after_format_;
    bool live_ = false;
};

// What a recorded life left at its end, or somewhere on the way to it, when the power goes off and
// everything that was written is there.
CrashState after(const Recording& recording, Values& values, std::uint64_t points) {
    Cutter cutter(recording.start.state, recording.tape, recording.start.layout, values, true);
    CrashState state = recording.start.state;
    while (points-- > 0 && cutter.next()) cutter.build(Choices(cutter.open().size()), state);
    for (Volume& volume : state.volumes) volume = volume.own();
    // Format wants all of its places to take writes.
    auto& faults = state.faults[index(Side::spare)];
    for (auto at = faults.begin(); at != faults.end();)
        at = recording.start.layout.is_slot(*at) ? std::next(at) : faults.erase(at);
    return state;
}

}  // namespace

std::string prove_format(const Profile& profile, std::uint64_t seed, std::size_t choices_a_point,
                         std::ostream& out) {
    Recording recording = record(profile, seed);
    if (!recording.problem.empty()) return recording.problem;
    std::mt19937_64 rng(seed);
    FormatProof proof(profile, recording, recording.values, choices_a_point);
    std::string problem;
    for (const char* const what : {"blank", "foreign", "closed", "crashed"}) {
        const std::string kind = what;
        const std::uint32_t mark = recording.values.next();
        CrashState state = after(recording, recording.values,
                                 kind == "closed"    ? ~0ull
                                 : kind == "crashed" ? 200 + rng() % 200
                                                     : 0);
        Volume& spare = state.volumes[index(Side::spare)];
        if (kind == "blank") spare = Volume(profile.shape.spare_size);
        if (kind == "foreign") {
            const auto bytes = pattern(0, spare.sectors(), 77);
            for (std::uint64_t s = 0; s < spare.sectors(); ++s)
                spare.put(s, bytes.data() + s * kSector);
            spare.fold();
        }
        problem = proof.prove(state, kind == "closed" || kind == "crashed", rng);
        recording.values.forget_from(mark);
        if (!problem.empty()) {
            problem += "  over a spare that was " + kind + "; profile " + profile.name + ", seed " +
                       std::to_string(seed) +
                       "; repeat it with\n  DMREMAP_SEED=" + std::to_string(seed) +
                       " crash_tests --gtest_filter='*Format/" + profile.name + "'";
            break;
        }
    }
    out << profile.name << ": " << proof.states << " states of formatting (seed " << seed
        << "): " << proof.old << " were the old spare, " << proof.none << " none, " << proof.made
        << " the new one\n";
    return problem;
}

}  // namespace dmremap::test
