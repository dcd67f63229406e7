-- migrate:up

-- What each priced asset was worth in USD at full hours, as the last reading before that hour shows: no price is later than its hour.
create table price_points (
    asset       text not null,
    source      text not null,
    at          timestamptz not null,
    value       numeric not null,
    method      text not null,
    observed_at timestamptz not null,
    code        text,
    pair        text,
    primary key (asset, at, source)
) partition by range (at);
create table price_points_2026_11 partition of price_points for values from (minvalue) to ('2026-12-01Z');
create table price_points_2026_12 partition of price_points for values from ('2026-12-01Z') to ('2027-01-01Z');
create table price_points_2027_01 partition of price_points for values from ('2027-01-01Z') to ('2027-02-01Z');
create table price_points_later partition of price_points default;

-- How much of a currency 1 unit of the base was worth at a fixing of a central bank.
create table fixings (
    source   text not null,
    fixed_on date not null,
    base     text not null,
    currency text not null,
    rate     numeric not null,
    primary key (source, fixed_on, base, currency)
);

grant select, insert, delete on price_points, fixings to butler_gateway;

-- migrate:down

drop table fixings, price_points;
