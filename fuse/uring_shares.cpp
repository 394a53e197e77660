// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_shares.h"

namespace dmremap {

UringShares::UringShares(std::size_t queues, std::size_t loops) : queues_(queues) {
    for (Queue& queue : queues_) queue.resize(loops);
}

void UringShares::join(std::uint16_t queue, std::size_t loop) {
    std::unique_ptr<Share>& share = queues_[queue][loop];
    if (share) return;
    share = std::make_unique<Share>();
    share->seen.resize(queues_[queue].size());
}

void UringShares::came(std::uint16_t queue, std::size_t loop) {
    std::atomic<std::uint64_t>& count = queues_[queue][loop]->came;
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::size_t UringShares::heir(std::uint16_t queue, std::size_t loop) {
    const Queue& shares = queues_[queue];
    Share& mine = *shares[loop];
    const std::uint64_t count = mine.came.load(std::memory_order_relaxed);
    if (count - mine.looked < kLook) return loop;
    mine.looked = count;
    std::size_t heir = loop;
    for (std::size_t other = 0; other < shares.size(); other++) {
        if (other == loop || !shares[other]) continue;
        const std::uint64_t now = shares[other]->came.load(std::memory_order_relaxed);
        if (now == mine.seen[other] && heir == loop) heir = other;
        mine.seen[other] = now;
    }
    return heir;
}

}  // namespace dmremap
