-- migrate:up

-- The part of an amount that trading bots of the exchange hold; null if it reported none.
alter table balances add column in_bots numeric;

-- The open positions of a wallet as they were read last, with the code of a later read that failed. `listed` is null if none succeeded.
create table positions (
    account_id  uuid not null,
    wallet      text not null,
    sync_number bigint not null,
    as_of       timestamptz,
    error_code  text,
    listed      jsonb,
    primary key (account_id, wallet),
    foreign key (account_id, wallet) references account_wallets on delete cascade
);

-- The sum of a wallet's list and the exchange's own total in one sync, in USD. `missing` is the total less the sum.
create table drift (
    account_id  uuid not null,
    wallet      text not null,
    sync_number bigint not null,
    at          timestamptz not null,
    ours        numeric,
    theirs      numeric,
    missing     numeric,
    primary key (account_id, wallet, sync_number),
    foreign key (account_id, wallet) references account_wallets on delete cascade
);
create index on drift using brin (at);

grant select, insert, update, delete on positions, drift to butler_gateway;

-- migrate:down

drop table drift, positions;
alter table balances drop column in_bots;
