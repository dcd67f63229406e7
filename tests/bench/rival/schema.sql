create table if not exists accounts (
    id      uuid primary key,
    user_id uuid not null,
    name    text not null
);
create table if not exists syncs (
    id           uuid primary key,
    account_id   uuid not null references accounts,
    status       text not null default 'queued',
    requested_at timestamptz not null default now(),
    finished_at  timestamptz,
    error        text
);
create index if not exists syncs_of_account on syncs (account_id, requested_at desc);
create table if not exists balances (
    account_id uuid not null references accounts,
    wallet     text not null,
    asset      text not null,
    total      numeric not null,
    free       numeric,
    used       numeric,
    updated_at timestamptz not null,
    primary key (account_id, wallet, asset)
);
