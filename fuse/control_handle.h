// SPDX-License-Identifier: GPL-2.0-or-later
// One open of a control file. It reads as the file was when it was opened, and after a message as
// the answer: from where the write ended, for who goes on reading there, or from 0.
//
// Shared between the open file and a message under way: the writer may be killed and its file be
// closed before the answer comes.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "fuse/control_reading.h"

namespace dmremap {

class ControlHandle {
public:
    explicit ControlHandle(std::unique_ptr<ControlReading> reading)
        : reading_(std::move(reading)) {}

    std::string read(std::uint64_t offset, std::size_t size) {
        std::shared_ptr<ControlReading> reading;
        {
            const std::lock_guard lock(mutex_);
            if (offset < begin_) begin_ = 0;  // who seeks back means the beginning
            offset -= begin_;
            reading = reading_;
        }
        return reading->read(offset, size);
    }

    void answer(std::string text, std::uint64_t write_end) {
        const std::lock_guard lock(mutex_);
        reading_ = std::make_shared<TextReading>(std::move(text));
        begin_ = write_end;
    }

private:
    std::mutex mutex_;
    std::shared_ptr<ControlReading> reading_;
    std::uint64_t begin_ = 0;  // the offset that reads the first byte
};

}  // namespace dmremap
