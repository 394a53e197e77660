// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/session.h"

#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "core/refusal.h"

namespace dmremap {

namespace {

spdlog::level::level_enum level_of(fuse_log_level level) {
    if (level <= FUSE_LOG_CRIT) return spdlog::level::critical;
    if (level == FUSE_LOG_ERR) return spdlog::level::err;
    if (level == FUSE_LOG_WARNING) return spdlog::level::warn;
    return level == FUSE_LOG_DEBUG ? spdlog::level::debug : spdlog::level::info;
}

void log_line(fuse_log_level level, const char* format, va_list arguments) {
    std::array<char, 512> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    std::string_view text = line.data();
    while (text.ends_with('\n')) text.remove_suffix(1);
    spdlog::log(level_of(level), text);
}

// The words of one -o for libfuse.
class OptionList {
public:
    void add(const std::string& word) {
        if (fuse_opt_add_opt_escaped(&list_, word.c_str()) != 0) throw std::bad_alloc();
    }
    char* get() const { return list_; }
    OptionList() = default;
    ~OptionList() { free(list_); }
    OptionList(const OptionList&) = delete;
    OptionList& operator=(const OptionList&) = delete;

private:
    char* list_ = nullptr;
};

}  // namespace

Session::Session(Filesystem& filesystem, const MountOptions& options)
    : filesystem_(filesystem),
      mountpoint_(options.mountpoint),
      engine_(options.engine),
      io_uring_(options.io_uring),
      max_threads_(options.max_threads) {
    fuse_set_log_func(log_line);
    OptionList list;
    list.add("fsname=" + options.main);
    list.add("subtype=dmremapfs");
    list.add("default_permissions");
    list.add("max_read=" + std::to_string(Filesystem::kMostTransferred));
    list.add(options.read_only ? "ro" : "rw");
    for (const std::string& word : options.kernel_options) list.add(word);

    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, options.program.c_str());
    fuse_opt_add_arg(&arguments, "-o");
    fuse_opt_add_arg(&arguments, list.get());
    session_.reset(fuse_session_new(&arguments, &Filesystem::operations(),
                                    sizeof(fuse_lowlevel_ops), &filesystem));
    fuse_opt_free_args(&arguments);
    if (!session_) throw Refusal(RefusalKind::system, "libfuse does not take the mount's options");
    filesystem.image().drop_by([this](std::uint64_t offset, std::uint64_t length) {
        const int error = -fuse_lowlevel_notify_inval_inode(session_.get(), Filesystem::kImageInode,
                                                            static_cast<off_t>(offset),
                                                            static_cast<off_t>(length));
        // ENOENT: the kernel has forgotten the file, and its pages with it.
        if (error != 0 && error != ENOENT && error != ENOTCONN && error != ENODEV)
            spdlog::error("the kernel does not drop what it keeps of the disk: {}",
                          std::strerror(error));
    });
}

void Session::unmount() {
    if (mounted_) fuse_session_unmount(session_.get());
    mounted_ = false;
    // Its descriptors would keep the kernel waiting for answers that nobody gives any more.
    ring_.reset();
}

void Session::mount() {
    if (fuse_session_mount(session_.get(), mountpoint_.c_str()) != 0)
        throw Refusal(RefusalKind::system, mountpoint_ + " cannot be mounted on");
    mounted_ = true;
    choose_engine();
}

void Session::choose_engine() {
    if (engine_ != Engine::threads) {
        try {
            ring_.emplace(filesystem_, *session_, max_threads_);
        } catch (const Refusal& refusal) {
            if (engine_ == Engine::ring || io_uring_ == IoUring::on) throw;
            spdlog::info("{}; requests are served by threads", refusal.what());
            return;
        }
    }
    spdlog::info("requests are served by {}", ring_ ? "io_uring" : "threads");
    if (ring_) ring_->greet(io_uring_);
}

int Session::serve() { return ring_ ? ring_->serve() : serve_by_libfuse(); }

int Session::serve_by_libfuse() {
    fuse_loop_config* config = fuse_loop_cfg_create();
    if (!config) return ENOMEM;
    // A descriptor a thread: the kernel's queues are not shared between them.
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, max_threads_);
    const int result = fuse_session_loop_mt(session_.get(), config);
    fuse_loop_cfg_destroy(config);
    return result < 0 ? -result : 0;
}

}  // namespace dmremap
