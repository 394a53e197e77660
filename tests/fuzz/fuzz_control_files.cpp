// SPDX-License-Identifier: GPL-2.0-or-later
// Writes of anything to the control files of a disk that is up, and what the files say afterwards.
//
// The input is a list of writes: the first byte chooses the file, the second how long the text is.
//
// Proves: a write is taken whole or refused with EINVAL and without effect; what cannot be written
// has no writer; every file's text stays whole lines, through any fault rules in force, and the
// disk keeps serving what it can. Does not prove: the permissions and offsets that the mount adds
// (tests/fuse).
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

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

void check_texts(const ControlContext& context) {
    for (const ControlFile& file : control_files(context)) {
        const std::string text = file.text(context);
        check(text.empty() || text.back() == '\n', std::string(file.name) + " ends within a line");
        check(((file.mode & 0200) != 0) == (file.write != nullptr),
              std::string(file.name) + ": the mode and the writer disagree");
    }
}

}  // namespace

void one_input(Input& input) {
    spdlog::set_level(spdlog::level::off);
    const ControlContext context{disk(), false, std::make_shared<FaultPlan>()};
    const auto files = control_files(context);
    while (!input.empty()) {
        const ControlFile& file = files[files.size() - 1 - input.byte() % files.size()];
        const std::string text = input.text(input.byte());
        if (file.write == nullptr) continue;
        const std::string before = file.text(context);
        const int error = file.write(context, text);
        check(error == 0 || error == EINVAL, "a write fails with " + std::to_string(error));
        check(error == 0 || file.text(context) == before, "a refused write had an effect");
        // What it says can be written back, and says it again.
        const std::string after = file.text(context);
        check(error != 0 ||
                  (file.write(context, "clear\n" + after) == 0 && file.text(context) == after),
              "what the file says is not what it takes");
    }
    check_texts(context);
}

}  // namespace dmremap::fuzz
