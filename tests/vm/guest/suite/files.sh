# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that file systems live on it as on any disk while ever more of main takes no writes: fio
# verifies what it wrote, through suspends, reloads and scans, and nothing is left for fsck. The faults
# are the host's (tests/vm/disks.cpp), one for each 2 MiB, and stay for the second file system.
modules crc32c_generic ext4 xfs

fio_job() {
    fio --name=verify --directory=/mnt/files --rw=randwrite --bsrange=4k-64k --size=12M --numjobs=2 \
        --thread --direct=1 --ioengine=psync --fsync=32 --verify=crc32c --verify_fatal=1 \
        --verify_state_save=0 --randseed=7 "$@"
}

files_on() {  # FILE_SYSTEM, and the commands that make and check it
    local writer round kind=$1 make=$2 repair=$3
    have fio
    have "mkfs.$kind"
    target
    main=$(virtual_disk files-main)
    spare=$(loop spare 65536)
    format
    up
    $make "$disk"
    mkdir -p /mnt/files
    mount -t "$kind" "$disk" /mnt/files
    fio_job >fio.log 2>&1 &
    writer=$!
    for round in 1 2 3 4 5; do
        dmsetup suspend "$name"
        dmsetup load "$name" --table "$(table)"
        dmsetup resume "$name"
        message scan start || true # the last one may still be under way
        dmsetup suspend "$name"
        dmsetup resume "$name"
    done
    wait "$writer" || fail "fio: $(tail -n 20 fio.log)"
    umount /mnt/files
    $repair "$disk" >repair.log 2>&1 || fail "$repair: $(tail -n 20 repair.log)"
    at_least 'active_mappings' "$(number active_mappings)" 1
    down
    spare_is_clean
    up
    mount -t "$kind" "$disk" /mnt/files
    fio_job --verify_only >fio.log 2>&1 || fail "fio, reading again: $(tail -n 20 fio.log)"
    umount /mnt/files
    down
    spare_is_clean
}
check 'ext4 loses nothing while main fails under it' files_on ext4 'mkfs.ext4 -q' 'e2fsck -fn'
check 'xfs loses nothing while main fails under it' files_on xfs 'mkfs.xfs -q -f -K' 'xfs_repair -n'
