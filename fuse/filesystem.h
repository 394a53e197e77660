// SPDX-License-Identifier: GPL-2.0-or-later
// The tree of the mount: the disk, the control directory and its files, as libfuse's low-level
// operations.
//
//   /  1   disk.img  2   control/  3   control/params/  4   control/... files  16 and on, by the
//   list
//
// Nothing ever appears or vanishes, so inode numbers are fixed and the kernel may keep names and
// attributes for ever. The kernel checks permissions (default_permissions). Any thread.
//
// libfuse is C: an exception that gets there ends the daemon. What may find no memory answers
// ENOMEM; what is noexcept asks for none.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuse/command_runner.h"
#include "fuse/control_files.h"
#include "fuse/fuse_api.h"
#include "fuse/image_file.h"
#include "fuse/interrupts.h"
#include "fuse/pollers.h"

namespace dmremap {

class ControlHandle;

// As other file systems have them: whose the files are, and what their modes lack.
struct Ownership {
    std::optional<uid_t> uid, gid;  // else the mounting user's
    std::optional<mode_t> umask;    // else only the owner may write, or open the disk
};

class Filesystem {
public:
    // Bytes of one read or write; the session passes it on as max_read, too.
    static constexpr unsigned kMostTransferred = 1u << 20;

    // `last_close` is called, from any thread, whenever nobody has the disk open any more.
    // `commands` outlives it; the destructor abandons what is under way there. The session that
    // serves it is there for as long.
    Filesystem(ControlContext context, CommandRunner& commands, std::string image_name,
               const Ownership& ownership, std::function<void()> last_close);
    ~Filesystem();

    Interrupts& interrupts() { return interrupts_; }

    // The disk's inode, for whoever serves its data without libfuse.
    static constexpr std::uint64_t kImageInode = 2;
    Disk& disk() const { return context_.disk; }
    ImageAccess& image() { return image_; }
    // Before every change of the disk's data.
    void note_write();

    // For fuse_session_new(), with this object as its user data.
    static const fuse_lowlevel_ops& operations();

private:
    friend struct Operations;  // operations.cpp

    static constexpr double kForEver = 1e9;  // seconds

    // What an open control file is to libfuse.
    using Handle = std::shared_ptr<ControlHandle>;
    static Handle& handle_of(const fuse_file_info* file) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): libfuse keeps a number for us
        return *reinterpret_cast<Handle*>(file->fh);
    }

    struct stat attributes(fuse_ino_t ino) const;
    fuse_ino_t find(fuse_ino_t directory, std::string_view name) const noexcept;
    const ControlFile* control_file(fuse_ino_t ino) const;
    mode_t control_mode(const ControlFile& file) const;
    void open_control(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file, bool writes);
    void write_control(fuse_req_t request, fuse_ino_t ino, const std::string& text,
                       std::uint64_t end, fuse_file_info* file);
    double attributes_hold(fuse_ino_t ino) const;
    unsigned poll_control(fuse_ino_t ino, const fuse_file_info* file, fuse_pollhandle* waiter);
    void keep_answer(const ControlFile& control, ControlHandle& handle, const CommandAnswer& answer,
                     std::uint64_t end);
    int change_attributes(fuse_ino_t ino, const struct stat& wanted, int which);
    void list(fuse_req_t request, fuse_ino_t directory, std::size_t size,
              off_t from) const noexcept;

    const ControlContext context_;
    CommandRunner& commands_;
    LastAnswer last_answer_;
    Pollers pollers_;
    Interrupts interrupts_;
    const std::vector<ControlFile> files_;
    const std::string image_name_;
    const std::function<void()> last_close_;
    ImageAccess image_;
    ImageFile image_file_;
    std::atomic<unsigned> image_users_{0};

    mutable std::mutex attributes_mutex_;
    mode_t image_mode_;
    uid_t image_uid_;
    gid_t image_gid_;
    time_t image_atime_;
    const uid_t uid_;  // of everything else
    const gid_t gid_;
    const mode_t umask_given_;  // bits that no file has
    const bool shared_writes_;
    const time_t start_;
    std::atomic<time_t> image_mtime_;
};

}  // namespace dmremap
