// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/file_device.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "core/device/aligned_buffers.h"
#include "core/device/call_way.h"
#include "core/device/file_open.h"
#include "core/device/io_loop.h"
#include "core/device/thread_pool.h"
#include "core/device/zero_file.h"

namespace dmremap {

namespace {

// Zeros to write where zeroing cannot be offloaded. Never written to; not const, since constants
// would be stored in the program file.
alignas(AlignedBuffers::kAlignment) std::byte zeros[256 * 1024];

// One system call never moves more than this.
constexpr std::uint64_t kPieceMax = 1u << 30;

class FileDevice final : public Device {
public:
    FileDevice(OpenFile file, std::shared_ptr<ThreadPool> pool)
        : file_(std::move(file)),
          zero_(file_),
          pool_(std::move(pool)),
          way_(best_way(file_.fd.get())) {}

    const DeviceInfo& info() const override { return file_.info; }

    // After complete() neither the device nor the Io may be touched: the caller may be gone.
    void submit(Io& io) override {
        IoLoop* const loop = IoLoop::current();
        if (loop != nullptr && way_ == CallWay::loop && start(io, *loop)) return;
        if (pool_ && !(loop != nullptr && way_ == CallWay::at_once && moves_data(io)))
            queue(io);
        else
            io.complete(perform(io));
    }

private:
    void queue(Io& io) {
        pool_->run(
            [](void* self, void* argument) {
                Io& queued = *static_cast<Io*>(argument);
                queued.complete(static_cast<FileDevice*>(self)->perform(queued));
            },
            this, &io);
    }
    static bool moves_data(const Io& io) { return io.op == Op::read || io.op == Op::write; }
    bool fits(const Io& io) const;
    bool start(Io& io, IoLoop& loop);
    void finish(Io& io, std::int64_t moved);
    int perform(const Io& io);
    int read(std::uint64_t offset, std::byte* data, std::uint64_t length);
    int write(std::uint64_t offset, const std::byte* data, std::uint64_t length);
    int zero(std::uint64_t offset, std::uint64_t length);
    int write_zeros(std::uint64_t offset, std::uint64_t length);
    int flush();

    // Moves all of it: call(data, length, offset) is one pread or pwrite.
    template <class Byte, class Call>
    int transfer(std::uint64_t offset, Byte* data, std::uint64_t length, Call call);
    // What ends inside its size has been cut, or taken away: no fault of this place, and nothing
    // may be moved for it.
    bool end_has_moved() const {
        const off_t end = ::lseek(file_.fd.get(), 0, SEEK_END);  // of a block device, too
        return end >= 0 && static_cast<std::uint64_t>(end) < file_.info.size;
    }
    // Through the page cache one write or flush at a time: see file_device.h.
    std::unique_lock<std::mutex> turn() {
        return file_.direct ? std::unique_lock<std::mutex>() : std::unique_lock(turn_);
    }
    bool aligned(const void* data) const {
        return reinterpret_cast<std::uintptr_t>(data) % file_.memory_alignment == 0;
    }

    OpenFile file_;
    ZeroFile zero_;
    AlignedBuffers buffers_;
    std::shared_ptr<ThreadPool> pool_;
    const CallWay way_;
    std::mutex turn_;
};

bool FileDevice::fits(const Io& io) const {
    const std::uint64_t unit = file_.info.logical_block;
    return io.offset % unit == 0 && io.length % unit == 0 && io.offset <= file_.info.size &&
           io.length <= file_.info.size - io.offset;
}

// What is special in any way goes the long way.
bool FileDevice::start(Io& io, IoLoop& loop) {
    if (io.op != Op::flush && (!moves_data(io) || !fits(io) || io.length == 0 ||
                               io.length > kPieceMax || !aligned(io.data)))
        return false;
    if (io.op != Op::read && (file_.info.read_only || !file_.direct)) return false;
    io.device = this;
    io.moved = [](Io& done, std::int64_t moved) {
        static_cast<FileDevice*>(done.device)->finish(done, moved);
    };
    return loop.start(io, file_.fd.get());
}

// A call that was interrupted, refused for the moment or short is made again, whole.
void FileDevice::finish(Io& io, std::int64_t moved) {
    const bool again = moved == -EINTR || moved == -EAGAIN ||
                       (moved >= 0 && static_cast<std::uint64_t>(moved) < io.length);
    if (!again)
        io.complete(moved < 0 ? static_cast<int>(-moved) : 0);
    else if (pool_)
        queue(io);
    else
        io.complete(perform(io));
}

int FileDevice::perform(const Io& io) {
    if (io.op == Op::flush) return flush();
    if (!fits(io)) return EINVAL;
    if (io.op == Op::read) return read(io.offset, io.data, io.length);
    if (file_.info.read_only) return EROFS;
    if (io.op == Op::write) return write(io.offset, io.data, io.length);
    if (io.op == Op::zero) return zero(io.offset, io.length);
    const ZeroFile::Range range = zero_.whole_blocks(io.offset, io.length);
    return range.begin == range.end ? 0 : zero_.discard(range);
}

template <class Byte, class Call>
int FileDevice::transfer(std::uint64_t offset, Byte* data, std::uint64_t length, Call call) {
    while (length > 0) {
        const ssize_t moved = call(data, std::min(length, kPieceMax), static_cast<off_t>(offset));
        if (moved < 0 && errno == EINTR) continue;
        if (moved < 0) return errno;
        // Whole blocks only: a file cut off by somebody ends in the middle of one, and going on
        // from there would be an EINVAL.
        const std::uint64_t whole =
            static_cast<std::uint64_t>(moved) / file_.info.logical_block * file_.info.logical_block;
        if (whole == 0) return end_has_moved() ? ENODEV : EIO;
        offset += whole;
        data += whole;
        length -= whole;
    }
    return 0;
}

int FileDevice::read(std::uint64_t offset, std::byte* data, std::uint64_t length) {
    const auto call = [this](std::byte* to, std::uint64_t size, off_t at) {
        return ::pread(file_.fd.get(), to, size, at);
    };
    if (aligned(data)) return transfer(offset, data, length, call);
    const AlignedBuffers::Lease bounce(buffers_);
    if (bounce.get() == nullptr) return ENOMEM;
    while (length > 0) {
        const std::uint64_t piece = std::min<std::uint64_t>(length, AlignedBuffers::kSize);
        if (const int error = transfer(offset, bounce.get(), piece, call)) return error;
        std::memcpy(data, bounce.get(), piece);
        offset += piece;
        data += piece;
        length -= piece;
    }
    return 0;
}

int FileDevice::write(std::uint64_t offset, const std::byte* data, std::uint64_t length) {
    const auto alone = turn();
    const auto call = [this](const std::byte* from, std::uint64_t size, off_t at) {
        return ::pwrite(file_.fd.get(), from, size, at);
    };
    if (aligned(data)) return transfer(offset, data, length, call);
    const AlignedBuffers::Lease bounce(buffers_);
    if (bounce.get() == nullptr) return ENOMEM;
    while (length > 0) {
        const std::uint64_t piece = std::min<std::uint64_t>(length, AlignedBuffers::kSize);
        std::memcpy(bounce.get(), data, piece);
        const std::byte* const from = bounce.get();
        if (const int error = transfer(offset, from, piece, call)) return error;
        offset += piece;
        data += piece;
        length -= piece;
    }
    return 0;
}

int FileDevice::zero(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    const ZeroFile::Range range = zero_.whole_blocks(offset, length);
    if (range.begin == range.end) return write_zeros(offset, length);
    const int error = zero_.zero(range);
    if (error == EOPNOTSUPP) return write_zeros(offset, length);
    if (error != 0) return error;
    if (const int before = write_zeros(offset, range.begin - offset)) return before;
    return write_zeros(range.end, end - range.end);
}

int FileDevice::write_zeros(std::uint64_t offset, std::uint64_t length) {
    while (length > 0) {
        const std::uint64_t piece = std::min<std::uint64_t>(length, sizeof(zeros));
        if (const int error = write(offset, zeros, piece)) return error;
        offset += piece;
        length -= piece;
    }
    return 0;
}

// Of a block device, too, this sends a flush of the drive's cache.
int FileDevice::flush() {
    if (file_.info.read_only) return 0;
    const auto alone = turn();
    while (::fdatasync(file_.fd.get()) != 0)
        if (errno != EINTR) return errno;
    return 0;
}

}  // namespace

std::unique_ptr<Device> open_file_device(const FoundDevice& found, const FileOptions& options) {
    return std::make_unique<FileDevice>(open_file(found, options), options.pool);
}

std::unique_ptr<Device> open_file_device(const std::string& path, const FileOptions& options) {
    return open_file_device(FoundDevice(path), options);
}

}  // namespace dmremap
