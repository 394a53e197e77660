// SPDX-License-Identifier: GPL-2.0-or-later
// The CRC of the format, with the processor's instruction where there is one: of the time to open a
// small pair, the core's portable one takes more than half, and here that is done a million times.
// The linker puts this in its place (--wrap); it is compared with the core's at the first call.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/format.h"

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
__u32 __real_dmr_crc32c(__u32 seed, const void* data, std::size_t length);
__u32 __wrap_dmr_crc32c(__u32 seed, const void* data, std::size_t length);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) __u32 with_instruction(__u32 seed, const void* data,
                                                         std::size_t length) {
    std::uint64_t crc = seed;
    const auto* at = static_cast<const unsigned char*>(data);
    for (; length >= 8; length -= 8, at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof(word));
        crc = __builtin_ia32_crc32di(crc, word);
    }
    auto rest = static_cast<__u32>(crc);
    for (; length != 0; --length) rest = __builtin_ia32_crc32qi(rest, *at++);
    return rest;
}

bool usable() {
    if (__builtin_cpu_supports("sse4.2") == 0) return false;
    const char text[] = "what the two must agree on, of any length";
    for (std::size_t n = 0; n < sizeof(text); ++n)
        if (with_instruction(0x12345678, text, n) != __real_dmr_crc32c(0x12345678, text, n))
            std::abort();
    return true;
}
#endif

}  // namespace

__u32 __wrap_dmr_crc32c(__u32 seed, const void* data, std::size_t length) {
#if defined(__x86_64__)
    static const bool fast = usable();
    if (fast) return with_instruction(seed, data, length);
#endif
    return __real_dmr_crc32c(seed, data, length);
}
