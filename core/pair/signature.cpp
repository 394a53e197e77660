// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/signature.h"

#include <blkid/blkid.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "core/device/patience.h"
#include "core/device/unique_fd.h"
#include "core/format.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

std::string value(blkid_probe probe, const char* name) {
    const char* found = nullptr;
    return blkid_probe_lookup_value(probe, name, &found, nullptr) == 0 && found ? found : "";
}

// What the current step of the probe has found.
std::string words(blkid_probe probe) {
    const std::string table = value(probe, "PTTYPE");
    if (!table.empty()) return table + " partition table";
    std::string text = value(probe, "TYPE");
    if (text.empty()) return "";
    if (value(probe, "USAGE") == "filesystem") text += " file system";
    const std::string label = value(probe, "LABEL");
    if (!label.empty()) text += " labelled \"" + label + "\"";
    return text;
}

// Each signature by itself, as wipefs does it: the usual, safe probe calls a device on which
// several are found ambivalent and names none.
std::string all_words(blkid_probe probe, const std::string& name) {
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe,
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe, 1);
    std::string all;
    int step;
    while ((step = blkid_do_probe(probe)) == 0) {
        const std::string found = words(probe);
        if (!found.empty()) all += (all.empty() ? "" : ", ") + found;
    }
    if (step < 0)
        throw Refusal(RefusalKind::system,
                      name + " cannot be read to look for file systems: " + std::strerror(errno));
    return all;
}

Refusal cannot_look(const std::string& name) {
    return Refusal(RefusalKind::system,
                   name + " cannot be looked at for file systems: " + std::strerror(errno));
}

Probe probe_of(const FoundDevice& device) {
    errno = 0;
    Probe probe(blkid_new_probe_from_filename(device.held_path().c_str()), &blkid_free_probe);
    if (!probe) throw cannot_look(device.name());
    return probe;
}

// [offset, offset + length) of the spare into the file, by logical block where it must be. False:
// errno says why; an error of the medium is none.
bool copy_range(Device& spare, int file, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> data(length);
    if (spare.read(offset, data.data(), length) != 0) {
        const std::uint64_t grain = spare.info().logical_block;
        for (std::uint64_t at = 0; at < length; at += grain) {
            errno = patiently([&] { return spare.read(offset + at, data.data() + at, grain); });
            if (errno != 0 && classify(errno) != ErrorClass::medium) return false;
            if (errno != 0)
                std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(at), grain, std::byte{0});
        }
    }
    return pwrite(file, data.data(), length, static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(length);
}

}  // namespace

std::string foreign_content(const FoundDevice& device) {
    return all_words(probe_of(device).get(), device.name());
}

std::vector<Partition> partitions(const FoundDevice& device) {
    const Probe probe = probe_of(device);
    blkid_probe_enable_partitions(probe.get(), 1);
    std::vector<Partition> found;
    const blkid_partlist list = blkid_probe_get_partitions(probe.get());
    const int count = list ? blkid_partlist_numof_partitions(list) : 0;
    for (int i = 0; i < count; i++) {
        const blkid_partition part = blkid_partlist_get_partition(list, i);
        const blkid_loff_t start = blkid_partition_get_start(part);
        const blkid_loff_t size = blkid_partition_get_size(part);  // both in sectors of 512 bytes
        if (!blkid_partition_is_extended(part) && start >= 0 && size > 0)
            found.push_back({.number = blkid_partition_get_partno(part),
                             .begin = static_cast<std::uint64_t>(start) * 512,
                             .size = static_cast<std::uint64_t>(size) * 512});
    }
    return found;
}

// libblkid sees a file of the spare's size that holds the edges alone: so it finds nothing in
// slots, and no bad sector keeps it from looking at the rest.
std::string foreign_at_the_edges(Device& spare) {
    const DeviceInfo& info = spare.info();
    if (info.size < DMR_SPARE_MIN) return "";  // no spare, which others say
    const UniqueFd edges(memfd_create("edges of a spare", MFD_CLOEXEC));
    if (edges.get() < 0 || ftruncate(edges.get(), static_cast<off_t>(info.size)) != 0 ||
        !copy_range(spare, edges.get(), 0, DMR_EDGE) ||
        !copy_range(spare, edges.get(), info.size - DMR_EDGE, DMR_EDGE))
        throw cannot_look(info.name);
    const Probe probe(blkid_new_probe(), &blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), edges.get(), 0, 0) != 0)
        throw cannot_look(info.name);
    blkid_probe_set_sectorsize(probe.get(), info.logical_block);
    return all_words(probe.get(), info.name);
}

std::string overwritten_sentence(Device& spare) {
    const std::string found = foreign_at_the_edges(spare);
    if (found.empty()) return "";
    return spare.info().name + " holds " + found +
           ", made over it since it became a spare: nobody can say which slots that has "
           "overwritten. "
           "What is left is read with: -o ro,rescue. Only if you know that no slot was touched, "
           "take "
           "the signature away with wipefs, run dmremapctl check, and mount again";
}

}  // namespace dmremap
