#!/bin/bash
# perf/full.sh VERSION [SCENARIO...]: measures every scenario, one part after the
# other, into perf/results/VERSION.json, and writes the report. A part that fails
# or takes too long is named at the end, and what was saved of it before stays.
# Some 26 minutes; the machine should have nothing else to do. Beforehand:
# bench/setup.sh. ROUNDS=long is without -quick and bounds: some hours.
set -uo pipefail
if [ $# -lt 1 ]; then
	sed -n '2,6s/^# //p' "$0" >&2
	exit 2
fi
version=$1
shift
wanted=" ${*:-micro crypto srtp sockets fanout sctp datachannel handshake connect memory steer} "
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/bench" ./bench || exit 1
failed=()

quick=-quick few="-peers pion,pion-bare,floor-gso,floor-sendto" bound="timeout -k 10"
if [ "${ROUNDS:-}" = long ]; then
	quick="" few="" bound=""
fi

# part SECONDS [FLAG...] CASES: at most so long.
part() {
	local limit=${bound:+$bound $1} name=${*: -1}
	shift
	case $wanted in *" ${name%%/*} "*) ;; *) return ;; esac
	printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"
	$limit "$work/bench" -save "$version" "$@" || failed+=("$*")
}

# shellcheck disable=SC2086 # empty flags are none
{
	part 300 fanout/video/1x50
	part 240 micro
	part 120 $quick srtp
	part 90 $quick crypto
	part 90 $quick sockets
	for c in video/1x1 video/1x100 video/1x200 video/20x10 audio/1x200 audio/1x500 video-paced/1x50 video-paced/20x10 video-cm80/1x50 video-loss/1x50 video-busy/1x64; do
		part 120 $quick fanout/$c
	done
	# Pion carries a part of it, LiveKit and Janus nothing within ten seconds.
	part 240 $quick $few fanout/video/1x600
	part 120 $quick steer
	part 180 $quick sctp/link sctp/memory
	part 120 $quick datachannel
	part 90 $quick handshake
	part 90 $quick connect
	part 150 $quick memory/idle memory/active memory/viewer
}
"$work/bench" report || failed+=(report)
printf '\n%d s\n' "$SECONDS"
for f in "${failed[@]}"; do
	echo "failed: $f" >&2
done
[ ${#failed[@]} = 0 ]
