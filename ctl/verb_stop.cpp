// SPDX-License-Identifier: GPL-2.0-or-later
// stop: takes a disk down and waits until its pair is closed.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/format.h"
#include "core/meta/examine.h"
#include "core/pair/pair.h"
#include "ctl/control.h"
#include "ctl/mounts.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

constexpr unsigned kClosingSeconds = 60;

// umount(8) and fusermount3(1) know who may; the former only root.
int unmount(const std::string& point) {
    const pid_t child = ::fork();
    if (child < 0) throw Refusal(RefusalKind::system, std::string("fork: ") + std::strerror(errno));
    if (child == 0) {
        if (::geteuid() == 0) ::execlp("umount", "umount", "--", point.c_str(), nullptr);
        ::execlp("fusermount3", "fusermount3", "-u", "--", point.c_str(), nullptr);
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

bool still_up(const std::string& point) {
    for (const Mount& mount : disks_up())
        if (mount.point == point) return true;
    return false;
}

// The daemon gives the spare up last. Null: it cannot be looked at. Throws Refusal(busy) where
// somebody still has it: the pair is not closed then.
Json closed_clean(const std::string& spare_path, std::vector<std::string>& notes) {
    try {
        const auto spare = open_spare(spare_path, true, kClosingSeconds);
        const SpareReport report = examine_spare(*spare, false);
        if (!report.has_superblock) return nullptr;
        return (dmr_le32(report.superblock.flags) & DMR_CLEAN) != 0;
    } catch (const Refusal& refusal) {
        if (refusal.kind() == RefusalKind::busy)
            throw Refusal(
                RefusalKind::busy,
                std::string("unmounted, but the pair is not closed yet; leave both devices "
                            "as they are: ") +
                    refusal.what());
        notes.emplace_back(refusal.what());
        return nullptr;
    }
}

Answer run(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const StatusLine status = parse_status_line(control.read("status"));
    const std::string& point = control.mount_point();
    if (unmount(point) != 0 && still_up(point))
        throw Refusal(RefusalKind::busy, point +
                                             " was not unmounted; somebody may still use it (fuser "
                                             "-vm), or it is another user's");
    Answer answer;
    const bool real = status.mode == "real";
    const Json clean = real ? closed_clean(status.spare, answer.notes) : Json(nullptr);
    answer.json = {{"target", point}, {"closed_clean", clean}};
    answer.text = printable(point) + " is down" +
                  (clean.is_null()     ? ""
                   : clean.get<bool>() ? ", closed in order"
                                       : "") +
                  "\n";
    if (clean.is_boolean() && !clean.get<bool>()) {
        answer.exit_code = kRefused;
        answer.complaint = "the disk is down, but was not closed in order: the next mount recovers";
    }
    return answer;
}

}  // namespace

extern constinit const Verb stop_verb = {
    .name = "stop",
    .usage = "TARGET",
    .help = "unmount a disk and wait until its pair is closed",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
