# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bash completion of dmremapctl: verbs, their options, mount points, parameters. Verbs and options
# are read from the program's own help, so that they are always those it has.

_dmremapctl_verbs() {
    dmremapctl --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

_dmremapctl_options() {
    dmremapctl "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

_dmremapctl_mount_points() {
    awk '/ - fuse\.dmremapfs / { print $5 }' \
        /proc/self/mountinfo
}

_dmremapctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local verb=${COMP_WORDS[1]} target name
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_dmremapctl_verbs) --help --version" -- "$word")
        return
    fi
    case $before in
        --main | --spare | --svg | --output)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        --label | --destroy | --width | --interval | --count) return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_dmremapctl_options "$verb")" -- "$word")
        return
    fi
    case $verb in
        get | set)
            target=${COMP_WORDS[2]}
            if [ "$COMP_CWORD" = 3 ] && [ -d "$target/control/params" ]; then
                name=$(ls "$target/control/params")
                mapfile -t COMPREPLY < <(compgen -W "$name" -- "$word")
                return
            fi
            ;;
    esac
    if [ "$verb" = scan ] && [ "$COMP_CWORD" = 3 ]; then
        mapfile -t COMPREPLY < <(compgen -W "start stop pause resume wait" -- "$word")
        return
    fi
    case $verb in
        format | list) ;;
        examine | check | rebind) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        *)
            mapfile -t COMPREPLY < <(
                compgen -W "$(_dmremapctl_mount_points)" -- "$word"
                compgen -d -- "$word"
            )
            ;;
    esac
}

complete -o filenames -F _dmremapctl dmremapctl
