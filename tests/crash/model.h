// SPDX-License-Identifier: GPL-2.0-or-later
// What each sector of the disk may hold, as far as its user can know.
//
// A sector has versions, the oldest first: the last one that is durable for certain (acknowledged
// before a flush that was acknowledged), and all that were asked for since. After a crash any of
// them may be found. While the disk is up only those from the last acknowledged one on may be.
//
// EIO is a version, too: it comes where a device can not read a sector any more, and goes with the
// first durable write. So a lost sector may be EIO or what it truly held, and nothing else; a
// sector that was never unreadable is never EIO.
//
// Only the sectors of the area are followed; nobody writes outside of it.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/tape.h"

namespace dmremap::test {

// What was ever written, by number.
class Values {
public:
    static constexpr std::uint32_t kEio = 0;

    Values() : bytes_(1) {}
    std::uint32_t next() const { return static_cast<std::uint32_t>(bytes_.size()); }
    std::uint32_t add(const std::byte* bytes);
    std::uint32_t add_fresh();  // bytes that nothing else has
    std::uint32_t add_zeros();
    const Bytes& of(std::uint32_t value) const { return bytes_[value]; }
    void forget_from(std::uint32_t value) { bytes_.resize(value); }
    std::optional<std::uint32_t> find(const std::byte* bytes) const;  // slow; for reports

private:
    std::deque<Bytes> bytes_;
};

struct Area {
    Area(std::uint64_t disk_sectors, std::vector<std::uint64_t> followed);
    std::vector<std::uint64_t> sectors;  // ascending
    std::vector<std::int32_t> place;     // of a sector of the disk, -1: not followed
};

class Model {
public:
    Model(std::shared_ptr<const Area> area, const std::vector<std::uint32_t>& values,
          std::uint32_t unit);

    const Area& area() const { return *area_; }
    const std::shared_ptr<const Area>& shared_area() const { return area_; }
    // The grain of losing: sectors of main's logical block.
    std::uint32_t unit() const { return unit_; }

    // True when afterwards less is allowed than before, for a crash at this place.
    bool apply(const Mark& event, std::uint32_t place);

    // The power came back: any version may be the one.
    void crashed();
    // This state of the devices may have this value there besides.
    void add(std::uint64_t sector, std::uint32_t value);
    // Somebody has written here, and it is not durable for certain.
    bool being_written(std::uint64_t sector) const;

    // May a read of the running disk answer this? value_of: what was read, or null for EIO.
    bool visible(std::uint64_t sector, const std::byte* bytes, const Values& values) const;
    bool may_be_eio(std::uint64_t sector) const;
    // The one value a read can answer if it is not EIO, where there is only one.
    std::optional<std::uint32_t> only_value(std::uint64_t sector) const;
    // The visible value with these bytes.
    std::uint32_t value_of(std::uint64_t sector, const std::byte* bytes,
                           const Values& values) const;
    std::size_t versions(std::uint64_t sector) const { return at(sector).size(); }
    std::string text(std::uint64_t sector) const;  // for reports

private:
    static constexpr std::uint32_t kPending = ~0u, kMaybe = ~0u - 1;
    struct Version {
        std::uint32_t value;
        std::uint32_t acked;  // place on the tape, kPending, or kMaybe: never acknowledged
    };
    using Versions = boost::container::small_vector<Version, 4>;

    Versions& at(std::uint64_t sector) {
        return versions_[static_cast<std::size_t>(area_->place[sector])];
    }
    const Versions& at(std::uint64_t sector) const {
        return versions_[static_cast<std::size_t>(area_->place[sector])];
    }
    bool followed(std::uint64_t sector) const { return area_->place[sector] >= 0; }
    std::size_t first_visible(const Versions& versions) const;

    std::shared_ptr<const Area> area_;
    std::uint32_t unit_;
    std::vector<Versions> versions_;
};

}  // namespace dmremap::test
