-- migrate:up

-- Signing keys that are born in the vault, offered to a user with their public half. An offer is open until it expires, unless it ended
-- or an account took it: then `credential_id` is that account's credential. A connect in progress claims it: `claimed_by` is the pending
-- credential, and the claim of a gateway that died ends at `claimed_until`. Without `public_key` the vault-broker has not answered yet.
-- `fingerprint` is the SHA-256 of the public key, for the operator's comparison with the vault.
create table key_offers (
    id            uuid primary key,
    user_id       uuid not null references users,
    exchange      text not null,
    region        text not null,
    kind          text not null,
    public_key    text,
    fingerprint   text,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    claimed_by    uuid,
    claimed_until timestamptz,
    credential_id uuid,
    ended_at      timestamptz
);
create index on key_offers (user_id) where ended_at is null and credential_id is null;
create index on key_offers (expires_at) where ended_at is null and credential_id is null;
create index on key_offers (ended_at) where ended_at is not null;
create unique index on key_offers (credential_id) where credential_id is not null;
create index on key_offers (claimed_by) where claimed_by is not null;

-- The facts about the key of a credential: its kind, empty for the first typed one, the fingerprint of a born one, and the facts that
-- the exchange states. A table by credential, because a new column of `accounts` would break the prepared `select *` of running gateways, and so
-- that a gateway of the version before, which replaces a credential, leaves no facts about another key.
create table credential_keys (
    credential_id uuid primary key references credentials on delete cascade,
    kind          text not null default '',
    fingerprint   text,
    created_at    timestamptz,
    expires_at    timestamptz,
    ip_bound      boolean
);

grant select, insert, update, delete on key_offers, credential_keys to butler_gateway;

-- The key of an offer is destroyed with the credential of the account that took it, in whatever way that is doomed: a trigger, because a
-- gateway of the version before dooms credentials without knowing offers. Not while a request for the key may still be under way.
create function doom_offer() returns trigger language plpgsql as $$
begin
    with taken as (delete from key_offers where credential_id = new.id returning id, user_id, exchange, created_at)
    insert into credentials (id, user_id, exchange, state, destroy_at)
    select id, user_id, exchange, 'doomed', greatest(new.destroy_at, created_at + interval '40 seconds') from taken
    on conflict (id) do nothing;
    return null;
end
$$;
create trigger credentials_doomed after update of state on credentials for each row
    when (new.state = 'doomed' and old.state <> 'doomed') execute function doom_offer();

-- migrate:down

drop trigger credentials_doomed on credentials;
drop function doom_offer;
drop table credential_keys, key_offers;
