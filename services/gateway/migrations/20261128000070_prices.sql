-- migrate:up

-- One row for each exchange with its whole last reading of public prices, as received, and what is known of each asset's price after it (JSON).
-- `claimed_at` is when a gateway last requested one: of any number of gateways one requests each.
create table price_readings (
    source     text primary key,
    claimed_at timestamptz not null default now(),
    reading_id uuid,
    read_at    timestamptz,
    error_code text,
    reading    bytea,
    known      bytea
);

-- Prices in USD that users set by hand, each for themselves.
create table manual_prices (
    user_id uuid not null references users (id),
    asset   text not null,
    value   numeric not null check (value > 0),
    set_at  timestamptz not null default now(),
    primary key (user_id, asset)
);

grant select, insert, update, delete on price_readings, manual_prices to butler_gateway;

-- migrate:down

drop table manual_prices;
drop table price_readings;
