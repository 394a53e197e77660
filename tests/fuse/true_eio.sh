#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Real errors instead of the fault device: main is a file of nbdfuse, behind it an nbdkit that
# answers EIO for a list of bad sectors, on reading, on writing or on both. Nothing in dm-remap
# knows that these errors are made.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need nbdkit nbdfuse
nbdkit eval --dump-plugin >/dev/null 2>&1 || skip "this nbdkit has no eval plugin"

backing=$work/backing.img
truncate -s 32M "$backing"
put "$backing" 0 $((4 << 20)) old

# Lines "r|w FIRST LAST" in bytes; the scripts below answer EIO when a request touches one.
cat >"$work/bad" <<'LIST'
r 1048576 1049088
r 1572864 1576960
w 2097152 2097664
w 8388608 8392704
r 16777216 16777728
w 16777216 16777728
LIST
# $3 is the request's length, $4 its offset, for nbdkit's eval plugin.
bad_test() {
    echo "if awk -v o=\$4 -v n=\$3 '\$1 == \"$1\" && o < \$3 && o + n > \$2 { hit = 1 } END { exit !hit }' '$work/bad'; then echo EIO bad sector >&2; exit 1; fi"
}
mkdir "$work/nbd"
nbdfuse "$work/nbd/main.img" --command nbdkit -s --exit-with-parent eval \
    get_size="echo $((32 << 20))" can_write='exit 0' can_flush='exit 0' flush="sync -d '$backing'" \
    pread="$(bad_test r); exec dd if='$backing' iflag=count_bytes,skip_bytes skip=\$4 count=\$3 bs=64k status=none" \
    pwrite="$(bad_test w); exec dd of='$backing' oflag=seek_bytes conv=notrunc seek=\$4 bs=64k status=none" \
    >"$work/nbd.log" 2>&1 &
at_end "mountpoint -q '$work/nbd' && fusermount3 -u '$work/nbd'; wait"
wait_until 20 test -e "$work/nbd/main.img" || skip "nbdfuse does not mount here: $(cat "$work/nbd.log")"
dd if="$work/nbd/main.img" of=/dev/null bs=512 skip=2048 count=1 status=none 2>/dev/null &&
    fail "the bad sector of the made device can be read: the test proves nothing"

main=$work/nbd/main.img
truncate -s 16M "$spare"
ctl format --main "$main" --spare "$spare" >"$out"
closed() { flock -n -x "$spare" true; }
mount_disk

# A bad sector under old data: that sector is EIO, its neighbours are saved, nothing is invented.
refused 1 'input/output error' dd if="$disk" of=/dev/null bs=512 skip=2048 count=1 iflag=direct
[ "$(at "$disk" $((1048576 + 512)) 3584 iflag=direct)" = "$(at "$backing" $((1048576 + 512)) 3584)" ] ||
    fail "the readable sectors of the bad block were not saved"
refused 1 'input/output error' dd if="$disk" of=/dev/null bs=4096 skip=384 count=1 iflag=direct
[ "$(status_word mappings)" = 2 ] || fail "expected two remaps after reading two bad blocks"

# Writing heals: onto the lost sectors, onto write-bad ones, onto one that is bad both ways.
put "$disk" 1048576 512 a
put "$disk" 1572864 4096 b
put "$disk" 2097152 512 c
put "$disk" 8388608 8192 d
put "$disk" 16777216 4096 e
# and again when nothing is cached any more, nor in this process's memory
for round in same-mount remounted; do
    [ "$(at "$disk" 1048576 512 iflag=direct)" = "$(noise_sum a 512)" ] || fail "$round: a"
    [ "$(at "$disk" 1572864 4096 iflag=direct)" = "$(noise_sum b 4096)" ] || fail "$round: b"
    [ "$(at "$disk" 2097152 512 iflag=direct)" = "$(noise_sum c 512)" ] || fail "$round: c"
    [ "$(at "$disk" 2097664 3584 iflag=direct)" = "$(at "$backing" 2097664 3584)" ] ||
        fail "$round: the rest of a block that was written in part"
    [ "$(at "$disk" 8388608 8192 iflag=direct)" = "$(noise_sum d 8192)" ] || fail "$round: d"
    [ "$(at "$disk" 16777216 4096 iflag=direct)" = "$(noise_sum e 4096)" ] || fail "$round: e"
    [ "$(status_word mappings)" = 5 ] || fail "$round: $(status_word mappings) remaps, not 5"
    [ "$round" = remounted ] || { unmount_disk && mount_disk; }
done
[ "$(cat "$mnt/control/state")" = healthy ] || fail "not healthy: $(cat "$mnt/control/reasons")"
unmount_disk
say "healed 5 blocks of a device that really fails"
