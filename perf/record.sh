#!/bin/bash
# perf/record.sh SCENARIO [SECONDS] [DIR]: where Sluice's server of a scenario,
# such as fanout/video/1x50, spends its time in kernel and program, by perf
# (Debian: linux-perf; as root, or kernel.perf_event_paranoid at 1 or less).
# Writes perf.data, perf.pprof and a flame graph. EVENT=cycles is better than
# the default, cpu-clock, where the machine has counters.
set -euo pipefail
if [ $# -lt 1 ]; then
	sed -n '2,6s/^# //p' "$0" >&2
	exit 2
fi
command -v perf >/dev/null || { echo "perf/record.sh: no perf: apt-get install linux-perf" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${2:-10}
dir=$(realpath -m "${3:-/tmp/sluice-perf}")
mkdir -p "$dir"
cd "$root"
go build -o "$dir/bench" ./bench
"$dir/bench" -peers "${PEERS:-floor-gso}" "$1" >"$dir/bench.log" 2>&1 &
bench=$!
trap 'kill "$bench" 2>/dev/null || true' EXIT
# Scenarios without a server are one process.
pid=
for _ in $(seq 50); do
	pid=$(pgrep -P "$bench" -f "serve-sluice" | head -1) && break
	kill -0 "$bench" 2>/dev/null || { cat "$dir/bench.log" >&2; exit 1; }
	sleep 0.1
done
sleep 3 # connecting is another story
perf record -q -e "${EVENT:-cpu-clock}" -F 999 -g -p "${pid:-$bench}" -o "$dir/perf.data" -- sleep "$seconds"
perf report -i "$dir/perf.data" --no-children --stdio -g none 2>/dev/null | awk '/^[^#]/ && n++ < 25'
perf script -i "$dir/perf.data" -F comm,tid,ip,sym,dso 2>/dev/null | go run ./bench/perf2pprof >"$dir/perf.pprof"
"$root/perf/flame.sh" "$dir/perf.pprof" "$dir/perf.png"
