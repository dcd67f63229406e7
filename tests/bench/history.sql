-- Accounts %(first)s to %(last)s, of %(owner)s or each of a user of its own, with a close for each day of a year and %(changes)s snapshots for each of 90 days.
create temp table filled on commit drop as
select n, coalesce(%(owner)s::uuid, gen_random_uuid()) as user_id, gen_random_uuid() as account_id, gen_random_uuid() as credential_id,
    %(name)s || '-' || n as name
from generate_series(%(first)s::int, %(last)s::int) n;

insert into users (id, email, password_hash)
select user_id, name || '@example.com', '-' from filled where %(owner)s::uuid is null;

insert into credentials (id, user_id, exchange, state)
select credential_id, user_id, 'okx', 'live' from filled;

insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid, permissions, ip_bound,
    api_key_hint, last_synced_at, last_attempt_at, created_at)
select account_id, user_id, 'okx', 'global', name, credential_id, name, name, '{read_only}', true,
    '0000', now(), now(), now() - interval '2 years'
from filled;

insert into open_snapshots (account_id, user_id, id, since, facts, content)
select account_id, user_id, gen_random_uuid(), now(), gen_random_uuid(), replace(%(content)s, '@', to_json(now()) #>> '{}')::jsonb
from filled;

insert into snapshots (account_id, since, until, fresh_seconds, user_id, id, content)
select account_id, at, at + interval '5 minutes', 7200, user_id, gen_random_uuid(), replace(%(content)s, '@', to_json(at) #>> '{}')::jsonb
from filled, generate_series(now() - interval '90 days', now() - interval '1 hour', interval '1 day' / %(changes)s) at;

-- In the order of days, as they are closed.
insert into closes (account_id, day, at, until, fresh_seconds, snapshot_id, content, sum)
select account_id, day, at, at, 7200, gen_random_uuid(), replace(%(content)s, '@', to_json(at) #>> '{}')::jsonb,
    replace(%(sum)s, '@', to_json(at) #>> '{}')::json
from generate_series((now() at time zone 'UTC')::date - 365, (now() at time zone 'UTC')::date - 1, interval '1 day') each (moment),
    lateral (select moment::date as day, (moment::date + 1)::timestamp at time zone 'UTC' as at) as days, filled
order by day;

-- The bench itself thins them, and syncs none.
update thinnings set next_at = 'infinity', until = date_trunc('hour', now()) - interval '90 days'
where account_id in (select account_id from filled);
update schedule set interval_seconds = null, next_at = null;
