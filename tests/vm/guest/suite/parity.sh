# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that target and daemon are of one mind: of spares that the daemon's engine left, honest and
# hostile ones (tests/vm/pairs.cpp made them and knows the core's verdict), the target opens the same
# and reads the same, and what it refuses it has not touched; and over the same bad blocks the same
# work leaves the same mapping. That the daemon reads what the target left is metadata.sh's.
modules fuse ext4

check 'honest spares of the daemon open and read the same' cases_agree base 9
check 'spares that the daemon used at random open and read the same' cases_agree random 12
# In parts, for a check has its time.
for part in '[0-3]' '[4-7]' '[89a]' '[b-z]'; do
    check "P8 hostile spares get the same verdict, and are not touched when refused: $part" \
        cases_agree "hostile-$part" 10
done

# Blocks that take neither reads nor writes; the same requests, in the same order, to both.
faulty_pair() {  # NAME
    back=$(loop "$1.main" 20480)
    main=$(holed "bad-$1" "$back")
    spare=$(loop "$1.spare" 32768)
    format
}
work_through() {  # NAME DISK
    oracle fill "$model" "$2"
    punch "bad-$1" "$back" 800 8 4096 24 10000 80 16000 1 20472 8
    dd if="$2" of=back bs=512 skip=4100 count=1 iflag=direct status=none && fail 'sector 4100 is read'
    dd if="$2" of=back bs=4096 skip=2000 count=1 iflag=direct status=none && fail 'sector 16000 is read'
    oracle write "$model" "$2" 796 40
    oracle write "$model" "$2" 4104 4
    oracle write "$model" "$2" 10000 40
    dd if="$2" of=back bs=4096 skip=1255 count=5 iflag=direct status=none && fail 'sector 10040 is read'
    oracle write "$model" "$2" 20470 10
    sync "$2"
}
# Slot by slot what the first copy of the table says, but for times, sequences and checksums: block,
# and reason, retry mask, lost mask and state in hexadecimal.
mapping() {
    dd if="$1" bs=4096 skip=256 count=16 iflag=direct status=none | od -An -v -tx8 -w32 |
        awk '{ what = substr($4, 9); if (substr(what, 7) + 0 > 0) print NR - 1, $1, what }'
}

same_mapping() {
    have dmremapfs
    target
    faulty_pair kernel
    up
    work_through kernel "$disk"
    message remap 12000 16
    message unmap 12000 8
    down
    spare_is_clean
    mapping "$spare" >kernel.map

    faulty_pair daemon
    mount_daemon
    work_through daemon /mnt/daemon/disk.img
    dmremapctl remap /mnt/daemon 12000 16
    dmremapctl unmap /mnt/daemon 12000 8
    unmount_daemon
    mapping "$spare" >daemon.map
    cat kernel.map daemon.map
    at_least 'mapped blocks' "$(wc -l <kernel.map)" 10
    cmp kernel.map daemon.map
}
check 'the same faults and the same work leave the same mapping' same_mapping
