-- Accounts %(first)s to %(last)s, each of a user of its own, with balances and %(history)s hourly syncs like the last real one.
create temp table filled on commit drop as
select n, gen_random_uuid() as user_id, gen_random_uuid() as account_id, gen_random_uuid() as credential_id
from generate_series(%(first)s::int, %(last)s::int) n;

create temp table model on commit drop as
select * from syncs where status = 'completed' order by number desc limit 1;

insert into users (id, email, password_hash)
select user_id, 'growth-' || n || '@example.com', '-' from filled;

insert into credentials (id, user_id, exchange, state)
select credential_id, user_id, 'okx', 'live' from filled;

insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid, permissions, ip_bound,
    api_key_hint, last_synced_at, last_attempt_at)
select account_id, user_id, 'okx', 'global', 'growth', credential_id, 'growth-' || n, 'growth-' || n, '{read_only}', true,
    '0000', now(), now()
from filled;

insert into syncs (id, user_id, account_id, exchange, status, requested_at, deadline, published_at, finished_at,
    holdings_count, wallets)
select gen_random_uuid(), f.user_id, f.account_id, 'okx', 'completed', at, at + interval '2 minutes', at, at + interval '1 second',
    m.holdings_count, m.wallets
from generate_series(now() - %(history)s * interval '1 hour', now() - interval '1 hour', interval '1 hour') at,
    filled f, model m;

insert into audit (at, user_id, action, subject, detail)
select s.finished_at, s.user_id, a.action, s.id, a.detail
from syncs s join filled f on f.account_id = s.account_id,
    (select action, detail from audit where subject = (select id from model)) a;

insert into account_wallets (account_id, wallet, as_of, total_check, sync_number)
select f.account_id, w.wallet, now(), w.total_check, m.number
from filled f, model m join account_wallets w on w.account_id = m.account_id;

insert into balances (account_id, wallet, asset, total, available, locked, borrowed)
select f.account_id, b.wallet, b.asset, b.total, b.available, b.locked, b.borrowed
from filled f, model m join balances b on b.account_id = m.account_id;

-- Only the bench of the schedule has accounts that are due.
update schedule set interval_seconds = null, next_at = null;
