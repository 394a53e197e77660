// SPDX-License-Identifier: GPL-2.0-or-later
// Who a device is: facts that tell it from every other device of the same size.
//
// The canonical text is "key=value\n" lines in ascending order of keys, at most 639 bytes, values
// without newline. Keys:
//   size        bytes, decimal (always)
//   wwn serial partuuid dmuuid mduuid          strong facts of block devices; wwn and serial of a
//                                               partition are its disk's
//   fs inode birth                              of images: host file system's UUID, inode,
//                                               birth time as seconds.nanoseconds
//   offset      when not 0: of a loop device into its backing file, so that an image and a loop
//               device over it are the same; of a partition into its disk, since partitions share
//               their disk's serial
//
// Inode and birth time agreeing is a strong fact also where the host file system's UUID is not
// known on both sides (old kernels tell it to root only): no other file was born under the same
// number in the same nanosecond, and a copy of the whole file system copies its UUID, too. Inode
// numbers of FAT, exFAT and FUSE are made up at every mount and left out.
// The digest is SHA-256 over the text without any terminator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dmremap {

constexpr std::size_t kIdentityTextMax = 639;  // bytes

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(const std::string& text);  // OpenSSL EVP; throws Refusal(system)

struct Identity {
    std::string text;  // canonical, see above
    Digest digest{};
};

// The identity of an opened device or image, found from its descriptor. Facts that cannot be found
// are left out. Throws Refusal(system) only when the descriptor itself cannot be examined.
Identity identify(int fd, std::uint64_t size);

// A partition's UUID is a strong fact only as long as no other one was recorded: it lies on the
// disk, so that a copy has it, too.
enum class Match {
    same,          // all shared facts equal, with one strong fact among them
    only_serials,  // the size and nothing stronger contradicts: differs in wwn or serial alone
    different,     // anything else
    unproven,      // nothing contradicts, but what was recorded as proof is not shown
    weak,          // no strong fact was ever recorded; all that was agrees, and is shown (but for
                   // the host file system's UUID, which not everybody is told)
};

struct Comparison {
    Match match;
    std::string difference;  // e.g. "serial was WD-123, is WD-456"; "" when it passes

    // May it be taken for the recorded device?
    bool passes() const { return match == Match::same || match == Match::weak; }
};

Comparison compare_identity(const std::string& recorded_text, const Identity& found);

// What to record of a device that was taken for the recorded one: all that is known of it. A strong
// fact that is not shown any more stays, or another device could do without it from then on.
std::string united_identity(const std::string& recorded_text, const Identity& found);

}  // namespace dmremap
