// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/mount_options.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string_view>

#include "core/refusal.h"
#include "core/whole_number.h"

namespace dmremap {

namespace {

namespace po = boost::program_options;

constexpr std::uint64_t kDemoDefault = 64ull << 20;
constexpr std::uint64_t kDemoLeast = 16ull << 20;
constexpr std::uint64_t kDemoMost = 1ull << 40;
constexpr unsigned kThreadsMost = 1024;

[[noreturn]] void usage_error(const std::string& sentence) {
    throw Refusal(RefusalKind::usage, sentence);
}

// Words that libfuse (3.14 on) passes to mount(2) or to fusermount3.
constexpr std::array kPassedOn = {
    "suid",  "nosuid", "dev",     "nodev",   "exec",        "noexec",     "sync",
    "async", "atime",  "noatime", "dirsync", "allow_other", "allow_root",
};
constexpr std::array kPassedOnWithValue = {"context", "fscontext", "defcontext", "rootcontext"};

// Words for mount(8), systemd and fstab, and those that mean nothing here: the files have no access
// times of their own and hold no mandatory locks.
constexpr std::array kIgnored = {
    "auto",          "noauto",   "user",       "nouser",   "users",      "nousers",
    "owner",         "noowner",  "group",      "nogroup",  "defaults",   "_netdev",
    "nofail",        "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    "nostrictatime", "lazytime", "nolazytime", "mand",     "nomand",     "iversion",
    "noiversion",    "silent",   "loud",       "quiet",
};
constexpr std::array kIgnoredWithValue = {"comment", "user", "uhelper", "helper"};

constexpr std::array kLogLevels = {"trace", "debug", "info", "warning", "error", "critical", "off"};

template <typename Table>
bool contains(const Table& table, std::string_view word) {
    return std::find(table.begin(), table.end(), word) != table.end();
}

// A number of bytes with an optional K, M, G or T.
std::uint64_t parse_size(const std::string& name, const std::string& text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    unsigned shift = 0;
    bool good = error == std::errc() && end - rest <= 1;
    if (good && rest != end) {
        const auto unit = std::string_view("KMGT").find(static_cast<char>(*rest & ~0x20));
        good = unit != std::string_view::npos;
        if (good) shift = 10 * (static_cast<unsigned>(unit) + 1);
    }
    if (!good || number > std::numeric_limits<std::uint64_t>::max() >> shift)
        usage_error("option " + name + " takes a size such as 64M, not \"" + text + "\"");
    return number << shift;
}

std::uint64_t parse_demo_size(const std::string& text) {
    const std::uint64_t size = parse_size("demo", text);
    if (size < kDemoLeast || size > kDemoMost || size % 4096 != 0)
        usage_error("option demo takes a multiple of 4K from 16M to 1T, not \"" + text + "\"");
    return size;
}

unsigned parse_threads(const std::string& text) {
    const auto number = whole_number<unsigned>(text);
    if (!number || *number < 1 || *number > kThreadsMost)
        usage_error("option max_threads takes a number from 1 to 1024, not \"" + text + "\"");
    return *number;
}

Engine parse_engine(const std::string& text) {
    if (text == "auto") return Engine::automatic;
    if (text == "ring") return Engine::ring;
    if (text == "threads") return Engine::threads;
    usage_error("option engine is one of auto, ring, threads, not \"" + text + "\"");
}

IoUring parse_io_uring(const std::string& text) {
    if (text == "auto") return IoUring::automatic;
    if (text == "on") return IoUring::on;
    if (text == "off") return IoUring::off;
    usage_error("option io_uring is one of auto, on, off, not \"" + text + "\"");
}

std::string parse_image(const std::string& text) {
    if (text == "." || text == ".." || text == "control" || text.size() > 255 ||
        text.find('/') != std::string::npos)
        usage_error("option image takes a file name other than control, not \"" + text + "\"");
    return text;
}

// spdlog's own names and the short ones it also takes.
std::string parse_log_level(const std::string& text) {
    std::string level = text == "warn" ? "warning" : text == "err" ? "error" : text;
    if (!contains(kLogLevels, level))
        usage_error(
            "option log_level is one of trace, debug, info, warning, error, critical, off,"
            " not \"" +
            text + "\"");
    return level;
}

std::uint32_t parse_id(const std::string& name, const std::string& text) {
    const auto number = whole_number<std::uint32_t>(text);
    // The largest means "none" to the system.
    if (!number || *number == std::numeric_limits<std::uint32_t>::max())
        usage_error("option " + name + " takes a number, not \"" + text + "\"");
    return *number;
}

mode_t parse_umask(const std::string& text) {
    const auto mask = whole_number<mode_t>(text, 8);
    if (!mask || *mask > 0777)
        usage_error("option umask takes an octal number up to 777, not \"" + text + "\"");
    return *mask;
}

enum class Value { none, needed, optional };

// Our own words of -o. Called with the value, "" when there was none.
struct OwnOption {
    Value value;
    std::function<void(MountOptions&, const std::string&)> set;
};

const std::map<std::string, OwnOption, std::less<>>& own_options() {
    using O = MountOptions;
    using S = const std::string&;
    static const std::map<std::string, OwnOption, std::less<>> table = {
        {"ro", {Value::none, [](O& o, S) { o.read_only = true; }}},
        {"rw", {Value::none, [](O& o, S) { o.read_only = false; }}},
        {"rescue", {Value::none, [](O& o, S) { o.rescue = true; }}},
        {"accept_changed_main", {Value::none, [](O& o, S) { o.accept_changed_main = true; }}},
        {"take_over", {Value::none, [](O& o, S) { o.take_over = true; }}},
        {"poll", {Value::none, [](O& o, S) { o.poll = true; }}},
        {"foreground", {Value::none, [](O& o, S) { o.foreground = true; }}},
        {"spare", {Value::needed, [](O& o, S v) { o.spare = v; }}},
        {"image", {Value::needed, [](O& o, S v) { o.image = parse_image(v); }}},
        {"inject", {Value::needed, [](O& o, S v) { o.inject = v; }}},
        {"uid", {Value::needed, [](O& o, S v) { o.uid = parse_id("uid", v); }}},
        {"gid", {Value::needed, [](O& o, S v) { o.gid = parse_id("gid", v); }}},
        {"umask", {Value::needed, [](O& o, S v) { o.umask = parse_umask(v); }}},
        {"log_level", {Value::needed, [](O& o, S v) { o.log_level = parse_log_level(v); }}},
        {"max_threads", {Value::needed, [](O& o, S v) { o.max_threads = parse_threads(v); }}},
        {"engine", {Value::needed, [](O& o, S v) { o.engine = parse_engine(v); }}},
        {"io_uring", {Value::needed, [](O& o, S v) { o.io_uring = parse_io_uring(v); }}},
        {"demo",
         {Value::optional,
          [](O& o, S v) { o.demo_size = v.empty() ? kDemoDefault : parse_demo_size(v); }}},
    };
    return table;
}

void apply_option(MountOptions& options, const std::string& word, bool sloppy) {
    const auto equals = word.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = word.substr(0, equals);
    const std::string value = has_value ? word.substr(equals + 1) : "";

    const auto own = own_options().find(name);
    if (own != own_options().end()) {
        if (own->second.value == Value::none && has_value)
            usage_error("option " + name + " takes no value, but got \"" + value + "\"");
        if (own->second.value != Value::none && has_value && value.empty())
            usage_error("option " + name + "= has an empty value");
        if (own->second.value == Value::needed && !has_value)
            usage_error("option " + name + " needs a value: " + name + "=...");
        own->second.set(options, value);
        return;
    }
    if (has_value ? contains(kPassedOnWithValue, name) : contains(kPassedOn, name)) {
        options.kernel_options.push_back(word);
        return;
    }
    if (has_value ? contains(kIgnoredWithValue, name) : contains(kIgnored, name)) return;
    if (word.starts_with("x-") || word.starts_with("X-")) return;
    if (name == "remount")
        usage_error("option remount is not supported: unmount, then mount with the new options");
    if (!sloppy) usage_error("unknown option \"" + word + "\"");
}

void check_together(const MountOptions& options) {
    if (options.main.empty())
        usage_error("MAIN and MOUNTPOINT are missing (" + options.program + " --help tells more)");
    if (options.mountpoint.empty()) usage_error("MOUNTPOINT is missing");
    if (options.demo_size && !options.spare.empty())
        usage_error("option demo makes its own spare in memory: leave out spare=" + options.spare);
    if (!options.demo_size && options.spare.empty())
        usage_error(
            "option spare=SPARE is missing: it names the device or image that takes over"
            " bad blocks");
    if (options.io_uring == IoUring::on && options.engine == Engine::threads)
        usage_error("option io_uring=on needs engine=ring: threads take requests by /dev/fuse");
    if (options.rescue && !options.read_only)
        usage_error("option rescue needs ro with it: a damaged disk is only read");
}

po::options_description short_options() {
    po::options_description table;
    table.add_options()                                                           //
        ("help,h", "")("version,V", "")                                           //
        (",o", po::value<std::vector<std::string>>()->composing(), "")            //
        (",f", po::bool_switch(), "")(",s", po::bool_switch(), "")                //
        (",n", po::bool_switch(), "")(",v", po::bool_switch(), "")                //
        (",r", po::bool_switch(), "")(",w", po::bool_switch(), "")                //
        (",N", po::value<std::string>(), "")(",t", po::value<std::string>(), "")  //
        ("main", po::value<std::string>(), "")("mountpoint", po::value<std::string>(), "");
    return table;
}

po::variables_map parse_words(int argc, const char* const* argv) {
    po::positional_options_description positions;
    positions.add("main", 1).add("mountpoint", 1);
    const auto table = short_options();
    po::variables_map words;
    // Guessing would make "--hel" an interface.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    try {
        po::store(po::command_line_parser(argc, argv)
                      .options(table)
                      .positional(positions)
                      .style(style)
                      .run(),
                  words);
    } catch (const po::too_many_positional_options_error&) {
        usage_error("more than MAIN and MOUNTPOINT was given; options go behind -o");
    } catch (const po::error& error) {
        // Boost replaces placeholders such as %original_token% in its sentence until none is left:
        // for ever where a word that it quotes holds one itself.
        const bool quotable = std::none_of(argv, argv + argc, [](const char* word) {
            return std::count(word, word + std::strlen(word), '%') > 1;
        });
        usage_error(quotable ? error.what() : "an option is not known or lacks its value");
    }
    return words;
}

}  // namespace

std::vector<std::string> split_options(const std::string& list) {
    std::vector<std::string> words;
    std::string word;
    bool quoted = false;
    for (std::size_t i = 0; i <= list.size(); i++) {
        if (i == list.size() || (list[i] == ',' && !quoted)) {
            if (!word.empty()) words.push_back(word);
            word.clear();
        } else if (list[i] == '\\' && i + 1 < list.size() &&
                   (list[i + 1] == ',' || list[i + 1] == '\\' || list[i + 1] == '"')) {
            word += list[++i];
        } else {
            if (list[i] == '"') quoted = !quoted;
            word += list[i];
        }
    }
    if (quoted) usage_error("a double quote is not closed in -o " + list);
    return words;
}

std::string program_name(int argc, const char* const* argv) {
    const std::string path = argc > 0 ? argv[0] : "dmremapfs";
    return path.substr(path.rfind('/') + 1);
}

MountOptions parse_mount_options(int argc, const char* const* argv) {
    MountOptions options;
    options.program = program_name(argc, argv);
    const bool helper = options.program.starts_with("mount.");

    const auto words = parse_words(argc, argv);
    options.help = words.count("help") != 0;
    options.version = words.count("version") != 0;
    if (options.help || options.version) return options;

    if (words["-f"].as<bool>()) (helper ? options.fake : options.foreground) = true;
    if (words["-v"].as<bool>()) options.log_level = "debug";
    options.read_only = words["-r"].as<bool>();
    if (words.count("-N")) options.mount_namespace = words["-N"].as<std::string>();
    if (words.count("main")) options.main = words["main"].as<std::string>();
    if (words.count("mountpoint")) options.mountpoint = words["mountpoint"].as<std::string>();
    if (words.count("-o")) {
        for (const std::string& list : words["-o"].as<std::vector<std::string>>())
            for (const std::string& word : split_options(list))
                apply_option(options, word, words["-s"].as<bool>());
    }
    check_together(options);
    return options;
}

std::string mount_usage(const std::string& program) {
    return "Usage: " + program +
           " MAIN MOUNTPOINT -o spare=SPARE[,OPTION...]\n"
           "       " +
           program +
           " NAME MOUNTPOINT -o demo[=SIZE][,OPTION...]\n"
           "\n"
           "Makes MAIN, a disk that may have bad sectors, appear as MOUNTPOINT/disk.img and moves\n"
           "the blocks that go bad to SPARE (prepared by dmremapctl format).\n"
           "\n"
           "Options behind -o:\n"
           "  spare=SPARE          the device or image that takes bad blocks over\n"
           "  demo[=SIZE]          try it out: main and spare in memory, with bad sectors (64M)\n"
           "  ro                   write nothing, neither to MAIN nor to SPARE\n"
           "  rescue               with ro: open even where metadata is lost\n"
           "  accept_changed_main  go on although MAIN was written while detached\n"
           "  take_over            go on although another machine has the pair in use\n"
           "  image=NAME           name of the disk in the mount (disk.img)\n"
           "  inject=FILE          make the devices fail as FILE says\n"
           "  uid=N, gid=N         whose the files are (the mounting user's)\n"
           "  umask=OCTAL          what the modes of the files lack (else only the owner writes)\n"
           "  allow_other          let other users in\n"
           "  foreground           stay in the foreground (dmremapfs: also -f)\n"
           "  log_level=LEVEL      trace, debug, info, warning, error, critical or off (info)\n"
           "  engine=ENGINE        serve requests by ring (io_uring), threads, or auto (auto)\n"
           "  io_uring=WHEN        take requests by FUSE over io_uring: on, off, or auto (off)\n"
           "  max_threads=N        threads that read requests from the kernel, at most (10)\n"
           "  poll                 poll(2) waits for control files; io_uring on the disk is slow "
           "then\n"
           "and the options of mount(8) and fstab(5).\n"
           "\n"
           "Other options: -o LIST, -r, -s, -f, -n, -v, -N NAMESPACE, -t TYPE as mount(8) passes\n"
           "them; -h, --help; -V, --version.\n"
           "\n"
           "Exit: 0 mounted, 1 usage, 2 system, 32 refused. See mount.dmremapfs(8).\n";
}

}  // namespace dmremap
