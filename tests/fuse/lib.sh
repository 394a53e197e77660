# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the end-to-end tests share. Sourced, as the first thing, by each tests/fuse/*.sh:
#
#   a scratch folder $work, removed at the end, with everything mounted or attached in it taken
#   down first, in reverse order, also on failure and on signals (at_end);
#   the pair under test: $main and $spare (images), $faults (the fault file), $mnt, $disk;
#   small words to act and to judge: refused, fail, skip, same_tree, ...
#
# A test ends with 0, with 77 after a line "SKIP: reason" (CTest shows it as skipped), else it failed.
# The programs come from $DMREMAP_BIN (CTest sets it), else from build/bin.
set -Eeuo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${DMREMAP_BIN:-$here/../../build/bin}
self=$(basename "$0" .sh)

# ---------------------------------------------------------------- ends

ends=()
at_end() { ends+=("$1"); }

run_ends() {
    local status=$? i
    trap - EXIT ERR INT TERM HUP
    set +e
    if [ "$status" != 0 ] && [ "$status" != 77 ]; then
        show_evidence
    fi
    for ((i = ${#ends[@]} - 1; i >= 0; i--)); do
        eval "${ends[$i]}"
    done
    exit "$status"
}

# What a reader of a failed run wants to see and could not get any more.
show_evidence() {
    {
        for file in state reasons status remaps; do
            [ -r "${mnt:-/nonexistent}/control/$file" ] || continue
            echo "--- control/$file"
            head -n 20 "$mnt/control/$file"
        done
        if [ -s "${out:-/nonexistent}" ]; then
            echo "--- last output"
            tail -n 20 "$out"
        fi
    } >&2
}

say() { printf '%s: %s\n' "$self" "$*"; }
fail() {
    printf '%s: FAILED at line %s: %s\n' "$self" "${BASH_LINENO[0]}" "$*" >&2
    exit 1
}
skip() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}

need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "$command is not installed (make deps)"
    done
}

# Loop devices and file system mounts are root's. Without root but with a sudo that does not ask,
# the test starts over as root.
need_root() {
    [ "$(id -u)" = 0 ] && return
    if sudo -n true 2>/dev/null; then
        exec sudo -n env DMREMAP_BIN="$bin" bash "$0" "$@"
    fi
    skip "needs root for losetup and mount: sudo make test"
}

need_loop() {
    need_root
    need losetup
    losetup -f >/dev/null 2>&1 || skip "no loop devices here (losetup -f fails)"
}

# Waits until a command succeeds; for what happens soon after something else, with no other sign.
wait_until() {
    local seconds=$1 end
    shift
    end=$((SECONDS + seconds))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# ---------------------------------------------------------------- the pair

work=$(mktemp -d "${TMPDIR:-/tmp}/dmremap-$self.XXXXXX")
at_end "rm -rf --one-file-system '$work'"
trap run_ends EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'echo "$self: FAILED at line $LINENO: $BASH_COMMAND" >&2' ERR

main=$work/main.img
spare=$work/spare.img
faults=$work/faults
mnt=$work/mnt
disk=$mnt/disk.img
out=$work/out
mkdir "$mnt"
: >"$faults"

[ -x "$bin/mount.dmremapfs" ] || fail "no $bin/mount.dmremapfs: run make first"
[ -e /dev/fuse ] || { [ "$(id -u)" = 0 ] && modprobe fuse 2>/dev/null; } ||
    skip "no /dev/fuse here: the kernel's fuse module is not loaded, or this is a container without it"
if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
    skip "/dev/fuse cannot be opened by $(id -un)"
fi
need fusermount3

# make_pair MAIN_SIZE SPARE_SIZE: two fresh images, formatted.
make_pair() {
    rm -f "$main" "$spare"
    truncate -s "$1" "$main"
    truncate -s "$2" "$spare"
    ctl format --main "$main" --spare "$spare" >"$out"
}

ctl() { "$bin/dmremapctl" "$@"; }

# The engine that serves the mounts, and the way requests come, where a test wants others than the
# usual. on: only where the kernel offers FUSE over io_uring, which is for all mounts of a machine.
engine=${DMREMAP_ENGINE:-auto}
io_uring=${DMREMAP_IO_URING:-off}
io_uring_switch=/sys/module/fuse/parameters/enable_uring
io_uring_offered() { [ "$(cat "$io_uring_switch" 2>/dev/null)" = Y ]; }
[ "$io_uring" != on ] || io_uring_offered ||
    skip "the kernel offers no FUSE over io_uring; where it can: echo Y > $io_uring_switch"

# mount_disk [OPTIONS]: returns when the mount works. Comes off at the end by itself.
mount_disk() {
    local options="spare=$spare,engine=$engine,io_uring=$io_uring"
    [ -s "$faults" ] && options+=",inject=$faults"
    [ $# -gt 0 ] && options+=",$1"
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "$options"
    [ -e "$disk" ] || fail "mount.dmremapfs returned 0 but $disk is not there"
}
at_end 'unmount_at_end'

# The spare's lock is the daemon's last possession: when it can be had, the disk is closed.
closed() { flock -n -x "$spare" true && flock -n -x "$main" true; }

unmount_disk() {
    fusermount3 -u "$mnt"
    wait_until 30 closed || fail "the daemon still holds the pair 30 s after the unmount"
}

# In the order of what stands on what; nothing of this may keep the rest from being taken down.
unmount_at_end() {
    mountpoint -q "$mnt" || return 0
    fusermount3 -u "$mnt" 2>/dev/null || wait_until 5 fusermount3 -u "$mnt" 2>/dev/null ||
        fusermount3 -u -z "$mnt"
    wait_until 10 closed || echo "$self: the daemon is still there after the unmount" >&2
}

# One word of the status line: mappings, remaps, errors, ...
status_word() {
    local -A column=([reads]=7 [writes]=8 [remaps]=9 [errors]=10 [mappings]=11)
    cut -d ' ' -f "${column[$1]}" "$mnt/control/status"
}

# ---------------------------------------------------------------- faults

# bad KIND SECTOR COUNT [DEVICE]: adds a line to the fault file (core/device/FAULTS.md). Kinds:
# read, write, all, and pending: fails on read until it is written, as a drive's pending sector.
bad() {
    local rule="$1 $2+$3"
    [ "$1" != pending ] || rule="read $2+$3 heals"
    echo "${4:-main} bad $rule" >>"$faults"
}

# Before the disk is mounted again: what was unreadable until it was written has been written, but a
# fault file read anew would not know.
forget_pending() { sed -i '/ heals$/d' "$faults"; }

# scatter COUNT SECTORS SEED KIND...: COUNT bad spots of 1 to 8 sectors over the first SECTORS of
# main, the kinds in turn. The same seed, the same spots.
scatter() {
    local count=$1 sectors=$2 seed=$3 kind sector length
    shift 3
    while read -r kind sector length; do
        bad "$kind" "$sector" "$length"
    done < <(awk -v n="$count" -v max="$sectors" -v seed="$seed" -v kinds="$*" 'BEGIN {
        k = split(kinds, kind, " ")
        srand(seed)
        for (i = 0; i < n; i++)
            printf "%s %d %d\n", kind[i % k + 1], int(rand() * (max - 8)), 1 + int(rand() * 8)
    }')
}

# ---------------------------------------------------------------- acting

# attach FILE [losetup options]: sets $loop. Detached at the end.
attach() {
    local file=$1
    shift
    loop=$(losetup --find --show "$@" "$file")
    at_end "detach '$loop'"
}

detach() {
    losetup "$1" >/dev/null 2>&1 || return 0
    losetup -d "$1"
    wait_until 10 detached "$1" || fail "$1 is still attached"
}
detached() { ! losetup "$1" >/dev/null 2>&1; }

# mount_ext4 DEVICE FOLDER
mount_ext4() {
    mkdir -p "$2"
    mount -t ext4 "$1" "$2"
    at_end "! mountpoint -q '$2' || umount '$2'"
}

drop_caches() {
    sync
    [ "$(id -u)" = 0 ] && echo 3 >/proc/sys/vm/drop_caches
}

# sums FOLDER: SHA-256 of every file in it, in order of names.
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum); }

# a_tree FOLDER MIB: copies a real tree of about this size, whole files, from what every system has.
a_tree() {
    local from=/usr/include
    [ "$(du -sm $from 2>/dev/null | cut -f 1)" -ge 8 ] || from=/usr/share
    mkdir -p "$1"
    (cd "$from" && find . -type f -readable -size -2048k -printf '%s %p\n' 2>/dev/null) |
        sort -k 2 |
        awk -v max=$(($2 << 20)) '{ n += $1 + 4096; if (n <= max) { sub(/^[0-9]+ /, ""); print } }' |
        tar -C "$from" --no-recursion -T - -cf - | tar -C "$1" -xf -
}

# peak PID: the most memory that this process ever had, in KiB.
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }

# in_little KIB COMMAND...: its output goes to $out, and it never had more memory than that. Wants
# python3.
in_little() {
    python3 -c 'import os, resource, sys
child = os.spawnvp(os.P_WAIT, sys.argv[2], sys.argv[2:])
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
if most > int(sys.argv[1]):
    sys.exit("%s took %d KiB" % (" ".join(sys.argv[2:]), most))
sys.exit(child)' "$@" >"$out" 2>"$work/err" || fail "$(cat "$work/err")"
}

# refused CODE REGEX COMMAND...: it must fail with this code and say so in one sentence.
refused() {
    local want=$1 words=$2 got=0
    shift 2
    "$@" >"$out" 2>&1 || got=$?
    [ "$got" = "$want" ] || fail "exit $got instead of $want from: $*"
    grep -qiE "$words" "$out" || fail "its words do not match /$words/: $(cat "$out")"
}

# at FILE OFFSET LENGTH [dd flags]: SHA-256 of the data there; both in bytes, multiples of 512.
at() {
    dd if="$1" bs=512 skip=$(($2 / 512)) count=$(($3 / 512)) status=none "${@:4}" | sha256sum |
        cut -c 1-64
}

# noise SEED LENGTH: reproducible bytes, different at every place. put FILE OFFSET LENGTH SEED
# writes them there, durably.
noise() { head -c "$2" < <(seq -f "noise $1 %.0f" 1 "$2" || :); }
noise_sum() { noise "$1" "$2" | sha256sum | cut -c 1-64; }
put() {
    noise "$4" "$3" |
        dd of="$1" bs=512 seek=$(($2 / 512)) conv=notrunc,fsync iflag=fullblock status=none
}
