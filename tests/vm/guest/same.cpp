// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a disk that somebody else prepared: same DISK MAIN WANT
//
// Every sector must be what WANT says, and where that says nothing what the file MAIN holds; of a
// disk that is larger than MAIN only as much, with all that WANT says. The format of WANT is in
// tests/vm/pairs.cpp. Exit 1 with a sentence at the first sector that is not right.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kSector = 512;
constexpr std::uint64_t kAtOnce = 128;  // sectors

struct Want {
    std::uint64_t sector;
    std::uint64_t kind;  // 0: these bytes, 1: EIO, 2: either
    char bytes[kSector];
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "same: %s\n", what.c_str());
    std::exit(1);
}

int open_or_fail(const char* path, int flags) {
    const int fd = ::open(path, flags | O_CLOEXEC);
    if (fd < 0) fail(std::string(path) + ": " + std::strerror(errno));
    return fd;
}

std::map<std::uint64_t, Want> load(const char* path) {
    std::map<std::uint64_t, Want> wants;
    const int fd = open_or_fail(path, O_RDONLY);
    Want want;
    while (::read(fd, &want, sizeof(want)) == static_cast<ssize_t>(sizeof(want)))
        wants[want.sector] = want;
    ::close(fd);
    return wants;
}

class Comparison {
public:
    Comparison(const char* disk, const char* main, const char* want)
        : disk_(open_or_fail(disk, O_RDONLY | O_DIRECT)),
          main_(open_or_fail(main, O_RDONLY)),
          wants_(load(want)) {
        int logical = 0;
        if (::ioctl(disk_, BLKGETSIZE64, &bytes_) != 0 || ::ioctl(disk_, BLKSSZGET, &logical) != 0)
            fail("not a block device");
        grain_ = static_cast<std::uint64_t>(logical) / kSector;
        void* memory = nullptr;
        if (::posix_memalign(&memory, 4096, kAtOnce * kSector) != 0) fail("no memory");
        data_ = static_cast<char*>(memory);
    }

    void all() {
        const auto main = static_cast<std::uint64_t>(::lseek(main_, 0, SEEK_END)) / kSector;
        const std::uint64_t end = std::min(bytes_ / kSector, main);
        for (std::uint64_t at = 0; at < end; at += kAtOnce) look(at, std::min(kAtOnce, end - at));
        for (const auto& [sector, want] : wants_)
            if (sector >= end) look(sector / grain_ * grain_, grain_);
    }

private:
    void look(std::uint64_t first, std::uint64_t count) {
        const ssize_t got =
            ::pread(disk_, data_, count * kSector, static_cast<off_t>(first * kSector));
        if (got == static_cast<ssize_t>(count * kSector)) {
            for (std::uint64_t i = 0; i < count; i++) judge(first + i, data_ + i * kSector);
        } else if (got >= 0) {
            fail("a short read at sector " + std::to_string(first));
        } else if (errno != EIO) {
            fail(std::string(std::strerror(errno)) + " at sector " + std::to_string(first));
        } else if (count > grain_) {
            for (std::uint64_t at = first; at < first + count; at += grain_) look(at, grain_);
        } else {
            may_fail(first);
        }
    }
    void may_fail(std::uint64_t first) {
        for (std::uint64_t s = first; s < first + grain_; s++) {
            const auto want = wants_.find(s);
            if (want != wants_.end() && want->second.kind != 0) return;
        }
        fail("EIO where nothing is lost, at sector " + std::to_string(first));
    }
    void judge(std::uint64_t sector, const char* bytes) {
        const auto want = wants_.find(sector);
        char held[kSector] = {};
        if (want == wants_.end()) {
            // Behind the end of the file are zeros.
            if (::pread(main_, held, kSector, static_cast<off_t>(sector * kSector)) < 0)
                fail("main cannot be read");
        } else if (want->second.kind == 1) {
            fail("data where the sector is lost: " + std::to_string(sector));
        } else {
            std::memcpy(held, want->second.bytes, kSector);
        }
        if (std::memcmp(held, bytes, kSector) != 0)
            fail("sector " + std::to_string(sector) + " is not as it must be" +
                 (want == wants_.end() ? ", which is as on main" : ", which is as in its slot"));
    }

    const int disk_, main_;
    const std::map<std::uint64_t, Want> wants_;
    std::uint64_t bytes_ = 0, grain_ = 1;
    char* data_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) fail("usage: same DISK MAIN WANT");
    Comparison(argv[1], argv[2], argv[3]).all();
    return 0;
}
