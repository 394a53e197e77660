// SPDX-License-Identifier: GPL-2.0-or-later
// The command line of dmremapfs and mount.dmremapfs, as data.
//
// One grammar for both names; they differ in -f alone: mount(8) means "fake" by it, a user of
// dmremapfs "foreground". Pure: looks at nothing but its arguments, so that every option can be
// tested without a mount.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dmremap {

// How requests are served: by loops over io_uring, by a thread for each, or whichever can be had.
enum class Engine : std::uint8_t { automatic, ring, threads };

// Whether requests come by FUSE over io_uring instead of /dev/fuse; automatic: where it can be had.
enum class IoUring : std::uint8_t { automatic, on, off };

struct MountOptions {
    std::string program;  // program_name()
    std::string main;     // with demo: a name only
    std::string mountpoint;
    std::string spare;
    std::string image = "disk.img";  // name of the disk in the mount

    bool read_only = false;
    bool rescue = false;
    bool accept_changed_main = false;
    bool take_over = false;
    std::optional<std::uint64_t> demo_size;  // bytes; set: main and spare are in memory
    std::string inject;                      // file of faults, "" without

    std::optional<uid_t> uid, gid;  // of the files; else the mounting user's
    std::optional<mode_t> umask;

    bool foreground = false;
    bool fake = false;            // check the words, mount nothing
    std::string log_level;        // as spdlog names them; "" when not given
    std::string mount_namespace;  // -N: a PID or a path, "" without
    unsigned max_threads = 10;
    Engine engine = Engine::automatic;
    IoUring io_uring = IoUring::off;
    bool poll = false;  // control files can be waited for

    // What goes on to libfuse and the kernel as it stands, in order.
    std::vector<std::string> kernel_options;

    bool help = false;     // print mount_usage(); the rest is not checked
    bool version = false;  // likewise
};

// How the program was called, for messages: the last part of argv[0].
std::string program_name(int argc, const char* const* argv);

// Throws Refusal(usage) with one sentence that names the word at fault.
MountOptions parse_mount_options(int argc, const char* const* argv);

// Splits the argument of -o at commas. "\," is a comma and "\\" a backslash inside a value; a
// double-quoted part keeps its commas (context="a,b"), as libmount has it.
std::vector<std::string> split_options(const std::string& list);

std::string mount_usage(const std::string& program);

}  // namespace dmremap
