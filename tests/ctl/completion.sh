#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion as at a terminal: an interactive bash gets what was typed and a TAB, and what it then
# calls is judged, word by word. Mount points with every character that a shell or the kernel's list
# of mounts treats as something else.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"
need python3

# Plays dmremapctl: what it is called with is the answer; help is the program's own.
cat >"$work/rc" <<END
PS1='ready> ' HISTFILE=
PATH=$(printf %q "$bin"):\$PATH
dmremapctl() {
    case " \$* " in
        *' --help '*) command dmremapctl "\$@" ;;
        *) printf '%s\0' "\$@" >"\$ANSWER" ;;
    esac
}
source $(printf %q "$here/../../ctl/dmremapctl.bash")
END
cat >"$work/typed.py" <<'END'
"""RCFILE FOLDER TYPED...: each line typed into a bash of its own, "\t" is the TAB; prints the words
that dmremapctl was then called with, a NUL behind each, those of a line ended by a newline."""
import os, pty, select, sys, time

def typed(rc, folder, line):
    answer = os.path.join(os.path.dirname(rc), "answer")
    if os.path.exists(answer):
        os.unlink(answer)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(ANSWER=answer, INPUTRC="/dev/null", TERM="dumb", LC_ALL="C.UTF-8")
        os.execvp("bash", ["bash", "--noprofile", "--rcfile", rc, "-i"])
    seen, to_send = b"", [os.fsencode(line) + b"\n", b"exit\n"]
    end = time.monotonic() + 120
    while True:
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            os.kill(pid, 9)
            sys.exit("bash does not end: %r" % seen)
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux says so at the end
            more = b""
        if not more:
            break
        seen += more
        if to_send and seen.count(b"ready> ") > 2 - len(to_send):
            os.write(terminal, to_send.pop(0))
    os.waitpid(pid, 0)
    os.close(terminal)
    if not os.path.exists(answer):
        sys.exit("nothing was called: %r" % seen)
    return open(answer, "rb").read()

for line in sys.argv[3:]:
    sys.stdout.buffer.write(typed(sys.argv[1], sys.argv[2], line) + b"\n")
END

# As somebody types it, with backslashes: the C locale has no letters but ASCII's.
quoted() {
    local LC_ALL=C.UTF-8
    printf %q "$1"
}

# called WORDS... -- TYPED: that line, once TAB was pressed in it, calls dmremapctl with these words;
# a slash behind the last one does not matter.
called() {
    local words=()
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    python3 "$work/typed.py" "$work/rc" "$work" "$2" >"$out" 2>"$work/err" ||
        fail "typed $(printf %q "$2"): $(cat "$work/err")"
    cmp -s <(tr -d '\n' <"$out" | sed -z 's:\(.\)/$:\1:') <(printf '%s\0' "${words[@]}" | tr -d '\n') ||
        fail "typed $(printf %q "$2") calls $(tr '\0' '|' <"$out"), not ${words[*]}"
}

# ---------------------------------------------------------------- verbs, options, words
mkdir "$work/salvage" "$work/start" # folders of such names are something else
called salvage -- $'dmremapctl sal\t'
called unmap --force -- $'dmremapctl unmap --f\t'
called scan --json "$work" pause -- "dmremapctl scan --json '$work' pa"$'\t'
called map --width 8 "$work/start" -- "dmremapctl map --width 8 $work/sta"$'\t'
called remap "$work" sal -- "dmremapctl remap $work sal"$'\t' # where a sector is wanted

# ---------------------------------------------------------------- paths
make_pair 8M 8M
# shellcheck disable=SC2016 # they are names
names=(plain 'my disk' "it's" 'say "so"' 'back\slash' 'co:lon=equal@at' 'do$lar `tick`' '*star[1]?'
    $'tab\tbed' '#hash ~tilde' '& ; | < > ( ) { } !' 'Zürich Straße' '-dash' $'new\nline')
for name in "${names[@]}"; do
    mnt=$work/at/$name
    mkdir -p "$mnt"
done
for name in "${names[@]}"; do
    mnt=$work/at/$name disk=$work/at/$name/disk.img
    mount_disk
    bash -c 'source "$0"; _dmremapctl_mount_points
        for point in "${mount_points[@]}"; do [ "$point" != "$1" ] || exit 0; done; exit 1' \
        "$here/../../ctl/dmremapctl.bash" "$mnt" || fail "of the mount points is missing: $mnt"
    # Cut in the middle, as people quote what they have typed of it: not, with \, with ' and ".
    start=$work/at/${name:0:4}
    case $name in
        plain | -dash | co:lon*) called health "$mnt" -- "dmremapctl health $start"$'\t' ;;
        *$'\n'* | *$'\t'*) called health "$mnt" -- "dmremapctl health $work/at/${name:0:2}"$'\t' ;;
        *"'"*) called health "$mnt" -- "dmremapctl health \"$start"$'\t' ;;
        *) called health "$mnt" -- "dmremapctl health '$start"$'\t' ;;
    esac
    # What printf writes as $'...' is no prefix of anything; behind a pair of backquotes bash itself
    # completes nothing.
    if [[ $name != *[$'\n\t!`']* ]]; then
        called health "$mnt" -- "dmremapctl health $(quoted "$start")"$'\t'
        called get "$mnt" map_width -- "dmremapctl get $(quoted "$mnt") map_w"$'\t'
        called set --json "$mnt" map_width -- "dmremapctl set --json $(quoted "$mnt") map_w"$'\t'
        called set "$mnt" remap_on_read_error Y -- \
            "dmremapctl set $(quoted "$mnt") remap_on_read_error "$'\t'"Y"
    fi
    unmount_disk
done
mkdir "$work/a spare"
mv "$spare" "$work/a spare/of it's own.img"
spare="$work/a spare/of it's own.img"
called check --repair "$spare" -- "dmremapctl check --repair $work/a\\ sp"$'\t'"of\\ it"$'\t'
called status "$spare" -- "dmremapctl status '$work/a spare/of"$'\t'
called format --main ./main.img --spare "$spare" -- \
    "dmremapctl format --main ./mai"$'\t'" --spare \"$work/a spare/o"$'\t'

# Of a disk whose daemon is gone only the kernel knows.
mnt=$work/at/my\ disk disk=$mnt/disk.img
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare" 2>"$work/log" &
daemon=$!
wait_until 60 test -e "$disk" || fail "no disk: $(cat "$work/log")"
kill -KILL $daemon
wait $daemon 2>/dev/null || :
called stop "$mnt" -- "dmremapctl stop $work/at/my"$'\t'
fusermount3 -u "$mnt"
say "what bash completes is what dmremapctl is called with"
