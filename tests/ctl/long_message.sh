#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A message that takes long keeps nobody from scan and set: these go by files of their own, for the
# kernel lets one write at a time into control/message. A remap is held by a read of main that takes
# ten minutes; it cannot end before what is tried here, and is killed with the daemon.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"

control=$mnt/control
make_pair 64M 64M
echo 'main slow read 65536+8 600000' >"$faults"
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare,engine=$engine,inject=$faults" \
    2>"$work/log" &
daemon=$!
at_end "kill -KILL $daemon 2>/dev/null; wait $daemon 2>/dev/null"
wait_until 60 test -e "$disk" || fail "no disk: $(cat "$work/log")"

(echo 'remap 0 131072' >"$control/message") 2>"$work/remap" &
remap=$!
at_end "kill -KILL $remap 2>/dev/null" # it ends with the daemon
moving() { [ "$(status_word mappings)" != 0 ]; }
wait_until 60 moving || fail "the remap does not begin"
under_way() { kill -0 $remap 2>/dev/null; }

# meanwhile WORDS ARGUMENT...: dmremapctl does it, and says these.
meanwhile() {
    local words=$1
    shift
    timeout 90 "$bin/dmremapctl" "$@" >"$out" 2>&1 || fail "dmremapctl $*: exit $?: $(cat "$out")"
    grep -qE -- "$words" "$out" || fail "dmremapctl $* does not say /$words/: $(cat "$out")"
}
meanwhile '^read_retries is 7$' set "$mnt" read_retries 7
[ "$(cat "$control/params/read_retries")" = 7 ] || fail "set had no effect"
meanwhile '"enable_background_scanning": false' set --json "$mnt" enable_background_scanning off
meanwhile 'scan: +(running|waiting|idle)' scan "$mnt" start 0 2048
meanwhile 'scan: +idle' scan "$mnt" stop
# What is refused is so in the words of the message.
refused 1 '^dmremapctl: read_retries takes a number from 0 to 20, not "21"$' \
    timeout 90 "$bin/dmremapctl" set "$mnt" read_retries 21
refused 1 '^dmremapctl: no scan is under way$' timeout 90 "$bin/dmremapctl" scan "$mnt" pause
refused 1 '^dmremapctl: the disk has 131072 sectors, and the range is not within them$' \
    timeout 90 "$bin/dmremapctl" scan "$mnt" start 131072 8

# The answer is behind what was written, and the file itself is what it was.
exec 7<>"$control/params/map_width"
echo 100 >&7
[ "$(cat <&7)" = 'map_width 100' ] || fail "no answer behind the write"
exec 7>&-
[ "$(cat "$control/params/map_width")" = 100 ] || fail "params/map_width reads as an answer"
python3 - "$control/rescan" "$control/params/map_width" <<'END' >"$out" 2>&1 || fail "$(cat "$out")"
import os, sys

def both(path, text):
    """What the file reads as behind a write and then from its beginning."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.pwrite(fd, text, 0)
    except OSError as error:
        print(path, error)
    answer = os.pread(fd, 4096, len(text)) + os.pread(fd, 4096, 1 << 20)
    return answer, os.pread(fd, 4096, 0)

answer, again = both(sys.argv[1], b"pause\n")
assert answer == b"error no scan is under way\n", answer
assert again.endswith(b" idle\n") and b"error" not in again, again
answer, again = both(sys.argv[2], b"101\n")
assert (answer, again) == (b"map_width 101\n", b"101\n"), (answer, again)
END

under_way || fail "the remap ended; nothing was shown: $(cat "$work/remap")"
[ "$(status_word mappings)" -lt 16384 ] || fail "the remap is done"
kill -KILL $daemon
wait $daemon 2>/dev/null || :
wait $remap || :
fusermount3 -u "$mnt"
say "scan and set do not wait for a remap that is under way"
