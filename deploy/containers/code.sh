#!/bin/sh
# Copies the code of one part: code.sh SOURCE SERVICE TARGET. The images contain only the files named here.
set -eu
source=$1 service=$2 target=$3

put() { # put FOLDER FILE...: into a folder of the target
	mkdir -p "$target/$1"
	(folder=$1 && shift && cd "$source" && cp -R "$@" "$target/$folder")
}

case "$service" in
gateway | sync-worker | vault-broker | provisioning) put . contracts/contracts ;;
esac
case "$service" in
gateway) put . services/chassis/chassis services/gateway/gateway contracts/asyncapi.json ;;
sync-worker) put . services/chassis/chassis services/sync-worker/sync_worker ;;
vault-broker) put . services/chassis/chassis services/vault-broker/vault_broker ;;
provisioning)
	put chassis services/chassis/chassis/__init__.py services/chassis/chassis/tls.py
	put chassis/bus services/chassis/chassis/bus/__init__.py services/chassis/chassis/bus/provision.py \
		services/chassis/chassis/bus/transport.py
	put vault_broker services/vault-broker/vault_broker/__init__.py services/vault-broker/vault_broker/paths.py \
		services/vault-broker/vault_broker/schemes
	put deploy deploy/vault
	put deploy deploy/database
	put deploy deploy/reloading
	put deploy deploy/private_files.py deploy/signing_keys.py deploy/bus_keys.py deploy/keys.py deploy/compose
	put deploy/local deploy/local/certificates.py deploy/local/subscribers.py
	put deploy/kubernetes/base/nats deploy/kubernetes/base/nats/nats.conf deploy/kubernetes/base/nats/cluster.conf
	put deploy/kubernetes/components/postgres-single deploy/kubernetes/components/postgres-single/roles.sh
	put services/gateway services/gateway/migrations
	;;
exchange)
	put deploy deploy/simulator
	put deploy/local deploy/local/certificates.py deploy/local/ports.py
	put deploy deploy/private_files.py
	;;
*) echo "code.sh: there is no part $service" >&2 && exit 1 ;;
esac
find "$target" -name __pycache__ -prune -exec rm -rf {} +
