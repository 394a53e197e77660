#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The manners of sysfs: who may read and write what, what ls shows, what grep finds, and that a read
# is one picture however small its pieces and whatever happens between them.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need_root
need python3 setpriv

control=$mnt/control
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
# denied COMMAND...: for want of the right, and nothing else.
denied() {
    nobody "$@" >"$out" 2>"$work/err" && fail "another user may: $*"
    grep -q 'Permission denied' "$work/err" || fail "$*: $(cat "$work/err")"
}
# shellcheck disable=SC2016  # $1 is the inner shell's
write='echo 1 >"$1"'

make_pair 32M 32M
chmod 755 "$work"
bad read 4104 1
mount_disk allow_other

# ---------------------------------------------------------------- another user looks and changes nothing
mapfile -t files < <(find "$control" -type f | sort)
for file in "${files[@]}"; do
    denied bash -c "$write" - "$file"
    case $(stat -c %a "$file") in
        600) denied cat "$file" ;;
        4?? | 644) nobody cat "$file" >"$out" || fail "another user may not read $file" ;;
        *) fail "$file has mode $(stat -c %a "$file")" ;;
    esac
done
denied dd if="$disk" of=/dev/null bs=4096 count=1
denied dd if=/dev/zero of="$disk" bs=4096 count=1 conv=notrunc
nobody "$bin/dmremapctl" status "$mnt" >"$out" || fail "another user may not ask for the status"
nobody "$bin/dmremapctl" remap "$mnt" 80 >"$out" 2>&1 && fail "another user may remap"
grep -q 'belongs to another user' "$out" || fail "a refused remap says: $(cat "$out")"
[ "$(status_word mappings)" = 0 ] || fail "what was denied had an effect"
# Root writes to each that can be written; a bad word is refused with its reason in the log or answer.
for file in "${files[@]}"; do
    [[ $(stat -c %A "$file") == -?w* ]] || continue
    (echo nonsense >"$file") 2>"$work/err" && fail "$file took nonsense"
    grep -qE 'Invalid argument|No such file' "$work/err" || fail "$file: $(cat "$work/err")"
done

# ---------------------------------------------------------------- ls, grep, times
dd if="$disk" of=/dev/null bs=4K skip=513 count=1 iflag=direct status=none 2>"$out" && fail "no EIO"
echo 'remap 0 16384' >"$control/message"
now=$(date +%s)
for file in "${files[@]}"; do
    [[ $(stat -c %h:%F "$file") == 1:regular*file ]] || fail "$file is a $(stat -c %h:%F "$file")"
    age=$((now - $(stat -c %Y "$file")))
    if [ "$age" -lt -5 ] || [ "$age" -gt 3600 ]; then fail "$file was changed $age s ago"; fi
done
# grep and wc read to the end whatever size ls shows.
[ "$(grep -c manual "$control/remaps")" = 2047 ] || fail "grep of remaps: $(grep -c manual "$control/remaps")"
[ "$(wc -l <"$control/remaps")" = 2049 ] || fail "wc of remaps"
grep -q '"kind":"lost","sector":4104' "$control/events" || fail "grep of events"
grep -qrs degraded "$control/state" "$control/health" || fail "grep -r"

# ---------------------------------------------------------------- one picture
cat >"$work/picture.py" <<'END'
import os, sys
control = sys.argv[1]
# Each is begun, and the rest is read when the disk has changed; what changes with time alone is
# compared with what the same descriptor says at its beginning only.
names = ["stats", "stats.json", "metrics", "remaps", "map", "health", "reasons", "status"]
opened = {}
for name in names:
    fd = os.open(f"{control}/{name}", os.O_RDONLY)
    opened[name] = (fd, os.read(fd, 7))
whole = {name: open(f"{control}/{name}", "rb").read() for name in names}
with open(f"{control}/message", "w") as message:
    message.write("unmap 0 4096\n")
for name, (fd, text) in opened.items():
    while True:
        piece = os.read(fd, 3)
        if not piece:
            break
        text += piece
    os.close(fd)
    lines = {"stats": b"active_mappings 2048\n", "stats.json": b'"active_mappings":2048',
             "metrics": b"dmremap_active_mappings{", "remaps": b"\n0 ", "map": b"\n   0 o",
             "health": b"remapped_blocks 2048\n", "reasons": b"lost_sectors: ",
             "status": b" 2048 "}
    if lines[name].replace(b" ", b"") not in text.replace(b" ", b""):
        sys.exit(f"{name} is of after the change: {text[:200]!r}")
    if name in ("remaps", "map", "reasons") and text != whole[name]:
        sys.exit(f"{name} is of two pictures")
    if open(f"{control}/{name}", "rb").read() == whole[name] and name != "reasons":
        sys.exit(f"{name} did not change at all: this proves nothing")
END
python3 "$work/picture.py" "$control" 2>"$out" || fail "$(cat "$out")"

# ---------------------------------------------------------------- of whom the options say
unmount_disk
mount_disk allow_other,uid=65534,gid=65534,umask=077
nobody bash -c "$write" - "$control/params/read_retries" || fail "the owner may not write"
[ "$(cat "$control/params/read_retries")" = 1 ] || fail "the owner's write had no effect"
nobody dd if=/dev/zero of="$disk" bs=4096 count=1 conv=notrunc status=none || fail "the owner's disk"
setpriv --reuid=65533 --regid=65533 --clear-groups -- cat "$control/state" 2>"$out" && fail "umask=077"
grep -q 'Permission denied' "$out" || fail "umask=077: $(cat "$out")"
say "who may, may; who may not, is told; a read is one picture"
