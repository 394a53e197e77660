// SPDX-License-Identifier: GPL-2.0-or-later
// How the cold paths (opening, formatting, parsing) say no.
//
// The data path never throws: it returns 0 or an errno. Everything that happens before data flows
// throws a Refusal, whose text is one sentence for the user: what was refused, what was found, what
// to do. Programs map the kind to their exit codes.
#pragma once

#include <stdexcept>
#include <string>

namespace dmremap {

enum class RefusalKind {
    refused,    // the facts are against it: wrong pair, damaged metadata, foreign content
    busy,       // somebody else has it now; the same call may succeed later
    not_found,  // there is no such device or file
    usage,      // the caller's words are wrong
    system,     // the operating system failed; the text ends with its reason
};

class Refusal : public std::runtime_error {
public:
    Refusal(RefusalKind kind, const std::string& sentence)
        : std::runtime_error(sentence), kind_(kind) {}
    RefusalKind kind() const { return kind_; }

private:
    RefusalKind kind_;
};

}  // namespace dmremap
