// SPDX-License-Identifier: GPL-2.0-or-later
// The two limits above every FUSE disk, for the benchmarks to compare with: a daemon that serves
// one file and does nothing but pread and pwrite (bare), and one that answers at once and touches
// nothing (null). Same libfuse, same options as dmremapfs, four threads with cloned descriptors.
//
//   plain_daemon bare|null IMAGE MOUNTPOINT [OPTIONS]
//
// serves MOUNTPOINT/disk.img until unmounted, with further options for libfuse: -o io_uring where
// it has that (latest_fuse builds this with one that has).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fuse/filesystem.h"
#include "fuse/fuse_api.h"

namespace {

constexpr unsigned kThreads = 4;
constexpr unsigned kMost = dmremap::Filesystem::kMostTransferred;
constexpr fuse_ino_t kImage = 2;
constexpr double kForEver = 1e9;
int image = -1;
bool null = false;
struct stat image_attributes;
// Each thread's own, aligned for O_DIRECT.
thread_local char* buffer = static_cast<char*>(std::aligned_alloc(4096, kMost));

struct stat attributes(fuse_ino_t ino) {
    struct stat result {};
    result.st_ino = ino;
    result.st_mode = ino == kImage ? S_IFREG | 0600 : S_IFDIR | 0755;
    result.st_nlink = 1;
    result.st_size = ino == kImage ? image_attributes.st_size : 0;
    return result;
}

void init(void*, fuse_conn_info* connection) {
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA);
    connection->max_write = connection->max_read = kMost;
    connection->max_background = 256;
    connection->congestion_threshold = 192;
}

void lookup(fuse_req_t request, fuse_ino_t, const char* name) {
    fuse_entry_param entry{};
    entry.ino = std::strcmp(name, "disk.img") == 0 ? kImage : 0;
    entry.attr_timeout = entry.entry_timeout = kForEver;
    if (entry.ino != 0) entry.attr = attributes(entry.ino);
    fuse_reply_entry(request, &entry);
}

void getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
    const struct stat found = attributes(ino);
    fuse_reply_attr(request, &found, kForEver);
}

void open(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    file->keep_cache = 1;
    fuse_reply_open(request, file);
}

void read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info*) {
    const ssize_t got = null ? static_cast<ssize_t>(size) : ::pread(image, buffer, size, offset);
    if (got < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_buf(request, buffer, static_cast<size_t>(got));
}

// libfuse's buffer is not aligned: what O_DIRECT needs costs a copy, here as there.
void write(fuse_req_t request, fuse_ino_t, const char* data, size_t size, off_t offset,
           fuse_file_info*) {
    ssize_t put = static_cast<ssize_t>(size);
    if (!null) {
        std::memcpy(buffer, data, size);
        put = ::pwrite(image, buffer, size, offset);
    }
    if (put < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_write(request, static_cast<size_t>(put));
}

void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
    fuse_reply_err(request, null || ::fdatasync(image) == 0 ? 0 : errno);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 && argc != 5) {
        std::fprintf(stderr, "usage: %s bare|null IMAGE MOUNTPOINT [OPTIONS]\n", argv[0]);
        return 2;
    }
    null = std::strcmp(argv[1], "null") == 0;
    image = ::open(argv[2], O_RDWR | O_DIRECT);
    if (image < 0 && errno == EINVAL) image = ::open(argv[2], O_RDWR | O_DSYNC);
    if (image < 0 || ::fstat(image, &image_attributes) != 0) {
        std::perror(argv[2]);
        return 1;
    }
    fuse_lowlevel_ops operations{};
    operations.init = init;
    operations.lookup = lookup;
    operations.getattr = getattr;
    operations.open = open;
    operations.read = read;
    operations.write = write;
    operations.fsync = fsync;
    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, argv[0]);
    const std::string further = argc == 5 ? std::string(",") + argv[4] : "";
    fuse_opt_add_arg(
        &arguments,
        ("-omax_read=1048576,default_permissions,fsname=plain_daemon" + further).c_str());
    fuse_session* session = fuse_session_new(&arguments, &operations, sizeof(operations), nullptr);
    if (session == nullptr || fuse_session_mount(session, argv[3]) != 0) return 1;
    fuse_loop_config* config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, kThreads);
    const int result = fuse_session_loop_mt(session, config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return result == 0 ? 0 : 1;
}
