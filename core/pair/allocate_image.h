// SPDX-License-Identifier: GPL-2.0-or-later
// Gives a spare image all the space of its size. A sparse one would find its file system full at
// the moment a block has to be saved.
#pragma once

#include <string>

#include "core/device/device_facts.h"

namespace dmremap {

// Allocates what the image lacks; its content and its size stay as they are. Does nothing for a
// block device. Throws Refusal: (refused) the file system has not enough space or quota, and then
// nothing was allocated where that could be foreseen; (system) otherwise. Returns "", or a note
// for the user where the file system cannot allocate ahead.
//
// Opens and closes it by itself: the locks of who holds the image belong to their open file
// description and survive that.
std::string allocate_image(const FoundDevice& image);

}  // namespace dmremap
