#!/bin/sh
# Installs the peers of the interop tests: Debian's packages, when run as root,
# and those of package-lock.json. Pion comes with go.mod.
set -eu
cd "$(dirname "$0")"

packages="chromium firefox-esr nodejs npm python3-aiortc python3-gi
gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
gcc libc6-dev openssl gnutls-bin libmbedtls-dev libwolfssl-dev libusrsctp-dev
iproute2"

wanted=""
for p in $packages; do
	case $p in
	# A Node from elsewhere will do.
	nodejs | npm) command -v "${p%js}" >/dev/null && continue ;;
	esac
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || wanted="$wanted $p"
done
if [ -n "$wanted" ]; then
	apt-get update
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $wanted
fi

# No package of the lock file needs its install script: node-datachannel's
# binary is a package of its own.
npm ci --ignore-scripts --no-audit --no-fund
