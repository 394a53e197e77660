// SPDX-License-Identifier: GPL-2.0-or-later
// One open of a control file. Reading at 0 takes a picture of the file, which the reads behind it
// go on with, as in sysfs. After a message it reads as the answer from where the write ended, for
// who goes on reading there. From 0 it reads as the answer, too, where that is what the file is for
// (control/message), and else as the file again.
//
// Shared between the open file and a message under way: the writer may be killed and its file be
// closed before the answer comes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "fuse/control_reading.h"

namespace dmremap {

class ControlHandle {
public:
    using Open = std::function<std::unique_ptr<ControlReading>()>;

    explicit ControlHandle(Open open) : open_(std::move(open)) {}

    // Throws bad_alloc.
    std::string read(std::uint64_t offset, std::size_t size) {
        std::shared_ptr<ControlReading> reading;
        {
            const std::lock_guard lock(mutex_);
            if (offset < begin_) {  // who seeks back means the beginning
                begin_ = 0;
                answered_ = answered_ && answer_stays_;
                if (!answered_) reading_ = nullptr;
            }
            offset -= begin_;
            if (!answered_ && (offset == 0 || !reading_)) reading_ = open_();
            reading = reading_;
        }
        return reading->read(offset, size);
    }

    // `stays`: from 0 the file reads as the answer, too. Throws bad_alloc.
    void answer(std::string text, std::uint64_t write_end, bool stays) {
        const std::lock_guard lock(mutex_);
        reading_ = std::make_shared<TextReading>(std::move(text));
        answered_ = true;
        answer_stays_ = stays;
        begin_ = write_end;
    }

    // Whether the file, now of this version, reads differently from what was read here.
    bool changed(std::uint64_t version) const {
        const std::lock_guard lock(mutex_);
        return !reading_ || reading_->version() != version;
    }

private:
    const Open open_;
    mutable std::mutex mutex_;
    std::shared_ptr<ControlReading> reading_;
    bool answered_ = false, answer_stays_ = false;
    std::uint64_t begin_ = 0;  // the offset that reads the first byte
};

}  // namespace dmremap
