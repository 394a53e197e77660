// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/identity.h"

#include <openssl/evp.h>

#include <cctype>
#include <set>

#include "core/pair/identity_facts.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

// Lines that are none, and keys said twice, do not count: the text comes from a disk.
IdentityFacts parse(const std::string& text) {
    IdentityFacts facts;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::size_t equals = text.find('=', begin);
        if (equals < end)
            facts.emplace(text.substr(begin, equals - begin),
                          text.substr(equals + 1, end - equals - 1));
        begin = end + 1;
    }
    return facts;
}

std::string printable(std::string text) {
    for (char& c : text)
        if (!std::isprint(static_cast<unsigned char>(c))) c = '?';
    return text;
}

std::string differs(const std::string& key, const std::string& was, const std::string& is) {
    return printable(key) + " was " + printable(was) + ", is " + printable(is);
}

// "serial=A partuuid=B": the facts other than the size.
std::string in_one_line(const IdentityFacts& facts) {
    std::string line;
    for (const auto& [key, value] : facts)
        if (key != "size")
            line += (line.empty() ? "" : " ") + printable(key) + "=" + printable(value);
    return line.empty() ? "nothing but the size" : line;
}

bool strong(const std::set<std::string>& agreeing) {
    for (const char* key : {"wwn", "serial", "partuuid", "dmuuid", "mduuid"})
        if (agreeing.count(key) != 0) return true;
    return agreeing.count("inode") != 0 && agreeing.count("birth") != 0;
}

}  // namespace

Digest sha256(const std::string& text) {
    Digest digest;
    unsigned int length = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1 ||
        length != digest.size())
        throw Refusal(RefusalKind::system, "SHA-256 is not to be had from OpenSSL's libcrypto");
    return digest;
}

Identity identify(int fd, std::uint64_t size) {
    IdentityFacts facts;
    const DeviceFacts device = facts_of(fd, "the device");
    if (device.kind == DeviceKind::image)
        add_image_facts(fd, facts);
    else
        add_block_facts(device, facts);
    facts["size"] = std::to_string(size);
    Identity identity;
    for (const auto& [key, value] : facts) identity.text += key + "=" + value + "\n";
    identity.digest = sha256(identity.text);
    return identity;
}

Comparison compare_identity(const std::string& recorded_text, const Identity& found) {
    IdentityFacts recorded = parse(recorded_text);
    IdentityFacts present = parse(found.text);
    // Not said is at the start: an image and a part of it must not agree by silence.
    if (recorded.count("offset") != present.count("offset")) {
        recorded.emplace("offset", "0");
        present.emplace("offset", "0");
    }

    std::set<std::string> agreeing;
    bool only_serials = true;
    std::string difference;
    for (const auto& [key, was] : recorded) {
        const auto is = present.find(key);
        if (is == present.end()) continue;
        if (is->second == was) {
            agreeing.insert(key);
            continue;
        }
        only_serials = only_serials && (key == "wwn" || key == "serial");
        difference += (difference.empty() ? "" : "; ") + differs(key, was, is->second);
    }
    if (!difference.empty())
        return {only_serials && agreeing.count("size") ? Match::only_serials : Match::different,
                difference};
    if (agreeing.count("size") == 0) return {Match::different, "the size was not recorded"};
    if (strong(agreeing)) return {Match::same, ""};
    return {Match::unproven, "no strong fact is shared: was " + in_one_line(recorded) + ", is " +
                                 in_one_line(present)};
}

}  // namespace dmremap
