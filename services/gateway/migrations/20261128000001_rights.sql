-- migrate:up

-- An account whose credential is not used, and why. Tables of their own: a new column of `accounts` or `syncs` would break the
-- prepared `select *` of every gateway that runs during the update. A pause holds as long as its credential is the account's: a
-- gateway of the version before replaces credentials without knowing of it. `rights` are those that the key has too many.
-- `destroyed_at`: the secret was given up, and the account's credential is a stand-in of which the vault holds nothing.
create table account_pauses (
    account_id     uuid primary key references accounts on delete cascade,
    credential_id  uuid not null,
    reason         text not null,
    rights         jsonb not null default '[]',
    paused_at      timestamptz not null default now(),
    next_verify_at timestamptz not null,
    destroyed_at   timestamptz
);
create index on account_pauses (next_verify_at) where destroyed_at is null;

-- The syncs that read wallets without the rights of the key.
create table unproven_syncs (
    sync_id uuid primary key references syncs on delete cascade
);

grant select, insert, update, delete on account_pauses, unproven_syncs to butler_gateway;

-- migrate:down

drop table unproven_syncs, account_pauses;
