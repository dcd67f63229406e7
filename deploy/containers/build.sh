#!/usr/bin/env bash
# Builds images: build.sh PART..., each with the version of the project and `latest` as tags, and with its SBOM in
# build/images/butler-PART.cdx.json. TAG names a trial: butler-PART:TAG alone, without an SBOM.
# BASE_IMAGE and BUILD_IMAGE replace python:3.11-slim; where base.sh has made the base, that is the default. DOCKER names
# the engine's client. pip's configuration (index, authority) goes into the build as a secret and into no layer.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/containers/engine.sh

if [ -z "${BASE_IMAGE:-}" ] && "$docker" image inspect butler-base:local butler-build:local >/dev/null 2>&1; then
	BASE_IMAGE=butler-base:local BUILD_IMAGE=butler-build:local
fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || true)
created=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || true)

secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT
set_to() { "$python" -m pip config get ":env:.$1" 2>/dev/null || "$python" -m pip config get "global.$1" 2>/dev/null; }
{
	echo '[global]'
	for name in index-url extra-index-url trusted-host proxy; do
		value=$(set_to "$name" | grep -v '^file:') && echo "$name = $value"
	done
	authority=$(set_to cert) && echo 'cert = /etc/pip.ca'
	true
} >"$secrets/pip.conf"
told=(--secret "id=pip.conf,src=$secrets/pip.conf")
authority=$(set_to cert) && told+=(--secret "id=pip.ca,src=$authority")

mkdir -p build/images
for part; do
	tags=(--tag "butler-$part:${TAG:-$version}")
	[ -n "${TAG:-}" ] || tags+=(--tag "butler-$part:latest")
	echo "Building butler-$part:${TAG:-$version}"
	build_image --file deploy/containers/Dockerfile \
		${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} ${BUILD_IMAGE:+--build-arg "BUILD_IMAGE=$BUILD_IMAGE"} \
		--build-arg "SERVICE=$part" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
		--build-arg "CREATED=$created" "${told[@]}" "${tags[@]}" .
	[ -z "${TAG:-}" ] || continue
	id=$("$docker" image inspect --format '{{.Id}}' "butler-$part:latest")
	"$docker" run --rm --interactive --network none --read-only "butler-$part:latest" python - \
		"butler-$part" "$version" "$id" "$created" <deploy/containers/sbom.py >"build/images/butler-$part.cdx.json.new"
	mv "build/images/butler-$part.cdx.json.new" "build/images/butler-$part.cdx.json"
done
