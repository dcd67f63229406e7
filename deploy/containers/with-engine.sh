#!/usr/bin/env bash
# Runs a command with a container engine: with-engine.sh COMMAND... uses an engine that answers, or starts dockerd, as
# root, and stops it at the end. Without one it fails, or with WITHOUT_CONTAINERS=1 does nothing.
set -euo pipefail

docker=${DOCKER:-docker}

answers() { "$docker" version >/dev/null 2>&1; }

if ! answers; then
	log=$(mktemp)
	dockerd >"$log" 2>&1 &
	engine=$!
	trap 'kill "$engine" 2>/dev/null && wait "$engine" || true; rm -f "$log"' EXIT
	for _ in {1..120}; do
		! answers && kill -0 "$engine" 2>/dev/null || break
		sleep 0.5
	done
	answers || {
		echo "No container engine can start here: $(tail -n 1 "$log")" >&2
		[ "${WITHOUT_CONTAINERS:-}" = 1 ] && exit 0 || exit 1
	}
fi
"$@"
