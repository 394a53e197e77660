// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/metadata_read.h"

#include <cstring>

#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr int kTries = 3;

}  // namespace

int read_metadata(Device& spare, std::uint64_t offset, void* data, std::uint64_t length) {
    int error = 0;
    for (int tried = 0; tried < kTries; tried++) {
        error = spare.read(offset, data, length);
        if (error == 0 || is_damage(error) || classify(error) == ErrorClass::gone) {
            break;
        }
    }
    return error;
}

void refuse_unread(const Device& spare, const std::string& what, int error) {
    throw Refusal(RefusalKind::system,
                  spare.info().name + ": " + what +
                      " cannot be read just now, and may be the newest; nothing was changed; see "
                      "that the device is there and the machine has memory, and try again: " +
                      std::strerror(error));
}

}  // namespace dmremap
