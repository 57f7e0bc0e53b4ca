#!/bin/bash
# perf/profile.sh SCENARIO [DIR]: profiles of a scenario, such as
# fanout/video/1x50 or srtp/protect/gcm128/100B/fan64, and the flame graph of
# each: cpu in one run; allocs, mutex and block, which cost time, in another.
# PEERS=pion,janus profiles those beside Sluice (where each is a process).
set -euo pipefail
if [ $# -lt 1 ]; then
	sed -n '2,5s/^# //p' "$0" >&2
	exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(realpath -m "${2:-/tmp/sluice-profiles}")
mkdir -p "$dir"
cd "$root"
go build -o "$dir/bench" ./bench
peers=()
case $1 in fanout*) PEERS=${PEERS:-floor-gso} ;; esac
[ -z "${PEERS:-}" ] || peers=(-peers "$PEERS")
"$dir/bench" -quick "${peers[@]}" -cpuprofile "$dir" "$1"
"$dir/bench" -quick "${peers[@]}" -cpuprofile "$dir" -profiles allocs,mutex,block "$1" >"$dir/slow.log"
for p in "$dir"/*.pprof; do
	case $p in *.before.pprof) continue ;; esac
	echo "== $p"
	go tool pprof -top -nodecount 15 "$dir/bench" "$p" 2>/dev/null || true
	sample=
	case $p in *.allocs.pprof) sample=alloc_space ;; esac
	SAMPLE=$sample "$root/perf/flame.sh" "$p" "${p%.pprof}.png" "$dir/bench" || true
done
