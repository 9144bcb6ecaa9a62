# bash completion for vigil(1) and vigild(8). Verbs, actions and options are read from the
# programs' own --help, so they are those of the version that is installed.

# Verbs from `vigil --help` and `vigil model --help`: two blanks, a word and what it does.
_vigil_verbs() {
    "$@" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)   *[a-z].*/\1/p'
}

# Actions of a verb: verbs of its own, or those of its usage "ls | add NAME URI | rm NAME", which
# may take several lines.
_vigil_actions() {
    _vigil_verbs "$1" "$2"
    "$1" "$2" --help 2>/dev/null | sed -n '/^Usage:/,/^$/{/^Usage:/d;s/^[^]]*] *//;s/|/\n/g;p;}' |
        sed -n 's/^ *\([a-z][a-z-]*\).*/\1/p'
}

# Options of a verb as the help lists them, "--stream=" where a value follows.
_vigil_options() {
    "$@" --help 2>/dev/null | sed -n 's/^  \(-[A-Za-z], \)\{0,1\}\(--[a-z][a-z0-9-]*=\{0,1\}\).*/\2/p'
}

# Asks vigild; nothing when it does not answer.
_vigil_streams() {
    "$1" streams ls --json 2>/dev/null |
        sed -n 's/.*"name": *"\([a-z0-9_-]*\)".*/\1/p'
}

_vigil_offer() {
    # The help of most verbs lists --help, that of verbs with verbs of their own does not.
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2" | awk '!seen[$0]++')
    # After "--stream=" the value follows at once.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

# Names of models that come with vigil, which it lists when it is asked for another.
_vigil_models() {
    "$1" model inspect no-such-model 2>&1 | sed -n 's/.* with vigil (\([^)]*\)).*/\1/p' | tr ',' ' '
}

_vigil_files_or() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2"; compgen -f -- "$2")
}

_vigil_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_vigil() {
    local program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]-} action=${COMP_WORDS[2]-}
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # "--stream=do" comes as three words.
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
    if ((COMP_CWORD == 1)); then
        _vigil_offer "$(_vigil_verbs "$program") --help --version" "$word"
    elif [[ ($before == --stream || $before == -s) && ($verb == detections || $verb == watch) ]]; then
        _vigil_offer "$(_vigil_streams "$program")" "$word"
    elif [[ ($before == --precision || $before == -p) && $verb == bench ]]; then
        _vigil_offer "fp32 fast int8" "$word"
    elif [[ ($before == --split || $before == -s) && ($verb == eval || $action == compare) ]]; then
        _vigil_offer "test validation train all" "$word"
    elif [[ $word == -* && ($action == test || -n $(_vigil_verbs "$program" "$verb")) ]]; then
        _vigil_offer "$(_vigil_options "$program" "$verb" "$action") --help" "$word"
    elif [[ $word == -* ]]; then
        _vigil_offer "$(_vigil_options "$program" "$verb")" "$word"
    elif ((COMP_CWORD == 2)) && [[ -n $(_vigil_actions "$program" "$verb") ]]; then
        _vigil_offer "$(_vigil_actions "$program" "$verb")" "$word"
    elif ((COMP_CWORD == 3)) && [[ $verb == streams && $action != add && $action != test ]]; then
        _vigil_offer "$(_vigil_streams "$program")" "$word"
    elif [[ $verb == bench || ($verb == eval && $before != -*) || $verb == model && $COMP_CWORD -eq 3 && $action != verify ]]; then
        _vigil_files_or "$(_vigil_models "$program")" "$word"
    else
        _vigil_files "$word"
    fi
}

_vigild() {
    local program=${COMP_WORDS[0]}
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
    case $before in
    --log-format) _vigil_offer "auto text json journal" "$word" ;;
    --log-level) _vigil_offer "error warning info debug" "$word" ;;
    --config | -c | --database | -d) _vigil_files "$word" ;;
    *) _vigil_offer "$(_vigil_options "$program")" "$word" ;;
    esac
}

complete -F _vigil vigil
complete -F _vigild vigild
