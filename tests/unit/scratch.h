// SPDX-License-Identifier: GPL-2.0-or-later
// What tests of real files and loop devices make, and take away again when they end, however.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dmremap::test {

// Runs a command line; its output without the last newline. Throws when it fails.
inline std::string run(const std::string& command) {
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen: " + command);
    std::string output;
    char piece[512];
    while (std::size_t n = std::fread(piece, 1, sizeof(piece), pipe)) output.append(piece, n);
    const int status = ::pclose(pipe);
    if (status != 0) throw std::runtime_error(command + ": " + output);
    while (!output.empty() && output.back() == '\n') output.pop_back();
    return output;
}

class ScratchDir {
public:
    explicit ScratchDir(const std::string& parent = std::filesystem::temp_directory_path()) {
        std::string pattern = parent + "/dmremap-test-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
        path_ = pattern;
    }
    ScratchDir(const ScratchDir&) = delete;
    ScratchDir& operator=(const ScratchDir&) = delete;
    ~ScratchDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

    // A sparse file of this size.
    std::string image(const std::string& name, std::uint64_t size) const {
        const std::string path = path_ + "/" + name;
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0)
            throw std::runtime_error("cannot make " + path);
        ::close(fd);
        return path;
    }

private:
    std::string path_;
};

// An attached loop device. ok() is false where the machine has none or we have no right to them.
class LoopDevice {
public:
    explicit LoopDevice(const std::string& file, const std::string& options = "") {
        if (::geteuid() != 0) return;
        try {
            node_ = run("losetup -f --show " + options + " " + file);
        } catch (const std::runtime_error& error) {
            why_ = error.what();
        }
    }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;
    ~LoopDevice() { detach(); }
    void detach() {
        if (!ok()) return;
        for (const unsigned number : partitions_)
            EXPECT_NO_THROW(run("delpart " + node_ + " " + std::to_string(number)));
        EXPECT_NO_THROW(run("losetup -d " + std::exchange(node_, "")));
    }
    // Makes a partition by hand, since not every kernel reads partition tables. Its node, or ""
    // where /dev does not show it.
    std::string add_partition(unsigned number, std::uint64_t first_sector, std::uint64_t sectors) {
        run("addpart " + node_ + " " + std::to_string(number) + " " + std::to_string(first_sector) +
            " " + std::to_string(sectors));
        partitions_.push_back(number);
        const std::string partition = node_ + "p" + std::to_string(number);
        return std::filesystem::exists(partition) ? partition : "";
    }
    bool ok() const { return !node_.empty(); }
    const std::string& node() const { return node_; }
    const std::string& why() const { return why_; }

private:
    std::string node_;
    std::string why_ = "not root";
    std::vector<unsigned> partitions_;
};

#define DMREMAP_NEED_LOOP(loop) \
    if (!(loop).ok()) GTEST_SKIP() << "NOT TESTED: needs root and loop devices: " << (loop).why()

}  // namespace dmremap::test
