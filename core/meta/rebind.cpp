// SPDX-License-Identifier: GPL-2.0-or-later
// One update of the superblock, which opens the same way before and after: no order of writes but
// that of its copies (superblock_store.h). The in-use mark stays, so that an opener still recovers.
#include "core/meta/rebind.h"

#include <cstring>

#include "core/meta/opening_checks.h"
#include "core/meta/superblock_store.h"
#include "core/meta/witness.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

// All that force would pass over, so that who forces has read it.
std::string objections(Device& main, const Device& spare, const dmr_superblock& sb,
                       const Rebound& rebound) {
    std::string text;
    const WitnessResult witness = check_witness(main, sb);
    const std::string& name = main.info().name;
    if (witness.checked == 0) {
        text = name +
               ": there is no witness to prove that it is the same data (the pair was not closed "
               "cleanly, or never mounted); ";
    } else if (!witness.proves()) {
        text = name + " was written while detached: " + std::to_string(witness.different) + " of " +
               std::to_string(witness.checked) + " witness blocks differ; ";
    }
    if (!rebound.spare.empty()) {
        text += spare.info().name + " is not the spare that was used last (" + rebound.spare +
                "): a copy of a spare may be old, and old remaps are wrong data; ";
    }
    return text;
}

}  // namespace

Rebound rebind_spare(Device& main, Device& spare, const RebindOptions& options) {
    const SuperblockScan scan = scan_superblocks(spare);
    dmr_superblock sb = require_superblock(scan, spare, &main);
    require_geometry(sb, main, spare, true);
    require_not_in_use(sb, spare, options.take_over, "--take-over");
    const Rebound rebound{compare_main(sb, main).difference, compare_spare(sb, spare).difference};
    if (rebound.main.empty() && rebound.spare.empty()) {
        return rebound;
    }
    const std::string against = objections(main, spare, sb, rebound);
    if (!against.empty() && !options.force) {
        throw Refusal(RefusalKind::refused, against + "if you know that it is right: --force");
    }
    // Of the one that passes nothing is taken away.
    if (!rebound.main.empty()) {
        set_main_identity(sb, main.info().identity);
    }
    if (!rebound.spare.empty()) {
        set_spare_identity(sb, spare.info().identity);
    }
    require_sequences(sb, 0, spare);
    SuperblockStore store(spare, scan);
    if (const int error = store.write(sb, store.opening_skip()); error != 0) {
        throw Refusal(
            RefusalKind::system,
            spare.info().name + ": the superblock cannot be written: " + std::strerror(error));
    }
    return rebound;
}

}  // namespace dmremap
