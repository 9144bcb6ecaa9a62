#!/bin/sh
# Who may include whom (docs/architecture.md, "Folders"). Prints TAP; one line per folder.
cd "$1" || exit 1
n=0
# $1 folder, $2 pattern of forbidden includes
forbid() {
    [ -d "$1" ] || return
    n=$((n + 1))
    found=$(find "$1" -name '*.[ch]' -exec grep -nE "^ *# *include *[<\"]($2)" {} +)
    [ -z "$found" ] && echo "ok $n $1" || printf 'not ok %s %s\n%s\n' "$n" "$1" "$found"
}
big='gst/|uv\.h|microhttpd\.h|sqlite3\.h|cblas|openblas|protobuf-c/|zlib|libpq|curl/|systemd/|seccomp'
forbid nn 'record/|store/|api/|pipeline/|daemon/|cli/|gst/|glib|gio|jansson|uv\.h|microhttpd|sqlite3|curl/|systemd/|seccomp'
forbid record "nn/|store/|api/|pipeline/|daemon/|cli/|$big"
forbid store "nn/|api/|pipeline/|daemon/|cli/|gst/|uv\.h|microhttpd|cblas|protobuf|zlib|curl/|systemd/|seccomp"
forbid api "nn/|store/|pipeline/|daemon/|cli/|gst/|uv\.h|sqlite3|cblas|protobuf|zlib|curl/|systemd/|seccomp"
forbid pipeline "store/|api/|daemon/|cli/|nn/train/|uv\.h|microhttpd|sqlite3|cblas|protobuf|zlib|curl/|systemd/"
# The synthetic camera stands alone: it can be used and read without the rest.
forbid pipeline/scene 'nn/|record/|pipeline/([^s]|s[^c])'
forbid daemon "nn/|pipeline/|cli/|gst/|microhttpd|sqlite3|cblas|protobuf|zlib|curl/|seccomp"
forbid cli 'store/|api/|pipeline/([^ms]|m[^o]|mo[^d]|s[^c]|sc[^e]|scene/[^s]|scene/scene[^.])|gst/|uv\.h|microhttpd|sqlite3|cblas|protobuf|zlib|systemd/|seccomp|daemon/([^c]|c[^o]|co[^n])'
echo "1..$n"
