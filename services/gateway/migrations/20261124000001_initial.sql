-- migrate:up

-- The owner runs migrations; the gateway signs in with a role of its own that can not change the schema.
do $$
begin
    if not exists (select from pg_roles where rolname = 'butler_gateway') then
        create role butler_gateway login;
    end if;
end
$$;

create table users (
    id            uuid primary key,
    email         text not null unique check (email = lower(email)),
    password_hash text not null,
    created_at    timestamptz not null default now()
);

-- One family per login; using an old token again revokes the family.
create table refresh_families (
    id         uuid primary key,
    user_id    uuid not null references users on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index on refresh_families (expires_at);

create table refresh_tokens (
    hash      bytea primary key,
    family_id uuid not null references refresh_families on delete cascade,
    issued_at timestamptz not null default now(),
    used_at   timestamptz
);
create index on refresh_tokens (family_id);

-- The vault knows a credential by this id only. A doomed one is destroyed there, then its row goes. It is not
-- destroyed before `destroy_at`: until then a store whose answer was lost may still be under way.
create table credentials (
    id         uuid primary key,
    user_id    uuid not null references users,
    exchange   text not null,
    state      text not null default 'pending' check (state in ('pending', 'live', 'doomed')),
    created_at timestamptz not null default now(),
    destroy_at timestamptz not null default now() + interval '15 seconds'
);
create index on credentials (state, destroy_at) where state <> 'live';

create table accounts (
    id              uuid primary key,
    user_id         uuid not null references users,
    exchange        text not null,
    region          text not null,
    name            text not null,
    credential_id   uuid references credentials,
    exchange_uid    text not null,
    master_uid      text not null,
    permissions     text[] not null,
    ip_bound        boolean not null,
    api_key_hint    text not null,
    created_at      timestamptz not null default now(),
    deleted_at      timestamptz,
    last_synced_at  timestamptz,
    last_attempt_at timestamptz,
    last_error_code text,
    check ((deleted_at is null) = (credential_id is not null))
);
create unique index accounts_one_per_exchange_uid on accounts (user_id, exchange, exchange_uid) where deleted_at is null;

-- The number gives syncs their order: a later one may not be overwritten by an earlier one.
create table syncs (
    id             uuid primary key,
    number         bigint generated always as identity,
    user_id        uuid not null references users,
    account_id     uuid not null references accounts,
    exchange       text not null,
    status         text not null default 'queued' check (status in ('queued', 'completed', 'partial', 'failed')),
    requested_at   timestamptz not null default now(),
    deadline       timestamptz not null,
    publications   integer not null default 1,
    published_at   timestamptz not null default now(),
    request_seq    bigint,
    finished_at    timestamptz,
    holdings_count integer,
    error_code     text,
    error          text,
    wallets        jsonb not null default '[]',
    check ((status = 'queued') = (finished_at is null))
);
create unique index syncs_one_open_per_account on syncs (account_id) where status = 'queued';
create index on syncs (account_id, number desc);
create index on syncs (published_at) where status = 'queued';
create index on syncs (request_seq) where status = 'queued';

create table sync_batches (
    id         uuid primary key,
    user_id    uuid not null references users,
    created_at timestamptz not null default now()
);
create table sync_batch_members (
    batch_id uuid not null references sync_batches on delete cascade,
    sync_id  uuid not null references syncs,
    primary key (batch_id, sync_id)
);

create table idempotency_keys (
    user_id     uuid not null references users,
    key         text not null,
    fingerprint text not null,
    target_id   uuid not null,
    created_at  timestamptz not null default now(),
    primary key (user_id, key)
);
create index on idempotency_keys (created_at);

-- What was last read of each wallet. No row: never read. An error code: what is kept is stale, and why.
create table account_wallets (
    account_id  uuid not null references accounts,
    wallet      text not null,
    as_of       timestamptz,
    total_check text,
    sync_number bigint not null,
    error_code  text,
    error       text,
    primary key (account_id, wallet)
);
create table balances (
    account_id uuid not null,
    wallet     text not null,
    asset      text not null,
    total      numeric not null,
    available  numeric,
    locked     numeric,
    borrowed   numeric,
    primary key (account_id, wallet, asset),
    foreign key (account_id, wallet) references account_wallets on delete cascade
);

-- Written in the transaction that it tells of; the relay is the only one who publishes and then deletes.
create table outbox (
    id         bigint generated always as identity primary key,
    message_id text not null unique,
    subject    text not null,
    stream     text not null,
    headers    jsonb not null,
    body       bytea not null,
    sync_id    uuid,
    created_at timestamptz not null default now()
);

create table audit (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default now(),
    user_id  uuid,
    action   text not null,
    subject  uuid,
    address  text,
    detail   jsonb not null default '{}'
);
create index on audit (user_id, id);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'audit is append-only';
end
$$;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_is_append_only();

grant usage on schema public to butler_gateway;
grant select, insert, update, delete on users, refresh_families, refresh_tokens, credentials, accounts, syncs, sync_batches,
    sync_batch_members, idempotency_keys, account_wallets, balances, outbox to butler_gateway;
grant select, insert on audit to butler_gateway;

-- migrate:down

drop table audit, outbox, balances, account_wallets, idempotency_keys, sync_batch_members, sync_batches, syncs, accounts,
    credentials, refresh_tokens, refresh_families, users;
drop function audit_is_append_only;
