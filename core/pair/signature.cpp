// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/signature.h"

#include <blkid/blkid.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/refusal.h"

namespace dmremap {

namespace {

using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

std::string value(blkid_probe probe, const char* name) {
    const char* found = nullptr;
    return blkid_probe_lookup_value(probe, name, &found, nullptr) == 0 && found ? found : "";
}

// What the current step of the probe has found.
std::string words(blkid_probe probe) {
    const std::string table = value(probe, "PTTYPE");
    if (!table.empty()) return table + " partition table";
    std::string text = value(probe, "TYPE");
    if (text.empty()) return "";
    if (value(probe, "USAGE") == "filesystem") text += " file system";
    const std::string label = value(probe, "LABEL");
    if (!label.empty()) text += " labelled \"" + label + "\"";
    return text;
}

}  // namespace

// Each signature by itself, as wipefs does it: the usual, safe probe calls a device on which
// several are found ambivalent and names none.
std::string foreign_content(const std::string& path) {
    errno = 0;
    const Probe probe(blkid_new_probe_from_filename(path.c_str()), &blkid_free_probe);
    if (!probe)
        throw Refusal(RefusalKind::system,
                      path + " cannot be looked at for file systems: " + std::strerror(errno));
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(),
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe.get(), 1);
    std::string all;
    int step;
    while ((step = blkid_do_probe(probe.get())) == 0) {
        const std::string found = words(probe.get());
        if (!found.empty()) all += (all.empty() ? "" : ", ") + found;
    }
    if (step < 0)
        throw Refusal(RefusalKind::system,
                      path + " cannot be read to look for file systems: " + std::strerror(errno));
    return all;
}

}  // namespace dmremap
