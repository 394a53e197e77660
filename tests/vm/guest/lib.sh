# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154  # init sets $suite
# What the suites in the guest share: check, the words to act and to judge, and a clean slate after
# each check. Sourced once by init.
#
# A suite defines functions and calls `check 'what it proves' function [argument]...`. The function
# runs in a subshell with set -e; a command that fails fails the check, and what the check printed is
# shown. After it everything it made is taken down: device-mapper devices, mounts, loop devices,
# scsi_debug, null_blk, processes; and what it told the target's module is taken back. A kernel that warned
# since the check before fails the check, too.
#
# All suites of a boot are one program: a name that is defined here or in pair.sh is nobody else's.

count=0
failures=0
heard=$(dmesg | wc -l)  # of the kernel's lines
complaints='BUG:|WARNING:|KASAN|Oops|ODEBUG|INFO: (task|trying)|possible (circular|recursive) locking|general protection'
work=/tmp/check         # a check's own folder, empty at its beginning
WATCHDOG=${WATCHDOG:-1800} # seconds a check may take; only a net, a hang shows where it hangs

uname_release() { cat /vm/release; }

# Loads modules of the kernel by the names in /vm/modules, with what they need. A parameter of the
# last one comes with module NAME PARAMETER=VALUE...
modules() {
    local name
    for name in "$@"; do module "$name"; done
}
module() {
    local name=$1 file
    shift
    # shellcheck disable=SC2013  # one path a line, without blanks; a pipe would lose a failure
    for file in $(sed -n "s/^$name://p" /vm/modules); do
        [ -d "/sys/module/$(basename_of "$file")" ] && continue
        case $file in
            */"$name".ko) insmod "$file" "$@" ;;
            *) insmod "$file" ;;
        esac
    done
}
basename_of() {
    local file=${1##*/}
    echo "${file%.ko}" | tr - _
}

# ---------------------------------------------------------------- checks

check() {
    local title="$suite: $1" status watcher
    shift
    count=$((count + 1))
    echo "# begin $count - $title"
    rm -rf "$work"
    mkdir -p "$work"
    watchdog "$title" &
    watcher=$!
    (
        set -e
        cd "$work"
        "$@"
    ) >"$work/.said" 2>&1
    status=$?
    clean_up >"$work/.clean" 2>&1 || { [ $status = 77 ] || [ $status = 0 ] && status=98; }
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    dmesg | tail -n +"$((heard + 1))" >"$work/.kernel"
    heard=$((heard + $(wc -l <"$work/.kernel")))
    if grep -qE "$complaints" "$work/.kernel"; then
        status=99
    fi
    case $status in
        0) echo "ok $count - $title" ;;
        77) echo "ok $count - $title # SKIP $(tail -n 1 "$work/.said")" ;;
        *)
            failures=$((failures + 1))
            echo "not ok $count - $title"
            case $status in
                98) sed 's/^/#   cleaning up: /' "$work/.clean" ;;
                99) echo '#   the kernel complained' ;;
            esac
            tail -n 40 "$work/.said" | sed 's/^/#   /'
            tail -n 30 "$work/.kernel" | sed 's/^/#   kernel: /'
            ;;
    esac
}

# Ends the machine when a check hangs, after the kernel said where everything waits.
watchdog() {
    sleep "$WATCHDOG" >/dev/null 2>&1 # outlives its check, and must not hold a pipe of it
    echo "not ok $count - $1"
    echo "#   hangs for $WATCHDOG seconds"
    tail -n 20 "$work/.said" | sed 's/^/#   /'
    echo 8 >/proc/sys/kernel/printk
    echo w >/proc/sysrq-trigger
    echo t >/proc/sysrq-trigger
    echo l >/proc/sysrq-trigger
    sleep 2
    verdict fail
}

# Several rounds, because one device may stand on another.
clean_up() {
    local round name
    for round in 1 2 3 4; do
        sed -n 's/^[^ ]* \(\/tmp\/check[^ ]*\|\/mnt[^ ]*\) .*/\1/p' /proc/mounts | sort -r |
            while read -r name; do umount "$name"; done
        for name in $(dmsetup ls 2>/dev/null | cut -f 1 | grep -v '^No devices'); do
            dmsetup resume "$name"
            dmsetup remove "$name"
        done >/dev/null 2>&1
        losetup -D
        if [ -d /sys/module/scsi_debug ]; then rmmod scsi_debug; fi
        for name in /sys/kernel/config/nullb/*/; do
            if [ -d "$name" ]; then rmdir "$name"; fi
        done
        dmsetup ls | grep -qv '^No devices' || break
        # Whoever used it may have to let go of it first.
        [ "$round" = 4 ] || sleep 1
    done
    module_as_loaded
    name=$(dmsetup ls | grep -v '^No devices')
    [ -z "$name" ] || { echo "cannot be removed: $name"; return 1; }
}

# Its parameters outlive a check as it does itself.
module_as_loaded() {
    local parameters=/sys/module/dm_remap_v4/parameters
    [ -d $parameters ] || return 0
    echo 0 >$parameters/dm_remap_debug
    echo Y >$parameters/enable_background_scanning
    echo 24 >$parameters/scan_interval_hours
    echo Y >$parameters/real_device_mode
}

# In a kernel with lockdep and kmemleak (../debug-kernel). kmemleak knows only what is older than some
# seconds, and believes a second look. What a module that is gone had allocated, it names by addresses.
watched_to_the_end() {
    grep -q '^ *debug_locks: *1$' /proc/lockdep_stats || fail 'lockdep gave up before the end'
    for _ in 1 2; do
        sleep 6
        echo scan >/sys/kernel/debug/kmemleak
    done
    cat /sys/kernel/debug/kmemleak >leaks
    grep -c '^unreferenced object' leaks || true
    ! grep -E 'dm_remap|dmr_|0xffffffff[a-e]' leaks || fail "$(head -n 60 leaks)"
}

# ---------------------------------------------------------------- words

fail() {
    echo "FAILED: $*"
    exit 1
}
skip() {
    echo "$*"
    exit 77
}

have() { [ -x "/bin/$1" ] || skip "the guest has no $1 (make deps-vm)"; }

same() {  # WHAT WANTED FOUND
    [ "$2" = "$3" ] || fail "$1: wanted '$2', found '$3'"
}

# Runs a command that must fail, and say a text (an extended regular expression).
refused() {  # TEXT COMMAND...
    local text=$1
    shift
    if "$@" >.refused 2>&1; then
        fail "not refused: $*"
    fi
    [ -z "$text" ] || grep -qE -e "$text" .refused ||
        fail "'$*' is refused, but '$text' is not said: $(cat .refused)"
}

# Waits for a condition, for as long as the watchdog lets it.
until_true() {
    until "$@" >/dev/null 2>&1; do sleep 0.1; done
}

# Prints a new loop device over a new file of so many sectors, or over a given file.
loop() {  # NAME SECTORS [losetup's options]...
    local name=$1 sectors=$2
    shift 2
    [ -e "$work/$name" ] || truncate -s "$((sectors * 512))" "$work/$name"
    losetup --show -f "$@" "$work/$name"
}

sectors_of() { blockdev --getsz "$1"; }

numbers_of() { dmsetup info -c --noheadings -o "$2" "$1"; }

# The words of a status line, from the first reads on.
status_word() {  # NAME INDEX (1: start, 2: length, 3: target, ...)
    dmsetup status "$1" | cut -d ' ' -f "$2"
}
