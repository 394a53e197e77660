// SPDX-License-Identifier: GPL-2.0-or-later
// What an errno of a device means for healing (P6).
#pragma once

#include <cerrno>
#include <cstdint>

namespace dmremap {

enum class ErrorClass : std::uint8_t {
    none,
    medium,    // this place of the medium is bad: the only class that leads to relocation
    gone,      // the device is not there any more
    no_space,  // the file system under an image is full: no fault of the place
    resource,  // memory, descriptors, signals, anything else: retried, then returned
};

inline ErrorClass classify(int error) {
    switch (error) {
        case 0:
            return ErrorClass::none;
        case EIO:
        case ENODATA:
        case EILSEQ:
        case EREMOTEIO:
        case ETIMEDOUT:
            return ErrorClass::medium;
        case ENODEV:
        case ENXIO:
        case ENOMEDIUM:
        case ESHUTDOWN:
            return ErrorClass::gone;
        case ENOSPC:
        case EDQUOT:
            return ErrorClass::no_space;
        default:
            return ErrorClass::resource;
    }
}

}  // namespace dmremap
