#!/bin/sh
# The kernels on aarch64: their tests, cross-compiled without any library (tests/nn/alone), run by qemu.
# $1 source root, then the sources of the kernels. (tests/aarch64.ini builds and tests all of the engine
# so, where there are its libraries.)
set -e
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "1..0 # SKIP there is no $tool here"; exit 0; }
done
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
source=$1
shift
# The flags of nn/kernels/meson.build.
compile="aarch64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror
    -Wno-missing-field-initializers -fno-math-errno -ffp-contract=off
    -I$source/tests/nn/alone -I$source"
cd "$build"
$compile -O3 -c "$@" "$source"/tests/nn/alone/blas.c
n=0
for test in test_kernels test_kernel_windows; do
    n=$((n + 1))
    $compile -O1 -static -o $test "$source"/tests/nn/$test.c ./*.o -lm
    result=ok
    qemu-aarch64 ./$test >said 2>&1 || result='not ok'
    sed 's/^/# /' said
    echo "$result $n - $test"
done
echo "1..$n"
