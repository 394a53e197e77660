// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/metadata_read.h"

#include <cstring>

#include "core/device/patience.h"
#include "core/refusal.h"

namespace dmremap {

int read_metadata(Device& spare, std::uint64_t offset, void* data, std::uint64_t length) {
    return patiently([&] { return spare.read(offset, data, length); });
}

void refuse_unread(const Device& spare, const std::string& what, int error) {
    throw Refusal(RefusalKind::system,
                  spare.info().name + ": " + what +
                      " cannot be read just now, and may be the newest; nothing was changed; see "
                      "that the device is there and the machine has memory, and try again: " +
                      std::strerror(error));
}

}  // namespace dmremap
