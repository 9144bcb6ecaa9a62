#!/bin/sh
# Every header compiles alone: it includes what it needs. $1 source root, $2 build root.
cd "$1" || exit 1
errors=$(mktemp)
flags=$(pkg-config --cflags gstreamer-1.0 gstreamer-base-1.0 gstreamer-video-1.0 gio-2.0 jansson)
n=0
for header in $(find nn record store api pipeline daemon cli tests -name '*.h' | sort); do
    n=$((n + 1))
    if cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I. -I"$2" -I"$2/nn" \
        $flags -x c "$header" 2>"$errors"; then
        echo "ok $n $header"
    else
        echo "not ok $n $header"
        sed 's/^/# /' "$errors"
    fi
done
rm -f "$errors"
echo "1..$n"
