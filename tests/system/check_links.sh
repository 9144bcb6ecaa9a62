#!/bin/sh
# vigild holds credentials and the database: it must link nothing that reads media or models.
# $1 vigild, $2 vigil-worker (which must, or this test would find nothing in any program).
n=0
report() {
    n=$((n + 1))
    [ -z "$2" ] && echo "ok $n $1" || printf 'not ok %s %s\n%s\n' "$n" "$1" "$2"
}
libraries=$(ldd "$1") || libraries="ldd does not read $1: gst"
report "vigild links neither GStreamer nor OpenBLAS" \
    "$(echo "$libraries" | grep -E 'gst|blas|avcodec|protobuf')"
report "vigild holds no code of nn or pipeline" \
    "$(nm "$1" | grep -E ' [Tt] (nn_|gst_|vigil_analyze|vigil_scene)' | head)"
if [ -n "$2" ]; then
    ldd "$2" | grep -q gst && found= || found="vigil-worker links no GStreamer"
    report "the same look finds GStreamer in vigil-worker" "$found"
fi
echo "1..$n"
