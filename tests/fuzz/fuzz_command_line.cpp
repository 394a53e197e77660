// SPDX-License-Identifier: GPL-2.0-or-later
// Any words as the command line of the programs: the first line names one (mount.dmremapfs,
// dmremapfs, or a verb of dmremapctl), the others are its words.
//
// Proves: whatever the words, they are refused as wrong usage with a sentence, or what comes out
// keeps what the options promise; a list of options written with the escapes of -o comes back as
// it was.
// Does not prove: that an option does what it says.
#include <cstdint>
#include <string>
#include <vector>

#include "core/refusal.h"
#include "ctl/arguments.h"
#include "ctl/verb.h"
#include "fuse/mount_options.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/words.h"

namespace dmremap::fuzz {

namespace {

void check_options(const MountOptions& options) {
    if (options.help || options.version) return;
    check(!options.main.empty() && !options.mountpoint.empty(), "something is missing");
    check(options.demo_size.has_value() != !options.spare.empty(), "no spare, or two");
    check(!options.rescue || options.read_only, "rescue without ro");
    check(options.max_threads >= 1 && options.max_threads <= 1024, "threads");
    check(!options.demo_size || (*options.demo_size % 4096 == 0 && *options.demo_size >= 16u << 20),
          "demo's size");
    check(!options.image.empty() && options.image.find('/') == std::string::npos &&
              options.image != "." && options.image != "..",
          "the image's name");
    // They go on to libfuse, where an unknown word fails the mount with its own message.
    for (const std::string& word : options.kernel_options)
        check(!word.empty() && word.find('=') != 0, "a word that is none goes to the kernel");
}

void mount_words(const std::vector<std::string>& words) {
    std::vector<const char*> argv;
    argv.reserve(words.size() + 1);
    for (const std::string& word : words) argv.push_back(word.c_str());
    argv.push_back(nullptr);
    try {
        check_options(parse_mount_options(static_cast<int>(words.size()), argv.data()));
    } catch (const Refusal& refusal) {
        check(refusal.kind() == RefusalKind::usage && refusal.what()[0] != 0, "not a usage error");
    }
}

// Commas and backslashes inside a word are escaped; a double quote has a meaning of its own.
void option_list(const std::vector<std::string>& words) {
    std::string list;
    std::vector<std::string> expected;
    for (const std::string& word : words) {
        if (word.empty() || word.find('"') != std::string::npos) continue;
        expected.push_back(word);
        if (!list.empty()) list += ',';
        for (const char c : word)
            list += c == ',' || c == '\\' ? std::string{'\\', c} : std::string{c};
    }
    check(split_options(list) == expected, "an escaped list came back otherwise: " + list);
}

void verb_words(const ctl::Verb& verb, const std::vector<std::string>& words) {
    try {
        const ctl::Arguments arguments = ctl::Arguments::parse(verb, words);
        const std::size_t operands = arguments.operands().size();
        check(operands >= verb.operands_min && operands <= verb.operands_max, "operands");
        for (const std::string& operand : arguments.operands())
            check(!operand.empty(), "an empty operand");
    } catch (const Refusal& refusal) {
        check(refusal.kind() == RefusalKind::usage && refusal.what()[0] != 0, "not a usage error");
    }
}

}  // namespace

void one_input(Input& input) {
    std::vector<std::string> words = words_of(input.rest());
    if (words.empty()) return;
    if (const ctl::Verb* const verb = ctl::find_verb(words.front())) {
        words.erase(words.begin());
        verb_words(*verb, words);
        ctl::mentions(words, "--json");
        return;
    }
    mount_words(words);
    option_list(words);
}

}  // namespace dmremap::fuzz
