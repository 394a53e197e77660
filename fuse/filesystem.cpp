// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/filesystem.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <new>
#include <utility>

#include "fuse/control_handle.h"
#include "fuse/reply_channel.h"

namespace dmremap {

namespace {

constexpr fuse_ino_t kImage = Filesystem::kImageInode;
constexpr fuse_ino_t kControl = 3;
constexpr fuse_ino_t kParams = 4;
constexpr fuse_ino_t kFirstControlFile = 16;

// The coarse clock is a read of memory; the data path asks it for every write.
time_t now() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    return time.tv_sec;
}

fuse_ino_t parent_of(fuse_ino_t directory) {
    return directory == kParams ? kControl : fuse_ino_t{FUSE_ROOT_ID};
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
      image_file_(image_),
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
        attributes.st_size = static_cast<off_t>(disk().size());
        attributes.st_blocks = static_cast<blkcnt_t>(disk().size() / 512);
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

}  // namespace dmremap
