#!/bin/sh
# Starts PostgreSQL as the entrypoint of the project's own image does, as far as this repository uses it: POSTGRES_USER,
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_DB, POSTGRES_INITDB_ARGS and /docker-entrypoint-initdb.d.
set -eu

case "${1:-postgres}" in
-*) set -- postgres "$@" ;;
postgres) ;;
*) exec "$@" ;;
esac

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA"
	if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
		POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
	fi
	: "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE}"
	told=$(mktemp)
	printf '%s' "$POSTGRES_PASSWORD" >"$told"
	# shellcheck disable=SC2086 # several arguments
	initdb --username="$user" --pwfile="$told" --auth-host=scram-sha-256 --auth-local=trust ${POSTGRES_INITDB_ARGS:-} >&2
	rm -f "$told"
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	# Only by its socket, until everything is made.
	sockets=$(mktemp -d)
	pg_ctl --wait --silent --options="-c listen_addresses='' -c unix_socket_directories='$sockets'" start >&2
	export PGHOST="$sockets" PGUSER="$user" PGPASSWORD="$POSTGRES_PASSWORD" POSTGRES_USER="$user"
	if [ "$database" != postgres ]; then
		createdb "$database"
	fi
	for file in /docker-entrypoint-initdb.d/*; do
		case "$file" in
		*.sh) if [ -x "$file" ]; then PGDATABASE="$database" "$file"; else PGDATABASE="$database" sh "$file"; fi ;;
		*.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --dbname="$database" --file="$file" ;;
		esac
	done
	pg_ctl --wait --silent --mode=fast stop >&2
	rm -rf "$sockets"
	unset PGHOST PGUSER PGPASSWORD
fi
unset POSTGRES_PASSWORD
shift
exec postgres -c "listen_addresses=*" -c "unix_socket_directories=/var/run/postgresql" "$@"
