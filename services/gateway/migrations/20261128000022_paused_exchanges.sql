-- migrate:up

-- Exchanges for which all gateways refuse new syncs and keys, because an operator has paused them.
create table paused_exchanges (
    exchange  text primary key,
    paused_at timestamptz not null default now()
);

grant select, insert, update, delete on paused_exchanges to butler_gateway;

-- migrate:down

drop table paused_exchanges;
