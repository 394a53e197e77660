// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/file_machine.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/device/fault_device.h"
#include "core/device/file_device.h"
#include "core/meta/examine.h"
#include "core/meta/format_spare.h"

namespace dmremap::test {

namespace {

// In memory where there is such a place: what a disk takes for all the flushes is not of interest.
std::string quick_directory() {
    const char* const shared = "/dev/shm";
    return std::filesystem::is_directory(shared) ? shared : std::filesystem::temp_directory_path();
}

void put(const std::string& path, const std::vector<std::byte>& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> get(const std::string& path) {
    std::vector<std::byte> bytes(std::filesystem::file_size(path));
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
}

}  // namespace

FileMachine::FileMachine()
    : scratch_(quick_directory()),
      main_path_(scratch_.image("main", kWorkShape.main_size)),
      spare_path_(scratch_.image("spare", kWorkShape.spare_size)),
      main_base_(pattern(0, kWorkShape.main_size / kSector, 1)) {
    put(main_path_, main_base_);
    {
        const auto main = open_file_device(main_path_, {});
        const auto spare = open_file_device(spare_path_, {});
        format_spare(*main, *spare, {});
        geometry_ = examine_spare(*spare, false).superblock;
    }
    spare_base_ = get(spare_path_);
    wear_out(geometry_, [this](auto offset, auto data, auto length) {
        std::memcpy(spare_base_.data() + offset, data, length);
    });
}

std::unique_ptr<Device> FileMachine::main() {
    return make_fault_device(open_file_device(main_path_, {}), "main", plan_);
}

std::unique_ptr<Device> FileMachine::spare() {
    return make_fault_device(open_file_device(spare_path_, {}), "spare", plan_);
}

void FileMachine::reset() {
    put(main_path_, main_base_);
    put(spare_path_, spare_base_);
    plan_->apply("clear\n");
}

void FileMachine::power_off() { plan_->apply("* vanish\n"); }
void FileMachine::power_on(std::mt19937_64*) { plan_->apply("* return\n"); }

}  // namespace dmremap::test
