-- migrate:up

-- When each account is synced next without a person. Narrow, because each sync changes its row. Tables of their own: a new column of
-- `accounts` or `syncs` would break the prepared `select *` of every gateway that runs during the update.
-- No interval: its user has turned the schedule off. `stopped`: the code of a fault that only another key repairs.
-- `verify_at`: when the key of an account without a schedule is verified, if no sync has done that.
create table schedule (
    account_id       uuid primary key references accounts on delete cascade,
    exchange         text not null,
    next_at          timestamptz,
    interval_seconds integer default 3600 check (interval_seconds > 0),
    failures         integer not null default 0,
    stopped          text,
    verify_at        timestamptz,
    check (next_at is null or (interval_seconds is not null and stopped is null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.05);
create index schedule_due on schedule (exchange, next_at) where next_at is not null;
create index schedule_unsynced on schedule (verify_at) where verify_at is not null;

-- The syncs that the schedule opened, and not a person.
create table scheduled_syncs (
    sync_id uuid primary key references syncs on delete cascade
);

grant select, insert, update, delete on schedule, scheduled_syncs to butler_gateway;

-- A trigger keeps these rows, because a gateway of the version before runs beside this one during an update, and connects, repairs and
-- deletes accounts without knowing the table. Another key ends a stop: its account is due in a minute.
create function schedule_account() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into schedule (account_id, exchange, next_at)
        values (new.id, new.exchange, now() + interval '1 hour' * (0.9 + 0.2 * random())) on conflict do nothing;
    elsif new.deleted_at is not null then
        delete from schedule where account_id = new.id;
    elsif new.credential_id is distinct from old.credential_id then
        update schedule set failures = 0, stopped = null,
            next_at = case when interval_seconds is not null then now() + interval '1 minute' * (0.9 + 0.2 * random()) end
        where account_id = new.id and (failures > 0 or stopped is not null);
    end if;
    return null;
end
$$;
create trigger account_scheduled after insert or update of credential_id, deleted_at on accounts
    for each row execute function schedule_account();

-- The first due times of existing accounts are spread over the interval.
insert into schedule (account_id, exchange, next_at)
select id, exchange, now() + interval '1 hour' * random() from accounts where deleted_at is null;

-- migrate:down

drop trigger account_scheduled on accounts;
drop function schedule_account;
drop table scheduled_syncs, schedule;
