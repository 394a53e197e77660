// SPDX-License-Identifier: GPL-2.0-or-later
// Each fact has sources in a fixed order, so that the same machine says the same every time. What
// the kernel says comes before what udev wrote down, and reading the disk (libblkid) comes last:
// main is a failing disk.
#include "core/pair/identity_facts.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <optional>

#include "core/device/kernel_text.h"
#include "core/device/unique_fd.h"

namespace dmremap {

namespace {

using Fact = std::optional<std::string>;

// Ten values of this length and their keys still fit into the superblock's 639 bytes.
constexpr std::size_t kValueMax = 48;
constexpr std::size_t kNameMax = 100;

// From linux/fs.h since 6.9, and ext4's own since 6.0; older headers have neither.
struct FsUuid {
    std::uint8_t length;
    std::uint8_t uuid[16];
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, FsUuid);
struct Ext4Uuid {
    std::uint32_t length;
    std::uint32_t flags;
    std::uint8_t uuid[16];
};
constexpr unsigned long kExt4GetUuid = _IOC(_IOC_READ, 'f', 44, 2 * sizeof(std::uint32_t));

std::string uuid_text(const std::uint8_t* uuid, std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof(digits), "%02x", uuid[i]);
        if (length == 16 && (i == 4 || i == 6 || i == 8 || i == 10)) text += '-';
        text += digits;
    }
    return text;
}

// One line of printable characters, blanks at the ends and doubled ones removed; nothing if that
// leaves nothing, or only zeros (what cheap bridges say instead of a serial).
Fact clean(const Fact& raw, std::size_t longest = kNameMax) {
    if (!raw) return std::nullopt;
    std::string text;
    for (const char c : *raw) {
        const bool blank = c == ' ' || !std::isprint(static_cast<unsigned char>(c));
        if (!blank)
            text += c;
        else if (!text.empty() && text.back() != ' ')
            text += ' ';
    }
    if (text.size() > longest) text.resize(longest);
    while (!text.empty() && text.back() == ' ') text.pop_back();
    if (text.find_first_not_of("0 ") == std::string::npos) return std::nullopt;
    return text;
}

Fact lower(Fact text) {
    if (text)
        std::transform(text->begin(), text->end(), text->begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

void add(IdentityFacts& facts, const std::string& key, std::initializer_list<Fact> sources) {
    for (const Fact& source : sources)
        if (source) {
            facts[key] = *source;
            return;
        }
}

using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

// One value that libblkid finds on a block device; `prepare` says where it looks.
Fact blkid_value(dev_t rdev, const char* name, void (*prepare)(blkid_probe)) {
    const std::string node = device_node(rdev);
    if (node.empty()) return std::nullopt;
    const Probe probe(blkid_new_probe_from_filename(node.c_str()), &blkid_free_probe);
    if (!probe) return std::nullopt;
    prepare(probe.get());
    const char* value = nullptr;
    if (blkid_do_fullprobe(probe.get()) != 0 ||
        blkid_probe_lookup_value(probe.get(), name, &value, nullptr) != 0)
        return std::nullopt;
    return value;
}

void look_for_file_system(blkid_probe probe) {
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_UUID);
}

void look_for_partition(blkid_probe probe) {
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
}

Fact file_system_uuid(int fd, dev_t dev) {
    FsUuid any{};
    if (::ioctl(fd, kGetFsUuid, &any) == 0 && any.length > 0 && any.length <= 16)
        return uuid_text(any.uuid, any.length);
    Ext4Uuid ext4{.length = 16, .flags = 0, .uuid = {}};
    if (::ioctl(fd, kExt4GetUuid, &ext4) == 0 && ext4.length == 16) return uuid_text(ext4.uuid, 16);
    if (const Fact told = clean(udev_value(dev, "ID_FS_UUID"), kValueMax)) return lower(told);
    return lower(clean(blkid_value(dev, "UUID", &look_for_file_system), kValueMax));
}

bool inodes_are_stable(int fd) {
    constexpr long kExfatMagic = 0x2011BAB0, kFuseMagic = 0x65735546;
    struct statfs fs;
    return ::fstatfs(fd, &fs) == 0 && fs.f_type != MSDOS_SUPER_MAGIC && fs.f_type != kExfatMagic &&
           fs.f_type != kFuseMagic;
}

// VPD page 0x80: a header of four bytes, then the serial.
Fact scsi_serial(const std::string& sysfs) {
    const Fact page = read_text(sysfs + "/device/vpd_pg80");
    if (!page || page->size() <= 4) return std::nullopt;
    return page->substr(4);
}

// "naa.5000c500a1b2c3d4" is what udev writes as "0x5000c500a1b2c3d4".
Fact world_wide_name(Fact text) {
    text = lower(clean(text));
    if (text && text->compare(0, 4, "naa.") == 0) text->replace(0, 4, "0x");
    return text;
}

// RAID UUIDs are written with dashes by the kernel, with colons by mdadm.
Fact hex_only(Fact text) {
    text = lower(clean(text));
    if (text)
        text->erase(std::remove_if(text->begin(), text->end(),
                                   [](unsigned char c) { return !std::isxdigit(c); }),
                    text->end());
    return text;
}

Fact partition_uuid(const DeviceFacts& device) {
    if (const Fact told = clean(uevent_value(device.sysfs, "PARTUUID"), kValueMax))
        return lower(told);
    if (const Fact told = clean(udev_value(device.rdev, "ID_PART_ENTRY_UUID"), kValueMax))
        return lower(told);
    return lower(
        clean(blkid_value(device.rdev, "PART_ENTRY_UUID", &look_for_partition), kValueMax));
}

void add_hardware_facts(const DeviceFacts& device, IdentityFacts& facts) {
    const std::string& disk = device.disk_sysfs;
    if (disk.empty()) return;
    add(facts, "wwn",
        {world_wide_name(read_text(disk + "/wwid")),
         world_wide_name(read_text(disk + "/device/wwid")),
         world_wide_name(udev_value(device.disk, "ID_WWN_WITH_EXTENSION")),
         world_wide_name(udev_value(device.disk, "ID_WWN"))});
    add(facts, "serial",
        {clean(read_text(disk + "/serial")), clean(read_text(disk + "/device/serial")),
         clean(scsi_serial(disk)), clean(udev_value(device.disk, "ID_SERIAL_SHORT"))});
    add(facts, "dmuuid", {clean(read_text(disk + "/dm/uuid"))});
    add(facts, "mduuid",
        {hex_only(read_text(disk + "/md/uuid")), hex_only(udev_value(device.disk, "MD_UUID"))});
}

// The file is trusted only if it is the very one the driver has.
void add_backing_facts(const LoopBacking& backing, IdentityFacts& facts) {
    const UniqueFd fd(::open(backing.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat st;
    if (fd && ::fstat(fd.get(), &st) == 0 && st.st_dev == backing.dev && st.st_ino == backing.inode)
        add_image_facts(fd.get(), facts);
}

// Down to what carries the bytes, and how far into that they begin. What is nearer to the device is
// said last, and so overrides.
std::uint64_t add_layers(const DeviceFacts& device, IdentityFacts& facts) {
    std::uint64_t offset = device.start;
    if (device.backing && device.backing->known) {
        offset += device.backing->offset;
        if (device.backing->rdev == 0)
            add_backing_facts(*device.backing, facts);
        else
            offset += add_layers(facts_of_block(device.backing->rdev), facts);
    } else {
        add_hardware_facts(device, facts);
    }
    if (device.partition())
        if (const Fact uuid = partition_uuid(device)) facts["partuuid"] = *uuid;
    return offset;
}

}  // namespace

void add_image_facts(int fd, IdentityFacts& facts) {
    struct stat st;
    if (::fstat(fd, &st) != 0) return;
    if (const Fact fs = file_system_uuid(fd, st.st_dev)) facts["fs"] = *fs;
    if (inodes_are_stable(fd)) facts["inode"] = std::to_string(st.st_ino);
    struct statx extended {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &extended) == 0 &&
        (extended.stx_mask & STATX_BTIME) != 0) {
        char birth[40];
        std::snprintf(birth, sizeof(birth), "%lld.%09u",
                      static_cast<long long>(extended.stx_btime.tv_sec),
                      extended.stx_btime.tv_nsec);
        facts["birth"] = birth;
    }
}

void add_block_facts(const DeviceFacts& device, IdentityFacts& facts) {
    const std::uint64_t offset = add_layers(device, facts);
    if (offset != 0) facts["offset"] = std::to_string(offset);
}

}  // namespace dmremap
