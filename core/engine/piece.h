// SPDX-License-Identifier: GPL-2.0-or-later
// The part of a request that lies in one region, and all it needs on its way: the engine's own
// state inside a Request, so that the healthy path allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/device/device.h"

namespace dmremap {

struct Request;
struct RunSet;  // the runs of a piece that remaps cut in several

struct Piece {
    Piece();
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
    ~Piece();

    Request* request = nullptr;
    void* disk = nullptr;
    Op op = Op::read;
    std::uint64_t offset = 0;   // bytes of main
    std::uint64_t length = 0;   // bytes; not beyond the end of the region
    std::byte* data = nullptr;  // where this part of the request's data is

    Io io;                         // the run of a piece that lies in one stretch; main's flush,
    bool on_spare = false;         //   and where that run is
    Io spare_flush;                // beside main's
    std::unique_ptr<RunSet> runs;  // of a piece that remaps cut
    std::atomic<unsigned> outstanding{0};
    std::atomic<int> error{0};          // the first error of a run
    std::atomic<unsigned> handover{0};  // between submitter and completer, see disk_impl.cpp
    Piece* next = nullptr;              // in a gate's parking place or the healer's queue
    std::uint64_t started_ns = 0;
};

}  // namespace dmremap
