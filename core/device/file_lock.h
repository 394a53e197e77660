// SPDX-License-Identifier: GPL-2.0-or-later
// Keeping others away from an image, and saying who keeps us away.
//
// Two kinds of lock at once, since others look at either: flock(2), and an open-file-description
// lock on the bytes (what qemu looks at). Both belong to the descriptor and end with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace dmremap {

enum class LockKind {
    exclusive,  // nobody else
    shared,     // others who only read
};

// Locks the whole image. A descriptor open for reading only cannot take a write lock on bytes:
// its exclusive lock is an exclusive flock, a read lock on the bytes and a look for anybody else's.
// True: locked. False: somebody holds it. Throws Refusal when the file system cannot lock.
bool try_lock_image(int fd, bool writable, LockKind kind, const std::string& name);

// The same for a range of the file under a loop device, byte locks only, so that two loop devices
// over different parts of one file do not meet.
bool try_lock_range(int fd, bool writable, LockKind kind, std::uint64_t begin, std::uint64_t end,
                    const std::string& name);

// "process 123 (qemu-system-x86)", "this process", or "" when it cannot be found.
std::string lock_owner(dev_t dev, ino_t inode);  // of an image
std::string block_device_user(dev_t rdev);       // of a block device: one that has it open

}  // namespace dmremap
