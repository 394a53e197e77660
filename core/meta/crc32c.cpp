// SPDX-License-Identifier: GPL-2.0-or-later
// CRC32C as the kernel's crc32c() computes it: polynomial 0x1EDC6F41 reflected, the seed as it is,
// no inversion at the end. Boost's table-driven one is fast enough: it only ever sees metadata.
#include <boost/crc.hpp>

#include "core/format.h"

namespace {

// Boost keeps the remainder the other way round than it prints it.
std::uint32_t reversed(std::uint32_t x) {
    std::uint32_t r = 0;
    for (int i = 0; i < 32; i++) {
        r = (r << 1) | (x & 1);
        x >>= 1;
    }
    return r;
}

}  // namespace

extern "C" __u32 dmr_crc32c(__u32 seed, const void* data, std::size_t length) {
    boost::crc_optimal<32, 0x1EDC6F41, 0, 0, true, true> crc(reversed(seed));
    crc.process_bytes(data, length);
    return crc.checksum();
}
