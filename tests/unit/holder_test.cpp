// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/holder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dmremap {
namespace {

// A child that waits in a read until it is let go or killed.
class Child {
public:
    Child() {
        if (::pipe(ends_) != 0) throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(ends_[1]);
            char byte;
            ::_exit(::read(ends_[0], &byte, 1) == 0 ? 0 : 1);
        }
        ::close(ends_[0]);
    }
    ~Child() {
        ::close(ends_[1]);
        if (pid_ > 0) reap();
    }
    pid_t pid() const { return pid_; }
    void kill_but_do_not_reap() {
        ::kill(pid_, SIGKILL);
        siginfo_t info;
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    }
    void reap() {
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

private:
    int ends_[2];
    pid_t pid_;
};

// What the child would have recorded.
Holder holder_of(pid_t pid) {
    Holder holder = this_holder("child");
    holder.pid = static_cast<std::uint64_t>(pid);
    FILE* stat = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "r");
    unsigned long long start = 0;
    // The child's name is this program's: one word.
    EXPECT_EQ(std::fscanf(stat,
                          "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                          "%*s %*s %*s %*s %llu",
                          &start),
              0 + 1);
    std::fclose(stat);
    holder.start = start;
    return holder;
}

TEST(Holder, SaysWhoThisProcessIs) {
    const Holder holder = this_holder("a name that is much longer than the superblock can hold");
    EXPECT_EQ(holder.pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(holder.start, holder_of(::getpid()).start);
    EXPECT_GT(holder.start, 0u);
    EXPECT_EQ(holder.name, "a name that is much longer than");
    EXPECT_NE(holder.boot, (std::array<std::uint8_t, 16>{}));
    EXPECT_EQ(judge(holder), HolderVerdict::ours);
}

TEST(Holder, AnotherLivingProcessIsAlive) {
    const Child child;
    EXPECT_EQ(judge(holder_of(child.pid())), HolderVerdict::alive);
}

TEST(Holder, ADeadChildIsDead) {
    Child child;
    const Holder holder = holder_of(child.pid());
    child.kill_but_do_not_reap();
    EXPECT_EQ(judge(holder), HolderVerdict::dead) << "a zombie holds nothing";
    child.reap();
    EXPECT_EQ(judge(holder), HolderVerdict::dead);
}

TEST(Holder, AProcessNumberUsedAgainIsDead) {
    const Child child;
    Holder holder = holder_of(child.pid());
    holder.start -= 1;
    EXPECT_EQ(judge(holder), HolderVerdict::dead);
    holder = this_holder("");
    holder.start -= 1;
    EXPECT_EQ(judge(holder), HolderVerdict::dead);
}

TEST(Holder, ImpossibleProcessNumbersAreDead) {
    Holder holder = this_holder("");
    for (const std::uint64_t pid : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 32}) {
        holder.pid = pid;
        EXPECT_EQ(judge(holder), HolderVerdict::dead) << pid;
    }
}

TEST(Holder, AnEarlierBootOfThisMachineIsDead) {
    Holder holder = this_holder("");
    holder.boot[3] ^= 1;
    EXPECT_EQ(judge(holder), HolderVerdict::earlier_boot);
}

TEST(Holder, AnotherMachineCannotBeKnown) {
    Holder holder = this_holder("");
    holder.boot[3] ^= 1;
    holder.machine[0] ^= 1;
    EXPECT_EQ(judge(holder), HolderVerdict::other_machine);
}

TEST(Holder, AContainerOnThisKernelIsThisMachine) {
    const Child child;
    Holder holder = holder_of(child.pid());
    holder.machine[0] ^= 1;
    EXPECT_EQ(judge(holder), HolderVerdict::alive);
}

}  // namespace
}  // namespace dmremap
