-- migrate:up

-- Names that two exchanges list and the table of assets does not have: since when their prices made them one asset, and since when two. Both are written
-- once: split names stay split, whatever prices do.
create table asset_matches (
    asset      text not null,
    first      text not null,
    second     text not null check (first < second),
    matched_at timestamptz,
    split_at   timestamptz,
    primary key (asset, first, second)
);

-- Users' own decisions whether equal names are one asset; `was_joined` is the state for the user before `since`.
create table asset_choices (
    user_id    uuid not null references users (id),
    asset      text not null,
    joined     boolean not null,
    since      timestamptz not null default now(),
    was_joined boolean not null,
    primary key (user_id, asset)
);

grant select, insert, update on asset_matches to butler_gateway;
grant select, insert, update, delete on asset_choices to butler_gateway;

-- A gateway of the version before deletes users, too.
create function forget_asset_choices() returns trigger language plpgsql as $$
begin
    delete from asset_choices where user_id = new.user_id;
    return null;
end
$$;
create trigger asset_choices_forgotten after insert on deleted_users for each row execute function forget_asset_choices();

-- migrate:down

drop trigger asset_choices_forgotten on deleted_users;
drop function forget_asset_choices;
drop table asset_choices, asset_matches;
