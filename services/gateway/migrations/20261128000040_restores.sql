-- migrate:up

-- The restores from backups, which only the command that restores writes. The database went back to `database_at` and the vault
-- to `vault_at`; null for one that stayed as it was.
create table restores (
    id          bigint generated always as identity primary key,
    restored_at timestamptz not null default now(),
    database_at timestamptz,
    vault_at    timestamptz
);
grant select on restores to butler_gateway;

-- migrate:down

drop table restores;
