-- migrate:up

-- The snapshot of each account that still holds. `facts` is a digest of all that makes a new one begin: a sync that changes nothing writes
-- nothing here. Since when it is confirmed is in the wallets, which each sync writes anyway.
create table open_snapshots (
    account_id uuid primary key references accounts on delete cascade,
    user_id    uuid not null,
    id         uuid not null,
    since      timestamptz not null,
    facts      uuid not null,
    content    jsonb not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index on open_snapshots (user_id);

-- Snapshots that have ended. They never change: the gateway's role may not update them. What was known at `until` is old after
-- `fresh_seconds` more.
create table snapshots (
    account_id    uuid not null,
    since         timestamptz not null,
    until         timestamptz not null check (until >= since),
    fresh_seconds integer not null,
    user_id       uuid not null,
    id            uuid not null,
    content       jsonb not null,
    primary key (account_id, since)
) partition by range (since);
create table snapshots_2026_11 partition of snapshots for values from (minvalue) to ('2026-12-01Z');
create table snapshots_2026_12 partition of snapshots for values from ('2026-12-01Z') to ('2027-01-01Z');
create table snapshots_2027_01 partition of snapshots for values from ('2027-01-01Z') to ('2027-02-01Z');
create table snapshots_later partition of snapshots default;

grant select, insert, update, delete on open_snapshots to butler_gateway;
grant select, insert, delete on snapshots to butler_gateway;

-- A trigger deletes them with their account, because a gateway of the version before, which does not know them, deletes accounts, too.
create function forget_snapshots() returns trigger language plpgsql as $$
begin
    delete from open_snapshots where account_id = new.id;
    delete from snapshots where account_id = new.id;
    return null;
end
$$;
create trigger account_forgotten after update of deleted_at on accounts
    for each row when (new.deleted_at is not null) execute function forget_snapshots();

-- migrate:down

drop trigger account_forgotten on accounts;
drop function forget_snapshots;
drop table snapshots, open_snapshots;
