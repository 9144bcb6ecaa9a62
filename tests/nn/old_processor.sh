#!/bin/sh
# Runs a test program on an x86-64 of 2003, which qemu plays: no SSSE3, no AVX. Whatever was compiled
# for newer ones outside the tables that are chosen at run time ends it.
command -v qemu-x86_64 >/dev/null || { echo "1..0 # SKIP there is no qemu-x86_64 here"; exit 0; }
exec qemu-x86_64 -cpu Opteron_G1 "$@"
