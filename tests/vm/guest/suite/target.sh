# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel target in short: the reference transcript, healing, lost sectors, messages, reloads.

pair() { # SECTORS: $main, $spare
    target
    main=$(loop main.img "$1")
    spare=$(loop spare.img 32768)
    dmremapctl format --main "$main" --spare "$spare" >format.out
}

transcript() {
    target
    main=$(loop a 20480) spare=$(loop b 20480)
    dmremapctl format --main "$main" --spare "$spare"
    dmsetup create test-remap --table "0 20480 dm-remap-v4 $main $spare"
    dd if=/bin/dash of=/dev/mapper/test-remap bs=4096 count=10 oflag=direct status=none
    dd if=/dev/mapper/test-remap of=back bs=4096 count=10 iflag=direct status=none
    cmp -n 40960 back /bin/dash
    dmsetup status test-remap
    dmsetup status test-remap | grep -qE "^0 20480 dm-remap-v4 v4.0-real $main $spare [0-9]+ 10 0 0 0 [0-9]+ [0-9]+ real\$"
    same table "0 20480 dm-remap-v4 $main $spare" "$(dmsetup table test-remap | sed 's/\([0-9]\+\):\([0-9]\+\)/\1/g')"
    dmsetup remove test-remap
    dmremapctl check "$spare"
}
check 'the reference transcript' transcript

# Main is one with holes.
pair_with_holes() {
    pair 20480
    printf '0 800 linear %s 0\n800 8 error\n808 9192 linear %s 808\n10000 80 error\n10080 10400 linear %s 10080\n' "$main" "$main" "$main" | dmsetup create bad
    main=/dev/mapper/bad
    dmremapctl format --main "$main" --spare "$spare" --force --destroy="$(dmremapctl examine "$spare" | grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' | head -n 1)" >format2.out 2>&1 || cat format2.out
}
heal() {
    pair_with_holes
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    oracle fill model /dev/mapper/r
    oracle verify model /dev/mapper/r
    dmsetup status r
    same remaps 11 "$(status_word r 9)"
    oracle stress model /dev/mapper/r 7 3000
    oracle verify model /dev/mapper/r
    dmsetup suspend r
    dmsetup resume r
    oracle verify model /dev/mapper/r
    dmsetup load r --table "0 20480 dm-remap-v4 $main $spare"
    dmsetup suspend r; dmsetup resume r
    oracle verify model /dev/mapper/r
    same active 11 "$(status_word r 11)"
    dmsetup message r 0 health
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'writes to bad blocks heal, and survive suspend, resume and reload' heal

lost() {
    pair_with_holes
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    refused 'Input/output error' dd if=/dev/mapper/r of=/dev/null bs=4096 skip=100 count=1 iflag=direct status=none
    same remaps 1 "$(status_word r 9)"
    dmsetup message r 0 query 800
    dmsetup message r 0 query 800 | grep -q 'lost 1'
    dd if=/bin/dash of=/dev/mapper/r bs=512 seek=801 count=1 oflag=direct status=none
    refused 'Input/output error' dd if=/dev/mapper/r of=/dev/null bs=512 skip=800 count=1 iflag=direct status=none
    dd if=/dev/mapper/r of=one bs=512 skip=801 count=1 iflag=direct status=none
    cmp -n 512 one /bin/dash
    # The medium comes back: salvage finds what main had.
    dmsetup suspend r; dmsetup resume r
    dmsetup suspend bad
    dmsetup load bad --table "0 20480 linear $(losetup -j /tmp/check/main.img | cut -d: -f1) 0"
    dmsetup resume bad
    dmsetup message r 0 salvage
    dd if=/dev/mapper/r of=/dev/null bs=4096 skip=100 count=1 iflag=direct status=none
    dd if=/dev/mapper/r of=one bs=512 skip=801 count=1 iflag=direct status=none
    cmp -n 512 one /bin/dash
    dmsetup message r 0 remap 4096 64
    same active 9 "$(status_word r 11)"
    dmsetup message r 0 unmap 4096 64
    same active 1 "$(status_word r 11)"
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'lost sectors are EIO until written or salvaged' lost

refusals() {
    pair 20480
    refused '' dmsetup create r --table "0 20480 dm-remap-v4 $main $main"
    refused '' dmsetup create r --table "0 20472 dm-remap-v4 $main $spare"
    refused '' dmsetup create r --table "0 20480 dm-remap-v4 $main $spare 1 uuid=00000000-0000-0000-0000-000000000001"
    refused '' dmsetup create r --table "0 20480 dm-remap-v4 $main $spare 1 nonsense"
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    refused '' dmsetup create r2 --table "0 20480 dm-remap-v4 $main $spare"
    dmsetup remove r2 2>/dev/null || true
    refused '' dmsetup message r 0 scan resume
    refused '' dmsetup message r 0 scan start 20480 8
    refused '' dmsetup message r 0 scan start 8
    refused '' dmsetup message r 0 scan no_such_word
    dmsetup message r 0 set read_retries 5 | grep -q 'read_retries 5'
    dmsetup message r 0 stats | grep -q '^slots_free'
}
check 'what does not fit is refused' refusals

files() {
    have mkfs.ext4
    pair 65536
    dmsetup create r --table "0 65536 dm-remap-v4 $main $spare"
    mkfs.ext4 -q /dev/mapper/r
    mkdir -p /tmp/check/m
    mount /dev/mapper/r /tmp/check/m
    cp /bin/dmsetup /tmp/check/m/
    sync
    umount /tmp/check/m
    e2fsck -fn /dev/mapper/r
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'ext4 on it' files

unload() {
    target
    rmmod dm_remap_v4
    module dm-remap-v4 dm_remap_debug=2
    same 'dm_remap_debug' 2 "$(cat /sys/module/dm_remap_v4/parameters/dm_remap_debug)"
}
check 'the module goes and comes' unload

handover() {
    have dmremapfs
    modules fuse
    pair_with_holes
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    oracle fill model /dev/mapper/r
    dmsetup remove r
    mkdir -p /tmp/check/d
    dmremapfs "$main" /tmp/check/d -o "spare=$spare"
    oracle verify model /tmp/check/d/disk.img
    oracle stress model /tmp/check/d/disk.img 3 500
    umount /tmp/check/d
    until_true dmremapctl check "$spare"
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    oracle verify model /dev/mapper/r
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'the daemon takes over and gives back' handover

concurrent() {
    pair 40960
    echo 2 >/sys/module/dm_remap_v4/parameters/dm_remap_debug
    # Every other 64 KiB of a stretch fails.
    { for i in $(seq 0 39); do
        echo "$((i * 128)) 64 linear $main $((i * 128))"
        echo "$((i * 128 + 64)) 64 error"
    done
    echo "5120 35840 linear $main 5120"; } | dmsetup create bad
    dmremapctl format --main /dev/mapper/bad --spare "$spare" --destroy="$(dmremapctl examine "$spare" | grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' | head -n 1)" >/dev/null
    dmsetup create r --table "0 40960 dm-remap-v4 /dev/mapper/bad $spare"
    oracle fill model /dev/mapper/r
    oracle stress model /dev/mapper/r 11 4000 &
    stress=$!
    for i in 1 2 3 4 5; do
        dmsetup suspend r; dmsetup resume r
        dmsetup message r 0 remap $((20000 + i * 800)) 400 >/dev/null
        dmsetup suspend --noflush r; dmsetup resume r
        dmsetup load r --table "0 40960 dm-remap-v4 /dev/mapper/bad $spare"
        dmsetup resume r
        dmsetup message r 0 unmap $((20000 + i * 800)) 400 >/dev/null
    done
    wait $stress
    oracle verify model /dev/mapper/r
    same active 320 "$(status_word r 11)"
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'errors in flight, suspends, reloads, and orders by hand at once' concurrent

no_spare() {
    target
    main=$(loop main.img 20480) spare=$(loop spare.img 16384)
    dmremapctl format --main "$main" --spare "$spare" >/dev/null
    dmsetup create r --table "0 20480 dm-remap-v4 $main $spare"
    dmsetup message r 0 remap 0 20480 > said
    tail -n 3 said
    grep -q 'no slot' said
    dmsetup message r 0 health
    dmsetup remove r
    dmremapctl check "$spare"
}
check 'a spare that grows until it is full' no_spare

flaky_spare() {
    target
    main=$(loop main.img 20480) spare=$(loop spare.img 32768)
    printf '0 800 linear %s 0\n800 80 error\n880 19600 linear %s 880\n' "$main" "$main" | dmsetup create bad
    dmsetup create sp --table "0 32768 linear $spare 0"
    dmremapctl format --main /dev/mapper/bad --spare /dev/mapper/sp
    dmsetup create r --table "0 20480 dm-remap-v4 /dev/mapper/bad /dev/mapper/sp"
    oracle fill model /dev/mapper/r
    # The first page of the first table takes no write any more: 1 MiB.
    dmsetup suspend sp
    printf '0 2048 linear %s 0\n2048 8 error\n2056 30712 linear %s 2056\n' "$spare" "$spare" | dmsetup load sp
    dmsetup resume sp
    dmsetup message r 0 remap 4096 8
    oracle verify model /dev/mapper/r
    until_true retired_is_empty
    dmsetup message r 0 health
    oracle stress model /dev/mapper/r 5 500
    oracle verify model /dev/mapper/r
    dmsetup remove r
    dmremapctl check /dev/mapper/sp || true
    dmsetup create r --table "0 20480 dm-remap-v4 /dev/mapper/bad /dev/mapper/sp"
    oracle verify model /dev/mapper/r
    dmsetup remove r
}
retired_is_empty() { dmsetup message r 0 stats | grep -q 'moves 1[01]$'; }
check 'a page of the table dies: its blocks move' flaky_spare
