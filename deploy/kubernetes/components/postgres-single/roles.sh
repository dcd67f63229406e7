#!/bin/sh
# Runs once, on an empty volume: the owner of the database, who creates the gateway's role in a migration.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set=password="$(cat /run/secrets/butler/owner-password)" <<'SQL'
create role butler_owner login createrole password :'password';
create database butler owner butler_owner;
SQL
