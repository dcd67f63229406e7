-- migrate:up

-- From where users have signed in, as hashes over user and network: others' failures do not keep them out there.
create table known_networks (
    user_id      uuid not null references users on delete cascade,
    network_hash bytea not null,
    signed_in_at timestamptz not null default now(),
    primary key (user_id, network_hash)
);
create index on known_networks (signed_in_at);

grant select, insert, update, delete on known_networks to butler_gateway;

-- migrate:down

drop table known_networks;
