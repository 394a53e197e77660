// SPDX-License-Identifier: GPL-2.0-or-later
// dmremapfs, also called as mount.dmremapfs: opens the disk, mounts it, and serves it until it is
// unmounted. The order of things is what matters here:
//
//   parse, find the mount point, go to the background (before any thread), protect the process
//   (threads inherit that), have it watched (before anything is open), open the disk, mount, serve,
//   answer what is still open, close the disk
#include <fcntl.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "core/refusal.h"
#include "fuse/command_runner.h"
#include "fuse/daemonize.h"
#include "fuse/death_watch.h"
#include "fuse/event_history.h"
#include "fuse/event_log.h"
#include "fuse/exit_codes.h"
#include "fuse/filesystem.h"
#include "fuse/mount_options.h"
#include "fuse/open_disk.h"
#include "fuse/self_protection.h"
#include "fuse/session.h"
#include "fuse/settings.h"
#include "fuse/unmounter.h"

namespace dmremap {

namespace {

// With the name that it was given, which is what people know a device by. Behind a link `..` is not
// what the words say: only the kernel can tell what it is.
std::string absolute(const std::string& path) {
    const std::filesystem::path whole = std::filesystem::absolute(path);
    const bool as_it_reads = std::find(whole.begin(), whole.end(), "..") == whole.end();
    return (as_it_reads ? whole.lexically_normal() : whole).string();
}

// Names from the command line and from a spare may hold what steers a terminal.
std::string harmless(std::string text) {
    for (char& c : text)
        if (std::iscntrl(static_cast<unsigned char>(c))) c = '?';
    return text;
}

// It was gone already, or went while it was asked; the last is said while its io_uring goes.
bool without_daemon(int error) {
    return error == ENOTCONN || error == ECONNABORTED || error == ECANCELED;
}

// Absolute and without links, since the daemon leaves its directory and must find it again.
//
// The kernel remembers the attributes of a mount whose daemon was killed, so stat() sees nothing
// wrong there; statvfs() asks the daemon. What is mounted over a dead mount would hide it for good.
std::string find_mountpoint(const std::string& path) {
    struct stat attributes {};
    struct statvfs numbers {};
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                            &std::free);
    int error = found && ::stat(found.get(), &attributes) == 0 ? 0 : errno;
    if (error == 0 && ::statvfs(found.get(), &numbers) != 0 && without_daemon(errno)) error = errno;
    if (without_daemon(error))
        throw Refusal(RefusalKind::refused, "mount point " + path +
                                                " is the mount of a daemon that is gone: unmount "
                                                "that first (umount, or fusermount3 -u)");
    if (error != 0)
        throw Refusal(RefusalKind::system, "mount point " + path + ": " + std::strerror(error));
    if (!S_ISDIR(attributes.st_mode))
        throw Refusal(RefusalKind::refused, "mount point " + path + " is not a directory");
    return found.get();
}

// As mount(8) passes it with -N: a process or a file of its namespace.
void enter_namespace(const std::string& name) {
    const bool is_pid = name.find_first_not_of("0123456789") == std::string::npos;
    const std::string path = is_pid ? "/proc/" + name + "/ns/mnt" : name;
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::setns(file.get(), CLONE_NEWNS) != 0)
        throw Refusal(RefusalKind::system,
                      "mount namespace " + path + " cannot be entered: " + std::strerror(errno));
}

int close_disk(Disk& disk) {
    const int error = disk.close();
    if (error != 0)
        spdlog::critical(
            "the disk did not close cleanly and will be recovered at the next mount:"
            " {}",
            std::strerror(error));
    return error;
}

// Asks the mount as a user would: the kernel holds the question back until it and the daemon have
// agreed on a protocol, and fails it if they do not. The name is one that only this mount has.
//
// A process of its own asks, with nothing of ours open. A thread of ours that is killed while it
// waits for an answer waits on: the kernel sees the mount's end only when all of us are gone. So
// the daemon would never end, and keep its locks on the pair.
bool answers(const std::string& mountpoint) {
    const std::string path = mountpoint + "/control/version";
    const pid_t child = ::fork();
    if (child < 0) {
        spdlog::warn("nobody can ask whether the mount works: {}", std::strerror(errno));
        return true;
    }
    if (child == 0) {  // of many threads: only system calls are safe
        struct stat attributes {};
        ::close_range(0, ~0u, 0);
        ::_exit(::stat(path.c_str(), &attributes) == 0 ? 0 : 1);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The life of the daemon, from open to close. Returns the exit code; throws Refusal before the
// mount works.
int serve(const MountOptions& options, Background* background) {
    EventLog log(options.program, options.log_level, background == nullptr);
    protect_from_memory_pressure();
    DeathWatch death_watch;

    EventHistory events;
    OpenedDisk opened = open_disk(options, [&events](const Event& event) {
        events.add(event);
        log_event(event);
    });
    events.recall(*opened.disk);
    const bool demo = options.demo_size.has_value();
    const Settings settings(*opened.disk, demo, [&log](std::uint32_t v) { log.set_debug(v); });
    // Until the disk is closed a salvage may be under way.
    std::optional<CommandRunner> commands;
    commands.emplace(CommandContext{*opened.disk, settings.parameters(), demo});
    bool ready = false;
    int error = 0;
    {
        Unmounter unmounter(options.mountpoint);
        std::optional<Filesystem> filesystem;
        filesystem.emplace(
            ControlContext{*opened.disk, settings, events, demo, opened.faults, options.poll},
            *commands, options.image, Ownership{options.uid, options.gid, options.umask},
            [&unmounter] { unmounter.disk_closed(); });
        Session session(*filesystem, options);
        session.mount();
        death_watch.mounted(options.mountpoint);
        if (::chdir("/") != 0) spdlog::debug("chdir to /: {}", std::strerror(errno));
        unmounter.start();
        std::thread greeter([&] {
            if (!answers(options.mountpoint)) return;
            spdlog::info("{} is mounted on {}", options.main, options.mountpoint);
            ready = true;
            if (!background) return;
            log.leave_terminal();
            background->ready();
        });
        error = session.serve();
        filesystem.reset();  // waits for the requests that still need the session
        session.unmount();   // lets the greeter go if the two never agreed
        greeter.join();
    }
    if (error != 0) spdlog::error("the mount ended early: {}", std::strerror(error));
    const int close_error = close_disk(*opened.disk);
    commands.reset();
    if (!ready)
        throw Refusal(RefusalKind::system, options.mountpoint + " was unmounted before it worked");
    return error != 0 || close_error != 0 ? kExitSystem : 0;
}

int run(MountOptions options, char* argv0) {
    if (options.fake) return kExitMounted;
    if (!options.mount_namespace.empty()) enter_namespace(options.mount_namespace);
    options.mountpoint = find_mountpoint(options.mountpoint);
    if (!options.demo_size) {
        options.main = absolute(options.main);
        options.spare = absolute(options.spare);
    }
    std::optional<Background> background;
    if (!options.foreground) background.emplace();
    hide_from_shutdown_killer(argv0);
    Unmounter::block_signals();
    return serve(options, background ? &*background : nullptr);
}

int run_program(int argc, char** argv) {
    const std::string program = program_name(argc, argv);
    std::signal(SIGCHLD, SIG_DFL);  // who inherits that it is ignored is told of no child's end
    try {
        MountOptions options = parse_mount_options(argc, argv);
        if (options.help) {
            std::fputs(mount_usage(program).c_str(), stdout);
            return kExitMounted;
        }
        if (options.version) {
            std::printf("dmremapfs %s (libfuse %s)\n", DMREMAP_PROGRAM_VERSION, fuse_pkgversion());
            return kExitMounted;
        }
        return run(std::move(options), argv[0]);
    } catch (const Refusal& refusal) {
        std::fprintf(stderr, "%s: %s\n", program.c_str(), harmless(refusal.what()).c_str());
        return exit_code(refusal.kind());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", program.c_str(), harmless(error.what()).c_str());
        return kExitSystem;
    }
}

}  // namespace
}  // namespace dmremap

int main(int argc, char** argv) { return dmremap::run_program(argc, argv); }
