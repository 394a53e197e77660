#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mount.dmremapfs as mount(8) calls it, and dmremapfs as people do: exit codes, foreground, read
# only, the name of the image, a demo without any device, and a line in an fstab.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

helper() { "$bin/mount.dmremapfs" "$@"; }
make_pair 16M 16M

# Words that are wrong: 1. A mount point that is not there: the system's fault, 2.
refused 1 'usage|mount ?point' helper "$main"
refused 1 'spare' helper "$main" "$mnt"
refused 1 'no_such_option' helper "$main" "$mnt" -o "spare=$spare,no_such_option"
refused 2 'no such file' helper "$main" "$work/nowhere" -o "spare=$spare"
helper --help >"$out" 2>&1 || fail "--help"
grep -q 'spare=' "$out" || fail "--help does not name spare="

# The switches that mount(8) passes on.
helper "$main" "$mnt" -n -s -v -o "rw,noatime,nofail,_netdev,x-systemd.automount,spare=$spare" >"$out" 2>&1 ||
    fail "the options of an fstab line: $(cat "$out")"
findmnt -no SOURCE,FSTYPE,OPTIONS "$mnt" >"$out"
grep -qE "^$main +fuse\.dmremapfs" "$out" || fail "findmnt: $(cat "$out")"
unmount_disk
helper "$main" "$mnt" -f -o "spare=$spare" >"$out" 2>&1 || fail "-f (fake)"
mountpoint -q "$mnt" && fail "a fake mount mounted"

# Behind a link `..` is where the link leads to, not where it stands.
mkdir -p "$work/there/folder"
ln -s there/folder "$work/link"
mv "$spare" "$work/there/"
helper "$main" "$mnt" -o "spare=$work/link/../${spare##*/}" >"$out" 2>&1 || fail "a spare behind a link: $(cat "$out")"
fusermount3 -u "$mnt"
mv "$work/there/${spare##*/}" "$spare"
wait_until 60 closed || fail "still locked after a spare behind a link"

# Read-only: nothing is written, not even the mark on the spare; writes are refused. It was asked
# for, so there is nothing to warn of.
sum=$(sha256sum "$main" "$spare")
mount_disk ro 2>"$out"
[ ! -s "$out" ] || fail "a warning of what was asked for: $(cat "$out")"
dd if="$disk" of=/dev/null bs=1M status=none || fail "reading a read-only disk"
printf x 2>"$out" | dd of="$disk" bs=1 conv=notrunc status=none 2>"$out" && fail "wrote to a read-only disk"
unmount_disk
[ "$(sha256sum "$main" "$spare")" = "$sum" ] || fail "a read-only mount wrote something"

# Another name for the image.
helper "$main" "$mnt" -o "spare=$spare,image=sda.raw"
[ "$(stat -c %s "$mnt/sda.raw")" = $((16 << 20)) ] || fail "image=sda.raw"
unmount_disk

# In the foreground the program stays until it is unmounted, and ends with 0.
foreground() {
    : >"$out" # here, for what the last one said would be taken for this one's
    "$@" >"$out" 2>&1 &
    local pid=$!
    # Not as soon as the disk is there: the daemon itself still asks whether its mount works, and ends
    # with 2 when it is gone by then.
    wait_until 60 grep -q ' is mounted on ' "$out" || fail "no mount from: $*"
    [ -e "$disk" ] || fail "no disk from: $*"
    kill -0 "$pid" || fail "not in the foreground: $*"
    wait_until 60 fusermount3 -u "$mnt" || fail "cannot be unmounted: $*"
    wait "$pid" || fail "exit $? from: $*"
    wait_until 60 closed || fail "still locked after: $*"
}
foreground "$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare"
foreground "$bin/dmremapfs" -f "$main" "$mnt" -o "spare=$spare"

# No device needed.
helper none "$mnt" -o demo=64M || fail "-o demo=64M"
[ "$(stat -c %s "$disk")" = $((64 << 20)) ] || fail "demo=64M has another size"
fusermount3 -u "$mnt"

# mount -t dmremapfs and fstab, where a link in /sbin may be made: in a mount namespace of our own,
# with a /sbin that nobody else sees.
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
    sbin=$(readlink -f /sbin)
    mkdir "$work/upper" "$work/ovl"
    printf '%s %s dmremapfs spare=%s,noauto 0 0\n' "$main" "$mnt" "$spare" >"$work/fstab"
    cat >"$work/inside" <<INSIDE
set -e
mount -t tmpfs none "$work/ovl"
mkdir "$work/ovl/up" "$work/ovl/wk"
mount -t overlay overlay -o "lowerdir=$sbin,upperdir=$work/ovl/up,workdir=$work/ovl/wk" "$sbin" || exit 77
ln -s "$(readlink -f "$bin/mount.dmremapfs")" "$sbin/mount.dmremapfs" || exit 77
mount -t dmremapfs "$main" "$mnt" -o "spare=$spare"
test -e "$disk"
umount "$mnt"
for i in \$(seq 200); do flock -n -x "$spare" true && break; sleep 0.05; done
mount -T "$work/fstab" "$mnt"
test -e "$disk"
umount "$mnt"
INSIDE
    status=0
    unshare --mount bash "$work/inside" >"$out" 2>&1 || status=$?
    case $status in
        0) say "mount -t dmremapfs and an fstab line work" ;;
        77) say "mount -t dmremapfs was not tried: no private /sbin can be made here" ;;
        *) fail "mount -t dmremapfs: $(cat "$out")" ;;
    esac
else
    say "mount -t dmremapfs was not tried: needs root and a mount namespace"
fi
