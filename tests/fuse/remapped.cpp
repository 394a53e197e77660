// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a pair of sparse images with so many remaps in seconds. For million.sh. What the slots hold
// was never copied: the disk reads as zeros, as main does.
//
//   remapped MAIN SPARE REMAPS      MAIN and SPARE must not exist
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

#include "core/device/unique_fd.h"
#include "core/pair/pair.h"
#include "tests/bench/many_remaps.h"

namespace {

using namespace dmremap;

void make_sparse(const char* path, std::uint64_t size) {
    const UniqueFd file(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
        throw std::system_error(errno, std::generic_category(), path);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t remaps = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : 0;
    if (remaps == 0) {
        std::fprintf(stderr, "usage: %s MAIN SPARE REMAPS\n", argv[0]);
        return 2;
    }
    try {
        make_sparse(argv[1], bench::main_size(remaps));
        make_sparse(argv[2], bench::spare_size(remaps));
        const DevicePair pair = open_pair(argv[1], argv[2], {});
        bench::make_remaps(*pair.main, *pair.spare, remaps);
        return 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
