-- migrate:up

-- Housekeeping thins snapshots to the last one of each hour. `changed_at` is when the first of those that it deleted after this one began: from then on this
-- one no longer says what the account held. The gateway's role may set that, and nothing else.
alter table snapshots add column changed_at timestamptz;
grant update (changed_at) on snapshots to butler_gateway;

-- Until when the snapshots of each account are thinned, and when to look next.
create table thinnings (
    account_id uuid primary key,
    until      timestamptz not null,
    next_at    timestamptz not null default now()
) with (fillfactor = 70);
create index on thinnings (next_at);
grant select, insert, update, delete on thinnings to butler_gateway;

create function start_thinning() returns trigger language plpgsql as $$
begin
    insert into thinnings (account_id, until, next_at)
    values (new.account_id, date_trunc('hour', new.since, 'UTC'), now() + interval '3 days') on conflict do nothing;
    return null;
end
$$;
create trigger snapshot_starts_thinning after insert on open_snapshots for each row execute function start_thinning();
insert into thinnings (account_id, until) select account_id, '2026-11-01Z' from open_snapshots on conflict do nothing;

-- The thinning locks its row before it locks snapshots, and so does the deletion of an account.
create or replace function forget_snapshots() returns trigger language plpgsql as $$
begin
    delete from thinnings where account_id = new.id;
    delete from open_snapshots where account_id = new.id;
    delete from snapshots where account_id = new.id;
    delete from closes where account_id = new.id;
    return null;
end
$$;

-- migrate:down

create or replace function forget_snapshots() returns trigger language plpgsql as $$
begin
    delete from open_snapshots where account_id = new.id;
    delete from snapshots where account_id = new.id;
    delete from closes where account_id = new.id;
    return null;
end
$$;
drop trigger snapshot_starts_thinning on open_snapshots;
drop function start_thinning;
drop table thinnings;
alter table snapshots drop column changed_at;
