// SPDX-License-Identifier: GPL-2.0-or-later
// A SpareReport for machines and for people. Pure: both depend on the report alone.
#pragma once

#include <string>

#include "core/meta/examine.h"
#include "core/pair/holder.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

// The schema is in dmremapctl.8; "superblock" and "table" are null without a valid superblock.
Json to_json(const SpareReport& report);
Json to_json(const dmr_superblock& superblock);
Json to_json(const TableReport& table);

// `holder` is who has the in-use mark, in words; "" where there is no mark.
std::string report_text(const SpareReport& report, const std::string& name,
                        const std::string& holder);

Holder recorded_holder(const dmr_superblock& superblock);  // valid with DMR_IN_USE
const char* holder_verdict_name(HolderVerdict verdict);    // stable: "verdict" of JSON
std::string holder_text(const dmr_superblock& superblock, HolderVerdict verdict);

// "key=value\n" lines of an identity as "key=value, key=value".
std::string identity_line(const std::string& canonical);

}  // namespace dmremap::ctl
