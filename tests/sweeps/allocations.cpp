// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/allocations.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <utility>

namespace dmremap::test {

namespace {

// Plain data, for operator new runs before main() and after its end.
std::atomic<bool> armed{false};
std::atomic<std::uint64_t> first{0}, failing{0}, counted{0}, struck{0};
thread_local bool in_disk = true;

bool fails() {
    if (!armed.load(std::memory_order_relaxed) || !in_disk) return false;
    const std::uint64_t number = counted.fetch_add(1) + 1;
    if (first == 0 || number < first || number - first >= failing) return false;
    ++struck;
    return true;
}

// Forwards calls; the memory for that is the test's.
class OutsideDevice final : public Device {
public:
    OutsideDevice(std::unique_ptr<Device> inner, Trouble& trouble)
        : inner_(std::move(inner)), trouble_(trouble) {}
    ~OutsideDevice() override {
        const OutOfDisk out(trouble_);
        inner_.reset();
    }

    const DeviceInfo& info() const override { return inner_->info(); }

    void submit(Io& io) override {
        const OutOfDisk out(trouble_);
        auto* const forwarded = new Forwarded{io, {}, trouble_};
        forwarded->inner = io;
        forwarded->inner.context = forwarded;
        forwarded->inner.done = [](Io& done) {
            const std::unique_ptr<Forwarded> mine(static_cast<Forwarded*>(done.context));
            const InDisk in(mine->trouble);
            mine->outer.complete(done.error);
        };
        inner_->submit(forwarded->inner);
    }

private:
    struct Forwarded {
        Io& outer;
        Io inner;
        Trouble& trouble;
    };

    std::unique_ptr<Device> inner_;
    Trouble& trouble_;
};

}  // namespace

Allocations::Allocations() { in_disk = false; }
Allocations::~Allocations() {
    armed = false;
    in_disk = true;
}

void Allocations::begin(std::uint64_t allocation, std::uint64_t many) {
    goes_on_ = many == kForEver;
    failing = many;
    first = allocation;
    counted = struck = 0;
    armed = true;
}

std::uint64_t Allocations::count() const { return counted; }
std::uint64_t Allocations::hits() const { return struck; }
int Allocations::error() const { return ENOMEM; }
void Allocations::end() { armed = false; }
bool Allocations::set_in_disk(bool in) { return std::exchange(in_disk, in); }

std::unique_ptr<Device> Allocations::wrap(std::unique_ptr<Device> inner) {
    return std::make_unique<OutsideDevice>(std::move(inner), *this);
}

}  // namespace dmremap::test

// All forms that the disk uses: a sanitizer's own would not match the operator delete below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return dmremap::test::fails() ? nullptr : std::malloc(size);
}

void* operator new(std::size_t size) {
    void* const memory = operator new(size, std::nothrow);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto unit = static_cast<std::size_t>(alignment);
    void* const memory = dmremap::test::fails()
                             ? nullptr
                             : std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
