#!/bin/sh
# make demo: vigild with two scene cameras and a file, and what happens before them.
# $1: the build directory. Everything lives in a folder of its own that goes with the demo.
# VIGIL_DEMO_SECONDS ends it by itself; otherwise Ctrl-C does.
set -eu
build=$(cd "$1" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/vigil-demo.XXXXXX")
daemon= watcher=

cleanup() {
    trap - EXIT INT TERM
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" && status=0 || status=$?
        echo "vigild stopped (status $status)."
    fi
    rm -rf "$work"
    exit "${status:-1}"
}
trap cleanup EXIT INT TERM

echo "Rendering a clip of a synthetic street ..."
mkdir "$work/media"
GST_PLUGIN_PATH="$build/pipeline" GST_REGISTRY="$work/registry.bin" \
    gst-launch-1.0 -q vigilscenesrc seed=7 num-buffers=600 ! \
    video/x-raw,width=640,height=360,framerate=15/1 ! \
    x264enc speed-preset=veryfast key-int-max=30 ! h264parse ! mp4mux ! \
    filesink location="$work/media/street.mp4"

cat >"$work/vigil.conf" <<EOF
[server]
node = demo
media_roots = $work/media

[stream front-door]
uri = scene://street?seed=5

[stream car-park]
uri = scene://street?seed=6

[stream recording]
uri = file://$work/media/street.mp4
loop = true
EOF

port=8470
if curl -s -o /dev/null "http://127.0.0.1:$port/livez"; then
    echo "Port $port is taken; using a free one."
    port=0
fi
# A session of its own: Ctrl-C must reach it once, through us.
setsid "$build/daemon/vigild" --config "$work/vigil.conf" --listen "127.0.0.1:$port" \
    --database "$work/vigil.db" 2>"$work/vigild.log" &
daemon=$!
url=
for _ in $(seq 100); do
    url=$(sed -n 's|.*\(http://127\.0\.0\.1:[0-9]*\).*|\1|p' "$work/vigild.log" | head -n 1)
    [ -z "$url" ] || break
    kill -0 "$daemon" 2>/dev/null || { cat "$work/vigild.log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$url" ] || { echo "vigild did not start:" >&2; cat "$work/vigild.log" >&2; exit 1; }

cat <<EOF

vigild watches three streams. Ask it, in another terminal:

  xdg-open $url/
  curl $url/api/v1/streams
  curl $url/api/v1/detections
  curl -N $url/api/v1/events
  curl -o front-door.jpg $url/api/v1/streams/front-door/snapshot.jpg
  curl $url/metrics
  VIGIL_URL=$url $build/cli/vigil streams ls

Detections as they happen (Ctrl-C ends the demo):

EOF
VIGIL_URL=$url "$build/cli/vigil" watch --since-seq 0 &
watcher=$!
if [ -n "${VIGIL_DEMO_SECONDS:-}" ]; then
    sleep "$VIGIL_DEMO_SECONDS"
else
    wait "$watcher"
fi
