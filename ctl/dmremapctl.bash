# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bash completion of dmremapctl: verbs, their options, mount points, files, parameters. Verbs and
# options are read from the program's own help, so that they are always those it has.
#
# Paths may hold any character. So the line is cut into words here, as the shell will do it, and not
# taken from COMP_WORDS, where quotes are left in and words are cut at each ':' and '='. Everything is
# compared as it is meant; readline quotes what it inserts.

# Sets words to those before the cursor, the last one perhaps empty, without their quotes, and cut to
# how much of the last one readline leaves alone.
_dmremapctl_words() {
    local line=${COMP_LINE:0:COMP_POINT} quote='' character
    local -i at
    words=('') cut=0
    for ((at = 0; at < ${#line}; at++)); do
        character=${line:at:1}
        if [ "$character" = \\ ] && [ "$quote" != "'" ]; then
            # Between double quotes it is itself before most characters.
            [[ -z $quote || ${line:at+1:1} == [\"\\\$\`] ]] && at+=1
            words[-1]+=${line:at:1}
        elif [ -n "$quote" ]; then
            if [ "$character" = "$quote" ]; then quote=''; else words[-1]+=$character; fi
        elif [[ $character == [\"\'] ]]; then
            quote=$character
        elif [[ $character == [[:blank:]] ]]; then
            [[ ${line:at-1:1} == [[:blank:]] && -z ${words[-1]} ]] || words+=('')
            cut=0
        else
            words[-1]+=$character
            [[ $character != [:=@] || $COMP_WORDBREAKS != *"$character"* ]] || cut=${#words[-1]}
        fi
    done
}

_dmremapctl_verbs() {
    dmremapctl --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

_dmremapctl_options() {
    dmremapctl "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

# Sets mount_points. The kernel writes what would cut its lines in octal.
_dmremapctl_mount_points() {
    local line field
    mount_points=()
    while read -r line; do
        [[ $line == *' - fuse.dmremapfs '* ]] || continue
        read -r _ _ _ _ field _ <<<"$line"
        printf -v field '%b' "$field"
        mount_points+=("$field")
    done </proc/self/mountinfo
}

# Offers those of these that begin with the word.
_dmremapctl_offer() {
    local candidate
    for candidate; do
        [[ $candidate != "$word"* ]] || COMPREPLY+=("${candidate:cut}")
    done
}

_dmremapctl_offer_lines() {
    local lines
    mapfile -t lines
    _dmremapctl_offer "${lines[@]}"
}

# Offers files, with their kind to readline, which quotes them and puts a slash behind folders.
_dmremapctl_offer_files() {
    local tilde='' path=$word file
    compopt -o filenames 2>/dev/null
    # shellcheck disable=SC2088 # what was typed, not what it stands for
    if [[ $path == '~/'* ]]; then
        tilde=$HOME path=$HOME${path:1}
    fi
    for file in "$path"*; do
        [ -e "$file" ] || continue
        [ "$1" = files ] || [ -d "$file" ] || continue
        [ -z "$tilde" ] || file="~${file#"$tilde"}"
        _dmremapctl_offer "$file"
    done
}

_dmremapctl_offer_targets() {
    local mount_points
    compopt -o filenames 2>/dev/null
    _dmremapctl_mount_points
    _dmremapctl_offer "${mount_points[@]}"
    _dmremapctl_offer_files folders
}

# What stands at operand `number`, counted from 1, of `verb`.
_dmremapctl_offer_operand() {
    local verb=$1 number=$2 parameters=$3/control/params
    case $verb:$number in
        examine:1 | check:1 | rebind:1) _dmremapctl_offer_files files ;;
        status:1 | table:1) # or a spare
            _dmremapctl_offer_targets
            [ ${#COMPREPLY[@]} != 0 ] || _dmremapctl_offer_files files
            ;;
        format:* | list:* | activate:*) ;;
        *:1) _dmremapctl_offer_targets ;;
        get:2 | set:2)
            [ ! -d "$parameters" ] || _dmremapctl_offer_lines < <(ls -- "$parameters")
            ;;
        set:3)
            [[ $(cat -- "$parameters/$4" 2>/dev/null) != [YN] ]] || _dmremapctl_offer Y N
            ;;
        scan:2) _dmremapctl_offer start stop pause resume wait ;;
    esac
}

_dmremapctl() {
    local words cut word operands=() i
    COMPREPLY=()
    _dmremapctl_words
    word=${words[-1]}
    if [ ${#words[@]} = 2 ]; then
        _dmremapctl_offer_lines < <(_dmremapctl_verbs && printf '%s\n' --help --version)
        return
    fi
    case ${words[-2]} in
        --main | --spare | --svg | --output)
            _dmremapctl_offer_files files
            return
            ;;
        --label | --destroy | --width | --interval | --count) return ;;
    esac
    if [[ $word == -* ]]; then
        _dmremapctl_offer_lines < <(_dmremapctl_options "${words[1]}")
        return
    fi
    for ((i = 2; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
            --main | --spare | --svg | --output | --label | --destroy | --width | --interval | --count)
                ((++i))
                ;;
            -*) ;;
            *) operands+=("${words[i]}") ;;
        esac
    done
    _dmremapctl_offer_operand "${words[1]}" $((${#operands[@]} + 1)) "${operands[@]}"
}

complete -F _dmremapctl dmremapctl
