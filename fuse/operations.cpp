// SPDX-License-Identifier: GPL-2.0-or-later
// libfuse's side of the file system: its operations, each handed on to who does it.
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "fuse/control_handle.h"
#include "fuse/filesystem.h"
#include "fuse/reply_channel.h"

namespace dmremap {

namespace {

constexpr fuse_ino_t kImage = Filesystem::kImageInode;
constexpr unsigned kBackgroundRequests = 256;  // libfuse's 12 would starve readahead and async I/O

}  // namespace

// Operations that are not here and need not be:
//   flush   close() has nothing to wait for: errors were reported by the writes themselves (P9)
//   lseek   the kernel then reports data everywhere, and the end of the file as the only hole
//   access  the kernel checks permissions itself
//   getxattr, locks and the like: there are none, or the kernel does them
struct Operations {
    static Filesystem& self(fuse_req_t request) {
        return *static_cast<Filesystem*>(fuse_req_userdata(request));
    }

    static void init(void*, fuse_conn_info* connection) {
        const auto unwanted =
            // P9: with the write-back cache a write is acknowledged before the disk has seen it,
            // and its error comes at some later fsync, without a place, to whoever asks first.
            FUSE_CAP_WRITEBACK_CACHE |
            // The only writer of the data is this mount: a new mtime is no reason to drop pages.
            FUSE_CAP_AUTO_INVAL_DATA |
            // The kernel would set the size to 0 before asking; other readers would see an end of
            // file where there is none.
            FUSE_CAP_ATOMIC_O_TRUNC |
            // There are no setuid bits to clear.
            FUSE_CAP_HANDLE_KILLPRIV;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
        for (unsigned bit = 0; bit < 32; bit++)
            if (unwanted & (1u << bit)) fuse_unset_feature_flag(connection, 1u << bit);
#else
        connection->want &= ~static_cast<unsigned>(unwanted);
#endif
        connection->max_write = Filesystem::kMostTransferred;
        connection->max_read = Filesystem::kMostTransferred;  // as the mount option says
        connection->max_background = kBackgroundRequests;
        connection->congestion_threshold = kBackgroundRequests * 3 / 4;
    }

    static void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
        fuse_entry_param entry{};
        entry.ino = self(request).find(parent, name);
        entry.entry_timeout = Filesystem::kForEver;
        entry.attr_timeout = self(request).attributes_hold(entry.ino);
        // Inode 0 tells the kernel that the name will not come to exist.
        if (entry.ino != 0) entry.attr = self(request).attributes(entry.ino);
        fuse_reply_entry(request, &entry);
    }

    static void getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
        const struct stat attributes = self(request).attributes(ino);
        fuse_reply_attr(request, &attributes, self(request).attributes_hold(ino));
    }

    static void setattr(fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int which,
                        fuse_file_info*) {
        if (const int error = self(request).change_attributes(ino, *wanted, which))
            fuse_reply_err(request, error);
        else
            getattr(request, ino, nullptr);
    }

    static void readdir(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t from,
                        fuse_file_info*) {
        self(request).list(request, ino, size, from);
    }

    static void open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file) {
        Filesystem& fs = self(request);
        const bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
        if (ino == kImage) {
            if (writes && fs.context_.disk.read_only()) {
                fuse_reply_err(request, EROFS);
                return;
            }
            // Through the page cache, so that mmap works; whoever opens with O_DIRECT goes past it.
            // It is kept true meanwhile (image_access.h), and begins anew here all the same.
            file->keep_cache = 0;
            file->fh = (file->flags & O_DSYNC) != 0;  // for fallocate(), which is not told
            fs.image_users_++;
            if (fuse_reply_open(request, file) != 0) drop_user(fs);
            return;
        }
        fs.open_control(request, ino, file, writes);
    }

    static void release(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file) {
        Filesystem& fs = self(request);
        fuse_reply_err(request, 0);
        if (ino == kImage) {
            drop_user(fs);
            return;
        }
        fs.pollers_.forget(&Filesystem::handle_of(file));
        delete &Filesystem::handle_of(file);
    }

    // libfuse hands on the lock owner alone, 0 where there is none (image_message.h).
    static bool past_cache(const fuse_file_info& file) { return file.lock_owner != 0; }

    static void drop_user(Filesystem& fs) {
        if (--fs.image_users_ == 0) fs.last_close_();
    }

    static void read(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset,
                     fuse_file_info* file) {
        const auto start = static_cast<std::uint64_t>(offset);
        if (ino == kImage) {
            self(request).image_file_.read(request, start, size, past_cache(*file));
            return;
        }
        std::string text;
        try {
            text = Filesystem::handle_of(file)->read(start, size);
        } catch (const std::bad_alloc&) {
            fuse_reply_err(request, ENOMEM);
            return;
        } catch (const std::system_error& error) {
            fuse_reply_err(request, error.code().value());
            return;
        }
        fuse_reply_buf(request, text.data(), text.size());
    }

    static void write(fuse_req_t request, fuse_ino_t ino, const char* data, std::size_t size,
                      off_t offset, fuse_file_info* file) {
        Filesystem& fs = self(request);
        if (ino == kImage) {
            fs.note_write();
            fs.image_file_.write(request, static_cast<std::uint64_t>(offset), data, size,
                                 past_cache(*file), (file->flags & O_DSYNC) != 0);
            return;
        }
        try {
            fs.write_control(request, ino, std::string(data, size),
                             static_cast<std::uint64_t>(offset) + size, file);
        } catch (const std::bad_alloc&) {
            fs.interrupts_.forget(ReplyChannel::current().request);
            fuse_reply_err(request, ENOMEM);
        }
    }

    static void poll(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file,
                     fuse_pollhandle* waiter) {
        // The kernel then asks no more, else for each read and write that comes by io_uring, too.
        if (!self(request).context_.poll) {
            if (waiter) fuse_pollhandle_destroy(waiter);
            fuse_reply_err(request, ENOSYS);
            return;
        }
        try {
            fuse_reply_poll(request, self(request).poll_control(ino, file, waiter));
        } catch (const std::bad_alloc&) {
            fuse_reply_err(request, ENOMEM);
        }
    }

    static void fsync(fuse_req_t request, fuse_ino_t ino, int, fuse_file_info*) {
        Filesystem& fs = self(request);
        if (ino == kImage && !fs.context_.disk.read_only())
            fs.image_file_.flush(request);
        else
            fuse_reply_err(request, 0);
    }

    // The whole range is allocated, always; punching a hole is writing zeros, since the loop driver
    // sends both discard and write-zeroes as that, and mkfs believes the latter.
    static void fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
                          fuse_file_info* file) {
        Filesystem& fs = self(request);
        const auto start = static_cast<std::uint64_t>(offset);
        const auto count = static_cast<std::uint64_t>(length);
        const bool zeros = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        const std::uint64_t size = fs.disk().size();
        constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
        int error = 0;
        if (ino != kImage || (mode & ~kKnown))
            error = EOPNOTSUPP;
        else if (!(mode & FALLOC_FL_KEEP_SIZE) && start + count > size)
            error = EFBIG;
        else if (!zeros && start + count > size)
            error = ENOSPC;
        else if (zeros) {
            fs.note_write();
            fs.image_file_.zero(request, start, count, file->fh != 0);
            return;
        }
        fuse_reply_err(request, error);
    }

    static void statfs(fuse_req_t request, fuse_ino_t) {
        Filesystem& fs = self(request);
        struct statvfs numbers {};
        numbers.f_bsize = numbers.f_frsize = 4096;
        numbers.f_blocks = (fs.disk().size() + 4095) / 4096;
        numbers.f_files = 4 + fs.files_.size();
        numbers.f_namemax = 255;
        if (fs.context_.disk.read_only()) numbers.f_flag = ST_RDONLY;
        fuse_reply_statfs(request, &numbers);
    }

    // Names are as fixed as the disk. Without these the answer would be "not implemented".
    template <typename... Arguments>
    static void refuse(fuse_req_t request, Arguments...) {
        fuse_reply_err(request, EPERM);
    }
};

const fuse_lowlevel_ops& Filesystem::operations() {
    static const fuse_lowlevel_ops table = [] {
        fuse_lowlevel_ops ops{};
        ops.init = Operations::init;
        ops.lookup = Operations::lookup;
        ops.getattr = Operations::getattr;
        ops.setattr = Operations::setattr;
        ops.readdir = Operations::readdir;
        ops.open = Operations::open;
        ops.release = Operations::release;
        ops.read = Operations::read;
        ops.write = Operations::write;
        ops.poll = Operations::poll;
        ops.fsync = Operations::fsync;
        ops.fallocate = Operations::fallocate;
        ops.statfs = Operations::statfs;
        ops.create = Operations::refuse;
        ops.mknod = Operations::refuse;
        ops.mkdir = Operations::refuse;
        ops.unlink = Operations::refuse;
        ops.rmdir = Operations::refuse;
        ops.symlink = Operations::refuse;
        ops.link = Operations::refuse;
        ops.rename = Operations::refuse;
        return ops;
    }();
    return table;
}

}  // namespace dmremap
