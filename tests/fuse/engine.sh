#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What serves the mount: the engine that is asked for or a refusal, and without a word the one that can
# be had. A limit of descriptors stands for a system that has no io_uring: main and spare can be opened
# under it, but not what the loops need.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

readonly too_few=14

make_pair 32M 16M
dd if=/dev/urandom of="$main" bs=1M count=32 conv=notrunc status=none
refused 1 'engine is one of auto, ring, threads' \
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,engine=fast"

say "engine=ring without what it needs: a refusal, and nothing stays mounted or locked"
# few COMMAND...: under the limit.
few() { (ulimit -n "$too_few" && "$@"); }
refused 2 'io_uring|descriptor' few "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,engine=ring"
mountpoint -q "$mnt" && fail "it is mounted all the same"

say "the same without a word: threads serve it"
engine=auto
few mount_disk
cmp -n $((32 << 20)) "$disk" "$main" || fail "the disk is not main"
unmount_disk

for engine in ring threads; do
    mount_disk
    cmp -n $((32 << 20)) "$disk" "$main" || fail "engine $engine: the disk is not main"
    unmount_disk
done
