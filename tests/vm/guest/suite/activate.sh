# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Proves that `dmremapctl activate` presents a pair through the target after all that mounting asks of it,
# and that what it refuses it leaves as it is (P7). Identities here are files under loop devices and
# serials of virtio disks; others it does not prove.

activate() { dmremapctl activate --main "$main" --spare "$spare" "$@" "$name"; }

# Runs a command that must end with a code, and say a text.
ends() { # CODE TEXT COMMAND...
    local want=$1 text=$2 got=0
    shift 2
    "$@" >.ends 2>&1 || got=$?
    cat .ends
    same "exit of $*" "$want" "$got"
    grep -qE -e "$text" .ends || fail "'$text' is not said"
}
keep() {
    sync
    cp main main.kept
    cp spare spare.kept
}
unchanged() {
    sync
    cmp main main.kept && cmp spare spare.kept
}

comes_up() {
    target
    loop_pair 20480 32768
    format
    activate >said
    cat said
    grep -qx "$main with spare $spare is up as $disk" said
    dmsetup table "$name" >said
    cat said
    grep -qE ' 2 uuid=[0-9a-f-]{36} machine=[0-9a-f]{32}$' said
    oracle fill "$model" "$disk"
    message remap 800 8
    oracle verify "$model" "$disk"
    ends 4 'in use' activate
    down
    spare_is_clean
    dmremapctl activate --json --main "$main" --spare "$spare" "$name" >said
    cat said
    grep -q '"active": true' said
    same 'active_mappings' 1 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'activate presents a pair, whose table names the UUID and the machine' comes_up

one_name() {
    target
    loop_pair 20480 32768
    format
    dmsetup create "$name" --table "0 8 error"
    ends 4 "there is a device-mapper device $name already" activate
    dmsetup remove "$name"
    for wrong in control . .. a/b; do
        ends 2 'is no name' dmremapctl activate --main "$main" --spare "$spare" "$wrong"
    done
    ends 2 'is no name' dmremapctl activate --main "$main" --spare "$spare" "$(printf '%0128d' 0)"
    spare_is_clean
}
check 'activate takes no name that is taken or is none' one_name

right_pair() {
    target
    loop_pair 20480 32768
    format
    other=$(loop other 20480)
    keep
    ends 1 'is not the main device of spare' dmremapctl activate --main "$other" --spare "$spare" "$name"
    ends 1 'swapped' dmremapctl activate --main "$spare" --spare "$main" "$name"
    ends 3 'nowhere' dmremapctl activate --main "$main" --spare "$work/nowhere" "$name"
    ends 0 'uuid=' activate --dry-run
    unchanged
    [ -e "$disk" ] && fail "something is up"
    # A main that was written while detached.
    up
    oracle fill "$model" "$disk"
    down
    dd if=/dev/zero of="$main" bs=4096 count=1 oflag=direct conv=notrunc status=none
    keep
    ends 1 'written while detached' activate
    unchanged
    [ -e "$disk" ] && fail "something is up"
    return 0
}
check 'P7 activate refuses a wrong or changed main, and writes nothing' right_pair

foreign() {
    target
    have mkfs.ext4
    loop_pair 20480 32768
    format
    mkfs.ext4 -q -F "$work/other.img" 1024 2>/dev/null
    dd if="$work/other.img" of="$spare" bs=1024 skip=1 seek=1 count=1 conv=notrunc,fsync status=none
    keep
    ends 1 'ext' activate
    unchanged
}
check 'P7 activate refuses a spare that a file system was made over' foreign

read_only() {
    target
    loop_pair 20480 32768
    format
    up
    oracle fill "$model" "$disk"
    message remap 800 8
    down
    keep
    activate --readonly
    same 'read-only' 1 "$(blockdev --getro "$disk")"
    oracle verify "$model" "$disk"
    refused '' dd if=/dev/zero of="$disk" bs=4096 count=1 oflag=direct status=none
    down
    unchanged
}
check 'activate --readonly writes neither to main nor to the spare' read_only

no_target() {
    target
    loop_pair 20480 32768
    format
    rmmod dm-remap-v4
    ends 1 'has no target dm-remap-v4: load its module' activate
    target
    activate
    down
    # What the kernel refuses after user space found it right is said with where to look.
    spare_is_clean
}
check 'activate says that the module is not loaded' no_target
