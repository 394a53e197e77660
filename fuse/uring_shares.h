// SPDX-License-Identifier: GPL-2.0-or-later
// Which loops the requests of a queue come to (uring_server.h says whose its entries are).
//
// The kernel takes the entry that came back last. So as many requests as a program has at once keep
// to as many entries for ever, and whose those are is chance: the order in which the last ones of a
// deeper queue came back. Where all are one loop's, that loop copies the data of all, one after the
// other, while the others wait for nothing.
//
// So a loop that has answered a long request, and sees that further ones have waited for it, looks,
// every kLook requests, for a loop of the queue that none has come to since it looked last, and
// gives that one the entry. The kernel allows it: it sends the next request where the answer came
// from. Then the other one is where the requests come, and is passed over no more; so there are a
// few gifts after a change of load, and none in between. Nobody gives its only request's entry, for
// then nothing waits behind it.
//
// Measured on two processors, other work beside, four requests of 1 MiB at once right after 4 KiB
// at depth 16, medians of nine interleaved rounds against /dev/fuse: reads 1.04, writes 0.99;
// without gifts 0.93 and 0.84 (reads 0.68 to 0.93 by run), and mostly two loops or one did
// everything. The bound of a long request is chosen, not measured: with 4 KiB, four at once, gifts
// neither gained nor lost more than the spread.
//
// Loops go by their number.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace dmremap {

class UringShares {
public:
    static constexpr unsigned kLook = 32;
    static constexpr std::size_t kLong = 32 * 1024;  // bytes of a request that gives its entry away

    // Throws bad_alloc.
    UringShares(std::size_t queues, std::size_t loops);

    // This loop has entries of this queue. Before any thread runs. Throws bad_alloc.
    void join(std::uint16_t queue, std::size_t loop);

    // Both on the thread of a loop that has joined the queue: a request has come to it; and whose
    // the entry of a long one, behind which others wait, is from now on. Mostly the loop itself.
    void came(std::uint16_t queue, std::size_t loop);
    std::size_t heir(std::uint16_t queue, std::size_t loop);

private:
    struct alignas(64) Share {
        std::atomic<std::uint64_t> came{0};  // its loop writes it, the others read it
        std::uint64_t looked = 0;            // its loop alone: `came`, when it looked last
        std::vector<std::uint64_t> seen;     // likewise: of each loop, then
    };
    // By loop; null where it has not joined.
    using Queue = std::vector<std::unique_ptr<Share>>;

    std::vector<Queue> queues_;
};

}  // namespace dmremap
