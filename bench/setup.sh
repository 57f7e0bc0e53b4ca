#!/bin/sh
# Installs what the peers outside Go need: Debian's packages, when run as root,
# and those of the lock files. The bench command itself installs nothing and
# skips what is not there.
set -eu
cd "$(dirname "$0")"

packages="gcc libc6-dev libsrtp2-dev libssl-dev libusrsctp-dev janus"

wanted=""
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || wanted="$wanted $p"
done
if [ -n "$wanted" ] && [ "$(id -u)" != 0 ]; then
	echo "bench/setup.sh: not root, so these are left out and their rows will be skipped:$wanted" >&2
elif [ -n "$wanted" ]; then
	apt-get update
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $wanted
	case "$wanted" in
	*janus*)
		# The package starts a server on every address; bench starts its own.
		[ ! -d /run/systemd/system ] || systemctl disable --now janus
		;;
	esac
fi

npm ci --ignore-scripts --no-audit --no-fund --prefix peers/werift
# Its binary is a package of its own: no install script is needed either.
npm ci --ignore-scripts --no-audit --no-fund --prefix peers/node-datachannel
