-- migrate:up

-- The master accounts whose sub-accounts are listed, and what the last list said: a row is the setting. `error_code`: the last list was
-- not read. `left_out`: the sub-accounts without an account of their own, with reasons.
create table sub_account_lists (
    account_id  uuid primary key references accounts on delete cascade,
    sync_number bigint not null default 0,
    listed_at   timestamptz,
    error_code  text,
    more        boolean not null default false,
    unreadable  integer not null default 0,
    left_out    jsonb not null default '[]'
);

-- The accounts that the key of another one, the parent, reads; `accounts.exchange_uid` is the uid of the sub-account. Its own credential is
-- a stand-in of which the vault holds nothing: a gateway of the version before can neither read the parent's balances with it, nor destroy
-- the parent's key. Tables of their own, because a new column of `accounts` would break the prepared `select *` of running gateways.
create table sub_accounts (
    account_id uuid primary key references accounts on delete cascade,
    parent_id  uuid not null references accounts on delete cascade,
    name       text not null,
    gone_since timestamptz,
    orphaned   boolean not null default false
);
create index on sub_accounts (parent_id);
create index sub_accounts_orphaned on sub_accounts (account_id) where orphaned;

grant select, insert, update, delete on sub_account_lists, sub_accounts to butler_gateway;

-- Triggers, because a gateway of the version before deletes accounts and replaces credentials without knowing these tables.
-- A sub-account with a key of its own is connected directly, and its other wallets are no longer out of reach. A new key of a parent ends
-- the stops of its sub-accounts, and is read at its own region and with its own rights; they are locked in the order of the recorder.
create function relate_accounts() returns trigger language plpgsql as $$
begin
    if new.deleted_at is not null then
        delete from sub_account_lists where account_id = new.id;
        delete from sub_accounts where account_id = new.id;
        update sub_accounts set orphaned = true where parent_id = new.id;
    elsif new.credential_id is distinct from old.credential_id then
        delete from sub_accounts where account_id = new.id;
        if found then
            delete from account_wallets where account_id = new.id and as_of is null and error_code = 'needs_own_key';
            delete from account_pauses where account_id = new.id and credential_id <> new.credential_id;
        end if;
        perform from accounts where id in (select account_id from sub_accounts where parent_id = new.id) order by id for no key update;
        update accounts set region = new.region, permissions = new.permissions, ip_bound = new.ip_bound, api_key_hint = new.api_key_hint
        where id in (select account_id from sub_accounts where parent_id = new.id);
        update schedule set failures = 0, stopped = null,
            next_at = case when interval_seconds is not null then now() + interval '1 minute' * (0.9 + 0.2 * random()) end
        where account_id in (select account_id from sub_accounts where parent_id = new.id) and (failures > 0 or stopped is not null);
    end if;
    return null;
end
$$;
create trigger accounts_related after update of credential_id, deleted_at on accounts for each row execute function relate_accounts();

-- The pause of a parent is that of its sub-accounts; only the parent's key is verified.
create function pause_sub_accounts() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from account_pauses using sub_accounts
        where sub_accounts.parent_id = old.account_id and account_pauses.account_id = sub_accounts.account_id;
    else
        insert into account_pauses as held (account_id, credential_id, reason, rights, paused_at, next_verify_at, destroyed_at)
        select accounts.id, accounts.credential_id, new.reason, new.rights, new.paused_at, 'infinity', new.destroyed_at
        from sub_accounts join accounts on accounts.id = sub_accounts.account_id
        where sub_accounts.parent_id = new.account_id and accounts.credential_id is not null
        on conflict (account_id) do update
        set credential_id = excluded.credential_id, reason = excluded.reason, rights = excluded.rights,
            paused_at = excluded.paused_at, next_verify_at = excluded.next_verify_at, destroyed_at = excluded.destroyed_at;
    end if;
    return null;
end
$$;
create trigger sub_accounts_paused after insert or delete or update of credential_id, reason, rights, paused_at, destroyed_at on account_pauses
    for each row execute function pause_sub_accounts();

-- A gateway of the version before asks for a sub-account with its stand-in, which the vault does not hold. That stops no schedule: the
-- account is due again as after any failure, and the present gateways read it then.
create function keep_sub_account_scheduled() returns trigger language plpgsql as $$
begin
    if exists (select from sub_accounts where account_id = new.account_id) then
        new.stopped = null;
        new.failures = old.failures + 1;
        new.next_at = now() + interval '1 second' * least(new.interval_seconds * 2 ^ least(new.failures, 16), 86400);
    end if;
    return new;
end
$$;
create trigger sub_account_kept before update of stopped on schedule for each row
    when (new.stopped = 'credential_missing') execute function keep_sub_account_scheduled();

-- migrate:down

drop trigger sub_account_kept on schedule;
drop trigger sub_accounts_paused on account_pauses;
drop trigger accounts_related on accounts;
drop function pause_sub_accounts, relate_accounts, keep_sub_account_scheduled;
drop table sub_accounts, sub_account_lists;
