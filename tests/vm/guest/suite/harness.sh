# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# Proves the harness itself, with the kernel's own targets: that devices can be made and are taken
# down, that a check can fail, be skipped and be seen to warn. Proves nothing of dm-remap.
modules dm-flakey

a_linear_device_holds_data() {
    local device
    device=$(loop disk 2048)
    dmsetup create plain --table "0 2048 linear $device 0"
    dd if=/bin/dash of=/dev/mapper/plain bs=4096 count=4 oflag=direct status=none
    dd if=/dev/mapper/plain of=back bs=4096 count=4 iflag=direct status=none
    cmp -n 16384 back /bin/dash
}
check 'a linear device holds data' a_linear_device_holds_data

# The next check finds a clean slate.
nothing_is_left() {
    same 'devices' 'No devices found' "$(dmsetup ls)"
    same 'loop devices' '' "$(losetup -a)"
}
check 'nothing of it is left' nothing_is_left

an_error_segment_is_eio() {
    local device
    device=$(loop disk 2048)
    printf '0 1024 linear %s 0\n1024 8 error\n1032 1016 linear %s 1032\n' "$device" "$device" |
        dmsetup create holed
    dd if=/dev/mapper/holed of=/dev/null bs=4096 count=128 iflag=direct status=none
    refused 'Input/output error' dd if=/dev/mapper/holed of=/dev/null bs=4096 skip=128 count=1 iflag=direct
}
check 'an error segment is EIO' an_error_segment_is_eio

# A check that fails counts as failed. Judged here, so that the plan still passes.
a_failing_check_fails() {
    # shellcheck disable=SC2034  # check names it
    suite=inner
    work=$work/inner
    # check itself runs without it, as in init.
    set +e
    {
        check 'must fail' false
        check 'a later command counts as well' two_commands
        check 'is skipped' skip 'for a reason'
    } >>/tmp/inner
    set -e
    same 'failures' 2 "$(grep -c '^not ok' /tmp/inner)"
    grep -q '^ok .*# SKIP for a reason' /tmp/inner
}
two_commands() {
    false
    true
}
check 'a check can fail and be skipped' a_failing_check_fails
