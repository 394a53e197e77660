// SPDX-License-Identifier: GPL-2.0-or-later
// The table of verbs: a new one is a file and a line here.
#include <algorithm>

#include "ctl/verb.h"

namespace dmremap::ctl {

extern const Verb format_verb;
extern const Verb examine_verb;
extern const Verb check_verb;
extern const Verb list_verb;
extern const Verb status_verb;
extern const Verb health_verb;
extern const Verb stats_verb;
extern const Verb metrics_verb;
extern const Verb events_verb;
extern const Verb map_verb;
extern const Verb watch_verb;
extern const Verb query_verb;
extern const Verb remap_verb;
extern const Verb unmap_verb;
extern const Verb salvage_verb;
extern const Verb scan_verb;
extern const Verb get_verb;
extern const Verb set_verb;
extern const Verb table_verb;
extern const Verb activate_verb;
extern const Verb stop_verb;
extern const Verb rebind_verb;

const std::vector<const Verb*>& all_verbs() {
    static const std::vector<const Verb*> verbs = {
        &format_verb, &examine_verb,  &check_verb,   &list_verb,   &status_verb, &health_verb,
        &stats_verb,  &metrics_verb,  &events_verb,  &map_verb,    &watch_verb,  &query_verb,
        &remap_verb,  &unmap_verb,    &salvage_verb, &scan_verb,   &get_verb,    &set_verb,
        &table_verb,  &activate_verb, &stop_verb,    &rebind_verb,
    };
    return verbs;
}

const Verb* find_verb(std::string_view name) {
    const auto& verbs = all_verbs();
    const auto found = std::find_if(verbs.begin(), verbs.end(),
                                    [name](const Verb* verb) { return verb->name == name; });
    return found == verbs.end() ? nullptr : *found;
}

}  // namespace dmremap::ctl
