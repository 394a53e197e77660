#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGTERM unmounts a disk that nobody uses. While somebody does, the daemon says so, goes on serving
# and ends with the last user. Killed outright, it loses nothing that was flushed (P2, P3).
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

# The daemon, by the spare that it has open.
# Processes end while find looks at them: its own exit status says nothing.
daemon() { { find /proc/[0-9]*/fd -lname "$spare" 2>/dev/null || true; } | head -n 1 | cut -d / -f 3; }
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }

make_pair 32M 16M

mount_disk
pid=$(daemon)
[ -n "$pid" ] || fail "no process holds a lock on the spare"
kill -TERM "$pid"
wait_until 20 gone "$pid" || fail "SIGTERM did not end an idle daemon"
mountpoint -q "$mnt" && fail "SIGTERM left the mount behind"

mount_disk
pid=$(daemon)
exec 8<>"$disk"
kill -TERM "$pid"
# It goes on serving: writes through the open descriptor and their way back.
noise busy 4096 >&8
sync -d "$disk" 2>/dev/null || true
[ "$(at "$disk" 0 4096)" = "$(noise_sum busy 4096)" ] || fail "not serving after SIGTERM while in use"
gone "$pid" && fail "SIGTERM ended a daemon whose disk was in use"
exec 8<&-
wait_until 30 gone "$pid" || fail "the daemon did not end with the last user"
mountpoint -q "$mnt" && fail "the mount outlived the daemon"

# What stands over the disk, or in its place, is not the daemon's to unmount.
if [ "$(id -u)" = 0 ]; then
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,foreground" >"$work/log" 2>&1 &
    wait_until 60 grep -q ' is mounted on ' "$work/log" || fail "the mount did not come up: $(cat "$work/log")"
    pid=$(daemon)
    mount -t tmpfs none "$mnt"
    at_end "! mountpoint -q '$mnt' || umount '$mnt'"
    kill -TERM "$pid"
    wait_until 30 grep -q 'mounted over it' "$work/log" || fail "SIGTERM was not answered: $(cat "$work/log")"
    [ "$(stat -f -c %T "$mnt")" = tmpfs ] || fail "SIGTERM unmounted what was mounted over the disk"
    umount "$mnt"
    wait_until 30 gone "$pid" || fail "the daemon did not end when the disk was topmost again"
    mountpoint -q "$mnt" && fail "the mount outlived the daemon"
fi

# kill -9 after fsync, with remaps made just before.
bad all 16384 64
mount_disk
pid=$(daemon)
put "$disk" $((8 << 20)) 65536 killed
kill -KILL "$pid"
wait_until 60 gone "$pid" || fail "the killed daemon is still there"
# Nothing hides the dead mount; and what is refused for it has not touched the pair.
refused 32 'daemon that is gone.*umount' "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare"
grep -c " $mnt fuse.dmremapfs " /proc/self/mounts >"$out"
[ "$(cat "$out")" = 1 ] || fail "a mount was stacked on the dead one"
fusermount3 -u "$mnt" 2>/dev/null || fusermount3 -u -z "$mnt"
mount_disk
[ "$(at "$disk" $((8 << 20)) 65536)" = "$(noise_sum killed 65536)" ] || fail "flushed data is gone after kill -9"
[ "$(status_word mappings)" = 8 ] || fail "$(status_word mappings) remaps after kill -9, not 8"
say "SIGTERM waits for the users, SIGKILL costs nothing that was flushed"
