# shellcheck shell=bash
# The engine and its builder, for the scripts beside it: DOCKER names the client, PYTHON an interpreter with pip.
docker=${DOCKER:-docker}
python=${PYTHON:-python3}

"$docker" version >/dev/null 2>&1 || {
	echo "No container engine answers '$docker version': start dockerd, or name another client with DOCKER=" >&2
	exit 1
}

# Build quietly with BuildKit. A newer client without its plugin buildx can not, but Debian's older one can alone.
build_image() {
	local builder=$docker log
	if ! "$docker" buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then
		builder=/usr/bin/docker
	fi
	log=$(DOCKER_BUILDKIT=1 "$builder" build --quiet "$@" 2>&1) || { printf '%s\n' "$log" >&2; return 1; }
}
