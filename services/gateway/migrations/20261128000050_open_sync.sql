-- migrate:up

-- Opens the sync of one account with its request, its audit and its counts, and returns a row; or writes nothing and returns no row, because
-- a limit is used up, the account has changed, it or its exchange is paused, or a sync is open. One statement holds the rows of user and
-- client address no longer than it takes: requests of the same user or address wait for each other.
create function open_sync(said json)
returns table (used integer, seconds float8, seconds_left float8, outbox_id bigint) language plpgsql as $$
declare
    asked record;
    of_address integer;
begin
    select * into asked from json_to_record(said) as asked (
        id uuid, user_id uuid, account_id uuid, credential_id uuid, exchange text, deadline timestamptz, message_id text, subject text,
        stream text, headers jsonb, body text, traceparent text, lease float8, action text, detail jsonb, policy text, quota integer,
        "window" float8, address_policy text, address text, address_quota integer, address_window float8);
    begin
        insert into rate_limits as kept (policy, subject, used, ends_at)
        values (asked.policy, asked.user_id::text, 1, clock_timestamp() + make_interval(secs => asked."window"))
        on conflict (policy, subject) do update
        set used = case when kept.ends_at <= clock_timestamp() then 1 else least(kept.used, asked.quota) + 1 end,
            ends_at = case when kept.ends_at <= clock_timestamp() then excluded.ends_at else kept.ends_at end
        returning kept.used, extract(epoch from kept.ends_at - clock_timestamp())::float8 into used, seconds;
        perform from accounts where accounts.id = asked.account_id and accounts.user_id = asked.user_id
            and accounts.credential_id = asked.credential_id and deleted_at is null for update;
        if used > asked.quota or not found then
            raise sqlstate 'BU001';
        end if;
        -- Each statement here sees what was committed before it, also by a transaction that it waited for above.
        insert into syncs (id, user_id, account_id, exchange, deadline)
        select asked.id, asked.user_id, asked.account_id, asked.exchange, asked.deadline
        where not exists (select from account_pauses pause where pause.account_id = asked.account_id
                          and pause.credential_id = asked.credential_id)
            and not exists (select from paused_exchanges paused where paused.exchange = asked.exchange)
        on conflict (account_id) where status = 'queued' do nothing;
        if not found then
            raise sqlstate 'BU001';
        end if;
        insert into audit (user_id, action, subject, detail) values (asked.user_id, asked.action, asked.id, asked.detail);
        insert into outbox (message_id, subject, stream, headers, body, sync_id, traceparent)
        values (asked.message_id, asked.subject, asked.stream, asked.headers, convert_to(asked.body, 'UTF8'), asked.id, asked.traceparent)
        returning outbox.id into outbox_id;
        if asked.lease > 0 then
            update outbox set attempts = 1, next_at = clock_timestamp() + make_interval(secs => asked.lease) where outbox.id = outbox_id;
        end if;
        -- Last, because many wait for this row.
        insert into rate_limits as kept (policy, subject, used, ends_at)
        values (asked.address_policy, asked.address, 1, clock_timestamp() + make_interval(secs => asked.address_window))
        on conflict (policy, subject) do update
        set used = case when kept.ends_at <= clock_timestamp() then 1 else least(kept.used, asked.address_quota) + 1 end,
            ends_at = case when kept.ends_at <= clock_timestamp() then excluded.ends_at else kept.ends_at end
        returning kept.used into of_address;
        if of_address > asked.address_quota then
            raise sqlstate 'BU001';
        end if;
        seconds_left := extract(epoch from asked.deadline - clock_timestamp())::float8;
        return next;
    exception when sqlstate 'BU001' or unique_violation then  -- the latter where a lost answer is asked for again
        null;
    end;
end
$$;

-- migrate:down

drop function open_sync(json);
