// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/filesystem.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "fuse/control_handle.h"
#include "fuse/reply_channel.h"

namespace dmremap {

namespace {

constexpr fuse_ino_t kImage = Filesystem::kImageInode;
constexpr fuse_ino_t kControl = 3;
constexpr fuse_ino_t kParams = 4;
constexpr fuse_ino_t kFirstControlFile = 16;
constexpr double kForEver = 1e9;               // seconds
constexpr unsigned kBackgroundRequests = 256;  // libfuse's 12 would starve readahead and async I/O

// The coarse clock is a read of memory; the data path asks it for every write.
time_t now() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    return time.tv_sec;
}

fuse_ino_t parent_of(fuse_ino_t directory) {
    return directory == kParams ? kControl : fuse_ino_t{FUSE_ROOT_ID};
}

using Handle = std::shared_ptr<ControlHandle>;

Handle& handle_of(const fuse_file_info* file) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): libfuse keeps a number for us
    return *reinterpret_cast<Handle*>(file->fh);
}

}  // namespace

Filesystem::Filesystem(ControlContext context, CommandRunner& commands, std::string image_name,
                       const Ownership& ownership, std::function<void()> last_close)
    : context_(std::move(context)),
      commands_(commands),
      files_(control_files(context_, last_answer_)),
      image_name_(std::move(image_name)),
      last_close_(std::move(last_close)),
      image_(context_.disk),
      image_mode_(ownership.umask ? 0666 & ~*ownership.umask : 0600),
      image_uid_(ownership.uid.value_or(geteuid())),
      image_gid_(ownership.gid.value_or(getegid())),
      image_atime_(now()),
      uid_(image_uid_),
      gid_(image_gid_),
      umask_given_(ownership.umask.value_or(0)),
      shared_writes_(ownership.umask.has_value()),
      start_(image_atime_),
      image_mtime_(image_atime_) {
    context_.events.watch([this] { pollers_.wake(); });
}

Filesystem::~Filesystem() {
    context_.events.watch(nullptr);
    commands_.abandon();
}

const ControlFile* Filesystem::control_file(fuse_ino_t ino) const {
    if (ino < kFirstControlFile || ino - kFirstControlFile >= files_.size()) return nullptr;
    return &files_[ino - kFirstControlFile];
}

// 0 when there is no such name.
fuse_ino_t Filesystem::find(fuse_ino_t directory, std::string_view name) const noexcept {
    if (directory == FUSE_ROOT_ID) {
        if (name == image_name_) return kImage;
        return name == "control" ? kControl : 0;
    }
    if (directory == kControl && name == "params") return kParams;
    if (directory != kControl && directory != kParams) return 0;
    for (std::size_t i = 0; i < files_.size(); i++)
        if (files_[i].parameter == (directory == kParams) && name == files_[i].name)
            return kFirstControlFile + i;
    return 0;
}

// With umask= the owner is no longer the only one who may write.
mode_t Filesystem::control_mode(const ControlFile& file) const {
    const bool others = shared_writes_ && file.writable();
    return (others ? 0666 : file.mode) & ~umask_given_;
}

struct stat Filesystem::attributes(fuse_ino_t ino) const {
    struct stat attributes {};
    attributes.st_ino = ino;
    attributes.st_nlink = 1;
    attributes.st_uid = uid_;
    attributes.st_gid = gid_;
    attributes.st_blksize = 4096;
    attributes.st_atime = attributes.st_mtime = attributes.st_ctime = start_;
    if (ino == kImage) {
        const std::lock_guard lock(attributes_mutex_);
        attributes.st_mode = S_IFREG | image_mode_;
        attributes.st_uid = image_uid_;
        attributes.st_gid = image_gid_;
        attributes.st_size = static_cast<off_t>(image_.size());
        attributes.st_blocks = static_cast<blkcnt_t>(image_.size() / 512);
        attributes.st_atime = image_atime_;
        attributes.st_mtime = attributes.st_ctime = image_mtime_.load(std::memory_order_relaxed);
    } else if (const ControlFile* file = control_file(ino)) {
        attributes.st_mode = S_IFREG | control_mode(*file);
        if (file->extent) {
            const EventHistory::Extent extent = file->extent();
            attributes.st_size = static_cast<off_t>(extent.bytes);
            attributes.st_mtime = attributes.st_ctime = std::max(start_, extent.changed);
        }
    } else {
        attributes.st_mode = S_IFDIR | (0555 & ~umask_given_);
        attributes.st_nlink = ino == kParams ? 2 : 3;
    }
    return attributes;
}

// For how long, in seconds, the kernel may keep attributes.
double Filesystem::attributes_hold(fuse_ino_t ino) const {
    const ControlFile* const file = control_file(ino);
    return file && file->extent ? 0 : kForEver;
}

// A second is enough for those who look for changes, and spares the shared line a store per write.
void Filesystem::note_write() {
    const time_t time = now();
    if (image_mtime_.load(std::memory_order_relaxed) != time)
        image_mtime_.store(time, std::memory_order_relaxed);
}

// The disk has one size: opening with O_TRUNC (cp, dd without conv=notrunc) and ftruncate to any
// other are refused before they touch a byte. 0 or a positive errno.
int Filesystem::change_attributes(fuse_ino_t ino, const struct stat& wanted, int which) {
    constexpr int kOfImageOnly = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
    const struct stat present = attributes(ino);
    if ((which & FUSE_SET_ATTR_SIZE) && wanted.st_size != present.st_size) return EPERM;
    if (ino != kImage) return which & kOfImageOnly ? EPERM : 0;

    const std::lock_guard lock(attributes_mutex_);
    if (which & FUSE_SET_ATTR_MODE) image_mode_ = wanted.st_mode & 0777;
    if (which & FUSE_SET_ATTR_UID) image_uid_ = wanted.st_uid;
    if (which & FUSE_SET_ATTR_GID) image_gid_ = wanted.st_gid;
    if (which & FUSE_SET_ATTR_ATIME)
        image_atime_ = which & FUSE_SET_ATTR_ATIME_NOW ? now() : wanted.st_atime;
    if (which & FUSE_SET_ATTR_MTIME)
        image_mtime_ = which & FUSE_SET_ATTR_MTIME_NOW ? now() : wanted.st_mtime;
    return 0;
}

void Filesystem::list(fuse_req_t request, fuse_ino_t directory, std::size_t size,
                      off_t from) const noexcept {
    std::array<char, 4096> buffer;  // the kernel comes again for what does not fit
    size = std::min(size, buffer.size());
    std::size_t used = 0;
    off_t at = 0;
    const auto add = [&](const char* name, fuse_ino_t ino) {
        if (at++ < from) return;
        const struct stat attributes = this->attributes(ino);
        const std::size_t needed =
            fuse_add_direntry(request, buffer.data() + used, size - used, name, &attributes, at);
        if (needed <= size - used)
            used += needed;
        else
            size = used;  // nor is there room for what comes behind it
    };
    add(".", directory);
    add("..", parent_of(directory));
    if (directory == FUSE_ROOT_ID) {
        add(image_name_.c_str(), kImage);
        add("control", kControl);
    } else {
        if (directory == kControl) add("params", kParams);
        for (std::size_t i = 0; i < files_.size(); i++)
            if (files_[i].parameter == (directory == kParams))
                add(files_[i].name.c_str(), kFirstControlFile + i);
    }
    fuse_reply_buf(request, buffer.data(), used);
}

void Filesystem::open_control(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file,
                              bool writes) {
    const ControlFile* const control = control_file(ino);
    if (!control || (writes && !control->writable())) {
        fuse_reply_err(request, EACCES);
        return;
    }
    Handle* handle = nullptr;
    try {
        handle = new Handle(std::make_shared<ControlHandle>(control->open));
    } catch (const std::bad_alloc&) {
        fuse_reply_err(request, ENOMEM);
        return;
    }
    file->direct_io = 1;  // no size is known beforehand, and nothing is to be kept
    file->fh = reinterpret_cast<std::uintptr_t>(handle);
    if (fuse_reply_open(request, file) != 0) delete handle;
}

// Without memory the words are missing; whether it was done is told all the same.
void Filesystem::keep_answer(const ControlFile& control, ControlHandle& handle,
                             const CommandAnswer& answer, std::uint64_t end) {
    try {
        handle.answer(answer.str(), end, control.answers);
        if (control.answers) last_answer_.put(answer.str());
    } catch (const std::bad_alloc&) {
        spdlog::error("no memory for the answer to a message");
    }
}

// A write that amounts to a message is answered when that has been carried out, perhaps by another
// thread. `end` is the offset behind it. Throws bad_alloc, and then nobody has answered.
void Filesystem::write_control(fuse_req_t request, fuse_ino_t ino, const std::string& text,
                               std::uint64_t end, fuse_file_info* file) {
    const ControlFile* const control = control_file(ino);
    if (!control || !control->message) {
        const int error = control && control->write ? control->write(text) : EACCES;
        interrupts_.forget(ReplyChannel::current().request);
        if (error != 0)
            fuse_reply_err(request, error);
        else
            fuse_reply_write(request, text.size());
        return;
    }
    // Another thread may answer, but only by the way the request came.
    const auto reply = [this, request, control, end, size = text.size(),
                        way = ReplyChannel::current(),
                        handle = handle_of(file)](const CommandAnswer& answer) {
        const ReplyChannel through(way);
        keep_answer(*control, *handle, answer, end);
        interrupts_.forget(way.request);
        if (answer.error != 0) {
            spdlog::warn("control/{}{}: {}", control->parameter ? "params/" : "", control->name,
                         answer.sentence);
            fuse_reply_err(request, answer.error);
        } else {
            fuse_reply_write(request, size);
        }
    };
    const auto interrupted = [this, request, unique = ReplyChannel::current().request] {
        return interrupts_.interrupted(unique) || fuse_req_interrupted(request) != 0;
    };
    commands_.run(control->message(text), interrupted, reply);
}

// As other files, always ready; but those that can be waited for only while they read differently
// from what was read here.
unsigned Filesystem::poll_control(fuse_ino_t ino, const fuse_file_info* file,
                                  fuse_pollhandle* waiter) {
    const ControlFile* const control = control_file(ino);
    if (!control || !control->version) {
        if (waiter) fuse_pollhandle_destroy(waiter);
        return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    }
    // First, so that a change from here on is seen below or wakes.
    if (waiter) pollers_.add(&handle_of(file), waiter);
    return handle_of(file)->changed(control->version()) ? POLLIN | POLLRDNORM | POLLPRI : 0;
}

// The C side. Operations that are not here and need not be:
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
        entry.entry_timeout = kForEver;
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
            // The cache stays true between opens: nobody else writes.
            file->keep_cache = 1;
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
        fs.pollers_.forget(&handle_of(file));
        delete &handle_of(file);
    }

    static void drop_user(Filesystem& fs) {
        if (--fs.image_users_ == 0) fs.last_close_();
    }

    static void read(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset,
                     fuse_file_info* file) {
        const auto start = static_cast<std::uint64_t>(offset);
        if (ino == kImage) {
            self(request).image_.read(request, start, size);
            return;
        }
        std::string text;
        try {
            text = handle_of(file)->read(start, size);
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
            fs.image_.write(request, static_cast<std::uint64_t>(offset), data, size);
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
            fs.image_.flush(request);
        else
            fuse_reply_err(request, 0);
    }

    // The whole range is allocated, always; punching a hole is writing zeros, since the loop driver
    // sends both discard and write-zeroes as that, and mkfs believes the latter.
    static void fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
                          fuse_file_info*) {
        Filesystem& fs = self(request);
        const auto start = static_cast<std::uint64_t>(offset);
        const auto count = static_cast<std::uint64_t>(length);
        const bool zeros = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
        int error = 0;
        if (ino != kImage || (mode & ~kKnown))
            error = EOPNOTSUPP;
        else if (!(mode & FALLOC_FL_KEEP_SIZE) && start + count > fs.image_.size())
            error = EFBIG;
        else if (!zeros && start + count > fs.image_.size())
            error = ENOSPC;
        else if (zeros) {
            fs.note_write();
            fs.image_.zero(request, start, count);
            return;
        }
        fuse_reply_err(request, error);
    }

    static void statfs(fuse_req_t request, fuse_ino_t) {
        Filesystem& fs = self(request);
        struct statvfs numbers {};
        numbers.f_bsize = numbers.f_frsize = 4096;
        numbers.f_blocks = (fs.image_.size() + 4095) / 4096;
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
