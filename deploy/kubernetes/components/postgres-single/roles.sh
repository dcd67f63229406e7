#!/bin/sh
# Runs once, on an empty volume: the owner of the database, who creates the gateway's role in a migration.
# psql itself reads the file, so that no list of processes shows its content.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" <<'SQL'
\set of_owner `cat /run/secrets/butler/owner-password`
create role butler_owner login createrole password
    :'of_owner';
create database butler owner butler_owner;
SQL
