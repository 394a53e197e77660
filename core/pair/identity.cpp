// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/identity.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "core/pair/identity_facts.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

// "00000000-01": of a partition table without an identifier, as on many a disk.
bool nobodys(const std::string& key, const std::string& value) {
    return key == "partuuid" && value.size() == 11 && value.compare(0, 9, "00000000-") == 0;
}

// Lines that are none, and keys said twice, do not count: the text comes from a disk.
IdentityFacts parse(const std::string& text) {
    IdentityFacts facts;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::size_t equals = text.find('=', begin);
        if (equals < end) {
            const std::string key = text.substr(begin, equals - begin);
            const std::string value = text.substr(equals + 1, end - equals - 1);
            if (!nobodys(key, value)) facts.emplace(key, value);
        }
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

// Facts of the device itself, which do not come along when its bytes are copied.
bool has_own_fact(const IdentityFacts& facts) {
    for (const char* key : {"wwn", "serial", "dmuuid", "mduuid"})
        if (facts.count(key) != 0) return true;
    return facts.count("inode") != 0 && facts.count("birth") != 0;
}

bool all_shown(const IdentityFacts& recorded, const IdentityFacts& agreeing) {
    return std::all_of(recorded.begin(), recorded.end(), [&](const auto& fact) {
        return fact.first == "fs" || agreeing.count(fact.first) != 0;
    });
}

// Of a device that contradicts nothing.
Comparison judge(const IdentityFacts& recorded, const IdentityFacts& present,
                 const IdentityFacts& agreeing) {
    if (has_own_fact(agreeing)) return {Match::same, ""};
    const std::string both = ": was " + in_one_line(recorded) + ", is " + in_one_line(present);
    const bool same_partition = agreeing.count("partuuid") != 0;
    if (has_own_fact(recorded))
        return {Match::unproven,
                (same_partition ? "only the partition UUID is shared, which a copy has, too"
                                : "no strong fact is shared") +
                    both};
    if (same_partition) return {Match::same, ""};
    if (recorded.count("partuuid") == 0 && all_shown(recorded, agreeing)) return {Match::weak, ""};
    return {Match::unproven, "no strong fact is shared" + both};
}

std::string text_of(const IdentityFacts& facts) {
    std::string text;
    for (const auto& [key, value] : facts) text += key + "=" + value + "\n";
    return text;
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
    identity.text = text_of(facts);
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

    IdentityFacts agreeing;
    bool only_serials = true;
    std::string difference;
    for (const auto& [key, was] : recorded) {
        const auto is = present.find(key);
        if (is == present.end()) continue;
        if (is->second == was) {
            agreeing.emplace(key, was);
            continue;
        }
        only_serials = only_serials && (key == "wwn" || key == "serial");
        difference += (difference.empty() ? "" : "; ") + differs(key, was, is->second);
    }
    if (!difference.empty())
        return {only_serials && agreeing.count("size") ? Match::only_serials : Match::different,
                difference};
    if (agreeing.count("size") == 0) return {Match::different, "the size was not recorded"};
    return judge(recorded, present, agreeing);
}

std::string united_identity(const std::string& recorded_text, const Identity& found) {
    IdentityFacts facts = parse(found.text);
    const IdentityFacts recorded = parse(recorded_text);
    facts.insert(recorded.begin(), recorded.end());
    const std::string text = text_of(facts);
    return text.size() <= kIdentityTextMax ? text : recorded_text;
}

}  // namespace dmremap
