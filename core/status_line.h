// SPDX-License-Identifier: GPL-2.0-or-later
// The status line, word for word what the kernel target prints (`dmsetup status`):
//
//   0 <sectors> dm-remap-v4 v4.0-real <main> <spare> <reads> <writes> <remaps> <errors>
//       <active_mappings> <io_ops> <total_time_ns> real
//
// reads and writes are requests that ended, well or not; zeroing is writing zeros and counts as a
// write; io_ops is their sum and total_time_ns the time from submission to completion of these.
// remaps are those made since open, errors the calls that main or the spare failed. The last word
// is "demo" when the devices are memory. No newline at the end.
#pragma once

#include <string>

#include "core/disk.h"

namespace dmremap {

std::string status_line(const DiskStatus& status, bool demo);

}  // namespace dmremap
