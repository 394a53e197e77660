#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who watches a disk: poll(2) on the state and the events, tail -f, events that outlive a mount, a
# long message that its sender gives up, and the questions that a read-only mount answers.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need python3

control=$mnt/control

make_pair 64M 64M
bad read 4104 1
echo 'main slow read 65536+8192 200' >>"$faults"
mount_disk poll

# ---------------------------------------------------------------- poll
# Says "waiting" when nothing new is there, and "woken" with the text when something is.
cat >"$work/poll.py" <<'END'
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.read(fd, 1 << 20)
poll = select.poll()
poll.register(fd, select.POLLIN | select.POLLPRI)
if poll.poll(0):
    sys.exit("ready although nothing is new")
print("waiting", flush=True)
if not poll.poll(60000):
    sys.exit("never woken")
text = os.read(fd, 1 << 20) if sys.argv[2] == "more" else os.pread(fd, 1 << 20, 0)
print("woken", text.decode().strip(), flush=True)
# Of events others may have come meanwhile.
if sys.argv[2] == "again" and poll.poll(0):
    sys.exit("ready although it was read")
END
declare -A watcher
watch() {
    python3 "$work/poll.py" "$control/$1" "$2" >"$work/$1.polled" 2>&1 &
    watcher[$1]=$!
}
watch state again
watch reasons again
watch events more
for name in state reasons events; do
    wait_until 60 grep -q waiting "$work/$name.polled" || fail "poll of $name: $(cat "$work/$name.polled")"
done
dd if="$disk" of=/dev/null bs=4K skip=513 count=1 iflag=direct status=none 2>"$out" && fail "no EIO"
for name in state reasons events; do
    wait "${watcher[$name]}" || fail "poll of $name: $(cat "$work/$name.polled")"
done
grep -q '^woken degraded$' "$work/state.polled" || fail "state: $(cat "$work/state.polled")"
grep -q '^woken lost_sectors: ' "$work/reasons.polled" || fail "reasons: $(cat "$work/reasons.polled")"
grep -q '"kind":' "$work/events.polled" || fail "events: $(cat "$work/events.polled")"

# ---------------------------------------------------------------- tail -f; sizes
[ "$(stat -c %s "$control/events")" = "$(wc -c <"$control/events")" ] || fail "size of events"
tail -n +1 -f "$control/events" >"$work/followed" 2>"$out" &
tail=$!
at_end "kill $tail 2>/dev/null || :"
wait_until 60 grep -q '"kind":"lost"' "$work/followed" || fail "tail -f does not show what is there"
echo 'remap 800 16' >"$control/message"
wait_until 60 grep -q '"sector":800,.*"text":"manual"' "$work/followed" || fail "tail -f shows nothing new"
kill "$tail"
wait "$tail" 2>/dev/null || :
[ ! -s "$out" ] || fail "tail: $(cat "$out")"
sort -u "$work/followed" | cmp - <(sort "$control/events") || fail "tail -f showed other events"

# ---------------------------------------------------------------- a message given up
# 8192 slow sectors would take minutes.
# The shell that writes gets the signal, as from a terminal.
timeout -s INT 2 bash -c "trap 'exit 3' INT; echo 'remap 65536 8192' >'$control/message'" 2>"$out" && fail "the remap was not slow"
grep -q '^error interrupted before sector' "$control/message" || fail "interrupted: $(cat "$control/message")"
[ "$(status_word mappings)" -lt 900 ] || fail "an interrupted remap went on"
got=0
timeout -s INT 2 "$bin/dmremapctl" remap "$mnt" 65536 8192 >"$work/moved" 2>"$out" || got=$?
[ "$got" = 124 ] || [ "$got" = 1 ] || fail "dmremapctl remap, interrupted: $got"
grep -q 'remapped, ' "$work/moved" || fail "it did not say what was done: $(cat "$work/moved" "$out")"
grep -q 'interrupted' "$out" || fail "it did not say that it was interrupted: $(cat "$out")"

# ---------------------------------------------------------------- the next mount
unmount_disk
sed -i '/slow/d' "$faults"
mount_disk ro
# Without the option the kernel is told not to ask, so that requests by io_uring cost no question each.
python3 - "$control/state" <<'END' || fail "poll asks although nobody wants it"
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.read(fd, 100)
poll = select.poll()
poll.register(fd, select.POLLIN)
sys.exit(0 if poll.poll(0) else 1)
END
grep -q '"id":-\?[0-9]*,.*"kind":"remapped"' <(sed -n 1p "$control/events") || fail "nothing is recalled: $(head -n 3 "$control/events")"
grep -q '"kind":"remapped","sector":4104,"text":"read_error"' "$control/events" || fail "events: $(cat "$control/events")"
ctl query "$mnt" 801 >"$out" || fail "query of a read-only mount"
grep -q 'spare' "$out" || fail "query of a read-only mount: $(cat "$out")"
grep -q '"lost": *true' <(ctl query --json "$mnt" 4104) || fail "query --json of a read-only mount"
grep -q main <(ctl query "$mnt" 0) || fail "query of what is on main"
refused 1 'from 0 on' ctl query "$mnt" 99999999
say "state and events can be waited for, followed and interrupted"
