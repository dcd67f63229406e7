-- migrate:up

-- From when until when each price that a user set by hand counted; `until` is null while it does. A trigger writes them, because gateways of the version
-- before set prices, too. Of the spans that have ended a user keeps the newest 1000.
create table manual_price_spans (
    user_id uuid not null,
    asset   text not null,
    since   timestamptz not null,
    until   timestamptz,
    value   numeric not null,
    primary key (user_id, asset, since)
);
grant select, insert, update, delete on manual_price_spans to butler_gateway;

create function keep_manual_price() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        update manual_price_spans set until = greatest(since, case tg_op when 'UPDATE' then new.set_at else now() end)
        where user_id = old.user_id and asset = old.asset and until is null;
        delete from manual_price_spans where user_id = old.user_id and until is not null and (asset, since) in (
            select asset, since from manual_price_spans where user_id = old.user_id and until is not null
            order by until desc, asset, since offset 1000);
    end if;
    if tg_op <> 'DELETE' then
        insert into manual_price_spans (user_id, asset, since, value) values (new.user_id, new.asset, new.set_at, new.value)
        on conflict (user_id, asset, since) do update set value = excluded.value, until = null;
    elsif exists (select from deleted_users where user_id = old.user_id) then
        delete from manual_price_spans where user_id = old.user_id;
    end if;
    return null;
end
$$;
create trigger manual_price_kept after insert or update or delete on manual_prices for each row execute function keep_manual_price();
-- After the trigger, whose lock lets no gateway set a price in between.
insert into manual_price_spans (user_id, asset, since, value) select user_id, asset, set_at, value from manual_prices;

create or replace function forget_clock() returns trigger language plpgsql as $$
begin
    delete from user_clocks where user_id = new.user_id;
    delete from manual_price_spans where user_id = new.user_id;
    return null;
end
$$;

-- migrate:down

create or replace function forget_clock() returns trigger language plpgsql as $$
begin
    delete from user_clocks where user_id = new.user_id;
    return null;
end
$$;
drop trigger manual_price_kept on manual_prices;
drop function keep_manual_price;
drop table manual_price_spans;
