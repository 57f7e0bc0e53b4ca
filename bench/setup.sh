#!/bin/sh
# Installs what the peers outside Go need. The bench command itself installs
# nothing and skips what is not there.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --prefix peers/werift
