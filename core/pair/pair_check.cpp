// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/pair_check.h"

#include "core/device/kernel_text.h"
#include "core/format.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

std::string both(const std::string& main, const std::string& spare) {
    return "main " + main + " and spare " + spare;
}

bool same_device(const DeviceFacts& a, const DeviceFacts& b) {
    if (a.kind != b.kind) return false;
    return a.kind == DeviceKind::block ? a.rdev == b.rdev : a.dev == b.dev && a.inode == b.inode;
}

std::string bytes(std::uint64_t count) { return std::to_string(count) + " bytes"; }

std::string range(const DeviceFacts& facts) {
    return "bytes " + std::to_string(facts.start) + " to " +
           std::to_string(facts.start + facts.size);
}

const std::string kOtherSpare = ": give another device as the spare";

}  // namespace

void check_apart(const FoundDevice& main, const FoundDevice& spare) {
    const DeviceFacts &a = main.facts(), &b = spare.facts();
    const std::string names = both(main.name(), spare.name());
    if (same_device(a, b))
        throw Refusal(RefusalKind::refused,
                      names + " are the same " +
                          (a.kind == DeviceKind::block ? "block device " + device_number(a.rdev)
                                                       : "file, inode " + std::to_string(a.inode)) +
                          kOtherSpare);
    if (!overlap(a, b)) return;
    if (a.kind == DeviceKind::block && b.kind == DeviceKind::block && a.disk == b.disk)
        throw Refusal(RefusalKind::refused, names + " overlap on disk " + device_number(a.disk) +
                                                " (" + range(a) + " and " + range(b) + ")" +
                                                kOtherSpare);
    const auto& backing = a.backing ? a.backing : b.backing;
    throw Refusal(RefusalKind::refused, names + " share bytes of " +
                                            (backing ? backing->path : "one file") +
                                            " through a loop device" + kOtherSpare);
}

std::string shared_disk_note(const FoundDevice& main, const FoundDevice& spare) {
    const DeviceFacts &a = main.facts(), &b = spare.facts();
    if (a.kind != DeviceKind::block || b.kind != DeviceKind::block || a.disk != b.disk) return "";
    return both(main.name(), spare.name()) +
           " are partitions of one disk: when it fails as a whole, it takes the spare along. ";
}

void check_spare(const DeviceInfo& spare) {
    if (spare.size < DMR_SPARE_MIN)
        throw Refusal(RefusalKind::refused, "spare " + spare.name + " has " + bytes(spare.size) +
                                                ", a spare needs at least " + bytes(DMR_SPARE_MIN) +
                                                ": give a larger one");
    if (spare.logical_block > DMR_BLOCK_SIZE || spare.physical_block > DMR_PAGE_MAX)
        throw Refusal(RefusalKind::refused,
                      "spare " + spare.name + " has logical blocks of " +
                          bytes(spare.logical_block) + " and physical blocks of " +
                          bytes(spare.physical_block) + ", at most " + bytes(DMR_BLOCK_SIZE) +
                          " and " + bytes(DMR_PAGE_MAX) + " can be used" + kOtherSpare);
}

void check_blocks(const DeviceInfo& main, const DeviceInfo& spare) {
    if (main.logical_block < DMR_SECTOR_SIZE || main.logical_block > DMR_BLOCK_SIZE)
        throw Refusal(RefusalKind::refused,
                      "main " + main.name + " has logical blocks of " + bytes(main.logical_block) +
                          ", only 512 to 4096 can be used (spare " + spare.name +
                          " is not the reason): it cannot be healed by dm-remap");
    if (spare.logical_block > main.logical_block)
        throw Refusal(RefusalKind::refused,
                      "spare " + spare.name + " has logical blocks of " +
                          bytes(spare.logical_block) + ", main " + main.name + " of " +
                          bytes(main.logical_block) +
                          ", and the spare's must not be larger: give a spare with smaller ones, "
                          "or an image file");
}

}  // namespace dmremap
