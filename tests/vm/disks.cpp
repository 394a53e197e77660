// SPDX-License-Identifier: GPL-2.0-or-later
// Virtual disks for a guest that keep a tape: vm_disks SOCKET TAPE NAME=SECTORS[,BAD|,orders]...
//
// Serves each NAME as an NBD export of zeros in memory on the unix socket SOCKET, until every
// client has gone again, and writes to TAPE what they were asked for (tape.h). BAD is
// FIRST+COUNT[@WRITES]: these sectors fail all I/O, from the beginning or once the disk has taken
// so many writes.
//
// What is written to a disk of `orders` is no data of its own but an order to the disk before it:
// to sector 0, that its next flush is not answered; to sector 1, that this flush fails now, or as
// soon as it comes. So a guest can have others under way meanwhile. When the client that gives the
// orders is gone every flush is answered.
//
// QEMU's blklogwrites keeps a log for each disk. A pair is two disks, and what was acknowledged is
// known from a third: a cut has to fall on all of them at once, so here they share one order.
//
// A thread for each connection; requests are done one by one, under one lock, but for a flush that
// is held. It speaks as much NBD as QEMU needs: fixed newstyle, simple replies, flush and FUA.
#include <endian.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/vm/tape.h"

namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint32_t kMostBytes = 32u << 20;  // of one request

struct BadRange {
    std::uint64_t first, end;  // bytes
    std::uint64_t writes;      // bad once the disk has taken so many
    bool told = false;
};

enum class NextFlush { passes, waits, fails };

struct ServedDisk {
    std::string name;
    std::vector<char> bytes;
    std::vector<BadRange> bad;
    std::uint64_t writes = 0;
    bool orders = false;  // for the disk before it
    NextFlush flush = NextFlush::passes;
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "vm_disks: %s\n", what.c_str());
    std::_Exit(1);
}

class Recorder {
public:
    explicit Recorder(const char* path) : file_(std::fopen(path, "wb")) {
        if (file_ == nullptr) fail(std::string(path) + ": " + std::strerror(errno));
    }
    void put(const TapeEntry& entry, const char* bytes) {
        if (std::fwrite(&entry, sizeof(entry), 1, file_) != 1 ||
            (bytes != nullptr && std::fwrite(bytes, entry.length, 1, file_) != 1))
            fail("the tape cannot be written");
    }
    void close() {
        if (std::fclose(file_) != 0) fail("the tape cannot be written");
    }

private:
    std::FILE* file_;
};

class Disks {
public:
    Disks(std::vector<ServedDisk> disks, const char* tape) : disks_(std::move(disks)), tape_(tape) {
        for (std::uint32_t i = 0; i < disks_.size(); i++) {
            record({TapeEntry::Kind::disk, i, 0, 0, 0, disks_[i].bytes.size()}, nullptr);
            go_bad(i);
        }
    }
    const ServedDisk* find(const std::string& name) const {
        for (const ServedDisk& disk : disks_)
            if (disk.name == name) return &disk;
        return nullptr;
    }
    std::uint32_t number(const ServedDisk& disk) const {
        return static_cast<std::uint32_t>(&disk - disks_.data());
    }

    // 0 or an errno; the range lies inside the disk.
    int read(std::uint32_t number, std::uint64_t offset, std::uint32_t length, char* data) {
        const std::lock_guard lock(mutex_);
        const ServedDisk& disk = disks_[number];
        if (is_bad(disk, offset, length, false)) return EIO;
        std::copy_n(disk.bytes.begin() + static_cast<std::ptrdiff_t>(offset), length, data);
        return 0;
    }
    int write(std::uint32_t number, std::uint64_t offset, std::uint32_t length, const char* data,
              bool fua) {
        const std::lock_guard lock(mutex_);
        ServedDisk& disk = disks_[number];
        if (disk.orders) {
            order(number, offset == 0 ? NextFlush::waits : NextFlush::fails);
            return 0;
        }
        if (is_bad(disk, offset, length, true)) return EIO;
        record({TapeEntry::Kind::write, number, fua, 0, offset, length}, data);
        std::copy_n(data, length, disk.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        disk.writes++;
        go_bad(number);
        return 0;
    }
    int flush(std::uint32_t number) {
        std::unique_lock lock(mutex_);
        NextFlush& mine = disks_[number].flush;
        ordered_.wait(lock, [&] { return mine != NextFlush::waits; });
        if (mine == NextFlush::fails) {
            mine = NextFlush::passes;
            return EIO;
        }
        record({TapeEntry::Kind::flush, number, 0, 0, 0, 0}, nullptr);
        return 0;
    }
    void client_is_gone(std::uint32_t number) {
        const std::lock_guard lock(mutex_);
        if (disks_[number].orders) order(number, NextFlush::passes);
    }
    void close() { tape_.close(); }

private:
    void order(std::uint32_t number, NextFlush flush) {
        disks_[number - 1].flush = flush;
        ordered_.notify_all();
    }
    void record(const TapeEntry& entry, const char* bytes) { tape_.put(entry, bytes); }
    static bool is_bad(const ServedDisk& disk, std::uint64_t offset, std::uint64_t length,
                       bool writing) {
        return std::any_of(disk.bad.begin(), disk.bad.end(), [&](const BadRange& range) {
            return range.told && (writing || range.writes == 0) && offset < range.end &&
                   offset + length > range.first;
        });
    }
    void go_bad(std::uint32_t number) {
        for (BadRange& range : disks_[number].bad) {
            if (range.told || disks_[number].writes < range.writes) continue;
            range.told = true;
            record({TapeEntry::Kind::bad, number, 0, range.writes == 0, range.first,
                    range.end - range.first},
                   nullptr);
        }
    }

    std::mutex mutex_;
    std::condition_variable ordered_;
    std::vector<ServedDisk> disks_;
    Recorder tape_;
};

// ---------------------------------------------------------------- NBD

constexpr std::uint64_t kHello = 0x4e42444d41474943, kOption = 0x49484156454f5054,
                        kOptionReply = 0x0003e889045565a9;
constexpr std::uint32_t kRequest = 0x25609513, kReply = 0x67446698;
constexpr std::uint16_t kFixedNewstyle = 1, kNoZeroes = 2;
constexpr std::uint32_t kExportName = 1, kAbort = 2, kInfo = 6, kGo = 7;
constexpr std::uint32_t kAck = 1, kInfoReply = 3, kUnsupported = 0x80000001, kUnknown = 0x80000006;
constexpr std::uint16_t kHasFlags = 1, kSendFlush = 4, kSendFua = 8;
constexpr std::uint16_t kRead = 0, kWrite = 1, kDisconnect = 2, kFlush = 3, kFua = 1;

#pragma pack(push, 1)
struct Request {
    std::uint32_t magic;
    std::uint16_t flags, type;
    std::uint64_t handle, offset;
    std::uint32_t length;
};
struct Reply {
    std::uint32_t magic, error;
    std::uint64_t handle;
};
#pragma pack(pop)

class Connection {
public:
    Connection(int fd, Disks& disks) : fd_(fd), disks_(disks) {}
    ~Connection() { ::close(fd_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void serve() {
        if (negotiate())
            while (request()) {
            }
        if (disk_ != nullptr) disks_.client_is_gone(disks_.number(*disk_));
    }

private:
    bool get(void* data, std::size_t length) {
        for (char* at = static_cast<char*>(data); length != 0;) {
            const ssize_t got = ::read(fd_, at, length);
            if (got <= 0) return false;
            at += got;
            length -= static_cast<std::size_t>(got);
        }
        return true;
    }
    bool put(const void* data, std::size_t length) {
        for (const char* at = static_cast<const char*>(data); length != 0;) {
            const ssize_t did = ::send(fd_, at, length, MSG_NOSIGNAL);
            if (did <= 0) return false;
            at += did;
            length -= static_cast<std::size_t>(did);
        }
        return true;
    }
    bool get64(std::uint64_t& n) { return get(&n, 8) && (n = be64toh(n), true); }
    bool get32(std::uint32_t& n) { return get(&n, 4) && (n = be32toh(n), true); }
    static void add(std::string& out, std::uint64_t n, unsigned bytes) {
        while (bytes-- != 0) out.push_back(static_cast<char>(n >> (8 * bytes)));
    }
    bool send(const std::string& out) { return put(out.data(), out.size()); }
    bool answer(std::uint32_t option, std::uint32_t type, const std::string& data = "") {
        std::string out;
        add(out, kOptionReply, 8);
        add(out, option, 4);
        add(out, type, 4);
        add(out, data.size(), 4);
        return send(out + data);
    }
    std::string facts() const {
        std::string out;
        add(out, disk_->bytes.size(), 8);
        add(out, kHasFlags | kSendFlush | kSendFua, 2);
        return out;
    }

    bool negotiate() {
        std::string hello;
        add(hello, kHello, 8);
        add(hello, kOption, 8);
        add(hello, kFixedNewstyle | kNoZeroes, 2);
        std::uint32_t client = 0, option = 0, length = 0;
        std::uint64_t magic = 0;
        if (!send(hello) || !get32(client)) return false;
        while (get64(magic) && magic == kOption && get32(option) && get32(length) &&
               length < 4096) {
            std::string data(length, 0);
            if (!get(data.data(), length) || option == kAbort) return false;
            if (option == kExportName) {
                disk_ = disks_.find(data);
                return disk_ != nullptr &&
                       send(facts() + std::string((client & kNoZeroes) != 0 ? 0 : 124, 0));
            }
            if (option != kGo && option != kInfo) {
                if (!answer(option, kUnsupported)) return false;
                continue;
            }
            std::uint32_t name = 0;
            if (length < 6) return false;
            std::memcpy(&name, data.data(), 4);
            disk_ = disks_.find(data.substr(4, be32toh(name)));
            if (disk_ == nullptr) {
                if (!answer(option, kUnknown)) return false;
                continue;
            }
            if (!answer(option, kInfoReply, std::string(2, 0) + facts()) || !answer(option, kAck))
                return false;
            if (option == kGo) return true;
        }
        return false;
    }

    bool request() {
        Request request;
        if (!get(&request, sizeof(request)) || be32toh(request.magic) != kRequest) return false;
        const std::uint16_t type = be16toh(request.type), flags = be16toh(request.flags);
        const std::uint64_t offset = be64toh(request.offset);
        const std::uint32_t length = be32toh(request.length), number = disks_.number(*disk_);
        if (type == kDisconnect || length > kMostBytes) return false;
        data_.resize(length);
        if (type == kWrite && !get(data_.data(), length)) return false;
        int error = 0;
        if (type != kFlush &&
            (offset > disk_->bytes.size() || length > disk_->bytes.size() - offset))
            error = EINVAL;
        else if (type == kRead)
            error = disks_.read(number, offset, length, data_.data());
        else if (type == kWrite)
            error = disks_.write(number, offset, length, data_.data(), (flags & kFua) != 0);
        else if (type == kFlush)
            error = disks_.flush(number);
        else
            error = EINVAL;
        const Reply reply{htobe32(kReply), htobe32(static_cast<std::uint32_t>(error)),
                          request.handle};
        return put(&reply, sizeof(reply)) &&
               (type != kRead || error != 0 || put(data_.data(), length));
    }

    const int fd_;
    Disks& disks_;
    const ServedDisk* disk_ = nullptr;
    std::vector<char> data_;
};

// ---------------------------------------------------------------- the command line

ServedDisk parse(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
        fail(word + ": expected NAME=SECTORS[,FIRST+COUNT[@WRITES]|,orders]...");
    ServedDisk disk;
    disk.name = word.substr(0, equals);
    std::size_t at = equals + 1, comma = word.find(',', at);
    disk.bytes.resize(std::stoull(word.substr(at, comma - at)) * kSector);
    while (comma != std::string::npos) {
        at = comma + 1;
        comma = word.find(',', at);
        const std::string bad = word.substr(at, comma - at);
        if (bad == "orders") {
            disk.orders = true;
            continue;
        }
        const std::size_t plus = bad.find('+'), when = bad.find('@');
        if (plus == std::string::npos) fail(bad + ": expected FIRST+COUNT[@WRITES] or orders");
        const std::uint64_t first = std::stoull(bad), count = std::stoull(bad.substr(plus + 1));
        disk.bad.push_back({first * kSector, (first + count) * kSector,
                            when == std::string::npos ? 0 : std::stoull(bad.substr(when + 1))});
    }
    return disk;
}

int listen_on(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) fail(path + ": too long for a socket");
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::unlink(path.c_str());
    if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(fd, 8) != 0)
        fail(path + ": " + std::strerror(errno));
    return fd;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4)
        fail("usage: vm_disks SOCKET TAPE NAME=SECTORS[,FIRST+COUNT[@WRITES]|,orders]...");
    std::vector<ServedDisk> served;
    for (int i = 3; i < argc; i++) served.push_back(parse(argv[i]));
    if (served.front().orders) fail(served.front().name + ": there is no disk before it to order");
    const std::size_t count = served.size();
    Disks disks(std::move(served), argv[2]);
    const int listener = listen_on(argv[1]);
    // One client for each disk.
    std::vector<std::thread> threads;
    while (threads.size() < count) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) fail(std::string("accept: ") + std::strerror(errno));
        threads.emplace_back([fd, &disks] { Connection(fd, disks).serve(); });
    }
    for (std::thread& thread : threads) thread.join();
    disks.close();
    ::unlink(argv[1]);
    return 0;
}
