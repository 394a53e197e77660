// SPDX-License-Identifier: GPL-2.0-or-later
// The order matters: what can be seen without opening comes first, since opening one device twice
// would only say that it is busy, and since those sentences are the better ones. No content
// of either device is changed here.
#include "core/pair/pair.h"

#include "core/device/device_facts.h"
#include "core/device/file_device.h"
#include "core/device/thread_pool.h"
#include "core/pair/in_use.h"
#include "core/pair/pair_check.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

void check_writable(const FoundDevice& device, const std::string& role, bool read_only) {
    if (!read_only && device.facts().read_only)
        throw Refusal(RefusalKind::refused,
                      "the " + role + " " + device.name() +
                          " cannot be written (read-only, or no permission): make it writable, or "
                          "open the pair read-only (-o ro)");
}

}  // namespace

DevicePair open_pair(const std::string& main_path, const std::string& spare_path,
                     const PairOptions& options) {
    const FoundDevice main(main_path);
    auto found_spare = std::make_unique<FoundDevice>(spare_path);
    const FoundDevice& spare = *found_spare;
    check_apart(main, spare);
    check_not_in_use(main, "main");
    check_not_in_use(spare, "spare");
    check_writable(main, "main", options.main_read_only);
    check_writable(spare, "spare", options.spare_read_only);

    FileOptions how;
    how.shared = options.main_read_only && options.spare_read_only;
    how.lock_wait_seconds = options.lock_wait_seconds;
    how.pool = options.pool;
    how.read_only = options.main_read_only;
    DevicePair pair;
    pair.main = open_file_device(main, how);

    how.read_only = options.spare_read_only;
    how.note = shared_disk_note(main, spare);
    pair.spare = open_file_device(spare, how);

    check_spare(pair.spare->info());
    check_blocks(pair.main->info(), pair.spare->info());
    pair.found_spare = std::move(found_spare);
    return pair;
}

std::unique_ptr<Device> open_spare(const std::string& path, bool read_only,
                                   unsigned lock_wait_seconds) {
    const FoundDevice spare(path);
    check_not_in_use(spare, "spare");
    check_writable(spare, "spare", read_only);
    FileOptions how;
    how.read_only = read_only;
    how.shared = read_only;
    how.lock_wait_seconds = lock_wait_seconds;
    std::unique_ptr<Device> device = open_file_device(spare, how);
    check_spare(device->info());
    return device;
}

}  // namespace dmremap
