-- migrate:up

-- When the day of each user ends: at midnight of the user's time zone. `next_zone` counts from the next midnight on.
create table user_clocks (
    user_id       uuid primary key,
    zone          text not null default 'UTC',
    next_zone     text,
    next_day      date not null,
    next_close_at timestamptz not null
) with (fillfactor = 70);
create index on user_clocks (next_close_at);

-- What each account held at the end of its user's day, and what it was worth then. A close never changes: the gateway's role may not update it.
-- `until` is when the snapshot was confirmed for the last time before.
create table closes (
    account_id    uuid not null,
    day           date not null,
    at            timestamptz not null,
    until         timestamptz not null,
    fresh_seconds integer not null,
    snapshot_id   uuid not null,
    content       jsonb not null,
    primary key (account_id, day)
) partition by range (day);
create table closes_before partition of closes for values from (minvalue) to ('2027-01-01');
create table closes_2027 partition of closes for values from ('2027-01-01') to ('2028-01-01');
create table closes_2028 partition of closes for values from ('2028-01-01') to ('2029-01-01');
create table closes_later partition of closes default;

grant select, insert, update, delete on user_clocks to butler_gateway;
grant select, insert, delete on closes to butler_gateway;

-- The first snapshot of a user starts the clock.
create function start_clock() returns trigger language plpgsql as $$
begin
    insert into user_clocks (user_id, next_day, next_close_at)
    values (new.user_id, (now() at time zone 'UTC')::date, date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' + interval '1 day')
    on conflict do nothing;
    return null;
end
$$;
create trigger snapshot_starts_clock after insert on open_snapshots for each row execute function start_clock();

create or replace function forget_snapshots() returns trigger language plpgsql as $$
begin
    delete from open_snapshots where account_id = new.id;
    delete from snapshots where account_id = new.id;
    delete from closes where account_id = new.id;
    return null;
end
$$;
create function forget_clock() returns trigger language plpgsql as $$
begin
    delete from user_clocks where user_id = new.user_id;
    return null;
end
$$;
create trigger user_forgotten after insert on deleted_users for each row execute function forget_clock();

-- migrate:down

drop trigger user_forgotten on deleted_users;
drop function forget_clock;
create or replace function forget_snapshots() returns trigger language plpgsql as $$
begin
    delete from open_snapshots where account_id = new.id;
    delete from snapshots where account_id = new.id;
    return null;
end
$$;
drop trigger snapshot_starts_clock on open_snapshots;
drop function start_clock;
drop table closes, user_clocks;
