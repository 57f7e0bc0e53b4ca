#!/bin/bash
# perf/flame.sh PROFILE OUT.png [BINARY]: a pprof profile as the picture of a
# flame graph. It is pprof's own page, photographed: needs Go and chromium.
# SAMPLE=alloc_space picks the kind of sample, FOCUS=lane=data a label.
set -euo pipefail
if [ $# -lt 2 ]; then
	sed -n '2,4s/^# //p' "$0" >&2
	exit 2
fi
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	{ echo "perf/flame.sh: no chromium: apt-get install chromium" >&2; exit 1; }
out=$(realpath "$2")
work=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; rm -rf "$work"' EXIT
flags=(-no_browser -http 127.0.0.1:0)
[ -z "${SAMPLE:-}" ] || flags+=(-sample_index="$SAMPLE")
[ -z "${FOCUS:-}" ] || flags+=(-tagfocus "$FOCUS")
# Port 0 is not told by pprof: a free one is taken here.
port=$((20000 + $$ % 20000))
flags[2]=127.0.0.1:$port
go tool pprof "${flags[@]}" ${3:+"$3"} "$1" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
	kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/browser" \
	--window-size="${SIZE:-1500,900}" --virtual-time-budget=10000 --screenshot="$out" \
	"http://127.0.0.1:$port/ui/flamegraph" >"$work/browser.log" 2>&1 || { cat "$work/browser.log" >&2; exit 1; }
test -s "$out" && echo "$out"
