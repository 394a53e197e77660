# SPDX-License-Identifier: GPL-2.0-or-later
# What people type. CMake does the building; this file knows the order and the folders.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD_TYPE ?= RelWithDebInfo
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# A second build after a change in a header is minutes without it.
# Clones in other folders share what they have in common.
export CCACHE_BASEDIR = $(CURDIR)
export CCACHE_NOHASHDIR = 1
export CCACHE_SLOPPINESS = pch_defines,time_macros
CCACHE := $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
CONFIGURE = cmake -G Ninja -S . -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) $(CCACHE)
CTEST = ctest --output-on-failure -j $(JOBS)

# Configured once; CMake itself notices later changes of its files.
.PHONY: all kmod deps demo test asan tsan test-vm test-vm-debug bench-vm mutants-vm deps-vm fuzz torture bench mutants coverage lint format install clean help

all: build/build.ninja
	cmake --build build -j $(JOBS)

build/build.ninja:
	$(CONFIGURE) -B build -DCMAKE_INSTALL_PREFIX=$(PREFIX)

build-asan/build.ninja:
	$(CONFIGURE) -B build-asan -DDMREMAP_SANITIZE=address

build-tsan/build.ninja:
	$(CONFIGURE) -B build-tsan -DDMREMAP_SANITIZE=thread

# Not part of all, for it needs a kernel's headers: KDIR, or the running kernel's.
kmod:
	$(MAKE) -C kmod $(if $(KDIR),KDIR='$(KDIR)')

deps:
	@scripts/deps build demo test vm

demo:
	@scripts/deps build demo
	@$(MAKE) --no-print-directory build/build.ninja
	cmake --build build -j $(JOBS) --target dmremapfs dmremapctl
	@PATH="$(CURDIR)/build/bin:$$PATH" examples/demo.sh

# The sanitizers first, so that the last summary is the one of the whole suite.
test:
	@scripts/deps build test vm
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory asan tsan
	$(CTEST) --test-dir build

# The unit and property tests under the sanitizers: a real mount would only add waiting. Both are
# several times slower than the plain build, so a tenth of the random operations has to do.
# ThreadSanitizer of GCC 12 and 13 gives up where a kernel randomises addresses by more than 30 bits
# (vm.mmap_rnd_bits), as Ubuntu 24.04's does; the build runs the tests too, to list them.
SANITIZED = DMREMAP_OPS=$${DMREMAP_OPS:-100000}
FIXED_ADDRESSES := $(shell setarch -R true 2>/dev/null && echo setarch -R)

SANITIZED_TESTS = unit_tests promise_tests property_tests

asan: build-asan/build.ninja
	$(FIXED_ADDRESSES) cmake --build build-asan -j $(JOBS) --target $(SANITIZED_TESTS)
	$(SANITIZED) ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1 \
	    UBSAN_OPTIONS=print_stacktrace=1 $(FIXED_ADDRESSES) $(CTEST) --test-dir build-asan -L '^(unit|property)$$' -E '^fuzz\.|NOT_BUILT'

# Each of these goes through all places where the power, a copy or a call may fail, one after the other, by copying
# images: half a minute to a minute each under ThreadSanitizer, and no threads that others do not have.
ENUMERATIONS = P2_AcknowledgedIsKept|P3_ACrashDuringRecovery|P4_ACopyThatNobodyCouldAskFor|P8_HostileMetadata|SuperblockStore.P3

tsan: build-tsan/build.ninja
	$(FIXED_ADDRESSES) cmake --build build-tsan -j $(JOBS) --target $(SANITIZED_TESTS)
	$(SANITIZED) TSAN_OPTIONS=second_deadlock_stack=1 \
	    $(FIXED_ADDRESSES) $(CTEST) --test-dir build-tsan -L '^(unit|property)$$' -E '^fuzz\.|NOT_BUILT|$(ENUMERATIONS)'

# The kernel target in virtual machines, a boot for each kernel: KERNEL='6.1 6.12' SUITE='basic target'.
# A short form of it, ctest -L vm, is part of test.
deps-vm:
	@scripts/deps build vm

test-vm:
	@scripts/deps build vm
	@$(MAKE) --no-print-directory build/build.ninja
	cmake --build build -j $(JOBS) --target dmremapfs dmremapctl vm_pairs vm_disks vm_cuts
	DMREMAP_BIN=$(CURDIR)/build/bin JOBS=$(JOBS) tests/vm/run $(KERNEL:%=-k %) $(SUITE)

# The same in a kernel with KASAN, lockdep and kmemleak, which is built first.
test-vm-debug:
	@scripts/deps build vm vm-debug
	@DMREMAP_VM_SECONDS=21600 $(MAKE) --no-print-directory test-vm KERNEL=debug

# What the target costs beside dm-linear, counted in instructions (tests/vm/boot).
bench-vm:
	@DMREMAP_VM_CLOCK=instructions DMREMAP_VM_MEMORY=1536 \
	    $(MAKE) --no-print-directory test-vm KERNEL=$(or $(KERNEL),6.12) SUITE=bench

# Bugs planted in a copy of the target, one a boot; MUTANTS='spare-not-flushed' for some.
mutants-vm:
	@scripts/deps build vm mutants
	@$(MAKE) --no-print-directory build/build.ninja
	cmake --build build -j $(JOBS) --target dmremapfs dmremapctl vm_pairs vm_disks vm_cuts
	DMREMAP_BIN=$(CURDIR)/build/bin JOBS=$(JOBS) tests/vm/mutants/run $(MUTANTS)

# SECONDS for each target; TARGETS="spare superblock" takes only these (tests/fuzz/fuzz_*.cpp).
SECONDS ?= 60
TARGETS ?=

build-fuzz/build.ninja:
	$(CONFIGURE) -B build-fuzz -DDMREMAP_FUZZ=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++

fuzz:
	@scripts/deps build fuzz
	@$(MAKE) --no-print-directory build-fuzz/build.ninja
	cmake --build build-fuzz -j $(JOBS) --target fuzz_targets
	scripts/fuzz build-fuzz $(SECONDS) $(TARGETS)

# Fresh seeds for so long; half of it for power cuts.
MINUTES ?= 60

torture:
	@scripts/deps build test
	@$(MAKE) --no-print-directory all
	scripts/torture build $(MINUTES)

# The core alone, but for what takes long to set up (build/bin/core_bench runs all); what a million
# remaps cost; what readers of the control files and a scan cost; then every way to serve an image as a
# file, side by side. BENCH='--loads randread-16 --rounds 3' makes the last one shorter. Configured anew, for
# Google Benchmark may have come since. FUSE=latest adds the bare daemon with the newest libfuse, by
# /dev/fuse and by its FUSE over io_uring (tests/bench/latest_fuse), where that can be had.
bench:
	@scripts/deps build bench $(if $(filter latest,$(FUSE)),bench-latest)
	@$(MAKE) --no-print-directory build/build.ninja
	@cmake build >/dev/null
	cmake --build build -j $(JOBS) --target bench_programs
	build/bin/core_bench --benchmark_filter=-/10000000 --benchmark_min_time=0.1
	build/bin/opening 1000000
	DMREMAP_BIN=$(CURDIR)/build/bin tests/bench/polling.py
	DMREMAP_BIN=$(CURDIR)/build/bin tests/bench/scan.py
	$(if $(filter latest,$(FUSE)),tests/bench/latest_fuse build-fuse || [ $$? = 77 ])
	DMREMAP_BIN=$(CURDIR)/build/bin $(if $(filter latest,$(FUSE)),DMREMAP_LATEST_FUSE=$(CURDIR)/build-fuse) \
	    tests/bench/bench.py $(BENCH)

# Bugs planted in a copy of the tree, one at a time; MUTANTS='zero-as-discard unmap-*' for some.
mutants:
	@scripts/deps build mutants
	@JOBS=$(JOBS) tests/mutants/run $(MUTANTS:%='%')

build-coverage/build.ninja:
	$(CONFIGURE) -B build-coverage -DDMREMAP_COVERAGE=ON

# What the tests without a mount run of core/. Counts of an earlier run would add up.
COVERING_TESTS = unit_tests promise_tests sweep_tests crash_tests property_tests fuzz_targets

coverage:
	@scripts/deps build coverage
	@$(MAKE) --no-print-directory build-coverage/build.ninja
	cmake --build build-coverage -j $(JOBS) --target $(COVERING_TESTS)
	find build-coverage -name '*.gcda' -delete
	$(SANITIZED) $(CTEST) --test-dir build-coverage -L '^(unit|property|crash)$$' -E NOT_BUILT
	@scripts/coverage build-coverage

lint: build/build.ninja
	@scripts/deps build lint
	@JOBS=$(JOBS) scripts/lint build

format:
	@scripts/lint --format

install: all
	DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)"

clean:
	rm -rf build build-asan build-tsan build-fuzz build-fuse build-coverage build-mutants build-vm

help:
	@echo 'make           build; the programs are in build/bin/'
	@echo 'make kmod      build the kernel target dm-remap-v4 (KDIR=headers DEBUG=1; see kmod/dm-remap-v4.rst)'
	@echo 'make demo      watch a disk with bad sectors heal itself (KEEP=1 leaves it mounted)'
	@echo 'make test      build and run everything, the sanitizers included'
	@echo 'make asan      unit and property tests under AddressSanitizer and UBSan'
	@echo 'make tsan      unit and property tests under ThreadSanitizer'
	@echo 'make test-vm   the kernel target in QEMU (KERNEL=6.12 SUITE=basic; tests/vm/run says more)'
	@echo 'make test-vm-debug  the same in a kernel with KASAN, lockdep and kmemleak, which is built first'
	@echo 'make mutants-vm  plant bugs in a copy of the kernel target; which check notices each? (MUTANTS=...)'
	@echo 'make bench-vm  what the kernel target costs beside dm-linear, in QEMU (KERNEL=6.12)'
	@echo 'make fuzz      fuzz every parser and opener, SECONDS=60 each (clang; TARGETS=...)'
	@echo 'make torture   power cuts, kill -9, random operations, races: fresh seeds for MINUTES=60'
	@echo 'make bench     how fast, beside a bare FUSE daemon, qemu-storage-daemon and nbdkit (BENCH=...)'
	@echo 'make bench FUSE=latest  the same, and the bare daemon with the newest libfuse of Debian, built here'
	@echo 'make mutants   plant bugs in a copy of the tree; which test catches each? (MUTANTS=...)'
	@echo 'make coverage  which lines of core/ the tests run'
	@echo 'make lint      formatting, clang-tidy, shellcheck, licence lines'
	@echo 'make format    let clang-format rewrite the sources'
	@echo 'make install   honours DESTDIR and PREFIX ($(PREFIX))'
	@echo 'make deps      install what building, demo and tests need (apt-get or dnf)'
	@echo 'make clean     remove the build folders'
