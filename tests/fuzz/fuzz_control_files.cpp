// SPDX-License-Identifier: GPL-2.0-or-later
// Writes of anything to the control files of a disk that is up, and what the files say afterwards.
//
// The input is a list of writes: the first byte chooses the file, the second how long the text is.
//
// Proves: a write is taken whole or refused with a reason and without effect; what cannot be
// written has no writer; every file's text stays whole lines, through any fault rules in force, and
// the disk keeps serving what it can. Does not prove: the permissions and offsets that the mount
// adds (tests/fuse), nor the messages that move blocks (tests/promises/by_hand_test.cpp).
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/command/execute.h"
#include "core/disk.h"
#include "fuse/control_files.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

// The disk has lived for all inputs, and is not changed by them.
Disk& disk() {
    static const BasePair pair = base_pair(1, 0).copy();
    static const std::unique_ptr<Disk> disk =
        Disk::open(SparseImage::device(pair.main), SparseImage::device(pair.spare), {});
    return *disk;
}

std::string text_of(const ControlFile& file) {
    constexpr std::size_t kAll = 64u << 20;
    return file.open()->read(0, kAll);
}

void check_texts(const std::vector<ControlFile>& files) {
    for (const ControlFile& file : files) {
        const std::string text = text_of(file);
        check(text.empty() || text.back() == '\n', file.name + " ends within a line");
        check(((file.mode & 0200) != 0) == file.writable(),
              file.name + ": the mode and the writer disagree");
    }
}

void check_faults(const ControlFile& file, const std::string& text) {
    const std::string before = text_of(file);
    const int error = file.write(text);
    check(error == 0 || error == EINVAL, "a write fails with " + std::to_string(error));
    check(error == 0 || text_of(file) == before, "a refused write had an effect");
    // What it says can be written back, and says it again.
    const std::string after = text_of(file);
    check(error != 0 || (file.write("clear\n" + after) == 0 && text_of(file) == after),
          "what the file says is not what it takes");
}

// All but what moves blocks: the disk stays as it was for the next input.
void check_message(const CommandContext& context, const ControlFile& file,
                   const std::string& text) {
    const std::string before = file.parameter ? text_of(file) : "";
    std::string why;
    const auto command = parse_command(file.message(text), why);
    check(command.has_value() == why.empty(), "refused without a word, or taken with one");
    if (!command) return;
    const CommandVerb verb = command->verb;
    if (verb == CommandVerb::remap || verb == CommandVerb::unmap || verb == CommandVerb::salvage)
        return;
    const CommandAnswer answer = execute_command(context, *command, nullptr);
    check((answer.error != 0) == !answer.sentence.empty(), "an error without a sentence");
    check(answer.str().ends_with('\n'), "an answer ends within a line");
    check(answer.error == 0 || !file.parameter || text_of(file) == before,
          file.name + ": a refused write had an effect");
}

}  // namespace

void one_input(Input& input) {
    spdlog::set_level(spdlog::level::off);
    static const Settings settings(disk(), false, nullptr);
    static EventHistory events;
    const LastAnswer last_answer;
    const auto files = control_files(
        {disk(), settings, events, false, std::make_shared<FaultPlan>()}, last_answer);
    const CommandContext context{disk(), settings.parameters(), false};
    while (!input.empty()) {
        const ControlFile& file = files[files.size() - 1 - input.byte() % files.size()];
        const std::string text = input.text(input.byte());
        events.add({EventKind::opened, 0, text.size(), text});
        if (file.write) check_faults(file, text);
        if (file.message) check_message(context, file, text);
    }
    check_texts(files);
}

}  // namespace dmremap::fuzz
