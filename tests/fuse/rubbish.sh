#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# P8 through a real mount: seeded rubbish to every control file that can be written, each write also
# a broken or a right message, while fio writes and verifies. No byte is wrong, every write comes
# back, and the daemon is the same one afterwards. SEED=N repeats a run.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need python3 fio

seed=${SEED:-1}
writes=1500
sectors=$((64 << 11))
control=$mnt/control

make_pair 64M 64M
truncate -s 0 "$work/log"
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare,engine=$engine" 2>"$work/log" &
daemon=$!
wait_until 60 test -e "$disk" || fail "no disk: $(cat "$work/log")"
put "$disk" 0 $((16 << 20)) before

# The files are those there are, so that a new one is not forgotten.
find "$control" -type f -perm /u+w | sort >"$work/writable"
[ "$(wc -l <"$work/writable")" -ge 12 ] || fail "which files can be written? $(cat "$work/writable")"

cat >"$work/rubbish.py" <<'END'
import errno, os, random, sys
seed, writes, sectors, listed = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = random.Random(seed)
files = open(listed).read().split("\n")[:-1]
names = [os.path.basename(path) for path in files if "/params/" in path]
# What a control file may answer to a bad write. Anything else is news.
EXPECTED = {errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EACCES, errno.EBUSY, errno.ENODATA,
            errno.E2BIG, errno.ERANGE, errno.ENOSPC, errno.EROFS, errno.EAGAIN}


def number():
    return str(rng.choice([0, 1, 7, 8, rng.randrange(sectors), sectors - 1, sectors, 1 << 32,
                           (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -1]))


def message():
    few = str(rng.randrange(1, 512))
    return rng.choice([
        f"remap {rng.randrange(sectors)} {few}", f"unmap {rng.randrange(sectors)} {few}",
        f"unmap {number()} {number()} force", f"remap {number()} {few}", f"query {number()}",
        "status", "stats", "health", "help", "clear_stats", "salvage", "scan start", "scan stop",
        f"scan start {number()} {number()}", "scan pause", "scan resume",
        f"set {rng.choice(names)} {number()}", f"set {rng.choice(names)} Y"])


def mutated(text):
    data = bytearray(text.encode())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.randbytes(rng.randrange(1, 5))
        elif kind == 1:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 2:
            data[at:at + 1] = rng.choice([b"\0", b"\n", b" ", b"\xff", b"-", b"\t"])
        else:
            data *= 2
    return bytes(data[:8192])


def text_for(path):
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.choice([0, 1, 2, 16, 80, 1024, 1025, 4096, 70000]))
    if path.endswith("/message"):
        text = message()
    elif path.endswith("/rescan"):
        text = rng.choice(["start", "stop", "pause", "resume", f"start {number()} {number()}"])
    else:
        text = rng.choice([number(), "Y", "N", "on", "off", "1e3", "0x8", "", " 4", "4 "])
    return mutated(text) if kind < 3 else text.encode() + rng.choice([b"", b"\n"])


taken = refused = 0
for turn in range(writes):
    path = files[turn % len(files)]
    data = text_for(path)
    fd = os.open(path, os.O_RDWR if rng.randrange(2) else os.O_WRONLY | os.O_TRUNC)
    try:
        os.pwrite(fd, data, 0 if rng.randrange(8) else rng.randrange(1, 1 << 40))
        taken += 1
    except OSError as error:
        refused += 1
        if error.errno not in EXPECTED:
            sys.exit(f"write {turn}, {path}, {data[:80]!r}: {error}")
    finally:
        os.close(fd)
print(taken, refused)
END

# The lower half of the disk is judged by its noise, the upper by fio, which goes on until it is told
# that the rubbish is over.
fio --name=beside --filename="$disk" --offset=32M --size=32M --rw=randrw --bsrange=512-64k \
    --verify=crc32c --verify_state_save=0 --verify_fatal=1 --verify_backlog=64 --direct=1 \
    --fallocate=none --allow_file_create=0 --ioengine=libaio --iodepth=8 --loops=2 \
    --output="$work/fio" &
fio=$!
timeout 240 python3 "$work/rubbish.py" "$seed" $writes $sectors "$work/writable" >"$out" 2>&1 ||
    fail "seed $seed, exit $?: $(tail -n 5 "$out")"
read -r taken refused <"$out"
if [ "$taken" -le 100 ] || [ "$refused" -le 100 ]; then
    fail "seed $seed is no mixture: $taken taken, $refused refused"
fi
wait "$fio" || fail "seed $seed: fio beside it: $(tail -n 20 "$work/fio")"

kill -0 "$daemon" 2>/dev/null || fail "seed $seed: the daemon is gone: $(tail -n 5 "$work/log")"
# A disk without a bad sector has lost none, whatever was written.
[ "$(awk '$1 == "lost_sectors" { print $2 }' "$control/stats")" = 0 ] || fail "seed $seed: lost sectors"
[ "$(cat "$control/state")" != failed ] || fail "seed $seed: $(cat "$control/reasons")"
echo 'scan stop' >"$control/message" 2>/dev/null || :
[ "$(at "$disk" 0 $((16 << 20)) iflag=direct)" = "$(noise_sum before $((16 << 20)))" ] ||
    fail "seed $seed: another data than what was written"
# All of it back on main, and as it was.
echo "unmap 0 $sectors" >"$control/message" || fail "unmap: $(cat "$control/message")"
[ "$(status_word mappings)" = 0 ] || fail "blocks stayed on the spare"
[ "$(at "$disk" 0 $((16 << 20)) iflag=direct)" = "$(noise_sum before $((16 << 20)))" ] ||
    fail "seed $seed: another data on main"
fusermount3 -u "$mnt"
wait "$daemon" || fail "the daemon ended with $?: $(tail -n 5 "$work/log")"
ctl check "$spare" >"$out" || fail "seed $seed: $(cat "$out")"
say "seed $seed: $taken writes taken, $refused refused, no byte wrong"
