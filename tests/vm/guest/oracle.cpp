// SPDX-License-Identifier: GPL-2.0-or-later
// Knows what a disk must hold: writes sectors that tell which sector and version they are, and says
// of each one later whether it is right. Static, with no library but libc's, for the guest.
//
//   oracle fill MODEL DISK [NOTES]          a first version everywhere
//   oracle write MODEL DISK FIRST COUNT     a new version of these sectors; must succeed
//   oracle fail MODEL DISK FIRST COUNT [ERRNO]
//                                           a write that must fail (EIO); each sector then holds
//                                           the old or the new version, whole
//   oracle lost MODEL FIRST COUNT           from now on these must be EIO, until they are written
//   oracle verify MODEL DISK                every sector holds its version, or is EIO where lost
//   oracle stress MODEL DISK SEED OPS [NOTES]
//                                           four threads write, read back and flush at random; no
//                                           error is right but that of a sector that is lost
//
// FIRST and COUNT are sectors of 512 bytes and multiples of the disk's logical block. All I/O is
// direct, so that EIO is exact. MODEL is a file, a Sector for each sector. Exit 1 with a sentence
// at the first thing that is not as it must be. NOTES is a disk that takes the notes of notes.h.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "notes.h"

namespace {

constexpr std::uint64_t kAtOnce = 512;  // sectors of one request at most
constexpr std::uint64_t kChunk = 24;    // sectors of one thread's own: three blocks
constexpr unsigned kThreads = 4;

struct Sector {
    std::uint32_t version;
    std::uint32_t other;  // may be held instead, after a failed write; 0: no other
    std::uint32_t lost;   // 1: must be EIO
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "oracle: %s\n", what.c_str());
    std::fflush(nullptr);
    std::_Exit(1);
}

std::string at(std::uint64_t sector) { return " at sector " + std::to_string(sector); }

class Disk {
public:
    Disk(const char* path, int flags) : fd_(::open(path, flags | O_DIRECT | O_CLOEXEC)) {
        if (fd_ < 0) fail(std::string(path) + ": " + std::strerror(errno));
        int logical = kSector;
        std::uint64_t bytes = 0;
        struct stat facts {};
        if (::ioctl(fd_, BLKGETSIZE64, &bytes) == 0) {
            ::ioctl(fd_, BLKSSZGET, &logical);
        } else if (::fstat(fd_, &facts) == 0) {
            bytes = static_cast<std::uint64_t>(facts.st_size);
        }
        sectors = bytes / kSector;
        grain = static_cast<std::uint64_t>(logical) / kSector;
        void* memory = nullptr;
        if (::posix_memalign(&memory, 4096, kAtOnce * kSector) != 0) fail("no memory");
        data = static_cast<std::byte*>(memory);
    }
    ~Disk() {
        std::free(data);
        ::close(fd_);
    }
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    // 0 or errno; a short count is a failure of its own.
    int read(std::uint64_t first, std::uint64_t count) {
        return judge(::pread(fd_, data, count * kSector, static_cast<off_t>(first * kSector)),
                     first, count);
    }
    int write(std::uint64_t first, std::uint64_t count, std::uint32_t version) {
        for (std::uint64_t i = 0; i < count; i++) {
            const Words bytes = content(first + i, version);
            std::memcpy(data + i * kSector, bytes.data(), kSector);
        }
        return write_data(first, count);
    }
    int write_data(std::uint64_t first, std::uint64_t count) {
        return judge(::pwrite(fd_, data, count * kSector, static_cast<off_t>(first * kSector)),
                     first, count);
    }
    int flush() { return ::fdatasync(fd_) == 0 ? 0 : errno; }

    std::byte* data = nullptr;  // of the last read
    std::uint64_t sectors = 0;
    std::uint64_t grain = 1;  // sectors of a logical block

private:
    static int judge(ssize_t got, std::uint64_t first, std::uint64_t count) {
        if (got < 0) return errno;
        if (static_cast<std::uint64_t>(got) != count * kSector)
            fail("a short transfer" + at(first));
        return 0;
    }
    const int fd_;
};

// The notes of one thread, on a sector of its own; without a disk for them none are taken.
class Notes {
public:
    Notes(const char* path, unsigned thread) : thread_(thread) {
        if (path != nullptr) disk_.emplace(path, O_RDWR);
    }
    void write(Note::Kind kind, std::uint64_t first, std::uint64_t count, std::uint32_t version) {
        Note note;
        note.kind = kind;
        note.first = first;
        note.count = count;
        note.version = version;
        take(note);
    }
    void flush(Note::Kind kind, std::uint64_t number) {
        Note note;
        note.kind = kind;
        note.flush = number << 8 | thread_;
        take(note);
    }

private:
    void take(const Note& note) {
        if (!disk_) return;
        std::memcpy(disk_->data, &note, sizeof(note));
        if (const int error = disk_->write_data(thread_, 1))
            fail(std::string("a note: ") + std::strerror(error));
    }
    std::optional<Disk> disk_;
    const unsigned thread_;
};

std::span<Sector> map_model(const char* path, std::uint64_t create_sectors) {
    const int fd =
        ::open(path, O_RDWR | O_CLOEXEC | (create_sectors != 0 ? O_CREAT | O_TRUNC : 0), 0600);
    if (fd < 0) fail(std::string(path) + ": " + std::strerror(errno));
    if (create_sectors != 0 &&
        ::ftruncate(fd, static_cast<off_t>(create_sectors * sizeof(Sector))) != 0)
        fail(std::string(path) + ": " + std::strerror(errno));
    const auto bytes = static_cast<std::size_t>(::lseek(fd, 0, SEEK_END));
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail(std::string(path) + ": " + std::strerror(errno));
    ::close(fd);
    return {static_cast<Sector*>(memory), bytes / sizeof(Sector)};
}

std::uint32_t newest(std::span<Sector> model) {
    std::uint32_t version = 0;
    for (const Sector& sector : model) version = std::max({version, sector.version, sector.other});
    return version;
}

void written(std::span<Sector> model, std::uint64_t first, std::uint64_t count,
             std::uint32_t version) {
    for (std::uint64_t s = first; s < first + count; s++) model[s] = {version, 0, 0};
}

void judge(Sector& sector, std::uint64_t number, const std::byte* bytes) {
    if (sector.lost != 0) fail("data where the sector is lost" + at(number));
    for (const std::uint32_t version : {sector.version, sector.other}) {
        if (version != 0 && std::memcmp(content(number, version).data(), bytes, kSector) == 0) {
            sector = {version, 0, 0};  // and stays it
            return;
        }
    }
    Words found;
    std::memcpy(found.data(), bytes, kSector);
    fail("not version " + std::to_string(sector.version) + at(number) +
         " but what looks like sector " + std::to_string(found[0] >> 32) + ", version " +
         std::to_string(found[0] & 0xffffffff));
}

// What fails whole gives the rest in parts. Returns how many sectors are EIO.
std::uint64_t look(std::span<Sector> model, Disk& disk, std::uint64_t first, std::uint64_t count) {
    const int error = disk.read(first, count);
    if (error == 0) {
        for (std::uint64_t i = 0; i < count; i++)
            judge(model[first + i], first + i, disk.data + i * kSector);
        return 0;
    }
    if (error != EIO) fail(std::string("read: ") + std::strerror(error) + at(first));
    if (count > disk.grain) {
        const std::uint64_t half = count / disk.grain / 2 * disk.grain;
        return look(model, disk, first, half) + look(model, disk, first + half, count - half);
    }
    bool lost = false;
    for (std::uint64_t i = 0; i < count; i++) lost = lost || model[first + i].lost != 0;
    if (!lost) fail("EIO where nothing is lost" + at(first));
    return count;
}

int fill(const char* model_path, const char* path, const char* notes_path) {
    Disk disk(path, O_RDWR);
    Notes notes(notes_path, 0);
    const auto model = map_model(model_path, disk.sectors);
    notes.write(Note::Kind::write_asked, 0, disk.sectors, 1);
    for (std::uint64_t first = 0; first < disk.sectors; first += kAtOnce) {
        const std::uint64_t count = std::min(kAtOnce, disk.sectors - first);
        if (const int error = disk.write(first, count, 1))
            fail(std::string("fill: ") + std::strerror(error) + at(first));
        written(model, first, count, 1);
    }
    notes.write(Note::Kind::write_done, 0, disk.sectors, 1);
    notes.flush(Note::Kind::flush_asked, 0);
    if (const int error = disk.flush()) fail(std::string("fill: flush: ") + std::strerror(error));
    notes.flush(Note::Kind::flush_done, 0);
    return 0;
}

int write(std::span<Sector> model, const char* path, std::uint64_t first, std::uint64_t count) {
    Disk disk(path, O_RDWR);
    const std::uint32_t version = newest(model) + 1;
    for (std::uint64_t end = first + count; first < end; first += kAtOnce) {
        const std::uint64_t piece = std::min(kAtOnce, end - first);
        if (const int error = disk.write(first, piece, version))
            fail(std::string("write: ") + std::strerror(error) + at(first));
        written(model, first, piece, version);
    }
    return 0;
}

int write_fails(std::span<Sector> model, const char* path, std::uint64_t first, std::uint64_t count,
                int wanted) {
    Disk disk(path, O_RDWR);
    const std::uint32_t version = newest(model) + 1;
    const int error = disk.write(first, count, version);
    if (error == 0) fail("a write that must fail succeeds" + at(first));
    if (error != wanted)
        fail(std::string("a write fails with '") + std::strerror(error) + "', not '" +
             std::strerror(wanted) + "'" + at(first));
    for (std::uint64_t s = first; s < first + count; s++) model[s].other = version;
    return 0;
}

int verify(std::span<Sector> model, const char* path) {
    Disk disk(path, O_RDONLY);
    if (disk.sectors != model.size())
        fail("the disk has " + std::to_string(disk.sectors) + " sectors, not " +
             std::to_string(model.size()));
    std::uint64_t lost = 0;
    for (std::uint64_t first = 0; first < model.size(); first += kAtOnce)
        lost += look(model, disk, first, std::min(kAtOnce, model.size() - first));
    std::printf("%lu sectors lost\n", static_cast<unsigned long>(lost));
    return 0;
}

// Each thread has chunks of its own, so that what a sector holds is known at any time; blocks and
// regions are everybody's, which is where relocations meet.
void stress_thread(std::span<Sector> model, const char* path, const char* notes_path,
                   std::uint64_t seed, std::atomic<std::int64_t>& left,
                   std::atomic<std::uint32_t>& version, unsigned thread) {
    Disk disk(path, O_RDWR);
    Notes notes(notes_path, thread);
    std::uint64_t flushes = seed << 32;
    std::mt19937_64 random(seed * kThreads + thread);
    const std::uint64_t chunks = model.size() / kChunk / kThreads;
    while (left-- > 0) {
        const std::uint64_t chunk = random() % chunks * kThreads + thread;
        const std::uint64_t grains = kChunk / disk.grain;
        const std::uint64_t from = random() % grains;
        const std::uint64_t first = chunk * kChunk + from * disk.grain;
        const std::uint64_t count = (1 + random() % (grains - from)) * disk.grain;
        const std::uint64_t dice = random() % 16;
        if (dice == 0) {
            notes.flush(Note::Kind::flush_asked, ++flushes);
            if (const int error = disk.flush()) fail(std::string("flush: ") + std::strerror(error));
            notes.flush(Note::Kind::flush_done, flushes);
        } else if (dice < 8) {
            look(model, disk, first, count);
        } else {
            const std::uint32_t mine = ++version;
            notes.write(Note::Kind::write_asked, first, count, mine);
            if (const int error = disk.write(first, count, mine))
                fail(std::string("write: ") + std::strerror(error) + at(first));
            notes.write(Note::Kind::write_done, first, count, mine);
            written(model, first, count, mine);
        }
    }
}

int stress(std::span<Sector> model, const char* path, std::uint64_t seed, std::int64_t ops,
           const char* notes) {
    std::atomic<std::int64_t> left{ops};
    std::atomic<std::uint32_t> version{newest(model)};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kThreads; i++)
        threads.emplace_back([&, i] { stress_thread(model, path, notes, seed, left, version, i); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv, argv + argc);
    const auto number = [&](std::size_t i) { return std::stoull(words[i]); };
    if (words.size() < 4) fail("usage: oracle fill|write|fail|lost|verify|stress MODEL ...");
    if (words[1] == "fill") return fill(argv[2], argv[3], words.size() > 4 ? argv[4] : nullptr);
    const auto model = map_model(argv[2], 0);
    if (words[1] == "verify") return verify(model, argv[3]);
    if (words[1] == "lost" && words.size() == 5) {
        for (std::uint64_t s = number(3); s < number(3) + number(4); s++) model[s].lost = 1;
        return 0;
    }
    if (words[1] == "write" && words.size() == 6)
        return write(model, argv[3], number(4), number(5));
    if (words[1] == "fail" && words.size() >= 6)
        return write_fails(model, argv[3], number(4), number(5),
                           words.size() > 6 ? static_cast<int>(number(6)) : EIO);
    if (words[1] == "stress" && words.size() >= 6)
        return stress(model, argv[3], number(4), static_cast<std::int64_t>(number(5)),
                      words.size() > 6 ? argv[6] : nullptr);
    fail("usage: oracle fill|write|fail|lost|verify|stress MODEL ...");
}
