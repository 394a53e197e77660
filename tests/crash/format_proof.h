// SPDX-License-Identifier: GPL-2.0-or-later
// Power cuts while a spare is formatted: on a blank one, over foreign bytes, and over a spare that
// lives and is to be destroyed.
//
// At each point what is left must be: the old spare, whole, with all that it holds; or no spare,
// which is refused as such and changes nothing; or the new one, which holds nothing, so that the
// disk is what main is. It is the new one once format has returned. In each case format must do it
// again, and that is itself cut at every point.
#pragma once

#include <ostream>
#include <string>

#include "tests/crash/proof.h"

namespace dmremap::test {

// "" or the first failure. At each point of a first format so many choices, by chance, or all if
// there are fewer. The summary goes to `out`.
std::string prove_format(const Profile& profile, std::uint64_t seed, std::size_t choices_a_point,
                         std::ostream& out);

}  // namespace dmremap::test
