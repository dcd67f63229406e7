-- migrate:up

-- Where a login came from: an IPv4 address or the /64 network of an IPv6 one. A table of its own beside
-- `refresh_families`: gateways of the version before begin families that have no row here.
create table session_networks (
    family_id uuid primary key references refresh_families on delete cascade,
    network   text not null
);
create index refresh_families_of_user on refresh_families (user_id);

-- Users who are deleted. Their rows in `users` stay without address and password, because accounts, syncs and the audit
-- name them. What they had is taken away until nothing is left; a row without `emptied_at` is looked at again.
create table deleted_users (
    user_id    uuid primary key references users,
    deleted_at timestamptz not null default now(),
    emptied_at timestamptz
);
create index deleted_users_to_empty on deleted_users (deleted_at) where emptied_at is null;
create index accounts_deleted_of_user on accounts (user_id) where deleted_at is not null;

grant select, insert, update, delete on session_networks, deleted_users to butler_gateway;

-- migrate:down

drop index accounts_deleted_of_user;
drop table deleted_users;
drop index refresh_families_of_user;
drop table session_networks;
