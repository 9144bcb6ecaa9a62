#!/bin/sh
# Every C file is as clang-format (.clang-format, Debian 12's version 14) would write it.
cd "$1" || exit 1
n=0
for folder in nn record store api pipeline daemon cli tests; do
    n=$((n + 1))
    found=$(find "$folder" -name '*.[ch]' -exec clang-format --dry-run {} + 2>&1 |
        grep -E 'warning:' | head -20)
    [ -z "$found" ] && echo "ok $n $folder" || printf 'not ok %s %s\n%s\n' "$n" "$folder" "$found"
done
echo "1..$n"
